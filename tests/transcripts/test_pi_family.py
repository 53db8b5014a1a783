"""pi, OpenClaw and Oh My Pi: sessions are read in the order of the conversation, and distinguished by their heads."""

from __future__ import annotations

import io
import json
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clawvm_transcripts.detection import FORMATS, detect, events_of
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Compaction,
    CompactionSummary,
    Event,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionEnd,
    SessionStart,
    Skipped,
    Usage,
)
from clawvm_transcripts.formats import Head
from clawvm_transcripts.formats.pi import PI
from clawvm_transcripts.reading import Source

FIXTURES = Path(__file__).parent / "fixtures"
HEADER = {"type": "session", "version": 3, "id": "s", "timestamp": "2026-02-03T10:00:00.000Z", "cwd": "/toys"}


def skipped(*kinds: str) -> list[Skipped]:
    return [Skipped(kind, known=True) for kind in kinds]


def fixture(name: str) -> tuple[str, list[Event]]:
    """Return the id of the fixture's format and its events."""
    source = Source(FIXTURES / name)
    found = detect(source)
    return found.id, list(events_of(source, found))


def entry(kind: str = "message", name: str = "", parent: str | None = "", **fields: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"type": kind, "timestamp": "2026-02-03T10:00:01.000Z", **fields}
    if name:
        record |= {"id": name, "parentId": parent}
    if kind == "message":
        record.setdefault("message", {"role": "user", "content": name})
    return record


def events(*records: dict[str, Any]) -> list[Event]:
    """Return the events of a session of *records*, without its start and its end."""
    content = "\n".join(map(json.dumps, (HEADER, *records)))
    return list(PI.read(io.BytesIO(content.encode())))[1:-1]


class Pi(unittest.TestCase):
    def test_version_1_is_read_in_the_order_of_the_file(self) -> None:
        found, read = fixture("pi/version-1.jsonl")
        self.assertEqual(found, "pi")
        self.assertEqual(
            read,
            [
                SessionStart("lantern-1", "", "/toys/lantern", "2026-02-03T10:00:59.000Z"),
                Prompt("Read the wick file"),
                AssistantMessage(""),
                *skipped("thinking_level_change"),
                AssistantMessage("Reading it."),
                Usage(117, cached=100, written=7, output=5),
                RecordedCall("c1", "read", {"path": "wick.toml"}),
                RecordedCall("c2", "bash", {"command": "ls"}),
                RecordedResult("c2", "wick.toml"),
                RecordedResult("c1", "length = 3\ncolour = é\n", images=("AAAA",)),
                # A torn append: two objects in one line, then half of one before a whole one.
                RecordedResult("c2", "wick.toml"),
                RecordedResult("c2", "wick.toml"),
                Broken(10, "is no JSON, or only a part of it"),
                *skipped("model_change", "message/bashExecution"),
                Compaction("compaction", 9000, kept=("c2", "c2", "c1", "c2")),
                CompactionSummary("The wick is 3 long."),
                Prompt(""),  # An image.
                Broken(14, "a record of an unexpected shape"),
                RecordedResult("", "no id", failed=True),
                AssistantMessage(""),
                Usage(0, output=2),
                # The session ends in the middle of a call, and of a line.
                RecordedCall("c3", "bash", {"command": "make light"}),
                Broken(17, "is no JSON, or only a part of it"),
                SessionEnd(17),
            ],
        )

    def test_a_jump_to_an_earlier_entry_is_a_rewind(self) -> None:
        found, read = fixture("pi/tree.jsonl")
        self.assertEqual(found, "pi")
        self.assertEqual(
            read,
            [
                SessionStart("lantern-2", "", "/toys/lantern", "2026-02-03T10:00:00.000Z"),
                *skipped("model_change"),
                Prompt("Trim the wick"),
                AssistantMessage("Trimming.", "a3"),
                Usage(20, output=3, message="a3"),
                RecordedCall("t1", "edit", {"path": "wick.toml", "text": "length = 2"}, "a3"),
                RecordedResult("t1", "done"),
                *skipped("label"),
                # Back to the first prompt: the answer and the result are left behind; a label is no part of it.
                Rewind(2, lost=("t1",)),
                AssistantMessage("Another way.", "b1"),
                Usage(21, output=4, message="b1"),
                Prompt("No, go back"),
                Rewind(2),
                CompactionSummary("Tried another way."),
                Prompt("Go on"),
                *skipped("entry again"),
                # Its parent was lost, so it follows the newest entry.
                AssistantMessage("Going on.", "c3"),
                Compaction("extension", 1200),
                CompactionSummary("Trimmed."),
                Rewind(5),
                Prompt("Back on the other branch"),
                # Back to before the first entry.
                Rewind(4),
                Prompt("From the very start"),
                Skipped("wind_chime"),
                *skipped("session_info", "custom_message", "message/hookMessage"),
                Resume("start:resume"),
                Prompt("A new session may use an id again"),
                Reset("start:fork"),
                SessionEnd(22),
            ],
        )

    def test_a_fork_happens_behind_the_entries_that_were_copied(self) -> None:
        self.assertEqual(
            fixture("pi/fork.jsonl")[1],
            [
                SessionStart("lantern-3", "", "/toys/lantern", "2026-02-03T10:00:03.500Z"),
                Prompt("Light it"),
                AssistantMessage("Lit.", "a2"),
                *skipped("label"),
                Reset("start:fork"),
                Prompt("Put it out"),
                SessionEnd(5),
            ],
        )

    def test_a_new_session_that_remembers_its_origin_is_no_fork(self) -> None:
        for origin in ("parentSession", "branchedFrom"):
            header = HEADER | {origin: "old.jsonl"}
            new = entry(name="a", parent=None)
            copy = new | {"timestamp": "2026-02-03T09:00:00.000Z"}
            for record, expected in ((new, [Prompt("a")]), (copy, [Prompt("a"), Reset("start:fork")])):
                with self.subTest(origin, expected=expected):
                    content = f"{json.dumps(header)}\n{json.dumps(record)}\n".encode()
                    self.assertEqual(list(PI.read(io.BytesIO(content)))[1:-1], expected)

    def test_a_wrong_shape_leaves_the_conversation_where_it_was(self) -> None:
        wrong = entry(name="c", parent="a", message={"role": "assistant", "content": 7})
        read = events(entry(name="a", parent=None), entry(name="b", parent="a"), wrong, entry(name="d", parent="b"))
        self.assertEqual([type(event) for event in read], [Prompt, Prompt, Broken, Prompt])

    def test_wrong_shapes_are_reported_and_skipped(self) -> None:
        for record in (
            {"no": "type"},
            {"type": ["session"]},
            entry(message=None),
            entry(message=["role"]),
            entry(message={"role": {}, "content": ""}),
            entry(message={"role": "assistant", "content": [7]}),
            entry(message={"role": "assistant", "content": [{"type": "toolCall", "id": "c"}]}),
            entry(message={"role": "toolResult", "content": [{"type": "text", "text": 7}]}),
            entry("branch_summary"),
            entry("session_init"),
        ):
            with self.subTest(record=record):
                (broken,) = events(record)
                self.assertIsInstance(broken, Broken)

    def test_absurd_counts_are_left_out(self) -> None:
        usage = {"input": -4, "output": 3.5, "cacheRead": 10**30, "cacheWrite": True}
        record = entry(message={"role": "assistant", "content": "words", "usage": usage})
        self.assertEqual(events(record), [AssistantMessage("words")])
        self.assertEqual(events(entry("compaction", tokensBefore=-1, tokensAfter=False)), [Compaction("compaction")])


class OpenClaw(unittest.TestCase):
    def test_the_gateways_own_lines_are_no_words_of_user_or_model(self) -> None:
        found, read = fixture("openclaw/gateway.jsonl")
        self.assertEqual(found, "openclaw")
        self.assertEqual(
            read,
            [
                SessionStart("kite-1", "", "/home/toy/.openclaw/workspace", "2026-02-03T10:00:00.000Z"),
                *skipped("custom"),
                Prompt("Fly the kite"),
                AssistantMessage("", "k3"),
                RecordedCall("browser:0", "browser", {"action": "open", "url": "http://kite.example/"}, "k3"),
                RecordedResult("browser:0", "no wind", failed=True),
                AssistantMessage("No wind today.", "k5"),
                *skipped("reply written by the harness", "line written by the harness"),
                Prompt("Try again"),
                *skipped("entry outside the conversation"),
                # The leaf names k5, and what names the leaf as its parent goes on there.
                *skipped("leaf"),
                Rewind(3),
                Prompt("After going back"),
                # A leaf that names an entry that is not there moves nothing.
                *skipped("leaf"),
                Compaction("compaction", 500, 80),
                CompactionSummary("Kite, no wind."),
                Reset("reset"),
                # An older parent behind a reset is no way back.
                Prompt("A fresh start"),
                *skipped("custom"),
                AssistantMessage("An entry without id."),
                SessionEnd(18),
            ],
        )

    def test_a_leaf_is_the_entry_that_it_names(self) -> None:
        read = events(
            entry(name="a", parent=None),
            entry(name="b", parent="a"),
            entry("leaf", name="l", parent="b", targetId="a"),
            entry(name="c", parent="l"),
            entry(name="d", parent="l"),
        )
        self.assertEqual(
            read, [Prompt("a"), Prompt("b"), *skipped("leaf"), Rewind(1), Prompt("c"), Rewind(1), Prompt("d")]
        )


class OhMyPi(unittest.TestCase):
    def test_its_own_entries_are_read(self) -> None:
        found, read = fixture("oh-my-pi/boat.jsonl")
        self.assertEqual(found, "oh-my-pi")
        self.assertEqual(
            read,
            [
                SessionStart("boat-1", "", "/toys/boat", "2026-02-03T10:00:00.000Z"),
                *skipped("title"),
                Instruction("system", "Build boats."),
                *skipped("model_change"),
                Prompt("Carve the hull"),
                *skipped("message/developer"),
                AssistantMessage("Carving.", "p5"),
                Usage(35, cached=30, written=4, output=2, message="p5"),
                RecordedCall("h1", "read", {"path": "hull.txt"}, "p5"),
                RecordedResult("h1", "oak"),
                *skipped("message/pythonExecution", "model_usage"),
                Compaction("shake", 700, 90, kept=("h1",)),
                CompactionSummary("Hull of oak."),
                # A prompt that an agent wrote.
                *skipped("line written by the harness"),
                Reset("start:clear"),
                Prompt("Paint it"),
                Compaction("extension"),
                CompactionSummary("Paint."),
                *skipped("ttsr_injection"),
                SessionEnd(16),
            ],
        )


class Recognition(unittest.TestCase):
    def formats(self, *records: dict[str, Any]) -> list[str]:
        return [item.id for item in FORMATS if item.recognizes(Head(b"", records))]

    def test_what_only_a_descendant_writes_identifies_it(self) -> None:
        prompt = {"role": "user", "content": "words"}
        cases: list[tuple[str, Iterable[dict[str, Any]]]] = [
            ("pi", [HEADER]),
            ("pi", [HEADER, entry(), entry("model_change", provider="made-up", modelId="m")]),
            ("pi", [HEADER, entry("custom", customType="kite")]),
            ("pi", [HEADER | {"cwd": "/toys/my.openclaw"}]),
            ("pi", [entry()]),
            ("openclaw", [HEADER | {"cwd": "C:\\Users\\toy\\.openclaw\\workspace"}]),
            ("openclaw", [HEADER, entry("custom", customType="model-snapshot")]),
            ("openclaw", [HEADER, entry("custom", customType="openclaw.cache-ttl")]),
            ("openclaw", [HEADER, entry("custom_message", customType="openclaw.runtime-context")]),
            ("openclaw", [HEADER, entry("leaf", name="a", parent=None, targetId=None)]),
            ("openclaw", [HEADER, entry("reset", name="a", parent=None, reason="new")]),
            ("openclaw", [HEADER, entry("label", name="a", parent=None, appendMode="side")]),
            ("openclaw", [HEADER, entry(message=prompt | {"__openclaw": {}})]),
            ("openclaw", [HEADER, entry(message=prompt | {"provenance": {"kind": "external_user"}})]),
            ("openclaw", [HEADER, entry(message=prompt | {"provider": "openclaw"})]),
            ("oh-my-pi", [HEADER | {"title": "Toys"}]),
            ("oh-my-pi", [{"type": "title", "v": 1, "pad": ""}, HEADER]),
            ("oh-my-pi", [HEADER, entry("title_change", title="Toys")]),
            ("oh-my-pi", [HEADER, entry("model_change", model="made-up/m")]),
            ("oh-my-pi", [HEADER, entry(message={"role": "developer", "content": ""})]),
            ("oh-my-pi", [HEADER, entry(message=prompt | {"attribution": "user"})]),
            # Both were read: Oh My Pi can open the files of its relatives.
            ("oh-my-pi", [HEADER | {"title": "Toys"}, entry("custom", customType="model-snapshot")]),
        ]
        for expected, records in cases:
            with self.subTest(expected, records=records):
                self.assertEqual(self.formats(*records), [expected])

    def test_other_records_are_of_none(self) -> None:
        for record in (
            {"type": "session"},
            {"type": "session", "id": 7, "cwd": "/toys", "timestamp": "now"},
            {"type": "message", "role": "user", "content": "words", "timestamp": "now"},
            {"type": "message", "message": "words", "timestamp": "now"},
            {"type": "reset"},
        ):
            with self.subTest(record=record):
                self.assertEqual(self.formats(record), [])


def reads(number: int, parent: str | None, file: str = "") -> list[dict[str, Any]]:
    """Return the entries of a read and its result: rN and sN."""
    name = f"t{number}"
    part = {"type": "toolCall", "id": name, "name": "read", "arguments": {"path": file or f"file {number}"}}
    result = {"role": "toolResult", "toolCallId": name, "content": [{"type": "text", "text": f"text of {file}"}]}
    return [
        entry(name=f"r{number}", parent=parent, message={"role": "assistant", "content": [part]}),
        entry(name=f"s{number}", parent=f"r{number}", message=result),
    ]


class Tree(unittest.TestCase):
    def compactions(self, *records: dict[str, Any]) -> list[tuple[str, ...]]:
        return [event.kept for event in events(*records) if isinstance(event, Compaction)]

    def rewinds(self, *records: dict[str, Any]) -> list[Rewind]:
        read = events(*records)
        self.assertEqual([event for event in read if isinstance(event, Broken)], [])
        return [event for event in read if isinstance(event, Rewind)]

    def test_a_further_header_is_a_resume_or_another_session(self) -> None:
        for name, expected in ((HEADER["id"], Resume("start:resume")), ("other", Reset("other_session"))):
            self.assertIn(expected, events(entry(name="a", parent=None), {**HEADER, "id": name}))

    def test_only_what_is_said_moves_the_conversation(self) -> None:
        before = [entry(name="a", parent=None), *reads(1, "a"), entry(name="b", parent="s1")]
        for kind, moves in (
            ("message", True),
            ("compaction", True),
            ("branch_summary", True),
            ("session_init", False),
            ("reset_boundary", True),
            ("leaf", False),
            ("custom", False),
            ("custom_message", False),
            ("label", False),
            ("model_change", False),
            ("session_info", False),
            ("wind_chime", False),
        ):
            side = entry(kind, "x", "a", targetId="a", summary="", systemPrompt="")
            with self.subTest(kind):
                self.assertEqual(bool(self.rewinds(*before, side)), moves)
                if not moves:
                    self.assertEqual(self.rewinds(*before, side, entry(name="c", parent="b")), [])
                    self.assertEqual(self.rewinds(*before, side, entry(name="c", parent="x")), [Rewind(3, ("t1",))])
                    self.assertEqual(self.rewinds(*before, side, entry(name="c", parent="nowhere")), [])

    def test_entries_beside_the_conversation_may_hang_on_each_other(self) -> None:
        sides = [entry("label", f"x{number}", f"x{number - 1}" if number else "a") for number in range(3)]
        before = [entry(name="a", parent=None), entry(name="b", parent="a"), *sides]
        self.assertEqual(self.rewinds(*before, entry(name="c", parent="b")), [])
        self.assertEqual(self.rewinds(*before, entry(name="c", parent="x2")), [Rewind(1)])

    def test_a_compaction_keeps_what_comes_from_its_first_entry_on(self) -> None:
        setting = entry("model_change", "x", "s1", modelId="m")
        before = [entry(name="a", parent=None), *reads(1, "a"), setting, *reads(2, "x"), entry(name="b", parent="s2")]
        for first, kept in (
            ("a", ("t2", "t1")),
            ("s1", ("t2", "t1")),
            ("x", ("t2",)),  # It hangs below the result, but comes behind it.
            ("r2", ("t2",)),
            ("b", ()),
            ("z", ()),
            ("nowhere", ()),
            (None, ()),
            (7, ()),
            (["a"], ()),
        ):
            with self.subTest(first=first):
                compaction = entry("compaction", "z", "b", firstKeptEntryId=first)
                self.assertEqual(self.compactions(*before, compaction), [kept])

    def test_the_first_version_counts_records_with_the_header(self) -> None:
        def bare(record: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in record.items() if name not in ("id", "parentId")}

        broken = entry(message={"role": "assistant", "content": 7})
        records = [entry(), *reads(1, None), entry("model_change"), broken, *reads(2, None)]  # Numbers 1 to 7.
        for number, kept in (
            (0, ()),
            (1, ("t2", "t1")),
            (3, ("t2", "t1")),
            (4, ("t2",)),
            (5, ("t2",)),
            (7, ("t2",)),
            (8, ()),
            (99, ()),
            (-1, ()),
            ("4", ()),
            (4.0, ()),
            (None, ()),
        ):
            with self.subTest(number=number):
                compaction = entry("compaction", firstKeptEntryIndex=number)
                self.assertEqual(self.compactions(*map(bare, [*records, compaction])), [kept])

    def test_a_second_compaction_keeps_nothing_that_the_first_one_took(self) -> None:
        first = entry("compaction", "y", "s2", firstKeptEntryId="r2")
        before = [entry(name="a", parent=None), *reads(1, "a"), *reads(2, "s1"), first, *reads(3, "y")]
        for named, kept in (("r1", ("t3", "t2")), ("r2", ("t3", "t2")), ("y", ("t3",)), ("r3", ("t3",))):
            second = entry("compaction", "z", "s3", firstKeptEntryId=named)
            self.assertEqual(self.compactions(*before, second), [("t2",), kept])

    def test_before_a_reset_or_a_compaction_is_what_it_took(self) -> None:
        for kind in ("reset_boundary", "compaction"):
            before = [entry(name="a", parent=None), *reads(1, "a"), entry(kind, "z", "s1"), *reads(2, "z")]
            with self.subTest(kind):
                self.assertEqual(self.rewinds(*before, entry(name="b", parent="s1")), [Rewind(3, ("t2",), ("t1",))])
                later = [entry("compaction", "y", "s2", firstKeptEntryId="a")]
                self.assertEqual(self.compactions(*before, *later)[-1], ("t2",))

    def test_behind_another_header_the_ids_are_those_of_the_new_session(self) -> None:
        old = [entry(name="a", parent=None), *reads(1, "a")]
        new = [HEADER, entry(name="a", parent=None), *reads(2, "a"), entry(name="b", parent="a")]
        self.assertEqual(self.rewinds(*old, *new), [Rewind(2, ("t2",))])
        for first, kept in (("r1", ()), ("r2", ("t2",))):
            compaction = entry("compaction", "z", "s2", firstKeptEntryId=first)
            self.assertEqual(self.compactions(*old, *new[:-1], compaction), [kept])

    def test_images_are_part_of_a_result(self) -> None:
        parts = [{"type": "image", "data": "AAAA", "mimeType": "image/png"}, {"type": "image"}]
        read = events(entry(message={"role": "toolResult", "toolCallId": "t", "content": parts}))
        self.assertEqual(read, [RecordedResult("t", "", images=("AAAA", ""))])

    def test_branches_that_alternate_line_by_line_stay_cheap(self) -> None:
        names = [(side, number) for number in range(1000) for side in "ab"]
        records = [entry(name=f"{side}{number}", parent=f"{side}{number - 1}") for side, number in names]
        read = events(entry(name="r", parent=None), *[r | {"parentId": "r"} for r in records[:2]], *records[2:])
        self.assertEqual(sum(isinstance(event, Prompt) for event in read), 2001)
        self.assertEqual(read[-2], Rewind(1000))

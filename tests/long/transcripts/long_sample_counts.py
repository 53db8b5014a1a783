"""The counts of the shared sample recordings, and which of their repeated reads were kept, equal the expected ones.

The samples are not in the repository. Their folder is looked for next to it: ``../shared/samples`` with its
``EXPECTED.json``, which has the right numbers for formats that are not read yet, too.
"""

from __future__ import annotations

import json
import unittest
from typing import Any

from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounts, count_sessions
from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.events import Event, RecordedCall, SessionStart
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.reading import Source
from clawvm_transcripts.views import Observed, View
from tests.support import ROOT, not_checked

SAMPLES = ROOT.parent / "shared" / "samples"
EXPECTED = SAMPLES / "EXPECTED.json"

FORMATS = ("claude-code", "codex", "pi")

COUNTS = {
    "prompts": "turns",
    **{
        name: name
        for name in (
            "assistant_messages",
            "tool_calls",
            "tool_results",
            "unanswered_calls",
            "compactions",
            "cleared_results",
            "resets",
            "resumes",
            "rewinds",
            "images",
        )
    },
}
"""Fields of a file that are counts of its session, and the names of these counts."""

OTHERWISE = frozenset({"format", "demands", "part_of"})
"""Fields that are compared in another way."""

OF_OTHER_FILES = frozenset({"subagents", "subagent_tool_calls"})
"""Counts of a session with the files of its subagents, which are counted where these are attributed to it."""

ABOUT_THE_FILE = frozenset({"why", "today", "right"})
"""Fields that are no numbers of the file: a reason, and what an older version said."""

PARENTS = {
    "claude-code": lambda name: name.partition(".jsonl")[0].rpartition("/")[2],
    "codex": lambda name: name.split()[1],
}
"""How ``part_of`` names the parent."""


class SamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not EXPECTED.is_file():
            raise not_checked("no sample recordings in ../shared/samples: the counts of every situation")
        files: dict[str, dict[str, Any]] = json.loads(EXPECTED.read_text(encoding="utf-8"))["files"]
        cls.files = {name: row for name, row in files.items() if row["format"] in FORMATS}

    def events(self, name: str) -> list[Event]:
        source = Source(SAMPLES / name)
        found = detect(source)
        self.assertEqual(found.id, self.files[name]["format"])
        return list(events_of(source, found))

    def test_every_format_has_samples(self) -> None:
        self.assertEqual({row["format"] for row in self.files.values()}, set(FORMATS))

    def test_every_field_is_compared(self) -> None:
        compared = COUNTS.keys() | OTHERWISE | OF_OTHER_FILES | ABOUT_THE_FILE
        for name, row in self.files.items():
            with self.subTest(name):
                self.assertEqual(row.keys() - compared, set(), "fields that nobody compares")
                for demand in row.get("demands", ()):
                    self.assertEqual(demand.keys(), {"call", "reads", "kept"})

    def test_the_counts_are_the_expected_ones(self) -> None:
        for name, row in self.files.items():
            (counts,) = count_sessions(self.events(name))
            self.assertEqual(counts.bad_lines, 0)
            for field, count in COUNTS.items():
                if field in row:
                    with self.subTest(name, field=field):
                        self.assertEqual(getattr(counts, count), row[field])
            with self.subTest(name, field="images"):
                self.assertEqual(counts.images, row.get("images", 0))

    def test_the_demands_are_the_expected_ones_in_order_and_so_is_what_was_kept(self) -> None:
        for name, row in self.files.items():
            if "part_of" in row:
                continue
            events = self.events(name)
            # A demand is named by its call: the file that it reads.
            commands = {event.call: facts_of(event) for event in events if isinstance(event, RecordedCall)}
            expected = []
            for demand in row["demands"]:
                (read,) = commands[demand["call"]].reads
                self.assertEqual(read.path.rpartition("/")[2], f"{demand['reads']}.txt", name)
                expected.append(demand["kept"])
            with self.subTest(name):
                self.assertEqual([item.kept for item in observed(events)], expected)

    def test_what_belongs_to_another_session_says_so(self) -> None:
        for name, row in self.files.items():
            with self.subTest(name):
                start = self.events(name)[0]
                assert isinstance(start, SessionStart)
                part_of = row.get("part_of", "")
                self.assertEqual(start.subagent, bool(part_of))
                self.assertEqual(start.parent, PARENTS[row["format"]](part_of) if part_of else "")

    def test_the_files_of_subagents_add_up_to_what_their_session_has(self) -> None:
        for name, row in self.files.items():
            if not OF_OTHER_FILES & row.keys():
                continue
            parts = [other for other, part in self.files.items() if part.get("part_of", "").startswith(name)]
            counts: list[SessionCounts] = [count for part in parts for count in count_sessions(self.events(part))]
            with self.subTest(name):
                self.assertEqual(len(counts), row["subagents"])
                self.assertEqual(sum(count.tool_calls for count in counts), row["subagent_tool_calls"])


def observed(events: list[Event]) -> list[Observed]:
    """Return the demands of a session on resources, in order."""
    found: list[Observed] = []

    def take(view: View, item: Observed) -> None:
        if view is View.RESOURCES:
            found.append(item)

    converter = SessionConverter(Pseudonyms(b"key"), Sinks(lambda view, turn: None, take))
    converter.begin_session()
    for event in events:
        converter.feed(event)
    converter.end_session()
    return found

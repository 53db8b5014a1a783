"""A job of conversion: files in, session folders out; and what the recording itself says about its prompts."""

import hashlib
import json
import os
import resource
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.replay import replay
from clawvm_replay.trace_format import FlushEvent, TraceHeader, Turn, open_trace, read_trace
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, policy_named
from clawvm_transcripts import output as converting
from clawvm_transcripts.detection import NotReadError
from clawvm_transcripts.events import Compaction, Event, Prompt, Usage, Window
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from clawvm_transcripts.jobs import beginning_of
from clawvm_transcripts.output import (
    Converted,
    Job,
    RecordedUsage,
    SessionOutput,
    convert,
    remove_sessions,
    remove_spools,
)
from clawvm_transcripts.reading import Source
from clawvm_transcripts.views import read_observed
from tests.support import temporary_folder
from tests.transcripts.recorded_files import Recording, recording

FIXTURES = Path(__file__).parent / "fixtures"
VIEWS = ("signatures", "resources")


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.out = self.folder / "out"

    def convert(self, *paths: Path, **options: Any) -> list[Converted]:
        return convert(Job(0, tuple(map(str, paths)), str(self.out), **options)).sessions

    def converted(self, made: Recording, **options: Any) -> Converted:
        (session,) = self.convert(made.write(self.folder / "in.jsonl"), **options)
        return session

    def trace(self, session: Converted, view: str = "signatures") -> tuple[TraceHeader, list[Turn]]:
        with open_trace(self.out / "sessions" / session.name / f"{view}.trace.jsonl") as stream:
            header, turns = read_trace(stream, "trace")
            return header, list(turns)

    def spools(self) -> list[str]:
        return [str(path) for path in self.folder.rglob(".*")]


class SessionsTest(FolderTest):
    def test_a_session_becomes_a_folder_with_two_views_and_its_facts(self) -> None:
        session = self.converted(recording())
        files = sorted(path.name for path in (self.out / "sessions" / session.name).iterdir())
        self.assertEqual(
            files,
            sorted(["session.json", *(f"{view}.{kind}.jsonl" for view in VIEWS for kind in ("observed", "trace"))]),
        )
        self.assertEqual(
            sorted(file.path for file in session.files), [f"sessions/{session.name}/{name}" for name in files]
        )
        facts = json.loads((self.out / "sessions" / session.name / "session.json").read_bytes())
        self.assertEqual(facts, session.facts)
        self.assertEqual((facts["turns"], facts["harnesses"], facts["chain"]), (4, ["claude-code"], False))
        self.assertEqual(facts["sessions"][0]["cross_compaction_repeats"], 1)
        self.assertEqual(self.spools(), [])

    def test_a_compressed_file_that_was_cut_off_is_read_up_to_there(self) -> None:
        path = recording(turns=60).write(self.folder / "in.jsonl.gz")
        path.write_bytes(path.read_bytes()[:-200])
        (session,) = self.convert(path)
        self.assertGreater(session.facts["turns"], 0)
        self.assertEqual(session.facts["sources"][0]["damage"], "the compressed data is cut off")
        self.assertEqual(self.converted(recording()).facts["sources"][0]["damage"], "")

    def test_every_view_is_a_trace_that_replays_and_its_observations_fit_it(self) -> None:
        session = self.converted(recording())
        for view in VIEWS:
            header, turns = self.trace(session, view)
            self.assertEqual((header.workload, len(turns)), (session.name, 4))
            for policy in map(policy_named, PAPER_POLICIES):
                replay(header, turns, policy, header.budget)
            (observed,) = read_observed(self.out / "sessions" / session.name / f"{view}.observed.jsonl")
            self.assertEqual((observed.turn, observed.novelty.value, observed.kept), (4, "repeated", False))
            self.assertEqual(observed.pages[0], turns[3].calls[0].signature.removeprefix("call "))

    def test_the_files_that_are_listed_are_the_files_that_are_there(self) -> None:
        for file in self.converted(recording()).files:
            content = (self.out / file.path).read_bytes()
            self.assertEqual((len(content), hashlib.sha256(content).hexdigest()), (file.size, file.sha256))

    def test_the_budget_is_the_recorded_window_else_a_share_of_the_working_set(self) -> None:
        self.assertEqual(self.trace(self.converted(recording()))[0].budget, 90_000)
        made = Recording().call("Bash", {"command": "env"}, "word " * 1000)
        session = self.converted(made)
        self.assertEqual(self.trace(session)[0].budget, int(0.2 * session.facts["working_set"]["signatures"]))
        self.assertEqual(self.trace(self.converted(Recording().prompt("hi")))[0].budget, 1)

    def test_nothing_falls_due_by_accounting_and_a_flush_precedes_every_compaction_of_something(self) -> None:
        made = Recording().call("Bash", {"command": "a"}, "word " * 9000).compaction()
        made.call("Bash", {"command": "b"}, "word " * 6000).compaction().compaction()
        session = self.converted(made.call("Bash", {"command": "c"}, "x"))
        sizes = session.facts["transcripts_at_compaction"]
        self.assertEqual((len(sizes), sizes[2]), (3, 0))
        for view in VIEWS:
            header, turns = self.trace(session, view)
            self.assertIsNone(header.accounting)
            self.assertEqual(sum(isinstance(item, FlushEvent) for turn in turns for item in turn.events_before), 2)

    def test_names_come_from_the_content_alone(self) -> None:
        first = self.converted(recording())
        for name in ("other.txt", "deep/er/in.jsonl", "packed.jsonl.gz"):
            (session,) = self.convert(recording().write(self.folder / name))
            self.assertEqual((session.name, session.facts), (first.name, first.facts))
            self.assertEqual(session.files, first.files)
        self.assertNotEqual(self.converted(recording("two")).name, first.name)

    def test_a_file_may_hold_many_sessions_and_has_few_files_open(self) -> None:
        path = FIXTURES / "openhands" / "output.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        many = self.folder / "many.jsonl"
        many.write_bytes(b"".join(lines * 8))
        here = Path("/proc/self/fd")
        most = 0
        ended = SessionOutput.end

        def counting(output: SessionOutput) -> None:
            nonlocal most
            most = max(most, len(list(here.iterdir())) if here.is_dir() else 0)
            ended(output)

        before = len(list(here.iterdir())) if here.is_dir() else 0
        with patch.object(SessionOutput, "end", counting):
            sessions = self.convert(many)
        self.assertLess(most, before + 12)
        # The second of each three is torn, and gives no turn.
        places = [str(n) for n in range(1, 25) if n % 3 != 2]
        self.assertEqual([session.name.rpartition("-")[2] for session in sessions], places)
        self.assertEqual(self.spools(), [])

    def test_a_call_that_is_written_twice_happened_once(self) -> None:
        made = Recording().call("Bash", {"command": "env"}, "a").call("Bash", {"command": "make"}, "b")
        made.lines += made.lines[:2]
        session = self.converted(made)
        self.assertEqual(session.facts["sessions"][0]["tool_calls"], 2)
        self.assertEqual(sum(len(turn.calls) for turn in self.trace(session)[1]), 2)

    def test_broken_lines_are_reported_by_number_without_their_content(self) -> None:
        made = recording().raw('{"type": "user", "secret').raw("[1, 2]").line(type="user", message={"wibble": 3})
        session = self.converted(made)
        number = len(made.lines)
        reported = [(item["line"], item["session"]) for item in session.facts["broken_lines"]]
        self.assertEqual(reported, [(number - 2, 1), (number - 1, 1), (number, 1)])
        self.assertEqual(session.facts["sessions"][0]["bad_lines"], 3)
        for word in ("secret", "wibble"):
            self.assertNotIn(word, json.dumps(session.facts["broken_lines"]))

    def test_only_the_first_broken_lines_are_reported(self) -> None:
        made = recording(turns=20)
        for _ in range(converting.BROKEN_LINES_SHOWN + 5):
            made.raw("?")
        session = self.converted(made)
        self.assertEqual(len(session.facts["broken_lines"]), converting.BROKEN_LINES_SHOWN)
        self.assertEqual(session.facts["sessions"][0]["bad_lines"], converting.BROKEN_LINES_SHOWN + 5)

    def test_with_keep_text_the_words_are_there(self) -> None:
        session = self.converted(recording(), keep_text=True)
        texts = (self.out / "sessions" / session.name / "texts.jsonl").read_text("ascii").splitlines()
        records = [json.loads(line) for line in texts]
        self.assertEqual((records[0]["format"], records[-1]["records"]), ("clawvm.texts", len(records) - 2))
        by_words = {record["words"]: record for record in records[1:-1]}
        self.assertEqual(by_words["1 look at one"]["text"], "look at one")
        self.assertIn("one-0.py", self.trace(session)[1][0].calls[0].signature)
        plain = self.converted(recording())
        self.assertEqual(plain.facts, session.facts, "apart from names everything is the same")

    def test_very_long_texts_are_cut(self) -> None:
        made = Recording().prompt("word " * 500)
        with patch.object(converting, "LONGEST_TEXT", 100), patch.object(converting, "LONGEST_WORDS", 10):
            session = self.converted(made, keep_text=True)
        lines = (self.out / "sessions" / session.name / "texts.jsonl").read_text("ascii").splitlines()
        self.assertEqual(
            {name: len(text) for name, text in json.loads(lines[1]).items() if name in ("text", "words")},
            {"text": 100, "words": 10},
        )

    def test_progress_is_reported_in_raw_bytes(self) -> None:
        path = recording(turns=60).write(self.folder / "in.jsonl")
        reported: list[int] = []
        with patch.object(converting, "PROGRESS_BYTES", 1):
            convert(Job(0, (str(path),), str(self.out)), reported.append)
        self.assertEqual(reported, sorted(set(reported)))
        self.assertLessEqual(reported[-1], path.stat().st_size)


class ChainTest(FolderTest):
    def paths(self) -> list[Path]:
        return [recording(name).write(self.folder / f"{name}.jsonl") for name in ("one", "two")]

    def test_a_chain_is_one_session_of_all_files(self) -> None:
        (session,) = self.convert(*self.paths(), chain=True)
        self.assertRegex(session.name, r"^chain-[0-9a-f]{12}$")
        self.assertTrue(session.facts["chain"])
        self.assertEqual((len(session.facts["sessions"]), len(session.facts["sources"])), (2, 2))
        header, turns = self.trace(session)
        self.assertEqual(len(turns), 8)
        self.assertEqual(replay(header, turns, POLICIES["clawvm"], 10**6).resets, 1)

    def test_the_order_of_a_chain_decides_its_name(self) -> None:
        paths = self.paths()
        (one,), (other,) = self.convert(*paths, chain=True), self.convert(*reversed(paths), chain=True)
        self.assertNotEqual(one.name, other.name)

    def test_the_same_file_in_two_sessions_of_a_chain_is_the_same_page(self) -> None:
        paths = []
        for name in ("one", "two"):
            made = Recording(name).call("Read", {"file_path": "/srv/toy/a.py"}, "text of a")
            paths.append(made.write(self.folder / f"{name}.jsonl"))
        (session,) = self.convert(*paths, chain=True)
        self.assertEqual(self.trace(session)[1][1].calls, self.trace(session)[1][0].calls)

    def test_what_a_chain_repeats_was_paid_for_once(self) -> None:
        first = recording("one")
        second = recording("one").prompt("Go on.").call("Bash", {"command": "make"}, "made")
        second.lines = [line.replace('"sessionId": "one"', '"sessionId": "two"') for line in second.lines]
        paths = [made.write(self.folder / f"{number}.jsonl") for number, made in enumerate((first, second))]
        (alone,) = self.convert(paths[1])
        (chained,) = self.convert(*paths, chain=True)
        self.assertEqual(chained.facts["recorded"], alone.facts["recorded"])

    def test_beginning_of_a_file(self) -> None:
        path = recording(project="/srv/other", started="2026-05-06T07:08:09Z").write(self.folder / "a.jsonl.gz")
        start = beginning_of(Source(path), CLAUDE_CODE)
        self.assertEqual((start.started, start.project), ("2026-05-06T07:08:09Z", "/srv/other"))
        (session,) = self.convert(path)
        self.assertEqual(session.facts["started"], "2026-05-06")


class RefusalTest(FolderTest):
    def foreign(self) -> Path:
        path = self.folder / "notes.txt"
        path.write_text("notes\n")
        return path

    def test_a_named_file_in_no_known_format_is_an_error_and_one_that_was_found_is_refused(self) -> None:
        with self.assertRaises(NotReadError):
            self.convert(self.foreign())
        result = convert(Job(0, (str(self.foreign()),), str(self.out), named=False))
        self.assertEqual(result.sessions, [])
        self.assertIn("notes.txt", result.refused.path)

    def test_so_is_a_file_that_is_gone(self) -> None:
        gone = str(self.folder / "gone.jsonl")
        with self.assertRaisesRegex(InputError, "gone.jsonl"):
            convert(Job(0, (gone,), str(self.out)))
        self.assertIn("gone.jsonl", convert(Job(0, (gone,), str(self.out), named=False)).refused.path)

    def test_a_file_without_a_session_is_refused(self) -> None:
        path = recording().write(self.folder / "in.jsonl")
        with patch.object(converting, "events_of", lambda source, file_format: iter(())):
            self.assertEqual(convert(Job(0, (str(path),), str(self.out))).refused.reason, "holds no session")

    def refused(self, made: Recording) -> str:
        """Return why a recording is not converted, "" for one that is."""
        path = made.write(self.folder / "in.jsonl")
        remove_sessions(self.out)
        result = convert(Job(0, (str(path),), str(self.out)))
        self.assertEqual(self.spools(), [])
        if result.refused is None:
            self.assertEqual(len(result.sessions), 1)
            return ""
        self.assertEqual((result.sessions, result.refused.recording), ([], True))
        self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])
        return result.refused.reason

    def test_what_gives_no_turn_is_no_session(self) -> None:
        only_lines = Recording().line(type="system", subtype="informational").line(type="progress", data={})
        self.assertEqual(self.refused(only_lines), "gives no turn")
        self.assertEqual(self.refused(Recording().prompt("Go.")), "")

    def test_what_is_broken_for_the_most_part_is_no_session(self) -> None:
        made = recording()
        good = len(made.lines)
        for _ in range(good):
            made.raw("{broken")
        self.assertEqual(self.refused(made), "")
        self.assertEqual(self.refused(made.raw("{broken")), "most of its lines are broken")

    def test_one_broken_event_of_a_document_in_one_line_is_not_most_of_it(self) -> None:
        events = [{"id": 0, "source": "user", "action": "message", "args": {"content": "Go."}}]
        events += [{"id": n, "source": "agent", "action": "message", "args": {"content": "Well."}} for n in range(1, 9)]
        path = self.folder / "in.jsonl"
        path.write_text(
            json.dumps({"instance_id": "a", "history": [*events, {"id": 9, "source": "agent", "action": 7}]})
        )
        result = convert(Job(0, (str(path),), str(self.out)))
        self.assertIsNone(result.refused)
        path.write_text(
            json.dumps(
                {
                    "instance_id": "a",
                    "history": [events[0], *({"id": n, "source": "agent", "observation": []} for n in range(5))],
                }
            )
        )
        self.assertEqual(convert(Job(0, (str(path),), str(self.out))).refused.reason, "most of its lines are broken")

    def test_a_session_without_a_turn_among_others_is_left_out(self) -> None:
        events = [{"id": 0, "source": "user", "action": "message", "args": {"content": "Go."}}]
        path = self.folder / "in.jsonl"
        documents = [{"instance_id": "a", "history": events}, {"instance_id": "b", "history": []}]
        path.write_text("".join(json.dumps(one) + "\n" for one in documents))
        result = convert(Job(0, (str(path),), str(self.out)))
        self.assertEqual((len(result.sessions), result.left_out, result.refused), (1, 1, None))

    def test_what_fails_leaves_no_spool_file_and_no_half_written_file(self) -> None:
        path = recording().write(self.folder / "in.jsonl")
        for broken in ("events_of", "_key_of"):
            with patch.object(converting, broken, side_effect=InputError("broken")), self.assertRaises(InputError):
                self.convert(path)
        full = patch.object(os, "replace", side_effect=OSError(28, "No space left on device"))
        with full, self.assertRaisesRegex(InputError, "cannot be written: No space left on device"):
            self.convert(path)
        with (
            patch.object(converting._Session, "end", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            self.convert(path)
        self.assertEqual(self.spools(), [])
        self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])

    def test_a_disk_that_is_full_before_the_session_ends_leaves_nothing(self) -> None:
        path = recording(turns=20).write(self.folder / "in.jsonl")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with patch.object(converting, "SPOOL_CHUNK", 1024), self.assertRaisesRegex(InputError, "File too large"):
                self.convert(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertEqual(self.spools(), [])

    def test_a_job_ends_when_its_spools_are_removed(self) -> None:
        made = Recording()
        for number in range(10):
            made.call("Bash", {"command": f"make {number}"}, "word " * 25_000)
        path = made.write(self.folder / "in.jsonl")
        with patch.object(converting, "PROGRESS_BYTES", 1), self.assertRaisesRegex(InputError, "cannot be written"):
            convert(Job(0, (str(path),), str(self.out)), lambda read: remove_spools(self.out))
        self.assertEqual(self.spools(), [])
        self.assertEqual(len(self.convert(path)), 1)

    def test_an_output_that_cannot_be_written_is_one_line(self) -> None:
        path = recording().write(self.folder / "in.jsonl")
        (self.folder / "file").write_text("x")
        with self.assertRaisesRegex(InputError, "cannot be written"):
            convert(Job(0, (str(path),), str(self.folder / "file" / "out")))

    def test_spools_of_a_run_that_was_killed_can_be_removed(self) -> None:
        self.out.mkdir()
        for name in (".job-0-0.texts.jsonl.partial", ".job-12-3.session.json.final.partial", ".mine", "other.partial"):
            (self.out / name).write_text("x")
        remove_spools(self.out)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), [".mine", "other.partial"])


class ObservationsTest(FolderTest):
    def test_what_is_no_file_of_observations_is_reported_with_its_line(self) -> None:
        session = self.converted(recording())
        path = self.out / "sessions" / session.name / "signatures.observed.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        changed = {
            1: [lines[1], *lines[1:]],
            2: [lines[0], lines[1].replace(b"repeated", b"forgotten"), *lines[2:]],
            3: lines[:-1],
            4: [*lines, lines[-1]],
        }
        changed_end = [*lines[:2], lines[2].replace(b"1", b"2")]
        for number, content in (*changed.items(), (3, changed_end), (1, [b"{}\n"]), (1, [b"\xff\n"]), (1, [])):
            path.write_bytes(b"".join(content))
            with self.assertRaises(TraceError) as caught:
                list(read_observed(path, "here"))
            self.assertTrue(str(caught.exception).startswith(f"here:{number}:"), caught.exception)
        with self.assertRaises(InputError):
            list(read_observed(self.folder / "nowhere"))


def recorded(*events: Event) -> dict[str, Any]:
    usage = RecordedUsage()
    for event in events:
        usage.add(event)
    assert usage.window == usage.to_record()["window"]
    return usage.to_record()


class RecordedUsageTest(unittest.TestCase):
    def test_usage_is_summed_over_requests(self) -> None:
        record = recorded(Usage(100, 60, 20, 5), Prompt("x"), Usage(300, 200, 0, 7))
        self.assertEqual(
            record,
            {
                "cached_tokens": 260,
                "largest_prompt": 300,
                "output_tokens": 12,
                "prompt_tokens": 400,
                "requests": 2,
                "window": None,
                "window_is_recorded": False,
                "written_tokens": 20,
            },
        )

    def test_what_a_later_line_of_a_reply_knows_takes_the_place_of_what_the_first_said(self) -> None:
        record = recorded(Usage(100, 60, 20, 1, "m"), Usage(100, 60, 20, 578, "m"), Usage(300, 200, 0, 7, "n"))
        self.assertEqual((record["requests"], record["prompt_tokens"], record["output_tokens"]), (2, 400, 585))
        self.assertEqual(recorded(Usage(100), Usage(100))["requests"], 2)  # Without ids all count.
        joined = recorded(Usage(100, message="m"), Usage(140, message="m"))
        self.assertEqual((joined["requests"], joined["prompt_tokens"]), (2, 240))

    def test_the_window_is_the_largest_that_was_recorded(self) -> None:
        record = recorded(Window(200), Compaction("auto", 900), Window(100))
        self.assertEqual((record["window"], record["window_is_recorded"]), (200, True))

    def test_without_one_it_is_the_largest_prompt_before_an_automatic_compaction(self) -> None:
        events = (Compaction("auto", 160), Compaction("manual", 190), Compaction("auto", 170), Compaction("auto"))
        record = recorded(*events)
        self.assertEqual((record["window"], record["window_is_recorded"]), (170, False))

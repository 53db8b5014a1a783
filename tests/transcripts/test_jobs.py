"""Which jobs some inputs make, and the results of all of them together."""

import gzip
import hashlib
import os
import time
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

from clawvm_replay.document import markdown
from clawvm_replay.errors import InputError
from clawvm_transcripts.conversion_report import Conversion, conversion_report, name_of_refused
from clawvm_transcripts.detection import NotReadError
from clawvm_transcripts.jobs import Chain, jobs_for
from clawvm_transcripts.output import Converted, Job, JobResult, Refused, convert
from clawvm_transcripts.private_names import names_shown, private_record
from clawvm_transcripts.subagents import SubagentFile
from tests.support import temporary_folder
from tests.transcripts.recorded_files import recording


class JobsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = temporary_folder(self)
        self.folder = temporary / "in"
        self.out = temporary / "out"

    def add(self, path: str, name: str, **facts: Any) -> Path:
        return recording(name, **facts).write(self.folder / path)

    def foreign(self, path: str = "notes.txt") -> Path:
        self.folder.mkdir(exist_ok=True)
        (self.folder / path).write_text("notes\n")
        return self.folder / path

    def jobs(self, *inputs: Path, **options: Any) -> list[Job]:
        return jobs_for(inputs or (self.folder,), self.out, **options)

    def paths(self, *inputs: Path, **options: Any) -> list[list[str]]:
        return [[Path(path).name for path in job.paths] for job in self.jobs(*inputs, **options)]

    def conversion(self, *inputs: Path, **options: Any) -> Conversion:
        return Conversion.of([convert(job) for job in self.jobs(*inputs, **options)])


class PlainJobsTest(JobsTest):
    def test_every_file_is_a_job_the_largest_first(self) -> None:
        self.add("small.jsonl", "a", turns=1)
        self.add("deep/large.jsonl", "b", turns=9)
        self.foreign()
        self.assertEqual(self.paths(), [["large.jsonl"], ["small.jsonl"], ["notes.txt"]])
        self.assertEqual([job.number for job in self.jobs()], [0, 1, 2])
        self.assertFalse(any(job.named or job.chain for job in self.jobs()))

    def test_a_named_file_is_known_as_such(self) -> None:
        self.assertTrue(self.jobs(self.add("a.jsonl", "a"))[0].named)

    def test_what_lies_in_the_output_is_no_input(self) -> None:
        self.add("a.jsonl", "a")
        self.out = self.folder / "out"
        self.add("out/texts.jsonl", "b")
        self.assertEqual(self.paths(), [["a.jsonl"]])
        with self.assertRaisesRegex(InputError, "is in the folder of the output"):
            self.jobs(self.out / "texts.jsonl")
        with self.assertRaisesRegex(InputError, "no file in any of them"):
            self.jobs(self.out)

    def test_nor_is_what_lies_beside_it_in_the_folder_of_the_whole_run(self) -> None:
        self.add("a.jsonl", "a")
        self.add("run/report.jsonl", "b")
        self.out = self.folder / "run" / "converted"
        self.assertEqual(self.paths(own=self.folder / "run"), [["a.jsonl"]])

    def test_nothing_to_convert_is_an_error(self) -> None:
        self.folder.mkdir()
        with self.assertRaisesRegex(InputError, "no file in any of them"):
            self.jobs()
        with self.assertRaises(InputError):
            self.jobs(self.folder / "nowhere")


class ChainsTest(JobsTest):
    def test_all_sessions_in_the_order_in_which_they_were_recorded(self) -> None:
        self.add("c.jsonl", "first", started="2026-01-01T10:30:00+02:00")
        self.add("a.jsonl", "second", started="2026-01-01T09:00:00.000Z")
        self.add("b.jsonl", "third", started="2026-01-01T09:30:00")
        self.assertEqual(self.paths(chain=Chain.ALL), [["c.jsonl", "a.jsonl", "b.jsonl"]])
        self.assertTrue(self.jobs(chain=Chain.ALL)[0].chain)

    def test_a_time_without_a_zone_is_the_same_on_every_machine(self) -> None:
        self.add("a.jsonl", "first", started="2026-01-01T09:00:00")
        self.add("b.jsonl", "second", started="2026-01-01T10:00:00Z")
        self.addCleanup(time.tzset)
        for zone in ("XXX-14", "XXX+12"):
            with patch.dict(os.environ, TZ=zone):
                time.tzset()
                self.assertEqual(self.paths(chain=Chain.ALL), [["a.jsonl", "b.jsonl"]])

    def test_times_are_read_the_same_way_whatever_their_fraction_and_zone(self) -> None:
        started = (
            "2026-01-01T09:00:01.123Z",
            "2026-01-01T09:00:03.123456789Z",
            "2026-01-01T09:00:05.5Z",
            "2026-01-01 04:30:06-0430",
            "2026-01-01T09:00:07,25+00:00",
        )
        for number, text in enumerate(reversed(started)):
            self.add(f"{number}.jsonl", str(number), started=text)
        self.add("none.jsonl", "n", started="20260101T090000Z")
        self.assertEqual(self.paths(chain=Chain.ALL), [[f"{n}.jsonl" for n in (4, 3, 2, 1, 0)] + ["none.jsonl"]])

    def test_sessions_that_tell_no_time_come_last_by_their_content(self) -> None:
        paths = {name: self.add(f"{name}.jsonl", name, started="") for name in "xyz"}
        self.add("dated.jsonl", "d")
        self.add("odd.jsonl", "o", started="yesterday")
        first = self.paths(chain=Chain.ALL)
        self.assertEqual(first[0][:2], ["dated.jsonl", "odd.jsonl"])
        for name, path in paths.items():
            path.rename(self.folder / f"renamed-{'xyz'[2 - 'xyz'.index(name)]}.jsonl")
        names = [name.removeprefix("renamed-") for name in self.paths(chain=Chain.ALL)[0]]
        swapped = str.maketrans("xz", "zx")
        self.assertEqual([name.translate(swapped) for name in names], first[0], "names of files have no say")

    def test_one_chain_for_each_project_and_none_of_those_that_tell_none(self) -> None:
        for name, project in (("a", "/p"), ("b", "/q"), ("c", "/p"), ("d", ""), ("e", "")):
            self.add(f"{name}.jsonl", name, project=project)
        self.assertEqual(
            sorted(sorted(group) for group in self.paths(chain=Chain.PROJECT)),
            [["a.jsonl", "c.jsonl"], ["b.jsonl"], ["d.jsonl"], ["e.jsonl"]],
        )

    def test_a_file_that_was_found_and_is_no_session_is_refused_alone(self) -> None:
        self.add("a.jsonl", "a")
        foreign = self.foreign()
        self.assertEqual(self.paths(chain=Chain.ALL), [["a.jsonl"], ["notes.txt"]])
        self.assertEqual(len(self.conversion(chain=Chain.ALL).others), 1)
        with self.assertRaises(NotReadError):
            self.jobs(foreign, chain=Chain.ALL)

    def test_a_session_that_is_there_twice_is_in_the_chain_once(self) -> None:
        self.add("a.jsonl", "a")
        self.add("b.jsonl.gz", "a")
        self.add("c.jsonl", "c")
        conversion = self.conversion(chain=Chain.ALL)
        self.assertEqual((len(conversion.sessions[0].facts["sessions"]), conversion.duplicates), (2, 1))


class ConversionTest(JobsTest):
    def test_sessions_stand_in_the_order_of_their_names_whatever_the_order_of_the_jobs(self) -> None:
        for name in "abcd":
            self.add(f"{name}.jsonl", name)
        results = [convert(job) for job in self.jobs()]
        one, other = Conversion.of(results), Conversion.of(results[::-1])
        self.assertEqual(one.to_record(), other.to_record())
        names = [session.name for session in one.sessions]
        self.assertEqual(names, sorted(names))

    def test_what_is_given_twice_counts_once_and_is_reported(self) -> None:
        self.add("a.jsonl", "a")
        self.add("again.jsonl.gz", "a")
        conversion = self.conversion()
        self.assertEqual((len(conversion.sessions), conversion.duplicates), (1, 1))

    def report(self, **options: Any) -> str:
        return markdown(conversion_report(self.conversion(**options).to_record()))

    def test_the_report_lists_what_was_not_read(self) -> None:
        self.foreign()
        made = recording("a").line(type="frobnicate").line(type="frobnicate").raw("?").raw("{").raw("[]")
        made.write(self.folder / "a.jsonl")
        self.add("b.jsonl", "a-clean-one")
        report = self.report()
        self.assertIn(
            "**Not read:** 3 broken lines; 2 lines of unknown types; 1 file in no known format.",
            report.split("\n\n")[1],
        )
        self.assertIn("\n\nConverted: 2 sessions.\n", report)
        self.assertRegex(
            report,
            r"type-[0-9a-f]{12} \(2\) \| 3 \| 13, 14: is no JSON, or only a part of it; 15: is JSON, but no object \|",
        )
        self.assertNotIn("frobnicate", report)
        self.assertIn("frobnicate (2)", self.report(keep_text=True))

    def test_the_report_says_when_everything_was_read_and_which_file_was_cut_off(self) -> None:
        path = recording("a", turns=60).write(self.folder / "a.jsonl.gz")
        self.assertIn("Every file was read, and every line of it.\n\nConverted: 1 session.\n", self.report())
        path.write_bytes(path.read_bytes()[:-200])
        report = self.report()
        self.assertIn("**Not read:** 1 recording behind the damage in it; 1 broken line", report)
        self.assertRegex(report, r"claude-code-\w+ \| the compressed data is cut off \|")

    def test_the_report_is_in_ascii_whatever_the_words(self) -> None:
        recording("a").line(type="täg | `x`\n# y").write(self.folder / "a.jsonl")
        report = self.report(keep_text=True)
        report.encode("ascii")
        self.assertNotIn("\n# y", report)


class RefusedTest(JobsTest):
    """Recordings that were not converted come first, by a name that reveals nothing, with their reason."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.mkdir(parents=True)

    def refused(self, name: str, content: bytes, reason: str, *, recording: bool = True) -> JobResult:
        path = self.folder / name
        path.write_bytes(content)
        return JobResult(0, refused=Refused(str(path), reason, recording))

    def results(self) -> list[JobResult]:
        self.add("a.jsonl", "a")
        (session,) = (convert(job) for job in self.jobs())
        return [
            session,
            self.refused("README.md", b"notes", "is in no known format", recording=False),
            self.refused("plans.txt", b"more notes", "is in no known format", recording=False),
            self.refused("chat-two.json", b"two", "Gemini CLI: not supported yet"),
            self.refused("chat-one.json", b"one", "Gemini CLI: not supported yet"),
            self.refused("odd.jsonl", b"odd", "holds no turn"),
        ]

    def test_name_is_that_of_the_content_plain_or_compressed_and_of_its_beginning(self) -> None:
        for name, content in (("a", b"x" * 3_000_000), ("b.gz", gzip.compress(b"x" * 2_000_000)), ("c", b"x" * 9)):
            (self.folder / name).write_bytes(content)
        names = [name_of_refused(str(self.folder / name)) for name in ("a", "b.gz", "c")]
        self.assertEqual(names[0], f"recording-{hashlib.sha256(b'x' * (1 << 20)).hexdigest()[:12]}")
        self.assertEqual(names[0], names[1])
        self.assertNotEqual(names[0], names[2])

    def test_file_that_is_not_there_any_more_has_a_name_too(self) -> None:
        self.assertRegex(name_of_refused(str(self.folder / "nowhere")), "^recording-[0-9a-f]{12}$")

    def test_recordings_come_first_by_reason_then_the_number_of_other_files_and_no_path(self) -> None:
        conversion = Conversion.of(self.results())
        record = conversion.to_record()
        self.assertEqual([item["reason"][:6] for item in record["refused_recordings"]], ["Gemini", "Gemini", "holds "])
        self.assertEqual(record["other_files"], 2)
        report = markdown(conversion_report(record))
        one, two = sorted(name_of_refused(str(self.folder / f"chat-{name}.json")) for name in ("one", "two"))
        first, bullets = report.split("\n\n")[1:3]
        self.assertEqual(first, "**Not read:** 3 files that look like recordings; 2 other files in no known format.")
        self.assertEqual(bullets.splitlines()[0], f"- **Gemini CLI: not supported yet** (2): {one}, {two}")
        self.assertRegex(bullets.splitlines()[1], r"^- \*\*holds no turn\*\* \(1\): recording-\w+$")
        for text in (report, str(record)):
            for word in ("chat", "README", "odd.jsonl", str(self.folder)):
                self.assertNotIn(word, text)

    def test_order_of_the_jobs_changes_nothing(self) -> None:
        results = self.results()
        one, other = Conversion.of(results), Conversion.of(results[::-1])
        self.assertEqual(one.to_record(), other.to_record())
        self.assertEqual(str(private_record(one)), str(private_record(other)))

    def test_many_of_one_reason_are_summed(self) -> None:
        results = self.results()
        results += [self.refused(f"{n}.json", str(n).encode(), "Gemini CLI: not supported yet") for n in range(9)]
        report = markdown(conversion_report(Conversion.of(results).to_record()))
        self.assertRegex(report, r"- \*\*Gemini CLI: .*\*\* \(11\): (recording-\w+, ){4}recording-\w+ and 6 more\n")

    def test_subagents_are_listed_and_those_without_their_session_named_apart(self) -> None:
        session, *_ = self.results()
        name = session.sessions[0].name
        session.subagents = [
            SubagentFile("claude-code-agent-1", "claude-code", {"tool_calls": 4}, "/home/ann/agent-x.jsonl", name),
            SubagentFile("codex-agent-2", "codex", {"tool_calls": 7, "results": 7}, "/home/ann/y.jsonl"),
        ]
        conversion = Conversion.of([session])
        record = conversion.to_record()
        self.assertEqual([item["session"] for item in record["subagents"]], [name, ""])
        report = markdown(conversion_report(record))
        self.assertIn(
            "**Without their session among the inputs:** 1 subagent (7 calls): codex-agent-2 (codex).", report
        )
        self.assertNotIn("ann", report + str(record))
        self.assertEqual(
            private_record(conversion)["subagents"],
            {
                "claude-code-agent-1": {"recording": "/home/ann/agent-x.jsonl", "session": name},
                "codex-agent-2": {"recording": "/home/ann/y.jsonl", "session": ""},
            },
        )


class PrivateRecordTest(JobsTest):
    def conversion_of(self, *sessions: tuple[str, str, dict[str, str]]) -> Conversion:
        result = JobResult(0)
        for name, path, unknown in sessions:
            result.sessions.append(Converted(name, {"started": "2026-08-01"}, (), (path,), (f"id of {name}",), unknown))
        return Conversion.of([result])

    def test_every_name_leads_to_its_recording_and_every_type_to_its_word(self) -> None:
        conversion = self.conversion_of(
            ("s-2", "/home/ann/b.jsonl", {"type-2": "frob"}), ("s-1", "/a", {"type-1": "x"})
        )
        record = private_record(conversion)
        self.assertEqual(list(record["sessions"]), ["s-1", "s-2"])
        self.assertEqual(
            record["sessions"]["s-2"],
            {"day": "2026-08-01", "ids": ["id of s-2"], "recordings": ["/home/ann/b.jsonl"]},
        )
        self.assertEqual(record["unknown_types"], {"type-1": "x", "type-2": "frob"})

    def test_recording_that_was_given_twice_has_both_paths_whatever_came_first(self) -> None:
        for paths in (("/a", "/b"), ("/b", "/a")):
            record = private_record(self.conversion_of(*(("s", path, {}) for path in paths)))
            self.assertEqual(record["sessions"]["s"]["recordings"], ["/a", "/b"])

    def test_paths_are_absolute(self) -> None:
        (path,) = private_record(self.conversion_of(("s", "in/a.jsonl", {})))["sessions"]["s"]["recordings"]
        self.assertEqual(path, str(Path.cwd() / "in/a.jsonl"))

    def test_table_for_the_terminal_has_name_day_and_path_in_the_order_that_is_wanted(self) -> None:
        record = private_record(self.conversion_of(("s-1", "/a", {}), ("s-22", "/b", {})))
        record["refused_recordings"] = {"recording-1": ["/c"]}
        self.assertEqual(
            list(names_shown(record, ["s-22", "s-1"])),
            [
                "s-22         2026-08-01  /b",
                "s-1          2026-08-01  /a",
                "recording-1  -           /c",
            ],
        )

    def test_table_for_the_terminal_is_short(self) -> None:
        lines = list(names_shown(private_record(self.conversion_of(*((f"s{n}", "/a", {}) for n in range(70))))))
        self.assertEqual((len(lines), lines[-1]), (51, "and 20 more in private-names.json"))

"""What may happen to a context, each in a recording of its own: its counts, and of what was read again what was kept.

The words of the recordings are invented, their fields are those of real files.
"""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

from clawvm_transcripts.events import (
    Cleared,
    Compaction,
    Prompt,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionStart,
    Subagent,
)
from clawvm_transcripts.formats.codex import CODEX
from tests.transcripts.hand_made import Reading, reading_of, reading_of_fixture
from tests.transcripts.recordings import events_in

NAMES = {
    "turns": "prompts",
    "assistant_messages": "replies",
    "tool_calls": "calls",
    "tool_results": "results",
    "compactions": "compactions",
    "cleared_results": "cleared",
    "resets": "resets",
    "resumes": "resumes",
    "rewinds": "rewinds",
    "images": "images",
    "subagents": "subagents",
    "subagent_tool_calls": "subagent_calls",
    "bad_lines": "broken",
    "unanswered_calls": "unanswered",
}
"""The counts that are compared; whatever a test does not name is 0."""


class SituationCase(unittest.TestCase):
    maxDiff = None

    def assert_reading(self, name: str, kept: list[tuple[str, bool]], **counts: int) -> Reading:
        """Check every count of a fixture, and the demands in order: the file, and whether its content was kept."""
        reading = reading_of_fixture(name)
        found = {short: getattr(reading.counts, name) for name, short in NAMES.items()}
        self.assertEqual({short: n for short, n in found.items() if n}, counts)
        self.assertEqual(reading.counts.skipped, {}, "types that are not known")
        self.assertEqual([(Path(pages).name, had) for pages, had in reading.kept], kept)
        return reading


class QueuedPromptsTest(SituationCase):
    def test_what_was_typed_while_the_agent_worked_is_a_prompt_between_two_calls(self) -> None:
        reading = self.assert_reading("claude-code/queued.jsonl", [], prompts=4, replies=4, calls=2, results=2)
        self.assertEqual(
            reading.prompts,
            # Neither a notification of a task, nor the word of another agent, nor what the user took back.
            ["Sew the jib.", "Then the spinnaker.", "Never use nylon.", "How long is it?"],
        )
        kinds = [type(event).__name__ for event in reading.events]
        self.assertLess(kinds.index("RecordedResult"), [i for i, kind in enumerate(kinds) if kind == "Prompt"][1])

    def test_in_older_files_the_lines_of_the_queue_are_the_only_trace(self) -> None:
        reading = self.assert_reading(
            "claude-code/queued-older.jsonl", [], prompts=6, replies=4, calls=2, results=2, compactions=1
        )
        self.assertEqual(
            reading.prompts,
            # No command; what was dequeued is a line of the user; what still waits at the end reached nobody.
            ["Sew the jib.", "Then the spinnaker.", "Go on.", "Go on.", "How long is it?", "Fold them."],
        )
        last = reading.events.index(Prompt("How long is it?"))
        self.assertNotIn(Prompt("Go on."), reading.events[reading.events.index(Compaction("auto", 9000)) : last])


class BranchTest(SituationCase):
    def test_what_was_read_on_a_branch_that_was_left_is_lost_and_what_lies_before_the_fork_is_kept(self) -> None:
        kept = [("spinnaker.txt", False), ("jib.txt", True), ("spinnaker.txt", True)]
        reading = self.assert_reading(
            "claude-code/branch.jsonl", kept, prompts=3, replies=8, calls=5, results=5, rewinds=1
        )
        self.assertEqual(reading.of(Rewind), [Rewind(1, ("toolu_2",))])

    def test_parallel_calls_progress_and_late_attachments_branch_and_leave_nothing(self) -> None:
        kept = [("jib.txt", True), ("spinnaker.txt", True)]
        self.assert_reading("claude-code/no-branch.jsonl", kept, prompts=2, replies=5, calls=4, results=4)

    def test_a_prompt_may_be_cut_short_between_two_calls(self) -> None:
        kept = [("jib.txt", True), ("spinnaker.txt", False)]
        reading = self.assert_reading(
            "claude-code/cut-short.jsonl", kept, prompts=2, replies=5, calls=4, results=4, rewinds=1
        )
        self.assertEqual(reading.of(Rewind), [Rewind(1, ("toolu_2",))])

    def test_before_a_compaction_is_what_it_took(self) -> None:
        kept = [("jib.txt", True), ("spinnaker.txt", False), ("boom.txt", False)]
        reading = self.assert_reading(
            "claude-code/before-compaction.jsonl",
            kept,
            prompts=3,
            replies=10,
            calls=6,
            results=6,
            compactions=1,
            rewinds=1,
        )
        (rewind,) = reading.of(Rewind)
        assert isinstance(rewind, Rewind)
        self.assertEqual((set(rewind.lost), rewind.restored), ({"toolu_2", "toolu_3"}, ("toolu_1",)))

    def test_codex_takes_back_prompts_with_what_followed_also_over_a_compaction(self) -> None:
        kept = [("jib", True), ("boom", False), ("mast", False), ("boom", True), ("mast", False)]
        kept += [("jib", True), ("mast", False)]
        reading = self.assert_reading(
            "codex/rolled-back.jsonl",
            [(f"file cat {name}.txt", had) for name, had in kept],
            prompts=6,
            replies=6,
            calls=10,
            results=10,
            compactions=1,
            rewinds=2,
        )
        self.assertEqual([event.dropped for event in reading.of(Rewind) if isinstance(event, Rewind)], [2, 2])
        self.assertEqual(reading.of(Compaction), [Compaction("replacement_history", kept=("call_5",))])

    def test_pi_leaves_a_branch_also_over_a_label(self) -> None:
        kept = [("file boom.txt", False), ("file jib.txt", True)]
        reading = self.assert_reading("pi/rewound.jsonl", kept, prompts=3, replies=7, calls=4, results=4, rewinds=1)
        self.assertEqual(reading.of(Rewind), [Rewind(4, ("t2",))])

    def test_entries_beside_the_conversation_of_pi_move_nothing(self) -> None:
        self.assert_reading(
            "pi/side-entries.jsonl", [("file boom.txt", True)], prompts=3, replies=6, calls=3, results=3
        )


class ClearedTest(SituationCase):
    def test_the_results_that_are_named_are_gone_and_no_others(self) -> None:
        jib, spinnaker, boom = "jib.txt", "spinnaker.txt", "boom.txt"
        kept = [(jib, False), (boom, True), (jib, True), (boom, True), (spinnaker, False), (jib, True)]
        reading = self.assert_reading(
            "claude-code/cleared.jsonl", kept, prompts=1, replies=10, calls=9, results=9, cleared=3
        )
        # A list that is none, and a boundary without facts, clear what nobody knows.
        named = [Cleared(("toolu_1", "toolu_2", "toolu_9")), Cleared(("toolu_5",))]
        self.assertEqual([event for event in reading.of(Cleared) if event.calls is not None], named)
        self.assertEqual(reading.counts.unnamed_clearings, 2)


class PartialCompactionTest(SituationCase):
    def test_the_lines_that_a_compaction_names_stay_and_all_others_go(self) -> None:
        # The read of the mast was written behind the summary, though it came before it.
        kept = [("jib.txt", False), ("spinnaker.txt", True), ("boom.txt", False), ("mast.txt", True)]
        kept += [("spinnaker.txt", False)]  # The second compaction names nothing.
        reading = self.assert_reading(
            "claude-code/partial.jsonl", kept, prompts=1, replies=11, calls=9, results=9, compactions=2
        )
        expected = [Compaction("auto", 9000, 900, ("toolu_2",)), Compaction("manual", 9000)]
        self.assertEqual(reading.of(Compaction), expected)

    def test_older_files_name_the_first_and_the_last_line(self) -> None:
        kept = [("jib.txt", False), ("spinnaker.txt", True), ("boom.txt", True)]
        self.assert_reading("claude-code/segment.jsonl", kept, prompts=1, replies=7, calls=6, results=6, compactions=1)

    def test_pi_keeps_what_follows_the_entry_that_it_names(self) -> None:
        # It is a change of the model: what stands before it is gone, though the change hangs there.
        kept = [("boom", False), ("mast", True), ("mast", False), ("jib", True), ("mast", False)]
        reading = self.assert_reading(
            "pi/compacted.jsonl",
            [(f"file {name}.txt", had) for name, had in kept],
            prompts=4,
            replies=10,
            calls=8,
            results=8,
            compactions=2,
            rewinds=1,
            images=4,
        )
        expected = [Compaction("compaction", 900, kept=("t3",)), Compaction("compaction", 900)]
        self.assertEqual(reading.of(Compaction), expected)

    def test_the_first_version_of_pi_names_it_by_number(self) -> None:
        kept = [("file boom.txt", False), ("file mast.txt", True)]
        reading = self.assert_reading(
            "pi/version-1-compacted.jsonl", kept, prompts=2, replies=6, calls=5, results=5, compactions=1
        )
        self.assertEqual(reading.of(Compaction), [Compaction("compaction", 900, kept=("t3",))])

    def test_openhands_forgets_what_it_names_one_by_one_or_from_one_to_another(self) -> None:
        counts = {"prompts": 1, "replies": 6, "calls": 6, "results": 6, "compactions": 1}
        for name, kept in (
            ("forgotten", (False, False, True)),
            ("forgotten-range", (True, False, False)),
            ("forgotten-all", (False, False, False)),  # It names nothing.
        ):
            with self.subTest(name):
                files = ("file jib.txt", "file boom.txt", "file mast.txt")
                self.assert_reading(f"openhands/{name}.jsonl", list(zip(files, kept)), **counts)


class ImagesTest(SituationCase):
    def test_a_result_of_images_alone_is_content_that_may_come_again(self) -> None:
        reading = self.assert_reading(
            "claude-code/images.jsonl", [("chart.png", True)], prompts=1, replies=6, calls=5, results=5, images=5
        )
        images = [event.images for event in reading.of(RecordedResult) if isinstance(event, RecordedResult)]
        self.assertEqual(images, [("c2FpbA==",), ("c2FpbA==",), ("Ym9hdA==",), ("c2FpbA==",) * 2, ()])

    def test_codex_holds_a_picture_that_was_made_in_the_call_itself(self) -> None:
        reading = self.assert_reading(
            "codex/images.jsonl",
            [("file boat.png", True)],
            prompts=1,
            replies=1,
            calls=4,
            results=3,
            images=3,
            unanswered=1,  # A search of the web shows no result.
        )
        self.assertEqual(reading.of(RecordedResult)[0], RecordedResult("ig_1", "", images=("Ym9hdA==",)))


class SubagentsTest(SituationCase):
    def test_a_file_of_a_subagent_names_its_parent_and_holds_no_prompt(self) -> None:
        reading = self.assert_reading(
            "claude-code/subagent-of-its-own.jsonl", [("jib.txt", True)], replies=4, calls=2, results=2
        )
        start = SessionStart("a7b8", "2.1.226", "/home/user/sails", "2026-04-01T10:00:00.000Z", True, "sails-1")
        self.assertEqual(reading.events[0], start)
        reading = self.assert_reading("codex/subagent.jsonl", [], replies=1, calls=1, results=1)
        start = SessionStart("deckhand-1", "0.146.0", "/toy/sails", "2026-04-01T10:00:00.000Z", True, "sails-1")
        self.assertEqual(reading.events[0], start)

    def test_a_subagent_within_the_file_of_its_parent_is_counted_apart(self) -> None:
        reading = self.assert_reading(
            "claude-code/subagent-within.jsonl",
            [],  # What the deckhand read is not in the context of its parent.
            prompts=1,
            replies=3,
            calls=2,
            results=2,
            subagents=1,
            subagent_calls=1,
        )
        self.assertEqual(reading.of(Subagent)[1], Subagent("a7b8", ("toolu_x",)))
        start = reading.events[0]
        assert isinstance(start, SessionStart)
        self.assertEqual((start.session, start.subagent, start.parent), ("sails-1", False, ""))

    def test_what_is_no_subagent_of_codex(self) -> None:
        for source, expected in (
            ("cli", (False, "")),
            ({"subagent": "review"}, (True, "")),
            ({"subagent": {"thread_spawn": {"parent_thread_id": 7}}}, (True, "")),
            ({"subagent": {"other": "memory"}}, (True, "")),
            ({"custom": "subagent"}, (False, "")),
            (None, (False, "")),
        ):
            with self.subTest(source=source):
                start = codex({"id": "s", "source": source}).events[0]
                assert isinstance(start, SessionStart)
                self.assertEqual((start.session, start.subagent, start.parent), ("s", *expected))


class ResumesTest(SituationCase):
    def test_a_resume_drops_nothing_and_a_clear_does(self) -> None:
        kept = [("jib.txt", True), ("jib.txt", False)]
        reading = self.assert_reading(
            "claude-code/resumed-reads.jsonl", kept, prompts=3, replies=6, calls=3, results=3, resets=1, resumes=1
        )
        self.assertEqual(reading.of(Reset, Resume), [Resume("start:resume"), Reset("start:clear")])

    def test_headers_of_codex_with_no_word_between_them_are_one_resume(self) -> None:
        kept = [("file cat jib.txt", True), ("file cat jib.txt", True), ("file cat jib.txt", False)]
        reading = self.assert_reading(
            "codex/headers.jsonl", kept, prompts=4, replies=4, calls=4, results=4, resets=1, resumes=3
        )
        again, other = Resume("session_meta_again"), Reset("other_session")
        self.assertEqual(reading.of(Reset, Resume), [again, again, other, again])

    def test_a_fork_of_codex_copies_the_headers_of_its_origin(self) -> None:
        reading = self.assert_reading(
            "codex/fork.jsonl",
            [("file cat jib.txt", True)],
            prompts=3,
            replies=3,
            calls=2,
            results=2,
            resets=1,
            resumes=2,
        )
        again = Resume("session_meta_again")
        self.assertEqual(reading.of(Reset, Resume), [Reset("start:fork"), again, again])

    def test_a_copilot_session_goes_on_where_it_was_left(self) -> None:
        kept = [("file jib.txt", True), ("file jib.txt", True), ("file jib.txt", False)]
        self.assert_reading(
            "copilot-cli/resumed.jsonl", kept, prompts=4, replies=4, calls=4, results=4, resets=1, resumes=2
        )


class UnionTest(SituationCase):
    def test_lines_that_several_results_hold_together_are_covered_and_kept_if_all_of_them_are(self) -> None:
        reading = reading_of_fixture("claude-code/pieces.jsonl")
        self.assertEqual((reading.counts.tool_calls, reading.counts.compactions, reading.counts.bad_lines), (7, 1, 0))
        # Both together; then, behind a compaction that kept the second, that one alone and both: a gap is no demand.
        self.assertEqual([had for _, had in reading.kept], [True, True, False])
        self.assertEqual([pages.count(" + ") for pages, _ in reading.kept], [1, 0, 1])


def codex(header: dict[str, Any]) -> Reading:
    """Return what a file of Codex with nothing but this header comes to."""

    content = json.dumps({"timestamp": "", "type": "session_meta", "payload": header}).encode()
    return reading_of(events_in(CODEX, content))

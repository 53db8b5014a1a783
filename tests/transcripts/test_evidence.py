"""What an answer is to what came before it: new, changed, edited, repeated or covered; and whether it was kept."""

import itertools
import unittest

from clawvm_transcripts import evidence
from clawvm_transcripts.calls import CallFacts, CallKind, PathRead
from clawvm_transcripts.evidence import Answer, Evidence, Finding


_NUMBERS = itertools.count()


def answer(name: str, kind: CallKind, text: str, *reads: PathRead, failed: bool = False) -> Answer:
    return Answer(CallFacts(name, name, kind, reads), text, failed, 1, name=f"call {next(_NUMBERS)}")


def lines(path: str, first: int | None = None, last: int | None = None, *, partly: bool = False) -> PathRead:
    return PathRead(path, first, last, partly)


class EvidenceTest(unittest.TestCase):
    def setUp(self) -> None:
        self.evidence = Evidence()

    def read(self, *reads: PathRead, text: str = "text", failed: bool = False) -> Finding:
        name = f"read {reads}"
        return self.evidence.take(answer(name, CallKind.READ, text, *reads, failed=failed))

    def do(self, kind: CallKind, name: str, text: str, failed: bool = False) -> Finding:
        return self.evidence.take(answer(name, kind, text, failed=failed))

    def assertFinding(self, found: Finding, novelty: str, kept: bool | None = None, covering: int = 0) -> None:
        self.assertEqual(found.novelty.value, novelty)
        self.assertEqual(len(found.covering), covering)
        if kept is not None:
            self.assertEqual(found.kept, kept)


class SameSignatureTest(EvidenceTest):
    def test_the_same_call_with_the_same_text_is_a_demand(self) -> None:
        for kind in (CallKind.COMMAND, CallKind.SEARCH, CallKind.FETCH, CallKind.OTHER):
            self.assertFinding(self.do(kind, kind.value, "text"), "new")
            self.assertFinding(self.do(kind, kind.value, "text"), "repeated", kept=True)
        self.assertFinding(self.read(lines("a")), "new")
        self.assertFinding(self.read(lines("a")), "repeated", kept=True)

    def test_the_same_call_with_another_text_is_a_new_version(self) -> None:
        for kind in (CallKind.COMMAND, CallKind.FETCH):
            self.do(kind, kind.value, "text")
            self.assertFinding(self.do(kind, kind.value, "other"), "changed")
            self.assertFinding(self.do(kind, kind.value, "text"), "changed")
            self.assertFinding(self.do(kind, kind.value, "text"), "repeated")

    def test_commands_and_searches_are_new_after_any_edit_and_pages_of_the_web_are_not(self) -> None:
        for kind, expected in (
            (CallKind.COMMAND, "changed"),
            (CallKind.SEARCH, "changed"),
            (CallKind.FETCH, "repeated"),
            (CallKind.OTHER, "repeated"),
        ):
            self.do(kind, kind.value, "text")
            self.evidence.edited(["somewhere"])
            self.assertFinding(self.do(kind, kind.value, "text"), expected)
            self.assertFinding(self.do(kind, kind.value, "text"), "repeated")

    def test_edits_plans_and_polls_are_never_demands(self) -> None:
        for kind in (CallKind.EDIT, CallKind.PLAN, CallKind.POLL):
            self.assertFinding(self.do(kind, kind.value, "text"), "new")
            self.assertFinding(self.do(kind, kind.value, "text"), "new")

    def test_an_edit_of_a_file_makes_its_reads_new_and_no_others(self) -> None:
        self.read(lines("a"))
        self.read(lines("b"))
        self.assertEqual(len(self.evidence.edited(["a", "a", "nowhere"])), 1)
        self.assertFinding(self.read(lines("a")), "edited", kept=True)
        self.assertFinding(self.read(lines("b")), "repeated")

    def test_an_edit_of_unknown_paths_is_one_of_every_file(self) -> None:
        for path in ("a", "b"):
            self.read(lines(path))
        self.evidence.edited(["a"])
        self.assertEqual(len(self.evidence.edited([])), 1, "what is stale already is not made stale again")
        self.read(lines("a"))
        self.assertEqual(len(self.evidence.edited([])), 1)

    def test_every_result_of_a_file_becomes_stale_however_many_there_are(self) -> None:
        number = 3 * evidence.RESULTS_OF_A_PATH
        for first in range(number):
            self.read(lines("a", first + 1, first + 1))
        self.assertEqual(len(self.evidence.edited(["a"])), number)
        self.assertFinding(self.read(lines("a", 1, 1)), "edited")

    def test_what_failed_is_not_the_file(self) -> None:
        self.assertFinding(self.read(lines("a"), text="no such file", failed=True), "new")
        self.assertFinding(self.read(lines("a", 1, 5)), "new")
        self.assertFinding(self.read(lines("a"), text="no such file", failed=True), "repeated")
        self.assertFinding(self.read(lines("a")), "new")
        self.assertEqual(len(self.evidence.edited(["a"])), 2)


class LinesTest(EvidenceTest):
    def test_lines_that_a_current_result_holds_are_covered(self) -> None:
        whole = self.read(lines("a"))
        part = self.read(lines("a", 3, 9))
        self.assertFinding(part, "covered", kept=True, covering=1)
        self.assertEqual(part.covering, (whole.key,))
        self.assertFinding(self.read(lines("a", 100)), "covered", covering=1)
        self.assertFinding(self.read(lines("b", 3, 9)), "new")

    def test_only_what_holds_every_line_covers(self) -> None:
        self.read(lines("a", 10, 20))
        for first, last, expected in (
            (10, 20, "repeated"),
            (11, 20, "covered"),
            (9, 20, "new"),
            (10, 21, "new"),
            (10, None, "new"),
            (None, 20, "new"),
        ):
            with self.subTest(first=first, last=last):
                self.setUp()
                self.read(lines("a", 10, 20))
                self.assertFinding(
                    self.read(lines("a", first, last)), expected, covering=1 if expected == "covered" else 0
                )

    def test_everything_from_a_line_on_covers_up_to_the_end(self) -> None:
        self.read(lines("a", 10))
        self.assertFinding(self.read(lines("a", 12, 90)), "covered", covering=1)
        self.assertFinding(self.read(lines("a", 12)), "covered", covering=1)
        self.assertFinding(self.read(lines("a")), "new")

    def test_an_unknown_part_covers_nothing_and_may_be_covered(self) -> None:
        self.read(lines("a", partly=True))
        self.assertFinding(self.read(lines("a", 1, 5)), "new")
        self.read(lines("b"))
        self.assertFinding(self.read(lines("b", partly=True)), "covered", covering=1)

    def test_a_read_of_two_files_is_covered_when_both_are(self) -> None:
        self.read(lines("a"))
        self.assertFinding(self.read(lines("a", 1, 2), lines("b", 1, 2)), "new")
        self.setUp()
        self.read(lines("a"))
        self.read(lines("b"))
        self.assertFinding(self.read(lines("a", 1, 2), lines("b", 1, 2)), "covered", covering=2)

    def test_what_another_result_covers_covers_nothing_itself(self) -> None:
        whole = self.read(lines("a"))
        self.read(lines("a", 1, 50))
        self.assertEqual(self.read(lines("a", 2, 3)).covering, (whole.key,))

    def test_a_result_stays_in_reach_while_it_is_of_use(self) -> None:
        self.read(lines("a"))
        for first in range(2 * evidence.RESULTS_OF_A_PATH):
            self.assertFinding(self.read(lines("a", first + 1, first + 1)), "covered", covering=1)

    def test_lines_that_were_shown_before_an_edit_are_edited(self) -> None:
        self.read(lines("a"))
        self.evidence.edited(["a"])
        self.assertFinding(self.read(lines("a", 1, 5)), "edited", kept=True)
        self.assertFinding(self.read(lines("b", 1, 5)), "new")

    def test_after_an_edit_lines_of_a_newer_result_are_covered_though_they_were_read_alone_before(self) -> None:
        self.read(lines("a", 1, 5))
        self.evidence.edited(["a"])
        whole = self.read(lines("a"), text="edited text")
        self.assertFinding(whole, "new")
        self.assertEqual(self.read(lines("a", 1, 5), text="edited text").covering, (whole.key,))
        self.assertFinding(self.read(lines("a", 1, 5), text="edited text"), "repeated", covering=1)

    def test_a_file_that_changed_unseen_is_no_longer_covered_by_what_was_read_before(self) -> None:
        self.read(lines("a"), text="text\nmore")
        self.assertFinding(self.read(lines("a", 50, 200), text="more"), "covered", covering=1)
        self.assertFinding(self.read(lines("a"), text="other"), "changed")
        self.assertFinding(self.read(lines("a", 1, 5), text="other"), "covered", covering=1)
        self.setUp()
        self.read(lines("a"))
        self.read(lines("b", 1, 1))
        self.read(lines("a", 1, 1))
        self.assertFinding(self.read(lines("b", 1, 1), text="other"), "changed")
        self.assertFinding(self.read(lines("a", 2, 2)), "covered", covering=1)

    def test_a_part_that_changed_unseen_takes_the_whole_with_it(self) -> None:
        self.read(lines("a", 1, 5))
        self.read(lines("a"))
        self.assertFinding(self.read(lines("a", 1, 5), text="other"), "changed")
        self.assertFinding(self.read(lines("a", 7, 9)), "new")

    def test_what_changed_unseen_before_an_edit_is_not_only_edited(self) -> None:
        self.read(lines("a", 1, 5))
        self.read(lines("a", 7, 9))
        self.read(lines("a", 1, 5), text="other")
        self.evidence.edited(["a"])
        self.assertFinding(self.read(lines("a", 7, 9)), "changed")
        self.assertFinding(self.read(lines("a", 1, 5)), "edited")

    def test_between_sessions_only_equal_results_tell_that_a_file_is_the_same(self) -> None:
        self.read(lines("a"))
        self.read(lines("b"))
        self.evidence.files_unknown()
        self.assertFinding(self.read(lines("a", 1, 5)), "new")
        self.assertFinding(self.read(lines("a")), "repeated")
        self.assertFinding(self.read(lines("a", 6, 9)), "covered", covering=1)
        self.assertFinding(self.read(lines("b", 6, 9)), "new")
        self.assertEqual(len(self.evidence.edited(["b"])), 2, "an edit still makes older results stale")

    def test_that_the_agent_edited_a_file_is_certain_also_in_a_later_session(self) -> None:
        self.read(lines("a"))
        self.evidence.edited(["a"])
        self.evidence.files_unknown()
        self.assertFinding(self.read(lines("a", 1, 5)), "edited")
        self.assertFinding(self.read(lines("a")), "edited")

    def test_of_what_is_stale_only_the_newest_is_remembered(self) -> None:
        for _ in range(3):
            for first in range(evidence.RESULTS_OF_A_PATH):
                self.read(lines("a", first + 1, first + 1), text=str(first))
            self.read(lines("a", 1, 100))
            self.evidence.edited(["a"])
            self.assertEqual(len(self.evidence._of_path["a"]), evidence.RESULTS_OF_A_PATH)

    def test_what_another_session_read_is_covered_by_what_this_one_read(self) -> None:
        self.read(lines("a", 1, 5), text="old")
        self.evidence.files_unknown()
        self.read(lines("a"), text="new")
        self.assertFinding(self.read(lines("a", 1, 5), text="new"), "covered", covering=1)

    def test_lines_are_covered_only_if_the_text_is_there_whatever_names_and_ranges_say(self) -> None:
        self.read(lines("a"), text="one\ntwo\n[cut off]")
        self.assertFinding(self.read(lines("a", 2, 2), text="two"), "covered", covering=1)
        self.assertFinding(self.read(lines("a", 900, 901), text="far behind the cut"), "new")
        self.assertFinding(self.read(lines("a", 1, 2), text="one\ntwo, written by a program"), "new")

    def test_line_numbers_and_blank_lines_are_no_part_of_the_text(self) -> None:
        self.read(lines("a"), text="     1\u2192one\n     2\u2192\n     3\u2192  two")
        for number, text in enumerate(("one\n\n", "3: two", "    2\tone", "7. two  ")):
            self.assertFinding(self.read(lines("a", 1, number + 2), text=text), "covered", covering=1)

    def test_commands_that_print_files_cover_nothing(self) -> None:
        self.evidence.take(answer("cat a; make", CallKind.COMMAND, "text", lines("a")))
        self.assertFinding(self.read(lines("a")), "new")


class KeptTest(EvidenceTest):
    def test_what_a_compaction_took_is_not_kept_until_it_is_shown_again(self) -> None:
        self.do(CallKind.COMMAND, "ls", "text")
        self.evidence.context_lost()
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=False)
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=True)

    def test_lines_are_kept_when_any_result_shows_them(self) -> None:
        self.read(lines("a", 1, 5))
        self.read(lines("a"))
        self.evidence.context_lost()
        self.assertFinding(self.read(lines("a")), "repeated", kept=False)
        self.assertFinding(self.read(lines("a", 1, 5)), "repeated", kept=True, covering=1)

    def test_showing_some_lines_again_shows_no_others(self) -> None:
        self.read(lines("a"))
        self.evidence.context_lost()
        self.assertFinding(self.read(lines("a", 1, 9)), "covered", kept=False, covering=1)
        self.assertFinding(self.read(lines("a", 2, 3)), "covered", kept=True, covering=1)
        self.assertFinding(self.read(lines("a", 20, 30)), "covered", kept=False, covering=1)
        self.assertFinding(self.read(lines("a")), "repeated", kept=False)

    def test_edited_lines_are_kept_when_the_harness_had_the_older_ones(self) -> None:
        for lost in (False, True):
            self.setUp()
            self.read(lines("a"))
            self.evidence.edited(["a"])
            if lost:
                self.evidence.context_lost()
            self.assertFinding(self.read(lines("a", 2, 3)), "edited", kept=not lost)
            self.assertFinding(self.read(lines("a")), "edited", kept=not lost)

    def test_what_is_new_was_never_kept(self) -> None:
        self.assertFinding(self.read(lines("a")), "new", kept=False)
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "new", kept=False)

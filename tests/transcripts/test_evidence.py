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

    def test_between_sessions_only_equal_lines_show_that_a_file_is_the_same(self) -> None:
        self.read(lines("a"))
        self.read(lines("b"))
        self.evidence.files_unknown()
        self.assertFinding(self.read(lines("a", 1, 5)), "covered", covering=1)
        self.assertFinding(self.read(lines("a")), "repeated")
        self.assertFinding(self.read(lines("b", 6, 9), text="other"), "new")
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

    def test_a_part_that_nobody_knows_is_kept_as_long_as_its_own_result(self) -> None:
        for lost in (False, True):
            self.setUp()
            self.read(lines("a", partly=True))
            self.evidence.edited(["a"])
            if lost:
                self.evidence.context_lost()
            self.assertFinding(self.read(lines("a", partly=True)), "edited", kept=not lost)

    def test_what_is_new_was_never_kept(self) -> None:
        self.assertFinding(self.read(lines("a")), "new", kept=False)
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "new", kept=False)

    def test_what_a_compaction_keeps_and_what_is_cleared_are_told_apart_by_call(self) -> None:
        reads = [answer(f"read {(lines(path),)}", CallKind.READ, path, lines(path)) for path in "abc"]
        for each in reads:
            self.evidence.take(each)
        self.evidence.context_lost(kept=[reads[0].name, reads[1].name, "nobody"])
        self.evidence.results_lost([reads[1].name, "nobody"])
        for path, kept in (("a", True), ("b", False), ("c", False)):
            self.assertFinding(self.read(lines(path), text=path), "repeated", kept=kept)

    def test_a_result_that_never_was_there_is_not_kept_by_a_compaction_that_names_it(self) -> None:
        first = answer("ls", CallKind.COMMAND, "text")
        self.evidence.take(first)
        self.evidence.context_lost()
        self.evidence.context_lost(kept=[first.name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=False)

    def test_what_is_restored_is_kept_again(self) -> None:
        first = answer("ls", CallKind.COMMAND, "text")
        self.evidence.take(first)
        self.evidence.context_lost()
        self.evidence.results_restored([first.name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=True)

    def test_a_result_is_there_as_long_as_any_call_that_showed_it(self) -> None:
        calls = [answer("ls", CallKind.COMMAND, "text") for _ in range(3)]
        for each in calls:
            self.evidence.take(each)
        self.evidence.results_lost([calls[0].name, calls[2].name])
        last = answer("ls", CallKind.COMMAND, "text")
        self.assertFinding(self.evidence.take(last), "repeated", kept=True)
        self.evidence.results_lost([calls[1].name, last.name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=False)

    def test_calls_that_showed_another_text_do_not_keep_this_one(self) -> None:
        calls = [answer("ls", CallKind.COMMAND, text) for text in ("old", "new")]
        for each in calls:
            self.evidence.take(each)
        self.evidence.context_lost(kept=[calls[0].name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "new"), "repeated", kept=False)

    def test_the_same_text_before_and_after_an_edit_is_the_same_content(self) -> None:
        calls = [answer("read", CallKind.READ, "text", lines("a")) for _ in range(2)]
        self.evidence.take(calls[0])
        self.evidence.edited(["a"])
        self.assertFinding(self.evidence.take(calls[1]), "edited", kept=True)
        self.evidence.context_lost(kept=[calls[0].name])
        self.assertFinding(self.evidence.take(calls[1]), "repeated", kept=True)

    def test_only_the_newest_calls_of_a_result_are_remembered(self) -> None:
        calls = [answer("ls", CallKind.COMMAND, "text") for _ in range(evidence.MOST_CALLS + 1)]
        for each in calls:
            self.evidence.take(each)
        self.evidence.context_lost(kept=[calls[1].name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=True)
        self.setUp()
        for each in calls:
            self.evidence.take(each)
        self.evidence.context_lost(kept=[calls[0].name])
        self.assertFinding(self.do(CallKind.COMMAND, "ls", "text"), "repeated", kept=False)


def numbered(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last + 1))


class ImagesTest(EvidenceTest):
    def look(self, *images: str, text: str = "") -> Finding:
        digests = tuple(image.encode() for image in images)
        return self.evidence.take(Answer(CallFacts("look", "look", CallKind.OTHER), text, False, 1, images=digests))

    def test_images_are_content_that_comes_again_or_another_time_differs(self) -> None:
        self.assertFinding(self.look("a"), "new")
        self.assertFinding(self.look("a"), "repeated", kept=True)
        self.assertFinding(self.look("b"), "changed")
        self.assertFinding(self.look("b", text="words"), "changed")
        self.assertFinding(self.look("b", "b", text="words"), "changed")
        self.assertFinding(self.look(text="words"), "changed")
        self.assertFinding(self.look(text="words"), "repeated")


class UnionTest(EvidenceTest):
    """Lines that several results hold together; the text of every line is its number."""

    def show(self, first: int, last: int, path: str = "a", text: str = "") -> str:
        """Show lines, and return the id of the call."""
        shown = lines(path, first, last)
        given = answer(f"read {(shown,)}", CallKind.READ, text or numbered(first, last), shown)
        self.evidence.take(given)
        return given.name

    def ask(self, first: int, last: int, text: str = "") -> Finding:
        return self.read(lines("a", first, last), text=text or numbered(first, last))

    def test_results_that_meet_or_overlap_cover_together_with_as_few_as_possible(self) -> None:
        for pieces, covering in (
            ([(1, 5), (6, 10)], 2),
            ([(6, 10), (1, 5)], 2),
            ([(1, 7), (4, 10)], 2),
            ([(1, 3), (4, 6), (7, 10)], 3),
            ([(2, 4), (1, 6), (7, 10)], 2),
            ([(3, 5), (6, 9), (1, 10)], 1),
            ([(1, 5), (6, 10), (1, 10)], 2),  # What they cover together covers nothing itself.
        ):
            with self.subTest(pieces=pieces):
                self.setUp()
                for first, last in pieces:
                    self.show(first, last)
                self.assertFinding(self.ask(2, 9), "covered", kept=True, covering=covering)

    def test_a_gap_of_one_line_is_one(self) -> None:
        for pieces in ([(1, 4), (6, 10)], [(3, 10)], [(1, 8)], [(1, 3), (4, 8)]):
            with self.subTest(pieces=pieces):
                self.setUp()
                for first, last in pieces:
                    self.show(first, last)
                self.assertFinding(self.ask(2, 9), "new")
                self.setUp()
                for first, last in pieces:
                    self.show(first, last)
                self.evidence.edited(["a"])
                self.assertFinding(self.ask(2, 9), "new")

    def test_of_those_that_hold_all_the_newest_covers(self) -> None:
        self.show(5, 20)
        newest = self.ask(1, 10)
        self.assertEqual(self.ask(6, 9).covering, (newest.key,))

    def test_the_end_of_a_file_is_held_only_by_what_goes_to_the_end(self) -> None:
        self.show(1, 5)
        self.assertFinding(self.read(lines("a", 2), text=numbered(2, 5)), "new")
        self.setUp()
        self.show(1, 5)
        self.read(lines("a", 6), text=numbered(6, 9))
        self.assertFinding(self.read(lines("a", 2), text=numbered(2, 9)), "covered", covering=2)

    def test_pieces_of_another_file_are_none_of_this_one(self) -> None:
        self.show(1, 5)
        self.show(6, 10, "b")
        self.assertFinding(self.ask(2, 9), "new")

    def test_an_edit_between_the_pieces_leaves_no_union(self) -> None:
        self.show(1, 5)
        self.evidence.edited(["a"])
        self.show(6, 10)
        self.assertFinding(self.ask(2, 9), "new")
        self.setUp()
        self.show(1, 5)
        self.show(6, 10)
        self.evidence.edited(["a"])
        self.assertFinding(self.ask(2, 9), "edited", kept=True)

    def test_a_change_unseen_between_the_pieces_leaves_no_union(self) -> None:
        self.show(1, 5)
        self.show(6, 10)
        self.show(6, 10, text="other\n")
        self.assertFinding(self.ask(2, 9, numbered(2, 5) + "other\n"), "new")

    def test_pieces_of_two_sessions_are_a_union_as_long_as_the_lines_are_the_same(self) -> None:
        self.show(1, 5)
        self.evidence.files_unknown()
        self.show(6, 10)
        self.assertFinding(self.ask(2, 9), "covered", covering=2)

    def test_a_line_that_no_piece_holds_is_new_whatever_the_ranges_say(self) -> None:
        self.show(1, 5, text=numbered(1, 3) + "[cut off]\n")
        self.show(6, 10)
        self.assertFinding(self.ask(2, 9), "new")

    def test_a_union_is_kept_if_every_piece_is(self) -> None:
        for kept in ((True, True), (True, False), (False, True)):
            with self.subTest(kept=kept):
                self.setUp()
                calls = [self.show(1, 5), self.show(6, 10)]
                self.evidence.context_lost(kept=[call for call, had in zip(calls, kept) if had])
                self.assertFinding(self.ask(2, 9), "covered", kept=all(kept), covering=2)

    def test_what_is_left_may_hold_together_what_another_result_covers(self) -> None:
        calls = [self.show(2, 5), self.show(6, 9)]
        self.show(1, 10)
        self.evidence.context_lost(kept=calls)
        self.assertFinding(self.ask(2, 9), "covered", kept=True, covering=1)
        self.assertFinding(self.ask(1, 10), "repeated", kept=False)

    def test_a_result_that_was_cut_off_keeps_no_line_that_it_did_not_show(self) -> None:
        whole = answer("cat a", CallKind.READ, numbered(1, 3), lines("a"))
        self.evidence.take(whole)
        self.show(8, 9)
        self.evidence.context_lost(kept=[whole.name])
        self.assertFinding(self.ask(2, 3), "covered", kept=True, covering=1)
        self.assertFinding(self.ask(8, 9), "repeated", kept=False)

    def test_the_text_before_an_edit_does_not_keep_the_text_after_it(self) -> None:
        before = self.show(1, 10)
        self.evidence.edited(["a"])
        self.show(1, 20, text=numbered(101, 120))
        self.evidence.context_lost(kept=[before])
        self.assertFinding(self.ask(2, 9, numbered(102, 109)), "covered", kept=False, covering=1)

    def test_the_text_before_a_change_does_not_hide_that_the_text_after_it_is_there(self) -> None:
        def edit() -> None:
            self.evidence.edited(["a"])

        def change_unseen() -> None:
            self.show(1, 1)
            self.show(1, 1, text=numbered(101, 101))

        for change in (edit, change_unseen):
            with self.subTest(change.__name__):
                self.setUp()
                before = self.show(1, 10)
                change()
                self.show(1, 20, text=numbered(101, 120))
                calls = [self.show(first, first + 4, text=numbered(100 + first, 104 + first)) for first in (1, 6)]
                self.evidence.context_lost(kept=[before, *calls])
                self.assertFinding(self.ask(2, 9, numbered(102, 109)), "covered", kept=True, covering=1)

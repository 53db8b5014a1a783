"""Behaviour of the watch on recorded reruns: kept in the prompt, from the store, left out, or run again."""

import unittest

from clawvm_experiments.sessions.cells import RefetchOutcome, RerunWatch, rerun_counts
from clawvm_replay.errors import InputError
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.views import Observed


def observed(turn, *pages, tokens=10):
    return Observed(turn, pages, Novelty.REPEATED, False, tokens)


def demand(turn, page, verdict, page_in_tokens=0):
    return {"event": "demand", "turn": turn, "page": page, "verdict": verdict, "page_in_tokens": page_in_tokens}


def left_out(turn, page):
    return {"event": "fault", "turn": turn, "page": page, "cause": "left_out_of_prompt"}


def pressure(turn):
    return {"event": "pressure", "turn": turn}


def watched(observations, *events):
    watch = RerunWatch(observations)
    for event in events:
        watch.take(event)
    return list(watch.reruns())


class OutcomeTest(unittest.TestCase):
    def outcome(self, *events, pages=("a",)):
        (rerun,) = watched([observed(1, *pages)], *events)
        return rerun.outcome

    def test_verdict_names_the_outcome(self):
        outcomes = {
            "hit": RefetchOutcome.RESIDENT,
            "page_in": RefetchOutcome.PAGED_IN,
            "fault": RefetchOutcome.FAULTED,
            "cold": RefetchOutcome.NOT_JUDGED,
        }
        for verdict, outcome in outcomes.items():
            with self.subTest(verdict):
                self.assertIs(self.outcome(demand(1, "a", verdict)), outcome)

    def test_stored_content_for_which_the_next_prompt_has_no_room_is_left_out(self):
        self.assertIs(self.outcome(demand(1, "a", "page_in"), left_out(1, "a")), RefetchOutcome.LEFT_OUT)

    def test_what_the_last_prompt_held_is_kept_even_if_the_next_one_leaves_it_out(self):
        self.assertIs(self.outcome(demand(1, "a", "hit"), left_out(1, "a")), RefetchOutcome.RESIDENT)

    def test_several_pages_have_the_worst_outcome_of_them(self):
        def of(*verdicts):
            return self.outcome(*(demand(1, page, verdict) for page, verdict in zip("ab", verdicts)), pages=("a", "b"))

        self.assertIs(of("hit", "hit"), RefetchOutcome.RESIDENT)
        self.assertIs(of("hit", "page_in"), RefetchOutcome.PAGED_IN)
        self.assertIs(of("page_in", "fault"), RefetchOutcome.FAULTED)
        self.assertIs(of("cold", "page_in"), RefetchOutcome.NOT_JUDGED)

    def test_other_turns_pages_and_faults_tell_nothing(self):
        events = (demand(2, "a", "fault"), demand(1, "b", "fault"), demand(1, "a", "page_in"), left_out(2, "a"))
        floor = {"event": "fault", "turn": 1, "page": "a", "minimum": "full"}
        self.assertIs(
            self.outcome(*events, floor, {"event": "fault", "turn": 1, "query": "q"}), RefetchOutcome.PAGED_IN
        )

    def test_first_demand_of_a_turn_is_the_one_that_was_observed(self):
        self.assertIs(self.outcome(demand(1, "a", "fault"), demand(1, "a", "hit")), RefetchOutcome.FAULTED)

    def test_observation_that_the_trace_does_not_demand_is_an_error_not_a_success(self):
        with self.assertRaisesRegex(InputError, "turn 1"):
            watched([observed(1, "a")], demand(1, "b", "hit"))


class RerunCountsTest(unittest.TestCase):
    def test_page_that_two_calls_share_is_paid_for_once(self):
        again = [observed(1, "a"), observed(1, "a", "b")]
        reruns = watched(again, demand(1, "a", "page_in", 40), demand(1, "b", "page_in", 60))
        self.assertEqual([item.page_in_tokens for item in reruns], [40, 60])

    def test_calls_and_tokens_stand_by_outcome(self):
        again = [observed(1, "a", tokens=5), observed(2, "a", tokens=7), observed(3, "a", tokens=11)]
        events = (demand(1, "a", "hit"), demand(2, "a", "page_in", 40), demand(3, "a", "cold"))
        counts = rerun_counts(watched(again, *events))
        self.assertEqual((counts["calls"], counts["tokens"], counts["page_in_tokens"]), (3, 23, 40))
        self.assertEqual(counts["resident"], {"calls": 1, "tokens": 5})
        self.assertEqual(counts["paged_in"], {"calls": 1, "tokens": 7})
        self.assertEqual(counts["not_judged"], {"calls": 1, "tokens": 11})
        # What was never judged counts neither as served nor as not served.
        expected = {"calls": 2, "tokens": 12, "served_calls": 2, "served_tokens": 12}
        self.assertEqual(counts["without_pressure"], expected)

    def test_turns_under_pressure_stand_apart(self):
        again = [observed(1, "a", tokens=5), observed(2, "a", tokens=7)]
        events = (demand(1, "a", "page_in"), left_out(1, "a"), pressure(1), demand(2, "a", "fault"))
        counts = rerun_counts(watched(again, *events))
        expected = {"calls": 1, "tokens": 7, "served_calls": 0, "served_tokens": 0}
        self.assertEqual(counts["without_pressure"], expected)

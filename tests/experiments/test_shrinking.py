"""Behaviour of shrinking: the result still fails, is small, is a valid trace, and is the same every time."""

import unittest

from clawvm_experiments.property import TraceSize, check_trace, page_in, read_back, shrink, with_costs
from clawvm_experiments.property_statements import Property
from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import write_trace
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import policy_named
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome
from clawvm_workloads.generated import generate


def lines_of(trace):
    return list(write_trace(trace.header, trace.turns))


def first_seed(holds):
    return next(seed for seed in range(500) if holds(generate(seed)))


class ShrinkingTest(unittest.TestCase):
    def test_a_missing_protection_shrinks_to_a_few_turns_and_pages(self):
        policy = policy_named("clawvm_without_auto_pin")

        def fails(trace):
            return any(item.property is Property.ZERO_FAULTS for item in check_trace(trace, policy).violations)

        failing = [seed for seed in range(15) if fails(generate(seed))]
        self.assertGreaterEqual(len(failing), 4)
        for seed in failing[:4]:
            with self.subTest(seed=seed):
                shrunk = shrink(generate(seed), fails)
                size = TraceSize.of(shrunk.trace)
                self.assertTrue(fails(shrunk.trace))
                self.assertTrue(shrunk.finished)
                self.assertLessEqual(size.turns, 3)
                self.assertLessEqual(size.pages, 3)
                self.assertEqual(size.lines, len(lines_of(shrunk.trace)))

    def test_the_same_every_time(self):
        policy = policy_named("clawvm_without_writeback_at_compaction")

        def fails(trace):
            return bool(check_trace(trace, policy).violations)

        seed = first_seed(fails)
        first, second = (shrink(generate(seed), fails) for _ in range(2))
        self.assertEqual(lines_of(first.trace), lines_of(second.trace), f"seed {seed}")
        self.assertEqual(first.candidates, second.candidates)

    def test_turns_and_items_that_do_not_matter_go(self):
        def fails(trace):
            outcomes = [lookup.outcome for turn in trace.turns for lookup in turn.lookups]
            return RecallOutcome.DENIED in outcomes

        size = TraceSize.of(shrink(generate(first_seed(fails)), fails).trace)
        self.assertEqual((size.turns, size.pages, size.items), (1, 0, 1))

    def test_a_page_goes_with_everything_that_mentions_it(self):
        def fails(trace):
            return sum(len(turn.demands) for turn in trace.turns) >= 3

        shrunk = shrink(generate(first_seed(fails)), fails).trace
        self.assertEqual(len([item for turn in shrunk.turns for item in turn.demands]), 3)
        self.assertEqual(sum(len(turn.updates) for turn in shrunk.turns), 0)
        demanded = {page_id for turn in shrunk.turns for page_id, _ in turn.demands}
        self.assertEqual(TraceSize.of(shrunk).pages, len(demanded))

    def test_numbers_go_down_as_far_as_they_can(self):
        def fails(trace):
            return trace.header.budget >= 7 and sum(turn.transcript_tokens for turn in trace.turns) >= 5

        shrunk = shrink(generate(first_seed(fails)), fails).trace
        self.assertEqual(shrunk.header.budget, 7)
        self.assertEqual(sum(turn.transcript_tokens for turn in shrunk.turns), 5)
        self.assertIsNone(shrunk.header.accounting)

    def test_accounting_that_matters_stays_with_small_numbers(self):
        def fails(trace):
            accounting = trace.header.accounting
            return accounting is not None and accounting.compaction_limit >= 3

        accounting = shrink(generate(first_seed(fails)), fails).trace.header.accounting
        self.assertEqual((accounting.compaction_limit, accounting.soft_threshold), (3, 0))

    def test_costs_go_down_as_far_as_they_can(self):
        def fails(trace):
            pages = [page for turn in trace.turns for item in turn.events_before if (page := page_in(item)) is not None]
            return any(page.costs.get(Level.STRUCTURED, 0) >= 2 for page in pages)

        shrunk = shrink(generate(first_seed(fails)), fails).trace
        (page,) = [page_in(item) for turn in shrunk.turns for item in turn.events_before]
        self.assertLess(page.costs[Level.STRUCTURED], 4)
        self.assertEqual(page.costs[Level.FULL], page.costs[Level.STRUCTURED] + 1)

    def test_the_number_of_candidates_is_bounded(self):
        tried = []

        def fails(trace):
            tried.append(trace)
            return True

        shrunk = shrink(generate(0), fails, most_candidates=5)
        self.assertEqual(shrunk.candidates, 5)
        self.assertFalse(shrunk.finished)
        self.assertEqual(len(tried), 6)  # The first one asks whether there is anything to shrink.

    def test_what_does_not_fail_is_refused(self):
        with self.assertRaises(ValueError):
            shrink(generate(0), lambda trace: False)

    def test_impossible_candidates_are_left(self):
        def fails(trace):
            if len(trace.turns) < 3:
                raise TraceError(trace.source, 1, "asks for a page before it is there")
            return True

        self.assertEqual(len(shrink(generate(0), fails).trace.turns), 3)

    def test_every_candidate_is_a_valid_trace(self):
        def fails(trace):
            self.assertEqual(lines_of(read_back(trace)), lines_of(trace))
            return sum(len(turn.calls) for turn in trace.turns) >= 1

        self.assertTrue(fails(shrink(generate(first_seed(fails)), fails).trace))


class CostsTest(unittest.TestCase):
    def test_costs_still_rise_from_at_least_one(self):
        costs = {Level.POINTER: 5, Level.STRUCTURED: 9, Level.FULL: 40}
        page = Page("plan", PageType.PLAN, costs, Provenance("file", "PLAN.md"))
        cheap = with_costs(page, {Level.POINTER: 0, Level.STRUCTURED: 0, Level.FULL: 30})
        self.assertEqual(cheap.costs, {Level.POINTER: 1, Level.STRUCTURED: 2, Level.FULL: 30})


if __name__ == "__main__":
    unittest.main()

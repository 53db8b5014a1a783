"""Behaviour of the metrics: prefix reuse and prompt cost against examples computed by hand."""

import unittest

from clawvm_replay.metrics import FAULT_FIELDS, PRICE_MODELS, CellMetrics, PriceModel, PromptMeter
from clawvm_runtime.engine import AssembledPrompt, Block
from clawvm_runtime.faults import Tally
from clawvm_runtime.vocabulary import FaultKind, Level


def block(page_id, tokens, level=Level.FULL, version=1, text=""):
    return Block(page_id, version, level, tokens, text)


def prompt(*blocks):
    return AssembledPrompt(
        turn=1,
        budget=100,
        tokens=sum(item.tokens for item in blocks),
        blocks=blocks,
        unmet=(),
        missing_tokens=0,
        selection=None,
    )


def metered(budget, *prompts):
    meter = PromptMeter(budget)
    for item in prompts:
        meter.observe(item)
    return meter


def row(meter, tally=None, prices=PRICE_MODELS["default"]):
    return CellMetrics.of_run(
        workload="w",
        budget=100,
        policy="p",
        turns=meter.prompts,
        tally=Tally() if tally is None else tally,
        meter=meter,
        prices=prices,
        counts=dict.fromkeys(
            ("compactions", "resets", "flushes", "committed_updates", "rejected_updates", "lost_updates"), 0
        ),
    )


A, B, C = block("a", 10), block("b", 20), block("c", 30)


class PromptMeterTest(unittest.TestCase):
    def test_first_prompt_reuses_nothing(self):
        meter = metered(100, prompt(A, B))
        self.assertEqual((meter.tokens, meter.reused_tokens, meter.rewritten_tokens), (30, 0, 30))

    def test_longest_common_prefix_of_consecutive_prompts_is_reused(self):
        # 30 new; then a and b reused (30), c new (30); then a reused (10), c and b rewritten (50).
        meter = metered(100, prompt(A, B), prompt(A, B, C), prompt(A, C, B))
        self.assertEqual((meter.tokens, meter.reused_tokens, meter.rewritten_tokens), (150, 40, 110))

    def test_equal_blocks_behind_a_difference_are_not_reused(self):
        self.assertEqual(metered(100, prompt(A, B), prompt(C, B)).reused_tokens, 0)

    def test_change_of_level_or_version_ends_the_prefix(self):
        for changed in (block("a", 10, version=2), block("a", 10, level=Level.STRUCTURED)):
            with self.subTest(changed=changed):
                self.assertEqual(metered(100, prompt(A, B), prompt(changed, B)).reused_tokens, 0)

    def test_only_the_prompt_before_counts(self):
        self.assertEqual(metered(100, prompt(A), prompt(B), prompt(A)).reused_tokens, 0)

    def test_budget_use_is_the_mean_share(self):
        self.assertEqual(metered(100, prompt(A), prompt(A, B)).budget_use(), 0.2)
        self.assertEqual(PromptMeter(100).budget_use(), 0.0)


class CellMetricsTest(unittest.TestCase):
    def test_default_prices_are_the_documented_ones(self):
        prices = PRICE_MODELS["default"]
        self.assertEqual((prices.cached_read, prices.write, prices.plain), (0.1, 1.25, 1.0))

    def test_cost_charges_reused_and_rewritten_tokens(self):
        # 40 reused at 0.1 and 110 rewritten at 1.25 are 4 + 137.5.
        metrics = row(metered(100, prompt(A, B), prompt(A, B, C), prompt(A, C, B)))
        self.assertEqual(metrics.prompt_cost, 141.5)
        self.assertEqual(metrics.plain_cost, 150.0)
        self.assertEqual(metrics.prefix_reuse, 0.266667)
        self.assertEqual(metrics.mean_budget_use, 0.5)

    def test_another_price_model_changes_only_the_costs(self):
        meter = metered(100, prompt(A), prompt(A, B))
        usual, other = row(meter), row(meter, prices=PriceModel("other", cached_read=0.5, write=2.0, plain=3.0))
        self.assertEqual((other.prompt_cost, other.plain_cost), (65.0, 120.0))
        differing = {name for name, value in usual.to_record().items() if other.to_record()[name] != value}
        self.assertEqual(differing, {"prompt_cost", "plain_cost"})

    def test_run_without_prompts_and_accesses_has_defined_numbers(self):
        metrics = row(PromptMeter(100))
        self.assertEqual((metrics.prefix_reuse, metrics.prompt_cost, metrics.thrash_index), (0.0, 0.0, 0.0))
        self.assertIsNone(metrics.mean_level_at_demand)
        self.assertIsNone(metrics.share_served_at_full)
        self.assertTrue(metrics.success)

    def test_one_fault_ends_success_and_enters_the_thrash_index(self):
        tally = Tally()
        tally.faults[FaultKind.REFETCH] += 1
        tally.alerts = 2
        tally.hits = 3
        metrics = row(PromptMeter(100), tally)
        self.assertFalse(metrics.success)
        self.assertEqual((metrics.explicit_faults, metrics.refetch), (1, 1))
        self.assertEqual(metrics.thrash_index, 0.75)

    def test_every_fault_kind_is_a_column(self):
        self.assertEqual(set(FAULT_FIELDS), {kind.value for kind in FaultKind})
        self.assertLessEqual(set(FAULT_FIELDS), set(row(PromptMeter(100)).to_record()))

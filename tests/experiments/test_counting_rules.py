"""Behaviour of the recount: the default rules give the engine's tally, each alternative changes what it says."""

import dataclasses
import random
import unittest

from clawvm_experiments.counting_rules import RULE_SETS, CountingRules, count, metrics_counts
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, RecallOutcome
from clawvm_workloads.families import FAMILIES
from clawvm_workloads.reference_model import witness

CLAWVM = POLICIES["clawvm"]
RETRIEVAL = POLICIES["retrieval"]
CACHE = POLICIES["retrieval_cache"]
HYBRID = POLICIES["compaction_hybrid"]

COSTS = LevelCosts(2, 7, 14, 28)
FULL = Level.FULL
STRUCTURED = Level.STRUCTURED

COMPACTS = 11
"""A turn's growth that passes the limit of ``story``'s accounting, in tokens."""


def story(budget=400):
    return TraceBuilder("story", budget, "", Accounting(compaction_limit=10, soft_threshold=5, summary_tokens=0))


def file_page(builder, page_id="notes", page_type=PageType.PREFERENCE, costs=COSTS, **more):
    return builder.page(page_id, page_type, costs, provenance=Provenance("file", page_id), **more)


def update(page_id="plan", field="step"):
    return Update(page_id, field, "append", ["done"], "session", page_id)


def run_of(trace, policy, budget=None):
    """Return what the reference model sees of a run, and what the engine counted."""
    prompts = []
    metrics = replay_trace(trace, policy, budget, observe=prompts.append)
    levels = [{block.page_id: block.level for block in prompt.blocks} for prompt in prompts]
    return witness(trace, levels, policy, budget), metrics_counts(metrics)


def recount(seen, counted, rules):
    return count(seen, rules, workload=counted.workload, budget=counted.budget, policy=counted.policy)


class DefaultRulesTest(unittest.TestCase):
    def assert_equal_to_engine(self, trace, policy, budget=None):
        seen, counted = run_of(trace, policy, budget)
        self.assertEqual(recount(seen, counted, RULE_SETS["default"].rules), counted)
        return counted

    def test_every_family_at_its_budget_and_under_pressure(self):
        policies = [RETRIEVAL, CACHE, HYBRID, CLAWVM.without(FEATURES["auto_pin"])]
        pressured = 0
        for name in ("long_horizon", "multi_session"):
            for policy in policies:
                budget = 40 if policy in policies[1::2] else 120
                with self.subTest(family=name, policy=policy.id, budget=budget):
                    pressured += self.assert_equal_to_engine(FAMILIES[name](120), policy, budget).pressure_faults > 0
        self.assertGreater(pressured, 0, "no run under pressure: the test tries too little")

    def test_generated_traces(self):
        seen = dict.fromkeys(FaultKind, 0)
        for seed in range(3):
            trace = generated_trace(random.Random(seed))
            for policy in (CLAWVM, RETRIEVAL, CACHE, HYBRID, POLICIES["lru"].without(FEATURES["auto_pin"])):
                with self.subTest(seed=seed, policy=policy.id):
                    for kind, number in self.assert_equal_to_engine(trace, policy).faults.items():
                        seen[kind] += number
        self.assertGreater(min(seen.values()), 0, f"a kind of fault never came up: {seen}")

    def test_empty_run(self):
        self.assert_equal_to_engine(story().trace(), CLAWVM)


def generated_trace(chance):
    """Return a trace with everything that can be counted, at a budget that is often too small."""
    builder = story(budget=chance.randrange(25, 130))
    pages = [
        file_page(builder, "rules", PageType.BOOTSTRAP_POLICY),
        file_page(builder, "limit", PageType.CONSTRAINT),
        builder.page("plan", PageType.PLAN, COSTS, provenance=Provenance("user", "turn-1")),
        file_page(builder),
    ]
    calls = [
        builder.tool("read", {"path": number}, f"file-{number}", COSTS, deterministic=number != 3)
        for number in range(4)
    ]
    for turn in range(1, 25):
        if chance.random() < 0.1:
            builder.reset(f"session-{turn}")
        if chance.random() < 0.1:
            builder.replace("notes", PageType.PREFERENCE, COSTS)
        builder.turn(
            chance.randrange(0, 8),
            calls=[calls[chance.randrange(4)] for _ in range(chance.randrange(3))],
            demands=[
                (pages[chance.randrange(4)], (Level.POINTER, STRUCTURED, FULL)[chance.randrange(3)])
                for _ in range(chance.randrange(3))
            ],
            recalls=[("q", list(RecallOutcome)[chance.randrange(4)])] if chance.random() < 0.3 else [],
            updates=[update(field=f"field-{chance.randrange(3)}") for _ in range(chance.randrange(3))],
        )
    return builder.trace()


class AlternativeRulesTest(unittest.TestCase):
    """Each rule on a trace made for it; ``changes`` gives (default, alternative) of every number that differs."""

    def changes(self, rule_id, trace, policy):
        seen, counted = run_of(trace, policy)
        other = recount(seen, counted, RULE_SETS[rule_id].rules)
        found = {
            kind.value: (counted.faults[kind], other.faults[kind])
            for kind in FaultKind
            if counted.faults[kind] != other.faults[kind]
        }
        for item in dataclasses.fields(counted):
            before, after = getattr(counted, item.name), getattr(other, item.name)
            if item.name not in ("faults", "thrash_index") and before != after:
                found[item.name] = (before, after)
        self.thrash = (counted.thrash_index, other.thrash_index)
        return found

    def test_pinned_miss_in_every_prompt_until_the_page_is_back(self):
        builder = story()
        file_page(builder, "limit", PageType.CONSTRAINT)
        for turn in range(1, 7):
            builder.turn(0, demands=[("limit", STRUCTURED)] if turn == 3 else [])
        # Lost in turns 1 and 2, back in 3, lost again in 4, 5 and 6.
        found = self.changes("pinned_each_prompt", builder.trace(), CACHE)
        self.assertEqual(found, {"pinned_invariant_miss": (2, 5)})

    def lost_bootstrap(self):
        builder = story()
        file_page(builder, "rules", PageType.BOOTSTRAP_POLICY)
        for growth in (0, COMPACTS, 0, COMPACTS, 0):
            builder.turn(growth)
        return builder.trace()

    def test_bootstrap_fault_in_every_prompt_until_the_page_is_back(self):
        found = self.changes("bootstrap_each_prompt", self.lost_bootstrap(), RETRIEVAL)
        self.assertEqual(found, {"post_compaction_bootstrap": (2, 4)})

    def test_bootstrap_fault_once_a_loss(self):
        found = self.changes("bootstrap_per_loss", self.lost_bootstrap(), RETRIEVAL)
        self.assertEqual(found, {"post_compaction_bootstrap": (2, 1)})

    def test_bootstrap_once_a_loss_counts_a_new_loss_anew(self):
        builder = story()
        file_page(builder, "rules", PageType.BOOTSTRAP_POLICY)
        for growth, demands in ((COMPACTS, []), (0, [("rules", STRUCTURED)]), (COMPACTS, [])):
            builder.turn(growth, demands=demands)
        self.assertEqual(self.changes("bootstrap_per_loss", builder.trace(), CACHE), {})

    def first_accesses(self):
        builder = story()
        file_page(builder)
        builder.turn(0)  # ClawVM upgrades the page to full before anybody asks for it.
        call = builder.tool("read", {"path": 1}, "file", COSTS)
        builder.turn(0, calls=[call], demands=[("notes", FULL)])
        return builder.trace()

    def test_first_access_judged_like_any_other(self):
        trace = self.first_accesses()
        found = self.changes("first_access_judged", trace, CLAWVM)
        self.assertEqual(found, {"refetch": (0, 1), "hits": (0, 1)})
        self.assertEqual(self.changes("first_access_judged", trace, RETRIEVAL), {"refetch": (0, 2)})

    def test_first_access_is_a_hit(self):
        self.assertEqual(self.changes("first_access_hit", self.first_accesses(), RETRIEVAL), {"hits": (0, 2)})

    def test_edited_page_read_again_is_a_fault(self):
        builder = story()
        file_page(builder)
        call = builder.tool("read", {"path": 1}, "file", COSTS)
        builder.turn(0, calls=[call], demands=[("notes", FULL)])
        builder.replace("notes", PageType.PREFERENCE, COSTS)
        builder.replace("file", PageType.EVIDENCE, COSTS)
        builder.turn(0, calls=[call], demands=[("notes", FULL)])
        found = self.changes("new_content_fault", builder.trace(), CLAWVM)
        self.assertEqual(found, {"refetch": (0, 1), "duplicate_tool": (0, 1)})

    def test_a_page_that_nobody_read_before_its_edit_is_still_cold(self):
        builder = story()
        file_page(builder)
        builder.turn(0)
        builder.replace("notes", PageType.PREFERENCE, COSTS)
        builder.turn(0, demands=[("notes", FULL), ("notes", FULL)])
        self.assertEqual(self.changes("new_content_fault", builder.trace(), CLAWVM), {})

    def test_call_run_again_for_news_is_a_fault(self):
        builder = story()
        news = builder.tool("inbox", {}, "inbox", COSTS, deterministic=False)
        steady = builder.tool("read", {"path": 1}, "file", COSTS)
        builder.turn(0, calls=[news, steady])
        # The demand behind the repeated steady call is no call of its own.
        builder.turn(0, calls=[news, steady], demands=[("file", FULL)])
        builder.turn(0, calls=[news])
        trace = builder.trace()
        self.assertEqual(self.changes("new_result_fault", trace, CLAWVM), {"duplicate_tool": (0, 2)})
        self.assertEqual(self.changes("new_content_fault", trace, CLAWVM), {}, "a new result is no edited page")

    def page_in(self):
        builder = story()
        call = builder.tool("read", {"path": 1}, "file", COSTS)
        file_page(builder)
        builder.turn(0, calls=[call], demands=[("notes", FULL)])
        builder.turn(0)
        builder.turn(0, calls=[call], demands=[("notes", FULL)])
        return builder.trace()

    def test_page_in_is_a_fault(self):
        # The tokens are what the store delivered, whatever it is called.
        found = self.changes("page_in_fault", self.page_in(), CACHE)
        self.assertEqual(found, {"refetch": (0, 1), "duplicate_tool": (0, 1), "hits": (2, 0), "alerts": (1, 0)})

    def test_judged_against_the_prompt_after(self):
        found = self.changes("judged_after", self.page_in(), RETRIEVAL)
        self.assertEqual(found, {"refetch": (1, 0), "duplicate_tool": (1, 0), "hits": (0, 2), "alerts": (0, 1)})

    def test_judged_against_a_prompt_after_that_has_no_room_for_it(self):
        self.assertEqual(self.changes("judged_after", self.unmet(), CACHE), {})

    def unmet(self):
        """After a reset Retrieval+Cache has 31 of 40 tokens, too few for the 32 that turn 3 asks for."""
        builder = story(budget=40)
        file_page(builder, "notes", costs=LevelCosts(2, 8, 14, 32))
        builder.turn(0, demands=[("notes", FULL)])
        builder.reset("session-2")
        builder.turn(0)
        builder.turn(0, demands=[("notes", FULL)])
        return builder.trace()

    def test_unmet_demand_is_no_fault(self):
        found = self.changes("unmet_ignored", self.unmet(), CACHE)
        self.assertEqual(found, {"refetch": (1, 0), "hits": (0, 1), "page_ins": (0, 1), "page_in_tokens": (0, 32)})

    def test_one_fault_a_page_and_turn(self):
        builder = story()
        file_page(builder)
        file_page(builder, "other")
        builder.turn(0, demands=[("notes", FULL), ("other", FULL)])
        builder.turn(0)
        builder.turn(0, demands=[("notes", FULL), ("notes", FULL), ("other", FULL)])
        builder.turn(0)
        builder.turn(0, demands=[("notes", FULL)])
        self.assertEqual(self.changes("once_a_turn", builder.trace(), RETRIEVAL), {"refetch": (4, 3)})

    def test_pressure_counted_to_the_policy(self):
        builder = story(budget=30)
        file_page(builder)
        file_page(builder, "limit", PageType.CONSTRAINT)
        builder.turn(0, demands=[("notes", FULL)])
        found = self.changes("pressure_counted", builder.trace(), CLAWVM)
        self.assertEqual(found, {"refetch": (0, 1), "pressure_faults": (1, 0)})
        found = self.changes("pressure_counted", builder.trace(), CACHE)
        self.assertEqual(found, {"pinned_invariant_miss": (0, 1), "pressure_faults": (1, 0)})

    def test_no_match_is_a_silent_recall_too(self):
        builder = story()
        builder.turn(0, recalls=[("a", RecallOutcome.NO_MATCH), ("b", RecallOutcome.DENIED), ("c", RecallOutcome.OK)])
        trace = builder.trace()
        self.assertEqual(self.changes("no_match_silent", trace, RETRIEVAL), {"silent_recall": (1, 2)})
        self.assertEqual(self.changes("no_match_silent", trace, CLAWVM), {})

    def test_flush_miss_per_update(self):
        builder = story()
        builder.page("plan", PageType.PLAN, COSTS, provenance=Provenance("user", "turn-1"))
        file_page(builder)
        builder.turn(COMPACTS, updates=[update(), update(), Update("notes", "x", "append", ["y"], "project", "notes")])
        builder.turn(COMPACTS, updates=[update()])
        self.assertEqual(self.changes("flush_miss_per_update", builder.trace(), RETRIEVAL), {"flush_miss": (3, 4)})

    def alerts(self):
        """A call that is resident at its repeat in turn 2 and no longer in turn 4."""
        builder = story()
        call = builder.tool("read", {"path": 1}, "file", COSTS)
        for calls in ([call], [call], [], [call]):
            builder.turn(0, calls=calls)
        return builder.trace()

    def test_no_alert_where_the_result_is_resident(self):
        self.assertEqual(self.changes("alerts_below_level", self.alerts(), CACHE), {"alerts": (2, 1)})
        self.assertEqual(self.thrash, (round(2 / 3, 6), round(1 / 3, 6)))

    def test_alert_at_every_repeat(self):
        self.assertEqual(self.changes("alerts_every_repeat", self.alerts(), RETRIEVAL), {"alerts": (1, 2)})

    def test_thrash_without_alerts(self):
        self.assertEqual(self.changes("thrash_without_alerts", self.alerts(), CACHE), {})
        self.assertEqual(self.thrash, (round(2 / 3, 6), 0.0))

    def test_thrash_with_page_ins(self):
        self.assertEqual(self.changes("thrash_with_page_ins", self.alerts(), CACHE), {})
        self.assertEqual(self.thrash, (round(2 / 3, 6), 1.0))

    def test_strict_and_lenient_combine_the_single_rules(self):
        changed = {
            "strict": {
                "pinned_each_prompt",
                "bootstrap_each_prompt",
                "pressure_counted",
                "no_match_silent",
                "flush_miss_per_update",
            },
            "lenient": {"bootstrap_per_loss", "unmet_ignored", "once_a_turn"},
        }
        default = dataclasses.asdict(CountingRules())
        for combined, singles in changed.items():
            expected = dict(default)
            for single in singles:
                for name, value in dataclasses.asdict(RULE_SETS[single].rules).items():
                    if value != default[name]:
                        expected[name] = value
            self.assertEqual(dataclasses.asdict(RULE_SETS[combined].rules), expected)

    def test_every_rule_set_has_a_title_of_its_own(self):
        self.assertEqual(len({item.title for item in RULE_SETS.values()}), len(RULE_SETS))
        self.assertEqual(len({item.rules for item in RULE_SETS.values()}), len(RULE_SETS))

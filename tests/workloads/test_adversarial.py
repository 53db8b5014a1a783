"""Behaviour of the adversarial scenarios: they hold under ClawVM, they have teeth, and every check can fail."""

import dataclasses
import unittest
from unittest import mock

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_runtime.journal import Journal
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.selector import select
from clawvm_runtime.vocabulary import Level, PageType, Principal
from clawvm_workloads.adversarial import SCENARIOS, traces
from clawvm_workloads.adversarial.scenario import CHECKS, Check, note
from clawvm_workloads.adversarial.scripts import SCRIPTS, values_check
from clawvm_workloads.adversarial.stale_storm import stale_storm, storm
from clawvm_workloads.adversarial.traces import (
    INJECTED_FAULTS,
    LINE_TOKENS,
    NOT_IN_PROMPTS,
    NOT_IN_TRACE,
    UNDERSTATED,
    flood_trace,
    from_trace,
    measure,
    pointer_flood,
)
from clawvm_workloads.families import FAMILIES, PAPER_FAMILIES
from clawvm_workloads.reference_model import witness

CLAWVM = POLICIES["clawvm"]
EVERY = (*SCENARIOS.values(), pointer_flood(80, 1300), stale_storm((1,)))


def missing(trace):
    return [turn.missing_tokens for turn in witness(trace).turns]


class HoldTest(unittest.TestCase):
    def test_the_reference_model_agrees_with_the_engine_on_every_family(self):
        for name in PAPER_FAMILIES:
            for budget in (60, 120):
                run = from_trace(lambda name=name, budget=budget: FAMILIES[name](budget))
                with self.subTest(family=name, budget=budget):
                    self.assertEqual(run(CLAWVM, select, "").broken, ())

    def test_scenarios_have_ids_titles_and_stories_of_their_own(self):
        for name in ("id", "title", "story"):
            self.assertEqual(len({getattr(scenario, name) for scenario in EVERY}), len(EVERY))
        self.assertEqual(list(SCENARIOS), [scenario.id for scenario in SCENARIOS.values()])

    def test_every_kind_of_check_is_broken_by_some_control(self):
        named = {name for scenario in EVERY for control in scenario.controls for name in control.breaks}
        self.assertEqual(named, set(CHECKS))


class TeethTest(unittest.TestCase):
    """The scenarios are as hostile as their stories say."""

    def test_starvation_starves_for_six_turns_and_then_fits(self):
        seen = witness(traces.starvation())
        self.assertEqual([turn.number for turn in seen.pressed_turns], [3, 4, 5, 6, 7, 8])
        self.assertEqual(seen.turns[2].floor_tokens, 152)

    def test_under_starvation_every_policy_faults_and_reports_the_same_pressure(self):
        for policy in map(policy_named, PAPER_POLICIES):
            run = SCENARIOS["starvation"].run(policy, select, "")
            with self.subTest(policy=policy.id):
                self.assertTrue(run.faults or run.pressure_faults)
                self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 432))

    def test_churn_asks_for_eight_budgets_and_never_for_too_much_at_once(self):
        seen = witness(traces.churn())
        self.assertEqual(len({page_id for turn in seen.turns for page_id in turn.demands}) * 40, 8 * 120)
        self.assertEqual(seen.pressed_turns, [])

    def test_a_pin_flood_that_fits_fits_to_the_token(self):
        tokens = [turn.needed_tokens for turn in witness(traces.pin_flood_fits()).turns]
        self.assertEqual(set(tokens[7:]), {120})
        self.assertLess(max(tokens[:7]), 120)

    def test_a_pin_flood_that_overflows_is_relieved(self):
        tokens = missing(traces.pin_flood_overflow())
        self.assertTrue(all(tokens[13:18]))
        self.assertFalse(any(tokens[18:]))

    def test_updates_of_the_lifecycle_scenarios_are_all_committed(self):
        for scenario in ("cascade_reset", "threshold_jump"):
            self.assertEqual(SCENARIOS[scenario].run(CLAWVM, select, "").committed, 6)

    def test_the_flush_of_compaction_hybrid_is_jumped_over(self):
        run = SCENARIOS["threshold_jump"].run(POLICIES["compaction_hybrid"], select, "")
        self.assertEqual((run.faults.get("flush_miss"), run.lost), (4, 6))

    def test_policies_without_the_protections_break_a_check_of_every_lifecycle_scenario(self):
        for scenario in (*traces.TRACES, *(item for item in SCRIPTS if item.id.startswith("in_flight"))):
            for policy in ("retrieval", "retrieval_cache", "compaction_hybrid"):
                with self.subTest(scenario=scenario.id, policy=policy):
                    self.assertTrue(scenario.run(POLICIES[policy], select, "").broken)


class PointerFloodTest(unittest.TestCase):
    def test_pointers_displace_neither_floors_nor_demands(self):
        for pages in (80, 150):
            for tokens in (5, LINE_TOKENS):
                run = from_trace(lambda pages=pages, tokens=tokens: flood_trace(pages, tokens, 1500))
                with self.subTest(pages=pages, tokens=tokens):
                    self.assertEqual(run(CLAWVM, select, "").broken, ())

    def test_shares_are_measured_on_the_prompts(self):
        found = measure(CLAWVM, 300, 5, 2000)
        # 120 + 90 tokens of floors and 400 + 400 + 150 of demands leave 840 for 168 of 297 pointers.
        self.assertEqual((found["pointer_share"], found["named_share"]), (0.42, 0.57))
        self.assertEqual((found["unmet_demands"], found["explicit_faults"], found["pressure_turns"]), (0, 0, 0))

    def test_the_resident_share_counts_the_demands_that_the_prompt_before_holds(self):
        lru = POLICIES["lru"]
        for policy, pages, tokens in ((CLAWVM, 100, LINE_TOKENS), (lru, 100, 5)):
            trace = flood_trace(pages, tokens, 8000)
            prompts = []
            replay_trace(trace, policy, observe=prompts.append)
            resident = warm = 0
            known = set()
            for turn, before in zip(trace.turns[1:], prompts):
                known |= {page_id for page_id, _ in trace.turns[turn.number - 2].demands}
                held = {block.page_id: block.level for block in before.blocks}
                for page_id, level in turn.demands:
                    if page_id in known:
                        warm += 1
                        resident += held.get(page_id, Level.NONE) >= level
            found = measure(policy, pages, tokens, 8000)
            with self.subTest(policy=policy.id, pages=pages):
                self.assertGreater(found["page_in_tokens"], 0)
                self.assertEqual((found["warm_accesses"], found["resident_share"]), (warm, round(resident / warm, 6)))

    def test_more_pointers_than_room_leave_pages_unnamed(self):
        found = measure(CLAWVM, 300, LINE_TOKENS, 6000)
        self.assertLess(found["named_share"], 0.6)
        self.assertEqual(found["unmet_demands"], 0)


class StormTest(unittest.TestCase):
    def test_a_storm_is_the_same_for_the_same_seed_and_another_for_another(self):
        self.assertEqual(storm(7), storm(7))
        self.assertNotEqual(storm(7).rounds, storm(8).rounds)

    def test_winners_and_stale_writers_are_all_who_set_the_field(self):
        for seed in range(1, 6):
            made = storm(seed)
            sets = [update for updates in made.rounds for update in updates if update.field == "decision"]
            with self.subTest(seed=seed):
                self.assertEqual(len(made.winners) + made.stale, len(sets))
                self.assertGreater(made.stale, len(made.winners))
                self.assertEqual({update.principal for update in sets}, {principal.value for principal in Principal})

    def test_seeded_storms_have_one_winner_for_each_version(self):
        for seed in range(100, 103):
            run = stale_storm((seed,)).run(CLAWVM, select, "")
            self.assertEqual(run.broken, (), f"seed {seed}")

    def test_other_winners_break_the_values_though_the_last_one_is_the_same(self):
        made = storm(5)
        other = dataclasses.replace(made, winners=("somebody else", *made.winners[1:]))
        with mock.patch("clawvm_workloads.adversarial.stale_storm.storm", lambda seed: other):
            self.assertIn("values_exact", stale_storm((5,)).run(CLAWVM, select, "").broken)

    def test_a_check_that_fails_names_its_seed(self):
        run = stale_storm((3, 4)).run(POLICIES["retrieval"], select, "")
        lost = next(check for check in run.checks if check.name == "nothing_lost")
        self.assertFalse(lost.holds)
        self.assertTrue(lost.observed.startswith("seed 3: "))

    def test_counts_are_summed_over_the_storms(self):
        one, other = (stale_storm((seed,)).run(CLAWVM, select, "") for seed in (3, 4))
        both = stale_storm((3, 4)).run(CLAWVM, select, "")
        self.assertEqual(both.committed, one.committed + other.committed)
        self.assertEqual(len(both.rejected), storm(3).stale + storm(4).stale)


class InjectedFaultsTest(unittest.TestCase):
    def test_every_fault_in_the_reports_of_starvation_breaks_the_check_of_pressure_and_no_other(self):
        for variant in INJECTED_FAULTS:
            with self.subTest(variant=variant):
                self.assertEqual(SCENARIOS["starvation"].run(CLAWVM, select, variant).broken, ("pressure_exact",))

    def test_one_token_is_missing_in_each_of_the_six_turns(self):
        run = SCENARIOS["starvation"].run(CLAWVM, select, UNDERSTATED.variant)
        self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 426))

    def test_pressure_that_only_the_prompts_leave_out_is_still_in_the_decision_trace(self):
        run = SCENARIOS["starvation"].run(CLAWVM, select, NOT_IN_PROMPTS.variant)
        self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 432))
        self.assertEqual(SCENARIOS["starvation"].run(CLAWVM, select, NOT_IN_TRACE.variant).pressure_turns, 0)

    def test_an_unknown_variant_is_refused(self):
        with self.assertRaises(ValueError):
            SCENARIOS["starvation"].run(CLAWVM, select, "no_such_variant")


class ChecksTest(unittest.TestCase):
    def test_a_trace_shows_what_is_overwritten_lost_and_rejected(self):
        def build():
            story = TraceBuilder("overwrites", 120, "", None)
            story.page("plan", PageType.PLAN, LevelCosts(3, 10, 14, 22))
            for value in ("ship", "stop"):
                update = note(field="goal", operation="set_with_version", value=value, base_version=0)
                story.turn(0, updates=[update])
                story.reset(f"session-{value}")
            story.turn(0)
            return story.trace()

        rejected = ("DESTRUCTIVE_OP",)
        self.assertEqual(from_trace(build, rejected)(CLAWVM, select, "").broken, ())
        trusting = dataclasses.replace(CLAWVM, id="trusting", validated_writeback=False)
        run = from_trace(build, rejected)(trusting, select, "")
        self.assertEqual(run.broken, ("nothing_overwritten", "rejections_exact"))
        self.assertIn("nothing_lost", from_trace(build, rejected)(POLICIES["retrieval"], select, "").broken)

    def test_an_unknown_check_is_refused(self):
        with self.assertRaises(ValueError):
            Check("no_such_check", True)

    def test_values_are_compared_with_their_versions(self):
        journal = Journal()
        journal.stage(note(value=["a"]))
        journal.write_back(None)
        self.assertTrue(values_check(journal, {("plan", "log"): (1, ["a"])}).holds)
        self.assertFalse(values_check(journal, {("plan", "log"): (2, ["a"])}).holds)
        self.assertFalse(values_check(journal, {("plan", "log"): (1, ["b"])}).holds)
        self.assertFalse(values_check(journal, {("plan", "goal"): (1, "ship")}).holds)

    def test_signature_scenarios_stage_no_update_and_claim_nothing_about_them(self):
        for scenario in SCRIPTS:
            if scenario.id.startswith("in_flight"):
                continue
            names = {check.name for check in scenario.run(CLAWVM, select, "").checks}
            self.assertNotIn("nothing_lost", names)

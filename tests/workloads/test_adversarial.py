"""Behaviour of the adversarial scenarios: they hold under ClawVM, they have teeth, and every check can fail."""

import dataclasses
import unittest
from unittest import mock

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_runtime.journal import Journal
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import select
from clawvm_runtime.vocabulary import Level, PageType, PinClass, Principal
from clawvm_workloads.adversarial import SCENARIOS, residency
from clawvm_workloads.adversarial import floods as pin_flood
from clawvm_workloads.adversarial import stale_storm as storms
from clawvm_workloads.adversarial.floods import LINE_TOKENS, flood_trace, measure, pointer_flood
from clawvm_workloads.adversarial.residency import IN_FLIGHT
from clawvm_workloads.adversarial.scenario import (
    CHECKS,
    DURABILITY,
    MISREPORTS,
    RESIDENCY,
    Check,
    needs,
    note,
    told,
    values_check,
)
from clawvm_workloads.adversarial.signatures import SIGNATURES
from clawvm_workloads.adversarial.stale_storm import stale_storm, storm
from clawvm_workloads.families import FAMILIES

CLAWVM = POLICIES["clawvm"]
EVERY = (*SCENARIOS.values(), pointer_flood(200, 1600), stale_storm((1, 2)))

FILE = LevelCosts(2, 8, 18, 40)


def controlled(scenario, control):
    weakened = dataclasses.replace(CLAWVM, id="weakened", **control.removal)
    return scenario.run(weakened, control.selector, control.variant)


class LedgerTest(unittest.TestCase):
    """The ledger against numbers that were worked out by hand."""

    def setUp(self):
        self.story = TraceBuilder("ledger", 100, "", None)
        self.story.page("guide", PageType.BOOTSTRAP_POLICY, LevelCosts(3, 30, 40, 50))
        self.story.page("rule", PageType.CONSTRAINT, LevelCosts(2, 20, 25, 28))

    def needs(self):
        return needs(self.story.trace())

    def test_floors_without_demands(self):
        self.story.turn(0)
        (need,) = self.needs()
        self.assertEqual(need.tokens, 50)
        self.assertEqual(need.floors_due(50), {"guide": Level.STRUCTURED, "rule": Level.STRUCTURED})

    def test_where_only_the_instructions_fit_only_they_are_due(self):
        self.story.turn(0)
        (need,) = self.needs()
        self.assertEqual(need.floors_due(49), {"guide": Level.STRUCTURED})
        self.assertEqual(need.floors_due(29), {})
        self.assertEqual(need.missing(49), 1)
        self.assertEqual(need.missing(50), 0)

    def test_a_demand_takes_the_place_of_the_floor(self):
        self.story.turn(0, demands=[("rule", Level.FULL)])
        (need,) = self.needs()
        self.assertEqual(need.tokens, 58)
        self.assertEqual(need.demands_due(58), {"rule": Level.FULL})
        self.assertEqual(need.demands_due(57), {})

    def test_a_demand_below_the_minimum_is_one_for_the_minimum(self):
        self.story.turn(0, demands=[("rule", Level.POINTER)])
        self.assertEqual(self.needs()[0].demands, {"rule": Level.STRUCTURED})

    def test_a_demand_below_the_minimum_of_a_pinned_result_is_one_for_the_minimum(self):
        read = self.story.tool("read", {}, "file", FILE, pin=PinClass.HARD, minimum=Level.STRUCTURED)
        self.story.turn(0, calls=[dataclasses.replace(read, level=Level.POINTER)])
        self.assertEqual(self.needs()[0].demands, {"file": Level.STRUCTURED})
        self.assertEqual(self.needs()[0].tokens, 58)

    def test_the_higher_of_two_demands_counts_once(self):
        read = self.story.tool("read", {}, "file", FILE)
        self.story.turn(0, calls=[read], demands=[("file", Level.POINTER)])
        (need,) = self.needs()
        self.assertEqual(need.demands, {"file": Level.FULL})
        self.assertEqual(need.tokens, 90)

    def test_new_content_has_new_costs(self):
        self.story.turn(0)
        self.story.replace("rule", PageType.CONSTRAINT, LevelCosts(2, 5, 6, 7))
        self.story.turn(0)
        self.assertEqual([need.tokens for need in self.needs()], [50, 35])

    def test_a_page_that_a_tool_pins_hard_needs_its_floor_from_then_on(self):
        pinned = self.story.tool("read", {}, "file", FILE, pin=PinClass.HARD, minimum=Level.STRUCTURED)
        self.story.turn(0)
        self.story.turn(0, calls=[pinned])
        self.story.turn(0)
        self.assertEqual([need.tokens for need in self.needs()], [50, 90, 58])

    def test_a_repeated_call_keeps_its_page_and_an_unstable_one_gets_another(self):
        for deterministic, tokens in ((True, 90), (False, 95)):
            self.setUp()
            for ladder in (FILE, LevelCosts(2, 8, 18, 45)):
                read = self.story.tool("read", {}, "file", ladder, deterministic=deterministic)
                self.story.turn(0, calls=[read])
            with self.subTest(deterministic=deterministic):
                self.assertEqual([need.tokens for need in self.needs()], [90, tokens])

    def test_it_agrees_with_the_engine_on_every_family(self):
        for name, family in FAMILIES.items():
            for budget in (60, 120):
                run = told(lambda family=family, budget=budget: family(budget), ("pressure_exact",))
                with self.subTest(family=name, budget=budget):
                    self.assertEqual(run(CLAWVM, select, "").broken, ())


class HoldTest(unittest.TestCase):
    def test_every_scenario_holds_under_clawvm_but_for_the_known_defects(self):
        for scenario in EVERY:
            with self.subTest(scenario=scenario.id):
                self.assertEqual(tuple(scenario.run(CLAWVM, select, "").broken), ())

    def test_a_run_is_the_same_every_time(self):
        for scenario in EVERY:
            with self.subTest(scenario=scenario.id):
                self.assertEqual(scenario.run(CLAWVM, select, ""), scenario.run(CLAWVM, select, ""))

    def test_scenarios_have_ids_titles_and_stories_of_their_own(self):
        for name in ("id", "title", "story"):
            self.assertEqual(len({getattr(scenario, name) for scenario in EVERY}), len(EVERY))
        self.assertEqual(list(SCENARIOS), [scenario.id for scenario in SCENARIOS.values()])


class ControlsTest(unittest.TestCase):
    def test_every_control_breaks_what_it_names(self):
        for scenario in EVERY:
            self.assertTrue(scenario.controls)
            for control in scenario.controls:
                with self.subTest(scenario=scenario.id, control=control.change):
                    self.assertTrue(control.breaks)
                    self.assertLessEqual(set(control.breaks), set(controlled(scenario, control).broken))

    def test_every_kind_of_check_is_broken_by_some_control(self):
        named = {name for scenario in EVERY for control in scenario.controls for name in control.breaks}
        self.assertEqual(named, set(CHECKS))

    def test_every_check_of_pressure_of_a_told_scenario_is_broken_by_a_control_there(self):
        for scenario in EVERY:
            if "pressure_exact" in {check.name for check in scenario.run(CLAWVM, select, "").checks}:
                broke = {name for control in scenario.controls for name in controlled(scenario, control).broken}
                with self.subTest(scenario=scenario.id):
                    self.assertIn("pressure_exact", broke)

    def test_a_control_that_takes_nothing_away_breaks_nothing(self):
        for scenario in EVERY:
            for control in scenario.controls:
                whole = dataclasses.replace(control, removal={}, selector=select, variant="")
                with self.subTest(scenario=scenario.id, control=control.change):
                    self.assertEqual(tuple(controlled(scenario, whole).broken), ())


class TeethTest(unittest.TestCase):
    """The scenarios are as hostile as their stories say."""

    def test_starvation_starves_for_six_turns_and_then_fits(self):
        missing = [need.missing(120) for need in needs(residency.starvation())]
        self.assertEqual([turn for turn, tokens in enumerate(missing, start=1) if tokens], [3, 4, 5, 6, 7, 8])
        floors = [sum(floor.tokens for floor in need.floors.values()) for need in needs(residency.starvation())]
        self.assertEqual(floors[2], 152)

    def test_under_starvation_every_policy_faults_and_reports_the_same_pressure(self):
        for policy in POLICIES.values():
            run = SCENARIOS["starvation"].run(policy, select, "")
            with self.subTest(policy=policy.id):
                self.assertTrue(run.faults or run.pressure_faults)
                self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 432))

    def test_churn_asks_for_eight_budgets_and_never_for_too_much_at_once(self):
        turns = needs(residency.churn())
        self.assertEqual(len({page_id for need in turns for page_id in need.demands}) * 40, 8 * 120)
        self.assertTrue(all(need.missing(120) == 0 for need in turns))

    def test_a_pin_flood_that_fits_fits_to_the_token(self):
        tokens = [need.tokens for need in needs(pin_flood.fits())]
        self.assertEqual(set(tokens[7:]), {120})
        self.assertLess(max(tokens[:7]), 120)

    def test_a_pin_flood_that_overflows_is_relieved(self):
        missing = [need.missing(120) for need in needs(pin_flood.overflow())]
        self.assertTrue(all(missing[13:18]))
        self.assertFalse(any(missing[18:]))

    def test_updates_of_the_lifecycle_scenarios_are_all_committed(self):
        for scenario in ("cascade_reset", "threshold_jump"):
            self.assertEqual(SCENARIOS[scenario].run(CLAWVM, select, "").committed, 6)

    def test_the_flush_of_compaction_hybrid_is_jumped_over(self):
        run = SCENARIOS["threshold_jump"].run(POLICIES["compaction_hybrid"], select, "")
        self.assertEqual((run.faults.get("flush_miss"), run.lost), (4, 6))

    def test_policies_without_the_protections_break_a_check_of_every_lifecycle_scenario(self):
        for scenario in (*residency.BOUNDARY_AND_ROOM, *pin_flood.PIN_FLOODS, *IN_FLIGHT):
            for policy in ("retrieval", "retrieval_cache", "compaction_hybrid"):
                with self.subTest(scenario=scenario.id, policy=policy):
                    self.assertTrue(scenario.run(POLICIES[policy], select, "").broken)


class PointerFloodTest(unittest.TestCase):
    def test_pointers_displace_neither_floors_nor_demands(self):
        for pages in (100, 400):
            for tokens in (5, LINE_TOKENS):
                run = told(lambda pages=pages, tokens=tokens: flood_trace(pages, tokens, 2000), RESIDENCY)
                with self.subTest(pages=pages, tokens=tokens):
                    self.assertEqual(run(CLAWVM, select, "").broken, ())

    def test_shares_are_measured_on_the_prompts(self):
        found = measure(CLAWVM, 300, 5, 2000)
        # 120 + 90 tokens of floors and 400 + 400 + 150 of demands leave 840 for 168 of 297 pointers.
        self.assertEqual((found["pointer_share"], found["named_share"]), (0.42, 0.57))
        self.assertEqual((found["unmet_demands"], found["explicit_faults"], found["pressure_turns"]), (0, 0, 0))

    def test_the_resident_share_counts_the_demands_that_the_prompt_before_holds(self):
        lru = POLICIES["lru"]
        for policy, pages, tokens in ((CLAWVM, 100, LINE_TOKENS), (lru, 100, 5), (lru, 300, 5)):
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
        found = measure(CLAWVM, 400, LINE_TOKENS, 8000)
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
        for seed in range(100, 130):
            run = stale_storm((seed,)).run(CLAWVM, select, "")
            self.assertEqual(run.broken, (), f"seed {seed}")

    def test_other_winners_break_the_values_though_the_last_one_is_the_same(self):
        made = storm(5)
        other = dataclasses.replace(made, winners=("somebody else", *made.winners[1:]))
        with mock.patch.object(storms, "storm", lambda seed: other):
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


class MisreportsTest(unittest.TestCase):
    def test_every_false_report_of_starvation_breaks_the_check_of_pressure_and_no_other(self):
        for variant in filter(None, MISREPORTS):
            with self.subTest(variant=variant):
                self.assertEqual(SCENARIOS["starvation"].run(CLAWVM, select, variant).broken, ("pressure_exact",))

    def test_one_token_is_missing_in_each_of_the_six_turns(self):
        run = SCENARIOS["starvation"].run(CLAWVM, select, "understated_pressure")
        self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 426))

    def test_pressure_that_only_the_prompts_leave_out_is_still_in_the_decision_trace(self):
        run = SCENARIOS["starvation"].run(CLAWVM, select, "pressure_not_in_prompts")
        self.assertEqual((run.pressure_turns, run.pressure_tokens), (6, 432))
        self.assertEqual(SCENARIOS["starvation"].run(CLAWVM, select, "pressure_not_in_trace").pressure_turns, 0)

    def test_an_unknown_variant_is_refused(self):
        with self.assertRaises(ValueError):
            SCENARIOS["starvation"].run(CLAWVM, select, "no_such_variant")


class ChecksTest(unittest.TestCase):
    def test_a_told_scenario_sees_what_is_overwritten_lost_and_rejected(self):
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
        self.assertEqual(told(build, DURABILITY, rejected)(CLAWVM, select, "").broken, ())
        trusting = dataclasses.replace(CLAWVM, id="trusting", validated_writeback=False)
        run = told(build, DURABILITY, rejected)(trusting, select, "")
        self.assertEqual(run.broken, ("nothing_overwritten", "rejections_exact"))
        self.assertIn("nothing_lost", told(build, DURABILITY, rejected)(POLICIES["retrieval"], select, "").broken)

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
        for scenario in SIGNATURES:
            names = {check.name for check in scenario.run(CLAWVM, select, "").checks}
            self.assertNotIn("nothing_lost", names)


if __name__ == "__main__":
    unittest.main()

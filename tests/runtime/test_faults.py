"""Behaviour of the fault observer: each of the six kinds, hits, page-ins, alerts, pressure; when and when not."""

import unittest
from collections.abc import Mapping

from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.faults import FaultObserver, Judgement, Tally, Verdict, judge, thrash_index
from clawvm_runtime.page_table import PageTable
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, PinClass, RecallOutcome
from tests.runtime.support import make_page

NONE, POINTER, STRUCTURED, FULL = Level.NONE, Level.POINTER, Level.STRUCTURED, Level.FULL
RULE, BOOT, NOTE = "rule", "boot", "note"


class _Case(unittest.TestCase):
    """An observer over one rule, one bootstrap page and one piece of evidence."""

    pages: tuple[Page, ...] = (
        make_page(RULE, PageType.CONSTRAINT),
        make_page(BOOT, PageType.BOOTSTRAP_POLICY),
        make_page(NOTE),
    )

    def setUp(self) -> None:
        self.trace = DecisionTrace()
        self.table = PageTable()
        for page in self.pages:
            self.table.declare(page)
        self.observer = FaultObserver(self.table, self.trace)
        self.turn = 1
        self.held: dict[str, Level] = {RULE: STRUCTURED, BOOT: STRUCTURED}

    @property
    def tally(self) -> Tally:
        return self.observer.tally

    def access(self, level: Level = FULL, *, resolution: bool = False, signature: str | None = None) -> Judgement:
        """Access the evidence."""
        return self.observer.access(
            self.table.entry(NOTE), level, self.turn, resolution=resolution, signature=signature
        )

    def end_turn(self, levels: Mapping[str, Level] = {}, *, missing: int = 0, lost: tuple[str, ...] = ()) -> None:
        """Assemble a prompt of *levels* and what is held."""
        prompt = {page_id: level for page_id, level in {**self.held, **levels}.items() if page_id not in lost and level}
        self.observer.resolve_accesses(prompt, 100 + missing, 100, self.turn)
        self.table.set_residency(prompt)
        self.turn += 1
        self.tally._check()

    def warm(self, level: Level = NONE) -> None:
        """Make the first access, and leave the evidence at *level*."""
        self.access()
        self.end_turn({NOTE: FULL})
        self.end_turn({NOTE: level})

    def assert_faults(self, **expected: int) -> None:
        """Assert the policy-controllable faults; kinds that are not named are 0."""
        found = {kind.value: count for kind, count in self.tally.faults.items() if count}
        self.assertEqual(found, expected)


class JudgeTests(unittest.TestCase):
    def test_one_access_has_one_verdict(self) -> None:
        for resident in Level:
            for needed in Level:
                for resolvable in (False, True):
                    for repeated in (False, True):
                        verdict, kind = judge(
                            resident=resident,
                            needed=needed,
                            first_access=False,
                            resolvable=resolvable,
                            repeated_signature=repeated,
                        )
                        if resident >= needed:
                            self.assertEqual((verdict, kind), (Verdict.HIT, None))
                        elif resolvable:
                            self.assertEqual((verdict, kind), (Verdict.PAGE_IN, None))
                        else:
                            expected = FaultKind.DUPLICATE_TOOL if repeated else FaultKind.REFETCH
                            self.assertEqual((verdict, kind), (Verdict.FAULT, expected))
                        cold = judge(
                            resident=resident,
                            needed=needed,
                            first_access=True,
                            resolvable=resolvable,
                            repeated_signature=repeated,
                        )
                        self.assertEqual(cold, (Verdict.COLD, None))

    def test_thrash_is_faults_and_alerts_over_hits_and_one(self) -> None:
        self.assertEqual(thrash_index(0, 0, 0), 0.0)
        self.assertEqual(thrash_index(3, 2, 4), 1.0)
        self.assertEqual(thrash_index(1, 0, 0), 1.0)

    def test_families_are_those_of_the_specification(self) -> None:
        durability = {kind for kind in FaultKind if kind.family == "durability"}
        self.assertEqual(durability, {FaultKind.SILENT_RECALL, FaultKind.FLUSH_MISS})


class AccessTests(_Case):
    def test_a_first_appearance_is_cold_neither_hit_nor_fault_for_its_whole_turn(self) -> None:
        self.assertIs(self.access().verdict, Verdict.COLD)
        self.assertIs(self.access(signature="read(a)").verdict, Verdict.COLD)
        self.end_turn({NOTE: FULL})
        self.assertEqual((self.tally.cold_accesses, self.tally.hits, self.tally.alerts), (2, 0, 0))
        self.assert_faults()

    def test_a_demand_that_is_resident_high_enough_is_a_hit(self) -> None:
        self.warm(STRUCTURED)
        self.assertIs(self.access(POINTER).verdict, Verdict.HIT)
        self.assertIs(self.access(STRUCTURED).verdict, Verdict.HIT)
        self.end_turn({NOTE: STRUCTURED})
        self.assertEqual((self.tally.hits, self.tally.page_ins), (2, 0))
        self.assertEqual(self.tally.warm_accesses_at_level[STRUCTURED], 2)
        self.assert_faults()

    def test_a_demand_below_its_level_is_a_refetch(self) -> None:
        self.warm(STRUCTURED)
        self.assertIs(self.access().fault, FaultKind.REFETCH)
        self.end_turn({NOTE: FULL})
        self.assert_faults(refetch=1)
        self.assertEqual(self.tally.hits, 0)

    def test_the_same_by_a_tool_call_that_ran_before_is_a_duplicate_tool(self) -> None:
        self.warm()
        self.assertIs(self.access(signature="read(a)").fault, FaultKind.DUPLICATE_TOOL)
        self.end_turn({NOTE: FULL})
        self.assert_faults(duplicate_tool=1)
        self.assertEqual(self.tally.alerts, 0)

    def test_with_pointer_resolution_it_is_a_page_in_and_a_hit_not_a_fault(self) -> None:
        self.warm()
        judgement = self.access(STRUCTURED, resolution=True)
        self.assertEqual((judgement.verdict, judgement.page_in_tokens), (Verdict.PAGE_IN, 10))
        self.end_turn({NOTE: STRUCTURED})
        self.assertEqual((self.tally.hits, self.tally.page_ins, self.tally.page_in_tokens), (1, 1, 10))
        self.assert_faults()

    def test_what_a_reset_destroyed_cannot_be_resolved(self) -> None:
        self.warm()
        self.table.entry(NOTE).destroyed = True
        self.assertIs(self.access(resolution=True).fault, FaultKind.REFETCH)

    def test_a_repeated_signature_whose_result_is_resident_or_resolvable_is_an_alert(self) -> None:
        self.warm(FULL)
        self.access(signature="read(a)")
        self.end_turn()
        self.access(resolution=True, signature="read(a)")
        self.end_turn({NOTE: FULL})
        self.assertEqual(self.tally.alerts, 2)
        self.assertEqual(len([event for event in self.trace.events if event["event"] == "alert"]), 2)

    def test_an_access_without_a_repeated_signature_is_no_alert(self) -> None:
        self.warm(FULL)
        self.access()
        self.end_turn({NOTE: FULL})
        self.assertEqual(self.tally.alerts, 0)


class UnmetTests(_Case):
    def test_a_demand_left_out_although_all_would_fit_is_the_policys_fault(self) -> None:
        self.warm()
        self.access(resolution=True)
        self.access(resolution=True, signature="read(a)")
        self.end_turn({NOTE: POINTER})
        self.assert_faults(refetch=1, duplicate_tool=1)
        self.assertEqual((self.tally.unmet_demands, self.tally.hits, self.tally.page_ins), (2, 0, 0))

    def test_under_pressure_the_same_is_never_among_the_controllable_faults(self) -> None:
        self.warm()
        self.access(resolution=True)
        self.end_turn({NOTE: POINTER}, missing=7)
        self.assert_faults()
        self.assertEqual(self.tally.pressure_faults[FaultKind.REFETCH], 1)
        self.assertEqual((self.tally.pressure_turns, self.tally.pressure_tokens), (1, 7))

    def test_a_fault_that_stays_unmet_is_counted_once(self) -> None:
        self.warm()
        self.access()
        self.end_turn({NOTE: POINTER})
        self.assert_faults(refetch=1)
        self.assertEqual(self.tally.unmet_demands, 1)

    def test_a_demand_is_resolved_once(self) -> None:
        self.warm()
        self.access(resolution=True)
        self.end_turn({NOTE: FULL})
        self.end_turn()
        self.assertEqual(self.tally.hits, 1)


class FloorTests(_Case):
    def test_a_hard_page_below_its_minimum_is_a_miss_once_per_loss(self) -> None:
        self.end_turn()
        self.assert_faults()
        for _ in range(3):
            self.end_turn(lost=(RULE,))
        self.assert_faults(pinned_invariant_miss=1)
        self.end_turn()
        self.end_turn(lost=(RULE,))
        self.assert_faults(pinned_invariant_miss=2)

    def test_a_page_that_is_not_hard_may_be_left_out(self) -> None:
        self.assertIs(self.table.entry(NOTE).page.pin, PinClass.SOFT)
        self.end_turn()
        self.assert_faults()

    def test_a_loss_ends_also_in_a_prompt_of_a_time_when_the_page_is_not_hard(self) -> None:
        hard = self.table.entry(RULE).page
        for there, misses in (((), 1), ((RULE,), 2)):
            self.end_turn(lost=(RULE,))
            self.table.amend(hard.changed(pin=PinClass.NONE))
            self.end_turn(lost=() if there else (RULE,))
            self.table.amend(hard)
            self.end_turn(lost=(RULE,))
            self.assert_faults(pinned_invariant_miss=misses)

    def test_a_bootstrap_page_is_never_a_pinned_invariant_miss(self) -> None:
        self.end_turn(lost=(BOOT,))
        self.assert_faults()

    def test_a_loss_under_pressure_becomes_the_policys_only_when_there_is_room_again(self) -> None:
        for _ in range(2):
            self.end_turn(lost=(RULE,), missing=5)
        self.assert_faults()
        self.assertEqual(self.tally.pressure_faults[FaultKind.PINNED_INVARIANT_MISS], 1)
        for _ in range(2):
            self.end_turn(lost=(RULE,))
        self.end_turn(lost=(RULE,), missing=5)
        self.assert_faults(pinned_invariant_miss=1)
        self.assertEqual(self.tally.pressure_faults[FaultKind.PINNED_INVARIANT_MISS], 1)

    def test_a_bootstrap_page_missing_from_the_first_prompt_after_a_boundary_is_counted_once_for_that_boundary(
        self,
    ) -> None:
        self.observer.boundary_passed()
        for _ in range(3):
            self.end_turn(lost=(BOOT,))
        self.assert_faults(post_compaction_bootstrap=1)
        self.observer.boundary_passed()
        self.end_turn(lost=(BOOT,))
        self.assert_faults(post_compaction_bootstrap=2)

    def test_a_bootstrap_page_that_is_there_in_the_first_prompt_is_no_fault(self) -> None:
        self.observer.boundary_passed()
        self.end_turn()
        self.end_turn(lost=(BOOT,))
        self.assert_faults()

    def test_under_pressure_a_missing_bootstrap_page_is_not_the_policys_fault(self) -> None:
        self.observer.boundary_passed()
        self.end_turn(lost=(BOOT,), missing=1)
        self.assert_faults()
        self.assertEqual(self.tally.pressure_faults[FaultKind.POST_COMPACTION_BOOTSTRAP], 1)

    def test_pressure_is_reported_with_the_missing_tokens_each_turn(self) -> None:
        for missing in (3, 0, 4):
            self.end_turn(missing=missing)
        self.assertEqual((self.tally.pressure_turns, self.tally.pressure_tokens), (2, 7))
        self.assertEqual([event["missing"] for event in self.trace.events if event["event"] == "pressure"], [3, 4])


class FloorTurnTests(_Case):
    """Prompts below a floor, counted whether or not they are a fault."""

    pages = (*_Case.pages, make_page("plan", PageType.PLAN), make_page("done", PageType.PLAN, active=False))

    def counts(self) -> tuple[int, int]:
        return self.tally.below_floor_turns, self.tally.plan_below_floor_turns

    def test_each_prompt_in_which_an_active_plan_is_below_its_floor_counts_and_is_no_fault(self) -> None:
        for level in (NONE, POINTER):
            self.end_turn({"plan": level})
        self.assertEqual(self.counts(), (2, 2))
        self.assert_faults()

    def test_a_plan_at_its_floor_or_one_that_is_done_does_not_count(self) -> None:
        self.end_turn({"plan": STRUCTURED})
        self.end_turn({"plan": FULL, "done": NONE})
        self.assertEqual(self.counts(), (0, 0))

    def test_a_hard_page_below_its_floor_counts_in_every_prompt_but_is_no_plan(self) -> None:
        for page_id in (RULE, RULE, BOOT):
            self.end_turn({"plan": FULL}, lost=(page_id,))
        self.assertEqual(self.counts(), (3, 0))

    def test_a_prompt_below_two_floors_counts_once(self) -> None:
        self.end_turn(lost=(RULE, BOOT), missing=3)
        self.assertEqual(self.counts(), (1, 1))


class DurabilityTests(_Case):
    def test_a_denied_or_failed_recall_without_its_reason_is_a_silent_recall(self) -> None:
        for outcome in RecallOutcome:
            for reasoned in (False, True):
                before = self.tally.faults[FaultKind.SILENT_RECALL]
                answered = self.observer.recall("q", outcome, 1, reasoned=reasoned)
                silent = outcome in (RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR) and not reasoned
                with self.subTest(outcome=outcome.value, reasoned=reasoned):
                    self.assertEqual(self.tally.faults[FaultKind.SILENT_RECALL] - before, int(silent))
                    self.assertEqual(answered, not silent)

    def test_every_fault_is_in_the_trace_with_its_family(self) -> None:
        entry = self.table.entry(NOTE)
        entry.dirty = [4, 5]
        self.observer.destroyed(entry.page.id, list(entry.dirty), "reset", 2)
        self.assert_faults(flush_miss=1)
        event = self.trace.events[-1]
        self.assertEqual((event["fault"], event["family"], event["updates"]), ("flush_miss", "durability", [4, 5]))

    def test_the_check_finds_counts_that_do_not_add_up(self) -> None:
        with self.assertRaises(AssertionError):
            Tally(accesses=1)._check()
        with self.assertRaises(AssertionError):
            Tally(page_ins=1)._check()

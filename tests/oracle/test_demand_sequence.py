"""What a trace asks of memory: uses, losses, requirements; and that it explains what the engine counts."""

import dataclasses
import unittest

from clawvm_oracle.bounds import DEMAND_ONLY, brought_in_tokens, reloaded_tokens
from clawvm_oracle.demand_sequence import DemandedContent, Use, observe_run
from clawvm_oracle.small_cases import small_trace
from clawvm_replay.trace_builder import LevelCosts
from clawvm_replay.trace_format import Accounting, BoundaryEvent
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.vocabulary import Boundary, PageType
from clawvm_workloads.families import FAMILIES
from tests.oracle.support import COMPRESSED, FULL, POINTER, STRUCTURED, Needs, content, sequence, story

LEVELS = LevelCosts(2, 8, 14, 28)
EVIDENCE = PageType.EVIDENCE
COSTS = {"a": {STRUCTURED: 4, FULL: 9}}
BUDGETS = (120,)


def turns_of(builder, policy=DEMAND_ONLY):
    return observe_run(builder.trace(), policy).sequence.turns


class ExtractionTests(unittest.TestCase):
    def setUp(self):
        self.story = story()

    def page(self, name="a", kind=EVIDENCE, **more):
        return self.story.page(name, kind, LEVELS, **more)

    def test_a_first_access_is_no_use_and_the_next_one_is(self) -> None:
        self.page()
        self.story.turn(1, demands=[("a", STRUCTURED)])
        self.story.turn(1, demands=[("a", COMPRESSED)])
        first, second = turns_of(self.story)
        self.assertEqual((first.uses, first.unavoidable), ((), 0))
        self.assertEqual(second.uses, (Use(DemandedContent("a", 0), COMPRESSED, 1, 14),))

    def test_accesses_of_a_turn_are_counted_by_level(self) -> None:
        self.page()
        self.story.turn(1, demands=[("a", FULL)])
        self.story.turn(1, demands=[("a", FULL), ("a", POINTER), ("a", FULL)])
        self.assertEqual(
            turns_of(self.story)[1].uses, (Use(content("a"), POINTER, 1, 2), Use(content("a"), FULL, 2, 28))
        )

    def test_new_content_is_another_content_and_its_first_access_is_cold(self) -> None:
        self.page()
        self.story.turn(1, demands=[("a", FULL)])
        self.story.replace("a", EVIDENCE, LevelCosts(1, 2, 3, 4))
        self.story.turn(1, demands=[("a", FULL)])
        self.story.turn(1, demands=[("a", FULL)])
        turns = turns_of(self.story)
        self.assertEqual(turns[1].uses, ())
        self.assertEqual(turns[2].uses, (Use(DemandedContent("a", 1), FULL, 1, 4),))
        self.assertEqual(turns[1].required, {DemandedContent("a", 1): FULL})

    def test_a_tool_that_is_not_deterministic_gives_new_content_within_the_turn(self) -> None:
        inbox = self.story.tool("mail", {}, "inbox", LEVELS, deterministic=False)
        self.story.turn(1, calls=[inbox])
        self.story.turn(1, calls=[inbox], demands=[("inbox", FULL)])
        self.story.turn(1, demands=[("inbox", FULL)])
        turns = turns_of(self.story)
        self.assertEqual([turn.uses for turn in turns[:2]], [(), ()])
        self.assertEqual([use.content for use in turns[2].uses], [DemandedContent("inbox", 1)])

    def test_a_named_boundary_makes_the_accesses_after_it_unavoidable(self) -> None:
        self.page()
        self.story.turn(1, demands=[("a", FULL)])
        self.story.turn(1, demands=[("a", FULL)])
        trace = self.story.trace()
        compacted = dataclasses.replace(trace.turns[1], events_before=(BoundaryEvent(Boundary.COMPACTION),))
        trace = dataclasses.replace(trace, turns=(trace.turns[0], compacted))
        turn = observe_run(trace, DEMAND_ONLY).sequence.turns[1]
        self.assertEqual((turn.uses, turn.unavoidable, turn.boundary), ((), 28, True))

    def test_a_compaction_by_accounting_falls_behind_the_accesses(self) -> None:
        self.story = story(accounting=Accounting(5, 5, 0))
        self.page()
        self.story.turn(1, demands=[("a", FULL)])
        self.story.turn(9, demands=[("a", FULL)])
        self.story.turn(1)
        first, second, third = turns_of(self.story)
        self.assertEqual((len(second.uses), second.unavoidable, second.boundary), (1, 0, True))
        self.assertEqual((first.boundary, third.boundary), (False, False))

    def test_required_are_floors_of_hard_pages_and_demands_at_their_minimum(self) -> None:
        self.page("rule", PageType.CONSTRAINT)
        self.page("a", minimum=COMPRESSED)
        self.story.turn(1, demands=[("a", POINTER)])
        self.story.turn(1, demands=[("rule", FULL)])
        first, second = turns_of(self.story)
        self.assertEqual(first.required, {content("rule"): STRUCTURED, content("a"): COMPRESSED})
        self.assertEqual(second.required, {content("rule"): FULL})
        self.assertIs(first.allowed, first.required)

    def test_a_hit_on_an_injected_page_in_the_first_turn_is_no_policys_doing(self) -> None:
        self.page("instructions", PageType.BOOTSTRAP_POLICY)
        self.story.turn(1, demands=[("instructions", STRUCTURED), ("instructions", FULL)])
        (turn,) = turns_of(self.story)
        self.assertEqual((turn.uses, turn.unavoidable), ((), 28))

    def test_a_page_that_a_reset_destroyed_could_not_have_been_held(self) -> None:
        self.page("note", provenance=Provenance("user", "turn-1"))
        self.story.turn(1, demands=[("note", FULL)])
        self.story.reset("session-2")
        self.story.turn(1)
        self.story.turn(1, demands=[("note", FULL)])
        kept, gone = (turns_of(self.story, POLICIES[name])[2] for name in ("clawvm", "retrieval"))
        self.assertEqual((len(kept.uses), kept.unavoidable), (1, 0))
        self.assertEqual((len(gone.uses), gone.unavoidable), (0, 28))

    def test_free_tokens_are_what_requirements_leave_and_there_are_none_under_pressure(self) -> None:
        costs = {"a": {STRUCTURED: 4, FULL: 9}}
        needs = [Needs({"a": STRUCTURED}), Needs({"a": FULL})]
        self.assertEqual(sequence(9, costs, needs).free_tokens(), (5, 0))
        self.assertFalse(sequence(9, costs, needs).under_pressure)
        self.assertTrue(sequence(8, costs, needs).under_pressure)
        with self.assertRaisesRegex(ValueError, "under pressure"):
            sequence(8, costs, needs).free_tokens()

    def test_met_by_keeps_the_requirements_that_prompts_met_and_what_they_allow(self) -> None:
        needs = sequence(9, {"a": {STRUCTURED: 4, FULL: 9}}, [Needs({"a": FULL}), Needs({"a": STRUCTURED})])
        met = needs.met_by([{content("a"): STRUCTURED}, {content("a"): FULL}])
        self.assertEqual([turn.required for turn in met.turns], [{}, {content("a"): STRUCTURED}])
        self.assertEqual([turn.allowed for turn in met.turns], [turn.allowed for turn in needs.turns])


class AgainstTheEngineTests(unittest.TestCase):
    def test_reloaded_tokens_are_the_page_in_tokens_of_policies_that_meet_everything(self) -> None:
        traces = [FAMILIES[name](120) for name in ("evidence_heavy", "multi_session")]
        traces += [small_trace(seed) for seed in range(8)]
        seen = 0
        for trace in traces:
            for name in ("lru", "clawvm", "oracle_h3"):
                run = observe_run(trace, POLICIES[name])
                with self.subTest(trace=trace.source, policy=name):
                    self.assertEqual(reloaded_tokens(run.sequence, run.prompts), run.metrics.page_in_tokens)
                    self.assertEqual(run.met, run.sequence)
                seen += run.metrics.page_in_tokens > 0
        self.assertGreater(seen, 8)

    def test_families_ask_the_same_of_every_policy(self) -> None:
        for name in ("evidence_heavy", "multi_session"):
            sequences = [
                observe_run(FAMILIES[name](120), policy).sequence for policy in map(policy_named, PAPER_POLICIES)
            ]
            with self.subTest(family=name):
                self.assertTrue(all(other == sequences[0] for other in sequences))

    def test_the_minimum_set_of_the_engine_is_the_budget_without_the_free_tokens(self) -> None:
        trace = FAMILIES["evidence_heavy"](120)
        observed = observe_run(trace, POLICIES["clawvm"])
        for free, prompt in zip(observed.sequence.free_tokens(), observed.prompts):
            held = sum(observed.sequence.tokens(held, level) for held, level in prompt.items())
            self.assertLessEqual(120 - free, held)
            self.assertGreaterEqual(free, 0)

    def test_retrieval_fetches_again_what_retrieval_with_a_cache_pages_in(self) -> None:
        trace = FAMILIES["evidence_heavy"](120)
        bare, cached = (observe_run(trace, POLICIES[name]) for name in ("retrieval", "retrieval_cache"))
        self.assertEqual(bare.metrics.page_in_tokens, 0)
        self.assertEqual(reloaded_tokens(bare.sequence, bare.prompts), cached.metrics.page_in_tokens)


class MeasureTests(unittest.TestCase):
    def test_brought_in_counts_rises_by_their_difference_and_falls_not(self) -> None:
        needs = sequence(20, COSTS, [Needs()] * 4)
        prompts = [{content("a"): level} for level in (STRUCTURED, FULL, STRUCTURED, FULL)]
        self.assertEqual(brought_in_tokens(needs, prompts), 4 + 5 + 0 + 5)

    def test_brought_in_counts_everything_anew_after_a_boundary(self) -> None:
        needs = sequence(20, COSTS, [Needs(), Needs(boundary=True), Needs()])
        self.assertEqual(brought_in_tokens(needs, [{content("a"): FULL}] * 3), 9 + 9)

    def test_reloaded_counts_the_whole_need_for_each_access(self) -> None:
        needs = sequence(20, COSTS, [Needs({"a": FULL}), Needs({"a": FULL}, times=3)])
        self.assertEqual(reloaded_tokens(needs, [{content("a"): STRUCTURED}, {}]), 27)
        self.assertEqual(reloaded_tokens(needs, [{content("a"): FULL}, {}]), 0)

"""Behaviour of the replay: what drives the engine when, what it counts, and that it gives the same every time."""

import dataclasses
import unittest

from clawvm_replay.errors import TraceError
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.replay import FIRST_SESSION, Due, TranscriptAccount, replay, replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Accounting, BoundaryEvent, Call, FlushEvent, Turn
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.selector import select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, PageType, RecallOutcome
from clawvm_workloads.families import FAMILIES

CLAWVM = POLICIES["clawvm"]
ORACLE = POLICIES["oracle_h3"]
COSTS = LevelCosts(2, 8, 14, 28)


def story(accounting=None, budget=120):
    return TraceBuilder("story", budget, "", accounting)


def plan(builder):
    return builder.page("plan", PageType.PLAN, COSTS, provenance=Provenance("file", "PLAN.md"))


def note(**fields):
    usual = {
        "page_id": "plan",
        "field": "step",
        "operation": "set_with_version",
        "value": "done",
        "scope": "session",
        "evidence_ref": "plan",
    }
    return Update(**{**usual, **fields})


def events_of(trace, policy=CLAWVM, **options):
    decisions = DecisionTrace()
    metrics = replay_trace(trace, policy, decisions=decisions, **options)
    return metrics, decisions.events


def kinds(events, *wanted):
    return [event["event"] for event in events if event["event"] in wanted]


class BudgetTest(unittest.TestCase):
    def test_larger_budget_can_hide_a_weak_policy_that_never_reaches_compaction(self):
        def trace(budget):
            accounting = accounting_for(budget, limit_in_budgets=3.0, soft_share=0.8, summary_share=0.15)
            builder = story(accounting, budget)
            builder.page("instructions", PageType.BOOTSTRAP_POLICY, COSTS)
            for _ in range(8):
                builder.turn(60)
            return builder.trace()

        small = replay_trace(trace(120), POLICIES["retrieval"])
        large = replay_trace(trace(500), POLICIES["retrieval"])
        self.assertEqual((small.compactions, small.post_compaction_bootstrap), (1, 1))
        self.assertEqual((large.compactions, large.explicit_faults), (0, 0))

    def test_prompts_never_exceed_their_budget(self):
        for name, budget in (("daily_assistant", 60), ("multi_session", 60), ("multi_session", 1)):
            trace = FAMILIES[name](120)
            for policy in map(policy_named, PAPER_POLICIES):
                prompts = []
                replay_trace(trace, policy, budget, observe=prompts.append)
                with self.subTest(family=name, budget=budget, policy=policy.id):
                    self.assertEqual(len(prompts), len(trace.turns))
                    for prompt in prompts:
                        self.assertLessEqual(prompt.tokens, prompt.budget)
                        self.assertLessEqual(prompt.budget, budget)
                        self.assertEqual(prompt.tokens, sum(block.tokens for block in prompt.blocks))

    def test_the_budget_of_the_header_is_used_unless_another_is_named(self):
        trace = FAMILIES["daily_assistant"](180)
        self.assertEqual(replay_trace(trace, CLAWVM).budget, 180)
        self.assertEqual(replay_trace(trace, CLAWVM, 240).budget, 240)


class DeterminismTest(unittest.TestCase):
    def test_replaying_twice_gives_the_same_metrics_and_decisions(self):
        trace = FAMILIES["multi_session"](120)
        for policy in map(policy_named, PAPER_POLICIES):
            with self.subTest(policy=policy.id):
                self.assertEqual(events_of(trace, policy), events_of(trace, policy))

    def test_observers_change_nothing(self):
        trace = FAMILIES["multi_session"](120)
        watched, _ = events_of(trace, observe=lambda prompt: None)
        self.assertEqual(replay_trace(trace, CLAWVM), watched)

    def test_turns_may_come_from_a_stream(self):
        trace = FAMILIES["long_horizon"](120)
        for policy in (CLAWVM, ORACLE):
            streamed = replay(trace.header, iter(trace.turns), policy, 120)
            self.assertEqual(streamed, replay_trace(trace, policy))


class LookaheadTest(unittest.TestCase):
    def futures(self, trace, policy):
        seen = []

        def noting(request):
            seen.append(dict(request.future_demands))
            return select(request)

        replay_trace(trace, policy, selector=noting)
        return seen

    def horizon(self, turns):
        return dataclasses.replace(ORACLE, id="far", upgrades=dataclasses.replace(ORACLE.upgrades, horizon=turns))

    def trace(self):
        builder = story()
        plan(builder)
        read = builder.tool("read", {"path": "a"}, "file", COSTS)
        for turn in range(1, 7):
            builder.turn(
                1, demands=[("plan", Level.FULL)] * (2 if turn == 5 else 0), calls=[read] if turn in (1, 2, 6) else []
            )
        return builder.trace()

    def test_only_the_next_turns_count(self):
        expected = [{"file": 1}, {}, {}, {"plan": 2}, {"file": 1}, {}]
        self.assertEqual(self.futures(self.trace(), self.horizon(1)), expected)
        expected = [{"file": 1}, {"plan": 2}, {"plan": 2, "file": 1}, {"plan": 2, "file": 1}, {"file": 1}, {}]
        self.assertEqual(self.futures(self.trace(), ORACLE), expected)

    def test_policies_without_horizon_see_nothing(self):
        for policy in map(policy_named, PAPER_POLICIES):
            if policy is not ORACLE:
                with self.subTest(policy=policy.id):
                    self.assertEqual(self.futures(self.trace(), policy), [{}] * 6)

    def test_tool_that_is_declared_in_a_coming_turn_counts(self):
        builder = story()
        builder.turn(1)
        read = builder.tool("read", {"path": "a"}, "file", COSTS)
        builder.turn(1, calls=[read])
        self.assertEqual(self.futures(builder.trace(), ORACLE), [{"file": 1}, {}])

    def test_turns_are_read_no_further_ahead_than_the_horizon(self):
        for policy in (CLAWVM, ORACLE):
            trace = self.trace()
            taken = []
            prompts = []
            turns = (taken.append(turn.number) or turn for turn in trace.turns)

            def check(prompt, prompts=prompts, taken=taken, policy=policy):
                prompts.append(prompt.turn)
                self.assertEqual(len(taken), min(6, prompt.turn + policy.horizon))

            replay(trace.header, turns, policy, 120, observe=check)
            self.assertEqual(prompts, [1, 2, 3, 4, 5, 6])

    def test_signature_that_is_declared_anew_later_counts_for_its_present_page_until_then(self):
        builder = story()
        read = builder.tool("read", {"path": "a"}, "old", COSTS)
        builder.turn(1, calls=[read])
        builder.turn(1)
        builder.turn(1, calls=[read])
        builder.tool("read", {"path": "a"}, "new", COSTS)
        builder.turn(1, calls=[read])
        # After turn 1 both calls are still to come; after turn 2 that must not have changed.
        seen = self.futures(builder.trace(), ORACLE)
        self.assertEqual(seen[:3], [{"old": 1, "new": 1}, {"old": 1, "new": 1}, {"new": 1}])


class ImpossibleTraceTest(unittest.TestCase):
    def assert_line(self, trace, line, policy=CLAWVM):
        turns = [dataclasses.replace(turn, line=turn.number * 10) for turn in trace.turns]
        with self.assertRaises(TraceError) as caught:
            replay(trace.header, turns, policy, 120, source="made up")
        self.assertEqual((caught.exception.source, caught.exception.line), ("made up", line))

    def test_demand_of_a_result_that_no_call_has_given_yet(self):
        builder = story()
        builder.tool("read", {"path": "a"}, "file", COSTS)
        builder.turn(1)
        builder.turn(1, demands=[("file", Level.FULL)])
        self.assert_line(builder.trace(), 20)

    def test_replacement_by_a_page_of_another_type(self):
        builder = story()
        plan(builder)
        builder.turn(1)
        builder.turn(1)
        builder.replace("plan", PageType.EVIDENCE, COSTS)
        builder.turn(1)
        for policy in map(policy_named, PAPER_POLICIES):
            with self.subTest(policy=policy.id):
                self.assert_line(builder.trace(), 30, policy)

    def test_page_that_is_declared_twice(self):
        builder = story()
        plan(builder)
        builder.turn(1)
        plan(builder)
        builder.turn(1)
        self.assert_line(builder.trace(), 20)

    def test_result_page_that_has_the_id_of_a_page_of_another_type(self):
        builder = story()
        plan(builder)
        read = builder.tool("read", {"path": "a"}, "plan", COSTS)
        builder.turn(1, calls=[read])
        self.assert_line(builder.trace(), 10)


class HarnessTest(unittest.TestCase):
    ACCOUNTING = Accounting(compaction_limit=100, soft_threshold=60, summary_tokens=10)

    def trace(self, *growth, **first):
        builder = story(self.ACCOUNTING)
        plan(builder)
        builder.turn(growth[0], **first)
        for tokens in growth[1:]:
            builder.turn(tokens)
        return builder.trace()

    def test_flush_is_counted_only_where_the_policy_has_one(self):
        trace = self.trace(61, 1, 1)
        for policy in map(policy_named, PAPER_POLICIES):
            with self.subTest(policy=policy.id):
                metrics = replay_trace(trace, policy)
                self.assertEqual(metrics.flushes, int(policy.id == "compaction_hybrid"))

    def test_jump_past_the_threshold_loses_what_only_a_flush_would_save(self):
        update = note(operation="append", field="notes", value=["x"])
        slow, jump = (self.trace(*growth, updates=[update]) for growth in ((61, 60), (60, 60)))
        hybrid = POLICIES["compaction_hybrid"]
        self.assertEqual(replay_trace(slow, hybrid).flush_miss, 0)
        self.assertEqual(replay_trace(jump, hybrid).flush_miss, 1)
        self.assertEqual(replay_trace(jump, CLAWVM).flush_miss, 0)

    def test_boundaries_that_the_trace_names_are_passed_and_counted(self):
        builder = story()
        plan(builder)
        builder.turn(1)
        builder.reset("session-2")
        builder.turn(1)
        trace = builder.trace()
        named = Turn(3, events_before=(BoundaryEvent(Boundary.COMPACTION),))
        metrics, events = events_of(dataclasses.replace(trace, turns=(*trace.turns, named)))
        self.assertEqual((metrics.compactions, metrics.resets, metrics.turns), (1, 1, 3))
        self.assertEqual([e["session"] for e in events if e["event"] == "session_start"], [FIRST_SESSION, "session-2"])
        self.assertEqual([e["boundary"] for e in events if e["event"] == "boundary"], ["reset", "compaction"])

    def test_boundaries_that_the_trace_names_shrink_the_transcript_as_well(self):
        for boundary, session in ((Boundary.RESET, "session-2"), (Boundary.COMPACTION, "")):
            with self.subTest(boundary=boundary):
                trace = self.trace(60, 60)
                second = dataclasses.replace(trace.turns[1], events_before=(BoundaryEvent(boundary, session),))
                metrics = replay_trace(dataclasses.replace(trace, turns=(trace.turns[0], second)), CLAWVM)
                self.assertEqual(metrics.compactions, int(boundary is Boundary.COMPACTION))

    def named_flush(self, accounting=None, **first):
        """Return a turn with updates, a flush that the trace names, and a compaction."""
        builder = story(accounting)
        plan(builder)
        builder.turn(61, **first)
        for item in (FlushEvent(), BoundaryEvent(Boundary.COMPACTION)):
            builder.event(item)
            builder.turn(1)
        return builder.trace()

    def test_flush_that_the_trace_names_is_performed_by_a_policy_that_has_one(self):
        trace = self.named_flush(updates=[note(operation="append", field="notes", value=["x"])])
        for policy in map(policy_named, PAPER_POLICIES):
            with self.subTest(policy=policy.id):
                metrics, events = events_of(trace, policy)
                hybrid = policy.id == "compaction_hybrid"
                self.assertEqual((metrics.flushes, metrics.compactions), (int(hybrid), 1))
                self.assertEqual([event["performed"] for event in events if event["event"] == "flush"], [hybrid])
                if hybrid or policy is CLAWVM:
                    self.assertEqual((metrics.flush_miss, metrics.committed_updates), (0, 1))
                order = kinds(events, "stage", "flush", "commit", "boundary")
                if hybrid or policy is CLAWVM:
                    between = ["flush", "commit", "boundary"] if hybrid else ["flush", "boundary", "commit"]
                    self.assertEqual(order, ["stage", *between])

    def test_update_of_the_turn_behind_a_named_flush_misses_it(self):
        trace = self.named_flush()
        late = dataclasses.replace(trace.turns[1], updates=(note(operation="append", field="notes", value=["x"]),))
        trace = dataclasses.replace(trace, turns=(trace.turns[0], late, trace.turns[2]))
        metrics = replay_trace(trace, POLICIES["compaction_hybrid"])
        self.assertEqual((metrics.flushes, metrics.flush_miss, metrics.committed_updates), (1, 1, 0))

    def test_flush_that_the_trace_names_is_the_one_of_its_cycle(self):
        accounting = Accounting(compaction_limit=100, soft_threshold=61, summary_tokens=10)
        self.assertEqual(replay_trace(self.named_flush(accounting), POLICIES["compaction_hybrid"]).flushes, 1)

    def test_flush_before_the_first_turn_comes_behind_the_pages_of_the_session(self):
        trace = self.named_flush()
        first = dataclasses.replace(trace.turns[0], events_before=(FlushEvent(), *trace.turns[0].events_before))
        _, events = events_of(dataclasses.replace(trace, turns=(first, *trace.turns[1:])))
        self.assertEqual(kinds(events, "session_start", "flush")[:2], ["session_start", "flush"])

    def test_events_of_a_turn_stand_in_its_fixed_order(self):
        builder = story(self.ACCOUNTING)
        plan(builder)
        read = builder.tool("read", {"path": "a"}, "file", COSTS)
        builder.turn(
            101, calls=[read], demands=[("plan", Level.FULL)], recalls=[("q", RecallOutcome.OK)], updates=[note()]
        )
        _, events = events_of(builder.trace())
        order = kinds(events, "tool", "recall", "stage", "boundary", "assemble")
        self.assertEqual(order, ["tool", "recall", "stage", "boundary", "assemble"])
        self.assertEqual(events[0]["event"], "header")
        self.assertEqual([event["sequence"] for event in events], list(range(len(events))))


class UpdateTest(unittest.TestCase):
    ACCOUNTING = Accounting(compaction_limit=50, soft_threshold=40, summary_tokens=0)

    def test_open_base_version_is_the_one_that_the_agent_would_have_read(self):
        builder = story(self.ACCOUNTING)
        plan(builder)
        builder.turn(60, updates=[note(value="one"), note(value="two")])
        builder.turn(60, updates=[note(value="three")])
        metrics = replay_trace(builder.trace(), CLAWVM)
        self.assertEqual((metrics.committed_updates, metrics.rejected_updates), (3, 0))

    def test_base_version_that_the_trace_names_is_kept(self):
        builder = story(self.ACCOUNTING)
        plan(builder)
        builder.turn(60, updates=[note(value="one", base_version=0)])
        builder.turn(60, updates=[note(value="two", base_version=0)])
        metrics, events = events_of(builder.trace())
        self.assertEqual((metrics.committed_updates, metrics.rejected_updates), (1, 1))
        self.assertEqual([e["code"] for e in events if e["event"] == "reject"], ["DESTRUCTIVE_OP"])


class CountingTest(unittest.TestCase):
    def test_counts_add_up_in_every_cell(self):
        for name in ("long_horizon", "multi_session"):
            trace = FAMILIES[name](120)
            for policy in map(policy_named, PAPER_POLICIES):
                with self.subTest(family=name, policy=policy.id):
                    self.check(trace, *events_of(trace, policy, budget=40))

    def check(self, trace, metrics, events):
        self.assertEqual(metrics.explicit_faults, sum(getattr(metrics, kind) for kind in FAULT_FIELDS))
        residency = metrics.refetch + metrics.duplicate_tool
        self.assertLessEqual(metrics.hits + metrics.cold_accesses + residency, metrics.accesses)
        self.assertGreaterEqual(
            metrics.hits + metrics.cold_accesses + residency + metrics.pressure_faults, metrics.accesses
        )
        self.assertLessEqual(metrics.page_ins, metrics.hits)
        self.assertEqual(metrics.reused_tokens + metrics.rewritten_tokens, metrics.prompt_tokens)
        self.assertEqual(metrics.turns, len(trace.turns))
        self.assertEqual(metrics.success, metrics.explicit_faults == 0)
        staged = kinds(events, "stage").count("stage")
        self.assertEqual(staged, sum(len(turn.updates) for turn in trace.turns))
        settled = metrics.committed_updates + metrics.rejected_updates + metrics.lost_updates
        self.assertLessEqual(settled, staged)
        boundaries = [event["boundary"] for event in events if event["event"] == "boundary"]
        self.assertEqual(boundaries.count("compaction"), metrics.compactions)
        self.assertEqual(boundaries.count("reset"), metrics.resets)
        self.assertEqual(kinds(events, "alert").count("alert"), metrics.alerts)
        self.assertEqual(kinds(events, "assemble").count("assemble"), metrics.turns)

    def test_calls_and_demands_are_the_accesses(self):
        builder = story()
        plan(builder)
        read = builder.tool("read", {"path": "a"}, "file", COSTS)
        builder.turn(1, calls=[read], demands=[("plan", Level.POINTER)])
        builder.turn(1, calls=[Call(read.signature, Level.POINTER)], demands=[("file", Level.POINTER)])
        metrics = replay_trace(builder.trace(), CLAWVM)
        self.assertEqual((metrics.accesses, metrics.cold_accesses, metrics.hits), (4, 2, 2))
        self.assertEqual(metrics.alerts, 1)

    def test_trace_without_turns_gives_an_empty_row(self):
        metrics = replay_trace(story().trace(), CLAWVM)
        self.assertEqual((metrics.turns, metrics.prompt_tokens, metrics.explicit_faults), (0, 0, 0))


ACCOUNTING = Accounting(compaction_limit=100, soft_threshold=60, summary_tokens=10)


class TranscriptAccountTest(unittest.TestCase):
    def setUp(self):
        self.account = TranscriptAccount(ACCOUNTING)

    def test_flush_is_due_once_per_cycle(self):
        due = [self.account.grow(tokens) for tokens in (50, 11, 1, 38)]
        self.assertEqual(due, [Due.NOTHING, Due.FLUSH, Due.NOTHING, Due.NOTHING])
        self.assertEqual(self.account.tokens, 100)

    def test_reaching_a_threshold_exactly_is_not_passing_it(self):
        self.assertIs(self.account.grow(60), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.FLUSH)
        self.assertIs(self.account.grow(39), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.COMPACTION)

    def test_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        self.account.grow(70)
        self.assertIs(self.account.grow(31), Due.COMPACTION)
        self.assertEqual(self.account.tokens, 10)
        self.assertIs(self.account.grow(51), Due.FLUSH)

    def test_one_large_turn_jumps_past_the_flush(self):
        self.account.grow(60)
        self.assertIs(self.account.grow(41), Due.COMPACTION)
        self.assertEqual(self.account.tokens, 10)

    def test_named_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        self.account.grow(61)
        self.account.compacted()
        self.assertEqual(self.account.tokens, 10)
        self.assertIs(self.account.grow(51), Due.FLUSH)

    def test_reset_empties_the_transcript_and_begins_a_new_cycle(self):
        self.account.grow(61)
        self.account.reset()
        self.assertEqual(self.account.tokens, 0)
        self.assertIs(self.account.grow(60), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.FLUSH)

    def test_without_accounting_nothing_falls_due(self):
        account = TranscriptAccount(None)
        self.assertEqual({account.grow(10**9) for _ in range(5)}, {Due.NOTHING})
        account.compacted()
        self.assertEqual(account.tokens, 0)

"""Behaviour of the engine: the six operations, what boundaries destroy, what comes back, and what a run leaves
behind."""

import dataclasses
import json
import random
import tempfile
import unittest
from pathlib import Path
from typing import Any

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import EVENT_KINDS, DecisionTrace
from clawvm_runtime.engine import Engine, RecallAnswer, ToolCall, ToolResult
from clawvm_runtime.errors import BudgetError, LifecycleError, PageError, UnknownPageError
from clawvm_runtime.faults import Verdict
from clawvm_runtime.journal import EntryStatus, FileJournalStorage, Journal
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, PinClass, RecallOutcome, RejectCode, ToolOutcome
from tests.runtime.support import make_page, random_page

SEED = 20269
POINTER, STRUCTURED, FULL = Level.POINTER, Level.STRUCTURED, Level.FULL
BOOT = make_page("boot", PageType.BOOTSTRAP_POLICY)
ALL = [*PAPER_POLICIES, *(f"clawvm_without_{feature}" for feature in FEATURES)]


def make_update(page: Page, value: Any = "x", **attributes: Any) -> Update:
    """Return an update of *page* that nothing is wrong with, except for *attributes*."""
    return Update(
        **{
            "page_id": page.id,
            "field": "text",
            "operation": "append",
            "value": value,
            "scope": page.scope.value,
            "evidence_ref": page.id,
            **attributes,
        }
    )


def running(policy: str = "clawvm", *pages: Page, budget: int = 400, **rest: Any) -> Engine:
    """Return an engine in its first session."""
    engine = Engine(policy_named(policy), budget, **rest)
    engine.session_start("s1", pages)
    return engine


def faults(engine: Engine) -> dict[str, int]:
    """Return the controllable faults that were counted."""
    engine._check()
    return {kind.value: count for kind, count in engine.tally.faults.items() if count}


def never(_call: ToolCall) -> ToolResult:
    """Replace a tool that must not run."""
    raise AssertionError("the tool was executed")


class LifecycleTests(unittest.TestCase):
    def test_a_budget_is_a_whole_number_of_at_least_one(self) -> None:
        for budget in (0, -1, 1.0, True, "9", None):
            with self.subTest(budget), self.assertRaises(BudgetError):
                Engine(POLICIES["clawvm"], budget)  # type: ignore[arg-type]

    def test_before_a_session_every_operation_is_a_lifecycle_error(self) -> None:
        engine = Engine(POLICIES["clawvm"], 10)
        for operation in (
            engine.post_model,
            engine.compaction,
            engine.prompt_assemble,
            engine.memory_flush,
            lambda: engine.reset("s2"),
            lambda: engine.tool_execute(ToolCall("t"), never),
            lambda: engine.recall("q", lambda _: RecallAnswer(RecallOutcome.OK)),
        ):
            with self.assertRaises(LifecycleError):
                operation()

    def test_a_session_has_a_name_and_starts_once(self) -> None:
        engine = Engine(POLICIES["clawvm"], 10)
        with self.assertRaises(LifecycleError):
            engine.session_start("")
        engine.session_start("s1")
        with self.assertRaises(LifecycleError):
            engine.session_start("s2")
        with self.assertRaises(LifecycleError):
            engine.reset("")
        engine.reset("s2")
        self.assertEqual(engine.session, "s2")

    def test_a_demand_of_an_unknown_page_and_a_second_declaration_are_errors(self) -> None:
        engine = running("clawvm", BOOT)
        with self.assertRaises(UnknownPageError):
            engine.post_model(demands=[("nobody", FULL)])
        with self.assertRaises(PageError):
            engine.declare(BOOT)

    def test_an_assembled_prompt_ends_the_turn(self) -> None:
        engine = running("retrieval", make_page("a"))
        engine.post_model(demands=[("a", FULL)])
        self.assertEqual([block.page_id for block in engine.prompt_assemble().blocks], ["a"])
        self.assertEqual((engine.turn, engine.prompt_assemble().blocks), (2, ()))

    def test_recency_is_multiplied_by_the_decay_of_the_policy_each_turn(self) -> None:
        for decay in (0.0, 0.5, 0.88, 1.0):
            engine = Engine(dataclasses.replace(POLICIES["clawvm"], recency_decay=decay), 400)
            page = make_page("seen")
            engine.session_start("s1", [page])
            engine.post_model(demands=[("seen", FULL)])
            engine.prompt_assemble()
            self.assertEqual(engine.table.recency.get("seen"), 1.0)
            engine.prompt_assemble()
            self.assertEqual(engine.table.recency.get("seen", 0.0), decay)


class BootstrapTests(unittest.TestCase):
    def test_injected_bootstrap_pages_stay_under_any_policy_until_the_first_boundary(self) -> None:
        for boundary in ("compaction", "reset"):
            for policy in ALL:
                with self.subTest(policy=policy, boundary=boundary):
                    page = BOOT.changed(provenance=Provenance("harness", "AGENTS.md"))
                    engine = running(policy, page)
                    for _ in range(3):
                        self.assertIn("boot", engine.prompt_assemble().selection.levels)
                    engine.compaction() if boundary == "compaction" else engine.reset("s2")
                    held = engine.prompt_assemble().selection.levels.get("boot", Level.NONE) >= STRUCTURED
                    self.assertEqual(faults(engine), {} if held else {"post_compaction_bootstrap": 1})
                    if policy_named(policy).auto_pin:
                        self.assertTrue(held)
                    if policy in ("retrieval", "retrieval_cache"):
                        self.assertFalse(held)

    def test_a_bootstrap_page_is_known_from_the_start_and_other_pages_appear_cold(self) -> None:
        engine = running("retrieval", BOOT, make_page("a"))
        engine.post_model(demands=[("boot", STRUCTURED), ("a", FULL)])
        engine.prompt_assemble()
        self.assertEqual((engine.tally.hits, engine.tally.cold_accesses), (1, 1))
        self.assertEqual(faults(engine), {})


class BoundaryTests(unittest.TestCase):
    def test_a_reset_destroys_uncommitted_session_pages_only(self) -> None:
        pages = (
            make_page("made_here"),
            make_page("from_file", provenance=Provenance("file", "a.py")),
            make_page("taste", PageType.PREFERENCE),
        )
        for policy in ("retrieval", "clawvm"):
            engine = running(policy, *pages)
            engine.reset("s2")
            live = [page.id for page in engine.table.live_pages()]
            self.assertEqual(live, ["made_here", "from_file", "taste"][policy == "retrieval" :])

    def test_a_boundary_destroys_residency_and_what_was_not_committed(self) -> None:
        page = make_page("a")
        for policy in ALL:
            for boundary in ("compaction", "reset"):
                engine = running(policy, page)
                engine.post_model(demands=[("a", FULL)], updates=[make_update(page, str(n)) for n in range(2)])
                engine.prompt_assemble()
                engine.compaction() if boundary == "compaction" else engine.reset("s2")
                self.assertIs(engine.table.entry("a").resident, Level.NONE)
                mode = getattr(engine.policy, f"writeback_at_{boundary}").value
                with self.subTest(policy=policy, boundary=boundary):
                    self.assertEqual(faults(engine), {} if mode == "boundary" else {"flush_miss": 1})
                    status = EntryStatus.COMMITTED if mode == "boundary" else EntryStatus.LOST
                    self.assertEqual(engine.journal.count(status), 2)
                    engine.compaction()
                    self.assertEqual(engine.tally.faults[FaultKind.FLUSH_MISS], int(mode != "boundary"))

    def test_only_the_best_effort_flush_runs_at_the_soft_threshold(self) -> None:
        page = make_page("a")
        for policy in PAPER_POLICIES:
            engine = running(policy, page)
            engine.post_model(updates=[make_update(page)])
            flushed = engine.memory_flush()
            self.assertEqual(flushed is not None, policy == "compaction_hybrid")
            engine.compaction()
            survived = engine.journal.count(EntryStatus.COMMITTED) == 1
            self.assertEqual(survived, policy in ("compaction_hybrid", "lru", "clawvm", "oracle_h3"))

    def test_after_a_reset_the_policys_share_of_the_budget_is_left(self) -> None:
        for policy, share in (("retrieval", 78), ("compaction_hybrid", 85), ("clawvm", 100)):
            engine = running(policy, budget=100)
            self.assertEqual(engine.prompt_assemble().budget, 100)
            engine.compaction()
            self.assertEqual(engine.prompt_assemble().budget, 100)
            engine.reset("s2")
            self.assertEqual(engine.prompt_assemble().budget, share)

    def test_a_rejected_update_is_no_loss_and_a_dangling_one_is_rejected(self) -> None:
        page = make_page("a")
        engine = running("clawvm", page)
        (entry,) = engine.post_model(updates=[make_update(page, evidence_ref="dream")])
        engine.compaction()
        self.assertIs(entry.rejection and entry.rejection.code, RejectCode.PROVENANCE_DANGLING)
        self.assertEqual(faults(engine), {})

    def test_a_commit_raises_the_pages_version_and_its_control_fields_take_effect(self) -> None:
        plan = make_page("plan", PageType.PLAN)
        engine = running("clawvm", plan)
        engine.post_model(
            updates=[make_update(plan, "done", field="status", operation="set_with_version", base_version=0)]
        )
        self.assertEqual(engine.table.entry("plan").page, plan)
        engine.compaction()
        page = engine.table.entry("plan").page
        self.assertEqual((page.version, page.active, page.minimum), (2, False, POINTER))

    def test_an_edit_makes_the_old_content_stale(self) -> None:
        engine = running("retrieval", make_page("a"))
        engine.post_model(demands=[("a", FULL)])
        engine.prompt_assemble()
        engine.replace(make_page("a"))
        engine.post_model(demands=[("a", FULL)])
        self.assertEqual(engine.prompt_assemble().blocks[0].version, 2)
        self.assertEqual((engine.tally.cold_accesses, engine.tally.hits), (2, 0))

    def test_losing_a_hard_page_to_a_reset_does_not_ease_the_pressure(self) -> None:
        rule = make_page("rule", PageType.CONSTRAINT)
        engine = running("clawvm_without_writeback_at_reset", rule, budget=9)
        engine.reset("s2")
        self.assertEqual(engine.prompt_assemble().missing_tokens, 1)
        self.assertEqual(engine.tally.pressure_turns, 1)


class RecoveryTests(unittest.TestCase):
    def test_what_was_committed_comes_back_from_the_file_in_a_new_engine(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "journal"
            plan = make_page("plan", PageType.PLAN)
            first = running("clawvm", plan, journal=Journal(FileJournalStorage(path, durable=False)))
            done = make_update(plan, "done", field="status", operation="set_with_version", base_version=0)
            first.post_model(updates=[make_update(plan, "a"), make_update(plan, "b"), done])
            first.compaction()
            first.post_model(updates=[make_update(plan, "not committed")])
            committed = first.table.entry("plan").page
            first.journal.close()

            rendered: list[Any] = []

            def render(page: Page, fields: Any) -> Page:
                rendered.append(dict(fields))
                return page

            journal = Journal(FileJournalStorage(path, durable=False))
            self.addCleanup(journal.close)
            second = running("clawvm", plan, journal=journal, renderer=render)
            self.assertEqual(second.table.entry("plan").page, committed)
            self.assertEqual(rendered, [{"status": "done", "text": "ab"}])
            self.assertEqual(second.table.entry("plan").dirty, [4])
            second.compaction()
            self.assertEqual(journal.committed("plan", "text").value, "abnot committed")
            self.assertEqual(faults(second), {})


class ToolTests(unittest.TestCase):
    def setUp(self) -> None:
        self.runs = 0

    def execute(self, _call: ToolCall) -> ToolResult:
        """Count the run and give a page."""
        self.runs += 1
        return ToolResult(ToolOutcome.OK, make_page("result"))

    def test_a_repeated_call_is_served_from_the_store_without_executing(self) -> None:
        engine = running("clawvm")
        self.assertTrue(engine.tool_execute(ToolCall("read", {"path": "a"}), self.execute).executed)
        engine.prompt_assemble()
        engine.compaction()
        answer = engine.tool_execute(ToolCall("read", {"timeout": 3, "path": "a"}), never)
        self.assertEqual(
            (answer.executed, answer.outcome, answer.page and answer.page.id), (False, ToolOutcome.OK, "result")
        )
        self.assertIs(answer.judgement and answer.judgement.verdict, Verdict.PAGE_IN)
        engine.prompt_assemble()
        self.assertEqual((engine.tally.alerts, engine.tally.page_ins, faults(engine)), (1, 1, {}))

    def test_without_pointer_resolution_it_runs_again_and_is_a_duplicate(self) -> None:
        engine = running("retrieval")
        engine.tool_execute(ToolCall("read"), self.execute)
        for _ in range(2):
            engine.prompt_assemble()
        self.assertTrue(engine.tool_execute(ToolCall("read"), self.execute).executed)
        engine.prompt_assemble()
        self.assertEqual((self.runs, faults(engine)), (2, {"duplicate_tool": 1}))

    def test_a_tool_that_is_not_deterministic_executes_again(self) -> None:
        engine = running("clawvm")
        for _ in range(2):
            self.assertTrue(engine.tool_execute(ToolCall("now", deterministic=False), self.execute).executed)
            engine.prompt_assemble()
        self.assertEqual((self.runs, engine.table.entry("result").page.version), (2, 2))
        self.assertEqual(faults(engine), {})

    def test_a_call_whose_page_took_another_calls_result_runs_again(self) -> None:
        engine = running("clawvm")

        def read(call: ToolCall) -> ToolResult:
            self.runs += 1
            return ToolResult(ToolOutcome.OK, make_page("shared", costs={FULL: {"a": 30, "b": 50}[call.tool]}))

        calls = [("a", 30, True), ("b", 50, True), ("a", 30, True), ("a", 30, False), ("b", 50, True)]
        for tool, cost, executed in calls:
            answer = engine.tool_execute(ToolCall(tool), read)
            engine.prompt_assemble()
            assert answer.page is not None
            self.assertEqual((answer.executed, answer.page.costs[FULL]), (executed, cost), tool)
        self.assertEqual((self.runs, faults(engine)), (4, {}))

    def test_calls_with_equal_results_share_a_page_and_are_both_served(self) -> None:
        engine = running("clawvm")
        for tool, executed in (("a", True), ("b", True), ("a", False), ("b", False)):
            self.assertIs(engine.tool_execute(ToolCall(tool), self.execute).executed, executed)
            engine.prompt_assemble()
        self.assertEqual((self.runs, faults(engine)), (2, {}))

    def test_a_call_that_gave_no_page_runs_again(self) -> None:
        engine = running("clawvm")
        for outcome in (ToolOutcome.DENIED, ToolOutcome.ERROR, ToolOutcome.EMPTY):
            answer = engine.tool_execute(ToolCall("t"), lambda _call, outcome=outcome: ToolResult(outcome))
            self.assertEqual((answer.outcome, answer.page, answer.executed), (outcome, None, True))

    def test_a_tool_that_ran_is_evidence_that_resolves(self) -> None:
        page = make_page("a")
        engine = running("clawvm", page)
        engine.tool_execute(ToolCall("read", signature="read#1"), self.execute)
        (entry,) = engine.post_model(updates=[make_update(page, evidence_ref="read#1")])
        engine.compaction()
        self.assertIs(entry.status, EntryStatus.COMMITTED)


class RecallTests(unittest.TestCase):
    def test_a_recall_answers_with_its_reason_also_for_exceptions(self) -> None:
        def denied(_query: str) -> RecallAnswer:
            raise PermissionError("not yours")

        def broken(_query: str) -> RecallAnswer:
            raise KeyError("index")

        backends = {
            RecallOutcome.OK: lambda _: RecallAnswer(RecallOutcome.OK, ("a",)),
            RecallOutcome.NO_MATCH: lambda _: RecallAnswer(RecallOutcome.NO_MATCH),
            RecallOutcome.DENIED: denied,
            RecallOutcome.BACKEND_ERROR: broken,
        }
        for outcome, backend in backends.items():
            with self.subTest(outcome.value):
                engine = running("clawvm")
                answer = engine.recall("q", backend)
                self.assertIs(answer and answer.outcome, outcome)
                self.assertEqual(faults(engine), {})
                plain = running("retrieval")
                silent = outcome in (RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR)
                self.assertEqual(plain.recall("q", backend) is None, silent)
                self.assertEqual(faults(plain), {"silent_recall": 1} if silent else {})


def drive(policy: str, seed: int, trace: DecisionTrace | None = None) -> Engine:
    """Run a random life and check, at every prompt, what must hold for every policy."""
    rng = random.Random(seed)
    pages = [random_page(rng, f"p{number}") for number in range(8)]
    # A bootstrap page that is not hard is held by no policy after a boundary; that is the workload's choice.
    pages = [page.changed(pin=PinClass.HARD) if page.is_bootstrap else page for page in pages]
    engine = running(policy, *pages[:3], budget=rng.randrange(20, 300), trace=trace)
    waiting = pages[3:]
    for turn in range(25):
        if waiting and rng.random() < 0.4:
            engine.declare(waiting.pop())
        known = [entry.page for entry in engine.table]
        updates = []
        for page in known:
            if rng.random() < 0.15:
                updates.append(make_update(page, f"{turn}", evidence_ref=rng.choice([page.id, page.id, "dream"])))
        demands = [(page.id, rng.choice(list(Level)[1:])) for page in known if rng.random() < 0.2]
        engine.post_model(demands=demands, updates=updates)
        if rng.random() < 0.3:
            name = f"t{rng.randrange(3)}"
            call = ToolCall("read", {"path": name}, deterministic=rng.random() < 0.8)
            engine.tool_execute(call, lambda _call, name=name: ToolResult(ToolOutcome.OK, make_page(name)))
        if rng.random() < 0.1:
            engine.memory_flush()
        if rng.random() < 0.15:
            engine.compaction()
        elif rng.random() < 0.08:
            engine.reset(f"s{turn}")
        prompt = engine.prompt_assemble()
        ids = [block.page_id for block in prompt.blocks]
        assert len(set(ids)) == len(ids), f"seed {seed}: a page is resident twice"
        assert sum(block.tokens for block in prompt.blocks) == prompt.tokens <= prompt.budget <= engine.budget, (
            f"seed {seed}"
        )
        assert bool(prompt.missing_tokens) or not prompt.unmet or engine.policy.budget_share_after_reset < 1, (
            f"seed {seed}"
        )
        for entry in engine.table:
            assert entry.resident == prompt.selection.levels.get(entry.page.id, Level.NONE), f"seed {seed}"
        engine._check()
    return engine


class RunTests(unittest.TestCase):
    def test_a_prompt_never_exceeds_its_budget_nor_holds_a_page_twice_whatever_happens(self) -> None:
        for policy in ALL:
            for seed in range(SEED, SEED + 2):
                with self.subTest(policy=policy, seed=seed):
                    drive(policy, seed)

    def test_policies_with_the_whole_structure_show_no_controllable_fault(self) -> None:
        for policy in ("clawvm", "lru", "oracle_h3"):
            for seed in range(SEED, SEED + 5):
                found = faults(drive(policy, seed))
                # A loss under pressure that lasts into the next prompt would be blamed on the policy; none does.
                self.assertEqual(found, {}, f"{policy}, seed {seed}")

    def test_two_identical_runs_give_identical_decision_traces(self) -> None:
        for policy in PAPER_POLICIES:
            lines = []
            for _ in range(2):
                trace = DecisionTrace()
                trace.header(policy=policy)
                drive(policy, SEED, trace)
                lines.append([canonical_json(event) for event in trace.events])
            self.assertEqual(lines[0], lines[1], policy)
            events = [json.loads(line) for line in lines[0]]
            self.assertEqual([event["sequence"] for event in events], list(range(len(events))))
            self.assertLessEqual({event["event"] for event in events}, set(EVENT_KINDS))

    def test_a_trace_changes_no_decision(self) -> None:
        for policy in PAPER_POLICIES:
            self.assertEqual(drive(policy, SEED).tally, drive(policy, SEED, DecisionTrace()).tally)

    def test_blocks_that_change_least_come_first(self) -> None:
        rule = make_page("rule", PageType.CONSTRAINT, texts={STRUCTURED: "short rule", FULL: "long rule"})
        engine = running("clawvm", make_page("b"), make_page("a"), rule, BOOT)
        prompt = engine.prompt_assemble()
        self.assertEqual([block.page_id for block in prompt.blocks], ["boot", "rule", "b", "a"])
        self.assertIn(prompt.text, ("short rule", "long rule"))

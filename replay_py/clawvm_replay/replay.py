"""Replay: drive the engine that a live harness drives with what a trace records.

The turn's order is fixed (``docs/trace-format.md``): what precedes the turn, its tool calls, demands, recalls and
updates judged against the last prompt; then the accounting decides on a flush or a compaction; then the next prompt.
The simulated harness is two things: transcript accounting, and the table of declared tool results. Nothing is executed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import takewhile

from clawvm_replay.errors import TraceError
from clawvm_replay.metrics import PRICE_MODELS, CellMetrics, PriceModel, PromptMeter
from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    EventBefore,
    FlushEvent,
    RecallQuery,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.engine import AssembledPrompt, Engine, RecallAnswer, ToolCall, ToolResult
from clawvm_runtime.errors import ClawVMError
from clawvm_runtime.journal import EntryStatus
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector, select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, UpdateOperation

__all__ = ["FIRST_SESSION", "Due", "TranscriptAccount", "replay", "replay_trace"]

FIRST_SESSION = "session-1"

PromptObserver = Callable[[AssembledPrompt], None]


class Due(str, Enum):
    """What the accounting asks for before the next prompt."""

    NOTHING = "nothing"
    FLUSH = "flush"
    COMPACTION = "compaction"


class TranscriptAccount:
    """The running size of a transcript in tokens; without *accounting* nothing is ever due."""

    def __init__(self, accounting: Accounting | None) -> None:
        self._accounting = accounting
        self._flushed = False
        self.tokens = 0

    def grow(self, tokens: int) -> Due:
        """Add a turn's tokens and return what is due; a compaction leaves the summary."""
        accounting = self._accounting
        self.tokens += tokens
        if accounting is None:
            return Due.NOTHING
        if self.tokens > accounting.compaction_limit:
            self.compacted()
            return Due.COMPACTION
        if self.tokens > accounting.soft_threshold and not self._flushed:
            self.flushed()
            return Due.FLUSH
        return Due.NOTHING

    def flushed(self) -> None:
        """Note a flush: no other is due in this compaction cycle."""
        self._flushed = True

    def compacted(self) -> None:
        """Note a compaction: the transcript is a summary now and a new cycle begins."""
        self.tokens = 0 if self._accounting is None else self._accounting.summary_tokens
        self._flushed = False

    def reset(self) -> None:
        """Note a reset: the transcript is empty."""
        self.tokens = 0
        self._flushed = False


def replay_trace(
    trace: Trace,
    policy: Policy,
    budget: int | None = None,
    *,
    decisions: DecisionTrace | None = None,
    observe: PromptObserver | None = None,
    selector: Selector = select,
    prices: PriceModel = PRICE_MODELS["default"],
) -> CellMetrics:
    """Replay a trace that is in memory, as ``replay`` does; without *budget* with the trace's own."""
    return replay(
        trace.header,
        trace.turns,
        policy,
        trace.header.budget if budget is None else budget,
        decisions=decisions,
        observe=observe,
        selector=selector,
        prices=prices,
        source=trace.source,
    )


def replay(
    header: TraceHeader,
    turns: Iterable[Turn],
    policy: Policy,
    budget: int,
    *,
    decisions: DecisionTrace | None = None,
    observe: PromptObserver | None = None,
    selector: Selector = select,
    prices: PriceModel = PRICE_MODELS["default"],
    source: str = "trace",
) -> CellMetrics:
    """Replay *turns* under *policy* with *budget* tokens and return the cell's metrics.

    *decisions* receives every decision, *observe* every prompt. Raises TraceError with the turn's line where the trace
    asks for something impossible. Memory follows the number of pages and updates, not of turns.
    """
    run = _Run(header, policy, budget, decisions, selector)
    count = 0
    for turn, coming in _with_lookahead(turns, policy.horizon):
        try:
            prompt = run.turn(turn, coming)
        except ClawVMError as error:
            raise TraceError(source, turn.line, str(error)) from None
        if observe is not None:
            observe(prompt)
        count += 1
    return run.metrics(count, prices)


def _with_lookahead(turns: Iterable[Turn], horizon: int) -> Iterator[tuple[Turn, tuple[Turn, ...]]]:
    """Yield every turn with the *horizon* turns after it."""
    window: deque[Turn] = deque()
    for turn in turns:
        window.append(turn)
        if len(window) > horizon:
            yield window.popleft(), tuple(window)
    while window:
        yield window.popleft(), tuple(window)


class _Run:
    """One replay: the engine, the simulated harness around it, and what is measured."""

    def __init__(
        self,
        header: TraceHeader,
        policy: Policy,
        budget: int,
        decisions: DecisionTrace | None,
        selector: Selector,
    ) -> None:
        self._header = header
        self._policy = policy
        self._budget = budget
        self._engine = Engine(policy, budget, trace=decisions, selector=selector)
        self._account = TranscriptAccount(header.accounting)
        self._tools: dict[str, ToolDeclaration] = {}
        self._meter = PromptMeter(budget)
        self._counts: Counter[str] = Counter()
        if decisions is not None:
            decisions.header(workload=header.workload, policy=policy.id, budget=budget)

    def turn(self, turn: Turn, coming: tuple[Turn, ...]) -> AssembledPrompt:
        engine = self._engine
        self._before(turn.events_before)
        for call in turn.calls:
            self._call(call)
        engine.post_model(demands=turn.demands)
        for recall in turn.recalls:
            self._recall(recall)
        for update in turn.updates:
            engine.post_model(updates=[self._based(update)])
        due = self._account.grow(turn.transcript_tokens)
        if due is Due.COMPACTION:
            self._counts["compactions"] += 1
            engine.compaction()
        elif due is Due.FLUSH:
            self._flush()
        prompt = engine.prompt_assemble(self._future_demands(coming))
        self._meter.observe(prompt)
        return prompt

    def _before(self, events_before: tuple[EventBefore, ...]) -> None:
        """Let what precedes the turn happen, in the order of the file; the first session starts with its pages."""
        engine = self._engine
        if not engine.session:
            start = list(takewhile(lambda item: not isinstance(item, BoundaryEvent), events_before))
            engine.session_start(FIRST_SESSION, [item for item in start if isinstance(item, Page)])
            events_before = tuple(item for item in start if not isinstance(item, Page)) + events_before[len(start) :]
        for item in events_before:
            if isinstance(item, Page):
                engine.declare(item)
            elif isinstance(item, Replacement):
                engine.replace(item.page)
            elif isinstance(item, ToolDeclaration):
                self._tools[item.signature] = item
            elif isinstance(item, FlushEvent):
                self._account.flushed()
                self._flush()
            else:
                self._boundary(item)

    def _call(self, call: Call) -> None:
        tool = self._tools[call.signature]
        asked = ToolCall(tool.tool, level=call.level, deterministic=tool.deterministic, signature=tool.signature)
        self._engine.tool_execute(asked, lambda _: ToolResult(tool.outcome, tool.page))

    def _flush(self) -> None:
        if self._engine.memory_flush() is not None:
            self._counts["flushes"] += 1

    def _boundary(self, event: BoundaryEvent) -> None:
        if event.boundary is Boundary.RESET:
            self._counts["resets"] += 1
            self._account.reset()
            self._engine.reset(event.session)
        else:
            self._counts["compactions"] += 1
            self._account.compacted()
            self._engine.compaction()

    def _recall(self, recall: RecallQuery) -> None:
        self._engine.recall(recall.query, lambda query: RecallAnswer(recall.outcome))

    def _based(self, update: Update) -> Update:
        """Return *update* with the base version that the agent would have read, where the trace leaves it open."""
        if update.operation != UpdateOperation.SET_WITH_VERSION.value or update.base_version is not None:
            return update
        version = self._engine.journal.expected_version(update.page_id, update.field)
        return dataclasses.replace(update, base_version=version)

    def _future_demands(self, coming: tuple[Turn, ...]) -> Counter[str]:
        """Count the demands of the coming turns; a tool declared there answers the calls from there on."""
        future: Counter[str] = Counter()
        declared: dict[str, ToolDeclaration] = {}
        for turn in coming:
            for item in turn.events_before:
                if isinstance(item, ToolDeclaration):
                    declared[item.signature] = item
            future.update(page_id for page_id, _ in turn.demands)
            for call in turn.calls:
                tool = declared.get(call.signature) or self._tools.get(call.signature)
                if tool is not None and tool.page is not None:
                    future[tool.page.id] += 1
        return future

    def metrics(self, turns: int, prices: PriceModel) -> CellMetrics:
        engine = self._engine
        engine._check()
        updates = (EntryStatus.COMMITTED, EntryStatus.REJECTED, EntryStatus.LOST)
        return CellMetrics.of_run(
            workload=self._header.workload,
            budget=self._budget,
            policy=self._policy.id,
            turns=turns,
            tally=engine.tally,
            meter=self._meter,
            prices=prices,
            counts={
                **{name: self._counts[name] for name in ("compactions", "resets", "flushes")},
                **{f"{status.value}_updates": engine.journal.count(status) for status in updates},
            },
        )

"""The engine: the virtual-memory contract between a harness and its model, as six lifecycle operations.

They are ``session_start``, ``post_model``, ``tool_execute``, ``compaction``, ``reset`` and ``prompt_assemble``. Also,
``recall`` answers memory queries with a reason, ``memory_flush`` is the best-effort flush of today's harnesses, and
``declare`` and ``replace`` put pages into the table. A turn is everything between two assembled prompts; what happens
in it is judged against the prompt before it, which is all that the model could see.

The engine executes no tool, reads no clock and opens no file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.errors import BudgetError, LifecycleError
from clawvm_runtime.faults import FaultObserver, Judgement, Tally, Verdict
from clawvm_runtime.journal import Check, EntryStatus, Journal, JournalEntry, Writeback
from clawvm_runtime.page_table import PageEntry, PageTable
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import Policy, WritebackMode
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, minimum_set, select
from clawvm_runtime.updates import DomainValidator, Rejection, Update, ValidationContext, changed_page, check_update
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, RecallOutcome, ToolOutcome

__all__ = [
    "MAXIMUM_BUDGET",
    "AssembledPrompt",
    "Block",
    "Engine",
    "RecallAnswer",
    "ToolAnswer",
    "ToolCall",
    "ToolResult",
]
__all__ += ["ToolAnswer", "ToolCall", "ToolResult"]

MAXIMUM_BUDGET = 10**12
"""The largest token budget: larger ones are mistakes, and their shares could not be computed exactly."""

Renderer = Callable[[Page, Mapping[str, Any]], Page]
"""Makes the page's representations anew from its committed fields, after a commit changed them."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model wants: a tool, its arguments, the level at which it needs the result.

    ``signature`` is derived from tool and arguments unless the caller has a better one. The result of a tool that is
    not ``deterministic`` may differ next time, so it is never served from the store.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    level: Level = Level.FULL
    deterministic: bool = True
    signature: str = ""

    def canonical_signature(self) -> str:
        """Return what makes two calls the same call."""
        return self.signature or tool_signature(self.tool, self.arguments)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of running a tool: an outcome and, if there is something to keep, a page."""

    outcome: ToolOutcome
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What the model gets for a tool call; ``executed`` is whether the tool had to run."""

    outcome: ToolOutcome
    page: Page | None
    executed: bool
    judgement: Judgement | None = None


@dataclass(frozen=True, slots=True)
class RecallAnswer:
    """What a recall found; the outcome is the reason, also of an empty answer."""

    outcome: RecallOutcome
    page_ids: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One page in an assembled prompt; two blocks that are equal have the same bytes."""

    page_id: str
    version: int
    level: Level
    tokens: int
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AssembledPrompt:
    """An ordered list of blocks within a budget, both in tokens.

    ``budget`` is what the policy may spend this turn, ``missing_tokens`` by how much the minimum set and the demands
    exceed the whole budget (invariant pressure), ``unmet`` what was required and did not fit.
    """

    turn: int
    budget: int
    tokens: int
    blocks: tuple[Block, ...]
    unmet: tuple[str, ...]
    missing_tokens: int
    selection: Selection

    @property
    def text(self) -> str:
        """The texts of all blocks, for pages made from text."""
        return "\n\n".join(block.text for block in self.blocks if block.text)


class Engine:
    """Drives pages, selection, journal and faults through the sessions of an agent under one policy and token budget.

    ``journal`` may be kept in a file (``FileJournalStorage``): what it committed before comes back when its pages are
    declared again. ``trace`` receives every decision. ``selector`` replaces the default selector. ``validators`` are
    domain checks of updates, ``renderer`` renews the text of a page when a commit changes it.

    Raises BudgetError for a budget that is not a whole number of at least 1.

    >>> from clawvm_runtime import POLICIES, PageType, Provenance, page_from_text
    >>> engine = Engine(POLICIES["clawvm"], budget=400)
    >>> source = Provenance("file", "RULES.md")
    >>> engine.session_start("one", [page_from_text("rules", PageType.BOOTSTRAP_POLICY, "Never push to main.", source)])
    >>> def run(call):
    ...     source = Provenance("tool_call", call.canonical_signature())
    ...     return ToolResult(ToolOutcome.OK, page_from_text("ev-1", PageType.EVIDENCE, "def main(): ...", source))
    >>> engine.tool_execute(ToolCall("read", {"path": "app.py"}), run).executed
    True
    >>> engine.compaction()
    >>> [block.page_id for block in engine.prompt_assemble().blocks]
    ['rules', 'ev-1']
    >>> engine.tool_execute(ToolCall("read", {"path": "app.py"}), run).executed
    False
    """

    def __init__(
        self,
        policy: Policy,
        budget: int,
        *,
        journal: Journal | None = None,
        trace: DecisionTrace | None = None,
        selector: Selector = select,
        validators: Sequence[DomainValidator] = (),
        renderer: Renderer | None = None,
    ) -> None:
        if isinstance(budget, bool) or not isinstance(budget, int) or not 1 <= budget <= MAXIMUM_BUDGET:
            raise BudgetError(budget)
        self.policy = policy
        self.budget = budget
        self.table = PageTable()
        self.journal = Journal() if journal is None else journal
        self.turn = 1
        self.session = ""
        self._trace = trace
        self._observer = FaultObserver(self.table, trace)
        self._selector = selector
        self._renderer = renderer
        self._declared_pages: dict[str, Page] = {}
        self._context = ValidationContext(self._find_page, self._reference_resolves, tuple(validators))
        self._demands: dict[str, Level] = {}
        self._accessed: list[str] = []
        self._injected: set[str] = set()
        self._page_of_signature: dict[str, str] = {}
        self._superseded: set[str] = set()  # Signatures whose page holds another call's result by now.
        self._recovered = frozenset(entry.sequence for entry in self.journal.staged)
        self._prompt_budget = budget

    @property
    def tally(self) -> Tally:
        """The counts so far."""
        return self._observer.tally

    def _find_page(self, page_id: str) -> Page | None:
        entry = self.table.find(page_id)
        return None if entry is None or entry.destroyed else entry.page

    def _reference_resolves(self, reference: str) -> bool:
        return self._find_page(reference) is not None or reference in self._page_of_signature

    def _emit(self, kind: str, **fields: Any) -> None:
        if self._trace is not None:
            self._trace.emit(kind, self.turn, **fields)

    def declare(self, page: Page) -> None:
        """Put a new page into the table; fields that the journal committed for it earlier are applied.

        Raises PageError when the id is taken.
        """
        entry = self.table.declare(page)
        self._enter(entry, "declared")

    def replace(self, page: Page) -> None:
        """Give a known page new content: an edit made the old content stale.

        Raises UnknownPageError, and PageError when the type changes.
        """
        self._enter(self.table.replace(page), "replaced")

    def _enter(self, entry: PageEntry, cause: str) -> None:
        page = entry.page
        self._declared_pages[page.id] = page
        committed = self.journal.committed_entries(page.id)
        for item in committed:
            # In the order of their commits: a later control field may override what an earlier one set.
            page = changed_page(page, item.update.field, item.update.value)
        if committed:
            self.table.amend(self._rendered(page, self.journal.committed_fields(page.id)))
        entry.dirty = [staged.sequence for staged in self.journal.staged if staged.update.page_id == page.id]
        self._emit("page", page=page.id, version=entry.page.version, type=page.type.value, cause=cause)

    def _rendered(self, page: Page, fields: Mapping[str, Any]) -> Page:
        if self._renderer is None:
            return page
        # Rendering starts from the page as it was declared, so that fields are not rendered upon rendered fields.
        declared = self._declared_pages[page.id]
        source = declared.changed(version=page.version, active=page.active, pin=page.pin, minimum=page.minimum)
        return self._renderer(source, fields)

    def session_start(self, session: str, pages: Iterable[Page] = ()) -> None:
        """Begin the first session; the harness injects the bootstrap pages among *pages*.

        Injected pages are kept at their floor, whatever the policy, until the first destructive boundary. Raises
        LifecycleError when a session is running: ``reset`` begins the next one.
        """
        if self.session:
            raise LifecycleError(f"session {self.session!r} is running; reset() begins another one")
        if not session:
            raise LifecycleError("a session needs a name")
        self.session = session
        self._emit("session_start", session=session, policy=self.policy.id, budget=self.budget)
        for page in pages:
            self.declare(page)
            if page.is_bootstrap:
                entry = self.table.entry(page.id)
                entry.resident = entry.page.floor_level
                entry.first_turn = 0
                self._injected.add(page.id)

    def post_model(
        self, *, demands: Iterable[tuple[str, Level]] = (), updates: Iterable[Update] = ()
    ) -> tuple[JournalEntry, ...]:
        """Judge what the model's reply refers to, stage what it wants to remember; return the staged entries.

        Raises UnknownPageError for a demand of a page that was never declared.
        """
        self._running()
        # Everything that can be refused is refused before the first effect, so that a caller may try again.
        accesses = [(self.table.entry(page_id), level) for page_id, level in demands]
        staged = self.journal.stage_all(updates)
        for entry, level in accesses:
            self._access(entry, level)
        for item in staged:
            # Staging an update_id again returns its entry, which may be committed already.
            if item.status is EntryStatus.STAGED:
                self._note_staged(item.sequence, item.update)
        return staged

    def tool_execute(self, call: ToolCall, execute: Callable[[ToolCall], ToolResult]) -> ToolAnswer:
        """Serve a call from the stored result, or run it with *execute* and keep its result."""
        self._running()
        signature = call.canonical_signature()
        known = self._page_of_signature.get(signature)
        if known is not None and call.deterministic and signature not in self._superseded:
            return self._execute_again(call, signature, self.table.entry(known), execute)
        result = execute(call)
        if result.page is None:
            self._emit_tool(call, signature, result, executed=True)
            return ToolAnswer(result.outcome, None, executed=True)
        # The signature is remembered only once the table has taken the page: it must never lead to another page.
        entry = self._keep_result(result.page, signature)
        self._emit_tool(call, signature, result, executed=True)
        return ToolAnswer(result.outcome, entry.page, True, self._access(entry, call.level))

    def _execute_again(
        self, call: ToolCall, signature: str, entry: PageEntry, execute: Callable[[ToolCall], ToolResult]
    ) -> ToolAnswer:
        judgement = self._access(entry, call.level, signature)
        if judgement.verdict is not Verdict.FAULT:
            result = ToolResult(ToolOutcome.OK, entry.page)
            self._emit_tool(call, signature, result, executed=False)
            return ToolAnswer(result.outcome, entry.page, False, judgement)
        result = execute(call)
        self._emit_tool(call, signature, result, executed=True)
        page = result.page
        if page is not None and (
            page.id != entry.page.id or (page.costs, page.texts) != (entry.page.costs, entry.page.texts)
        ):
            # The world has changed since: the new result replaces what was lost.
            entry = self._keep_result(page, signature)
            entry.first_turn = self.turn
            self._demands[page.id] = page.level_at_least(call.level)
        return ToolAnswer(result.outcome, None if page is None else entry.page, True, judgement)

    def _keep_result(self, page: Page, signature: str) -> PageEntry:
        before = self._declared_pages.get(page.id)
        if before is None:
            self.declare(page)
        else:
            if (page.costs, page.texts) != (before.costs, before.texts):
                # Another call left this page; served from it, its repetition would get what it never asked for.
                self._superseded.update(
                    other for other, page_id in self._page_of_signature.items() if page_id == page.id
                )
            self.replace(page)
        self._page_of_signature[signature] = page.id
        self._superseded.discard(signature)
        return self.table.entry(page.id)

    def _emit_tool(self, call: ToolCall, signature: str, result: ToolResult, *, executed: bool) -> None:
        page, outcome = None if result.page is None else result.page.id, result.outcome.value
        self._emit("tool", tool=call.tool, signature=signature, outcome=outcome, executed=executed, page=page)

    def compaction(self) -> None:
        """Pass a compaction: commit what the policy commits there; everything resident is destroyed."""
        self._running()
        self._destroy(Boundary.COMPACTION, self.policy.writeback_at_compaction)

    def reset(self, session: str) -> None:
        """End the session and begin *session*: session-scoped pages that were never committed are destroyed."""
        self._running()
        if not session:
            raise LifecycleError("a session needs a name")
        self._destroy(Boundary.RESET, self.policy.writeback_at_reset)
        destroyed = self.table.end_session()
        self.session = session
        # The small constant keeps a product such as 0.29 * 100 from being floored to the number below it.
        self._prompt_budget = max(1, math.floor(self.budget * self.policy.budget_share_after_reset + 1e-9))
        self._emit("session_start", session=session, policy=self.policy.id, budget=self._prompt_budget, gone=destroyed)

    def prompt_assemble(self, future_demands: Mapping[str, int] | None = None) -> AssembledPrompt:
        """Choose the next prompt, check it, and end the turn.

        *future_demands* counts the demands of each page in the next turns; only an oracle can know them.
        """
        self._running()
        pages = self.table.live_pages()
        request = SelectionRequest(
            pages=pages,
            budget=self._prompt_budget,
            policy=self.policy,
            demands=self._demands,
            injected=self._injected,
            recency=self.table.recency,
            future_demands=future_demands or {},
        )
        selection = self._selector(request)
        # Pages that a reset destroyed belong to the minimum set too: losing them must not ease the pressure.
        needed = minimum_set((entry.page for entry in self.table), self._demands, self._injected)
        prompt = self._prompt(selection, max(0, needed - self.budget))
        self._emit_selection(prompt)
        self._observer.resolve_accesses(selection.levels, needed, self.budget, self.turn)
        self.table.set_residency(selection.levels)
        self.table.age(self._accessed, self.policy.recency_decay)
        self._demands = {}
        self._accessed = []
        self.turn += 1
        return prompt

    def recall(self, query: str, backend: Callable[[str], RecallAnswer]) -> RecallAnswer | None:
        """Answer a memory query from *backend*; the answer carries its reason.

        PermissionError is a denial, any other exception a backend error. None means that the model gets an empty answer
        without a reason, which only a policy without reasoned recall lets through.
        """
        self._running()
        try:
            answer = backend(query)
        except PermissionError as error:
            answer = RecallAnswer(RecallOutcome.DENIED, detail=str(error))
        except Exception as error:  # A failing backend is an answer too: whatever it raises, the model learns of it.
            answer = RecallAnswer(RecallOutcome.BACKEND_ERROR, detail=f"{type(error).__name__}: {error}")
        if not isinstance(answer, RecallAnswer):
            answer = RecallAnswer(RecallOutcome.BACKEND_ERROR, detail=f"the backend answered {answer!r:.80}")
        reasoned = self.policy.reasoned_recall
        if not self._observer.recall(query, answer.outcome, self.turn, reasoned=reasoned):
            return None
        return answer

    def memory_flush(self) -> Writeback | None:
        """Run the best-effort flush that is due at the soft threshold, if the policy has one."""
        self._running()
        performed = self.policy.writeback_at_compaction is WritebackMode.SOFT_THRESHOLD
        self._emit("flush", performed=performed)
        return self._write_back() if performed else None

    def _running(self) -> None:
        if not self.session:
            raise LifecycleError("no session is running; call session_start() first")

    def _access(self, entry: PageEntry, level: Level, signature: str | None = None) -> Judgement:
        page_id = entry.page.id
        judgement = self._observer.access(
            entry, level, self.turn, resolution=self.policy.pointer_resolution, signature=signature
        )
        entry.destroyed = False  # Whatever a reset destroyed has been retrieved again by now.
        self._demands[page_id] = max(judgement.level, self._demands.get(page_id, Level.NONE))
        self._accessed.append(page_id)
        return judgement

    def _note_staged(self, sequence: int, update: Update) -> None:
        entry = self.table.find(update.page_id)
        if entry is not None and sequence not in entry.dirty:
            entry.dirty.append(sequence)
        self._emit("stage", entry=sequence, page=update.page_id, field=update.field, operation=update.operation)

    def _checker(self) -> Check:
        """Return the check of one writeback: each update is checked against its page after the updates before it."""
        pending: dict[str, Page] = {}
        context = dataclasses.replace(
            self._context, find_page=lambda page_id: pending.get(page_id) or self._find_page(page_id)
        )

        def check(update: Update, version: int, value: Any) -> Rejection | None:
            rejection = check_update(update, version, value, context)
            page = context.find_page(update.page_id)
            if rejection is None and page is not None:
                pending[update.page_id] = changed_page(page, update.field, update.value)
            return rejection

        return check

    def _write_back(self) -> Writeback:
        check = self._checker() if self.policy.validated_writeback else None
        result = self.journal.write_back(check, self._deferred())
        for entry in result.rejected:
            assert entry.rejection is not None
            self._emit("reject", entry=entry.sequence, code=entry.rejection.code.value, detail=entry.rejection.detail)
        for entry in (*result.rejected, *result.committed):
            page_entry = self.table.find(entry.update.page_id)
            if page_entry is not None and entry.sequence in page_entry.dirty:
                page_entry.dirty.remove(entry.sequence)
        if result.commit is not None:
            self._emit(
                "commit",
                commit=result.commit,
                entries=[entry.sequence for entry in result.committed],
                overwrote=[entry.sequence for entry in result.overwrote],
            )
        self.table.mark_durable()
        # Last, because the renderer is the caller's code: if it raises, everything above is recorded already.
        for entry in result.committed:
            self._apply(entry.update)
        return result

    def _deferred(self) -> frozenset[int]:
        """Return the entries of an earlier process that wait until their page and evidence are declared again."""
        return frozenset(
            entry.sequence
            for entry in self.journal.staged
            if entry.sequence in self._recovered
            and (entry.update.page_id not in self.table or not self._reference_resolves(entry.update.evidence_ref))
        )

    def _apply(self, update: Update) -> None:
        page_entry = self.table.find(update.page_id)
        if page_entry is None:
            return  # Unvalidated writeback may commit fields of a page that was never declared.
        value = self.journal.committed(update.page_id, update.field).value
        page = changed_page(page_entry.page, update.field, value)
        self.table.amend(self._rendered(page, self.journal.committed_fields(page.id)))

    def _destroy(self, boundary: Boundary, mode: WritebackMode) -> None:
        written = mode is WritebackMode.BOUNDARY
        dirty = [entry.page.id for entry in self.table if entry.dirty]
        self._emit("boundary", boundary=boundary.value, writeback=written, dirty=dirty)
        try:
            if written:
                self._write_back()
        except OSError:
            raise  # Nothing was written and nothing is lost: the harness may try the boundary again.
        except Exception:
            self._account_for_loss(boundary)
            raise
        self._account_for_loss(boundary)

    def _account_for_loss(self, boundary: Boundary) -> None:
        deferred = self._deferred()
        lost = self.journal.abandon(boundary.value, deferred)
        if lost:
            self._emit("lost", boundary=boundary.value, entries=[entry.sequence for entry in lost])
        for entry in self.table:
            destroyed = [sequence for sequence in entry.dirty if sequence not in deferred]
            if destroyed:
                self._observer.destroyed(entry.page.id, destroyed, boundary.value, self.turn)
                entry.dirty = [sequence for sequence in entry.dirty if sequence in deferred]
        self._injected.clear()
        self.table.set_residency({})
        self._observer.boundary_passed()

    def _prompt(self, selection: Selection, missing_tokens: int) -> AssembledPrompt:
        chosen = [self.table.entry(page_id) for page_id in selection.levels]
        # What changes least comes first, so that a provider's prompt cache keeps the longest prefix.
        chosen.sort(key=lambda entry: (-TYPE_RULES[entry.page.type].rank, entry.ordinal))
        blocks = []
        for page in (entry.page for entry in chosen):
            level = selection.levels[page.id]
            blocks.append(Block(page.id, page.version, level, page.costs[level], page.texts.get(level, "")))
        return AssembledPrompt(
            turn=self.turn,
            budget=self._prompt_budget,
            tokens=selection.tokens,
            blocks=tuple(blocks),
            unmet=tuple(item.page_id for item in selection.required if not item.fitted),
            missing_tokens=missing_tokens,
            selection=selection,
        )

    def _emit_selection(self, prompt: AssembledPrompt) -> None:
        if self._trace is None:
            return
        selection = prompt.selection
        self._emit(
            "assemble",
            budget=prompt.budget,
            tokens=prompt.tokens,
            levels={page_id: level.label for page_id, level in selection.levels.items()},
            required=[[item.page_id, item.level.label, item.reason.value, item.fitted] for item in selection.required],
            prefetched=list(selection.prefetched),
            prefetch_refused=list(selection.prefetch_refused),
            steps=[
                [step.page_id, step.level.label, step.delta, round(step.key, 6), step.outcome.value]
                for step in selection.steps
            ],
        )

    def _check(self) -> None:
        """Assert the invariants of the engine's parts and between them."""
        self.table._check()
        self.journal._check()
        self.tally._check()
        staged = {entry.sequence for entry in self.journal.staged}
        for entry in self.table:
            assert set(entry.dirty) <= staged, entry

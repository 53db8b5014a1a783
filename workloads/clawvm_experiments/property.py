"""The claim as a property: every statement of it on thousands of generated workloads, and proof that it can fail.

============  =====================================================================================
EXPERIMENT    chunks of seeds under ClawVM; then each protection removed, and broken selectors
============  =====================================================================================

The statements are in ``statements``, the workloads in ``clawvm_workloads.generated``. ``docs/property.md``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_experiments.property_model import Expected, expect
from clawvm_experiments.property_statements import (
    GROUPS,
    Property,
    Run,
    Violation,
    coverage_of,
    uncovered,
    violations_of,
)
from clawvm_replay.errors import TraceError
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.replay import replay_trace
from clawvm_replay.reports import table
from clawvm_replay.trace_format import EventBefore, Replacement, ToolDeclaration, Trace, Turn, read_trace, write_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.generated import generate

__all__ = ["BROKEN_SELECTORS", "EXPERIMENT", "TraceSize", "check_trace", "page_in", "read_back", "shrink", "with_costs"]


# --- Traces with something changed, and the way through their bytes and back: what shrinking is made of.


def read_back(trace: Trace) -> Trace:
    """Return *trace* as a reader of its bytes gets it; raises TraceError when they are no valid trace."""
    lines = "".join(write_trace(trace.header, trace.turns))
    header, turns = read_trace(io.BytesIO(lines.encode("ascii")), trace.source)
    return Trace(header, tuple(turns), source=trace.source)


def with_header(trace: Trace, **attributes: Any) -> Trace:
    """Return *trace* with these attributes of its header replaced."""
    return dataclasses.replace(trace, header=dataclasses.replace(trace.header, **attributes))


def with_budget(tokens: int, trace: Trace) -> Trace:
    """Return *trace* with another budget (tokens)."""
    return with_header(trace, budget=tokens)


def with_accounting(name: str, tokens: int, trace: Trace) -> Trace:
    """Return *trace*, which has an accounting, with one number of it (tokens) replaced."""
    accounting = trace.header.accounting
    assert accounting is not None
    return with_header(trace, accounting=dataclasses.replace(accounting, **{name: tokens}))


def with_turns(trace: Trace, turns: Sequence[Turn]) -> Trace:
    """Return *trace* with these turns, numbered anew."""
    numbered = tuple(dataclasses.replace(turn, number=number, line=0) for number, turn in enumerate(turns, start=1))
    return dataclasses.replace(trace, turns=numbered)


def with_transcript(at: int, tokens: int, trace: Trace) -> Trace:
    """Return *trace* with another growth of the transcript (tokens) in the turn at index *at*."""
    turns = list(trace.turns)
    turns[at] = dataclasses.replace(turns[at], transcript_tokens=tokens)
    return with_turns(trace, turns)


def with_pages(trace: Trace, change: Callable[[Page], Page], name: str = "") -> Trace:
    """Return *trace* with every page, or the one called *name* wherever it stands, changed."""

    def changed(items: Sequence[EventBefore]) -> Iterator[EventBefore]:
        for item in items:
            page = page_in(item)
            if page is None or (name and page.id != name):
                yield item
            elif isinstance(item, Page):
                yield change(page)
            else:
                assert isinstance(item, (Replacement, ToolDeclaration))
                yield dataclasses.replace(item, page=change(page))

    turns = [dataclasses.replace(turn, events_before=tuple(changed(turn.events_before))) for turn in trace.turns]
    return with_turns(trace, turns)


def page_in(item: object) -> Page | None:
    """Return the page that an item of a trace brings with it."""
    if isinstance(item, Page):
        return item
    return item.page if isinstance(item, (Replacement, ToolDeclaration)) else None


def page_names(trace: Trace) -> list[str]:
    """Return the ids of all pages, in the order in which they first appear."""
    items = [item for turn in trace.turns for item in turn.events_before]
    return list(dict.fromkeys(page.id for item in items if (page := page_in(item)) is not None))


def with_costs(page: Page, wanted: Mapping[Level, int]) -> Page:
    """Return *page* at the *wanted* costs (tokens), raised where they would not rise from level to level."""
    costs: dict[Level, int] = {}
    below = 0
    for level in page.levels:
        below = costs[level] = max(below + 1, wanted[level])
    return page.changed(costs=costs)


def highest_cost(trace: Trace, name: str, level: Level) -> int:
    """Return the highest cost (tokens) that the page called *name* has at *level* anywhere; 0 where it has none."""
    pages = [page for turn in trace.turns for item in turn.events_before if (page := page_in(item)) is not None]
    return max((page.costs.get(level, 0) for page in pages if page.id == name), default=0)


def with_cost_at_most(name: str, level: Level, tokens: int, trace: Trace) -> Trace:
    """Return *trace* with the page called *name* at a cost of at most *tokens* at *level*, where costs still rise."""

    def cheaper(page: Page) -> Page:
        costs = {other: min(cost, tokens) if other is level else cost for other, cost in page.costs.items()}
        return with_costs(page, costs)

    return with_pages(trace, cheaper, name)


# --- The claim, checked on one trace: two replays, and every statement about them.

MakeSelector = Callable[[], Selector]
"""Makes a new selector for one check: one that keeps a state must not carry it from trace to trace."""


def plain_selector() -> Selector:
    """Return the runtime's own selector."""
    return select


@dataclass(frozen=True, slots=True)
class Verdict:
    """The violations of one trace; ``run`` is None where a replay did not come to its end."""

    expected: Expected
    run: Run | None
    violations: tuple[Violation, ...]


def check_trace(trace: Trace, policy: Policy, make_selector: MakeSelector = plain_selector) -> Verdict:
    """Replay *trace* twice under *policy* at its own budget and check all statements.

    The second replay gets the trace as a reader of its bytes does; both share one selector. Raises TraceError when the
    trace is no valid trace or asks for a page before it is there.
    """
    expected = expect(trace)
    copy = read_back(trace)
    selector = make_selector()
    try:
        run = _replayed(trace, policy, selector)
        again = _replayed(copy, policy, selector)
    except Exception as error:  # Whatever a replay of a possible trace raises, an invariant or a refusal, is a finding.
        broken = Violation(Property.INVARIANTS_HOLD, 0, f"{type(error).__name__}: {error!s:.200}")
        return Verdict(expected, None, (broken,))
    violations = list(violations_of(expected, run))
    violations.extend(_differences(run, again))
    return Verdict(expected, run, tuple(violations))


def _replayed(trace: Trace, policy: Policy, selector: Selector) -> Run:
    decisions = DecisionTrace()
    prompts: list[AssembledPrompt] = []
    metrics = replay_trace(trace, policy, decisions=decisions, observe=prompts.append, selector=selector)
    text = "".join(canonical_json(event) + "\n" for event in decisions.events)
    return Run(trace.header.budget, tuple(prompts), tuple(decisions.events), text.encode("ascii"), metrics)


def _differences(run: Run, again: Run) -> Iterator[Violation]:
    """Yield where two replays of one trace differ: in a decision, in a prompt, or in what was measured."""
    kind = Property.SAME_BYTES
    if again.decisions != run.decisions:
        lines = zip(run.decisions.splitlines(), again.decisions.splitlines())
        number = next((number for number, (line, other) in enumerate(lines) if line != other), -1)
        yield Violation(kind, run.events[number]["turn"], f"event {number} of {len(run.events)} is another one")
    for prompt, other in zip(run.prompts, again.prompts):
        if prompt.blocks != other.blocks:
            yield Violation(kind, prompt.turn, "the prompt has other blocks")
    if again.metrics != run.metrics:
        yield Violation(kind, 0, "the metrics are others")


# --- Shrinking: from a trace that fails a check to a small one that still fails it, step by step and always the same way.

Item = TypeVar("Item")
Fails = Callable[[Trace], bool]

KINDS = ("events_before", "calls", "demands", "lookups", "updates")
"""What a turn is made of, besides its transcript."""


@dataclass(frozen=True, slots=True)
class TraceSize:
    """How large a trace is: turns, different pages, items (everything that precedes or happens in a turn), lines."""

    turns: int
    pages: int
    items: int
    lines: int

    @classmethod
    def of(cls, trace: Trace) -> TraceSize:
        """Return the size of *trace*, O(items)."""
        items = sum(len(getattr(turn, kind)) for turn in trace.turns for kind in KINDS)
        lines = sum(1 for _ in write_trace(trace.header, trace.turns))
        return cls(len(trace.turns), len(page_names(trace)), items, lines)

    def to_record(self) -> dict[str, int]:
        """Return the size as plain JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A small trace that still fails; ``candidates`` were tried, ``finished`` is false where their number ran out."""

    trace: Trace
    candidates: int
    finished: bool


def shrink(trace: Trace, fails: Fails, most_candidates: int = 3_000) -> Shrunk:
    """Return a small trace for which *fails* is true, as it is for *trace*.

    *fails* must depend on the trace alone; a candidate for which it raises TraceError is no valid trace and is left.
    Raises ValueError when *fails* is false for *trace* itself.
    """
    trace = read_back(trace)
    if not fails(trace):
        raise ValueError(f"{trace.source}: does not fail, so there is nothing to shrink")
    search = _Search(trace, fails, most_candidates)
    while not search.exhausted:
        before = search.best
        for one_pass in (_fewer_turns, _fewer_pages, _fewer_items, _simpler_words, _smaller_numbers):
            one_pass(search)
        if search.best == before:
            break
    return Shrunk(search.best, search.candidates, not search.exhausted)


class _Search:
    """The smallest failing trace so far."""

    def __init__(self, trace: Trace, fails: Fails, most_candidates: int) -> None:
        self.best = trace
        self.candidates = 0
        self._fails = fails
        self._most = most_candidates

    @property
    def exhausted(self) -> bool:
        return self.candidates >= self._most

    def improves(self, candidate: Trace) -> bool:
        """Take *candidate* if it is another valid trace that still fails; return whether it was taken."""
        if self.exhausted:
            return False
        try:
            candidate = read_back(candidate)
            if candidate == self.best:
                return False
            self.candidates += 1
            if not self._fails(candidate):
                return False
        except TraceError:
            return False
        self.best = candidate
        return True


def _leave_out(items: Sequence[Item], improves: Callable[[list[Item]], bool]) -> None:
    """Leave out ever shorter runs of *items*, from the end, as long as the rest *improves*."""
    kept = list(items)
    length = len(kept)
    while length:
        end = len(kept)
        while end > 0:
            begin = max(0, end - length)
            rest = kept[:begin] + kept[end:]
            if improves(rest):
                kept = rest
            end = begin
        length //= 2


# --- less of everything --------------------------------------------------------------------------------------


def _fewer_turns(search: _Search) -> None:
    """Leave out turns with what precedes them; then turns alone, so that it precedes the next one."""
    for keeps_prelude in (False, True):
        _leave_out_turns(search, keeps_prelude)


def _leave_out_turns(search: _Search, keeps_prelude: bool) -> None:
    trace = search.best

    def improves(kept: list[Turn]) -> bool:
        turns: list[Turn] = []
        waiting: list[EventBefore] = []
        wanted = {turn.number for turn in kept}
        for turn in trace.turns:
            if turn.number in wanted:
                turns.append(dataclasses.replace(turn, events_before=(*waiting, *turn.events_before)))
                waiting = []
            elif keeps_prelude:
                waiting.extend(turn.events_before)
        return search.improves(with_turns(trace, turns))

    _leave_out(trace.turns, improves)


def _fewer_pages(search: _Search) -> None:
    """Leave out pages with everything that mentions them, and then also with a part of the budget that they used."""
    trace = search.best
    names = page_names(trace)

    def improves(kept: list[str]) -> bool:
        return search.improves(_without_pages(set(names) - set(kept), trace))

    _leave_out(names, improves)
    for name in page_names(search.best):
        for cost in sorted({highest_cost(search.best, name, level) for level in Level}):
            smaller = max(1, search.best.header.budget - cost)
            if search.improves(with_budget(smaller, _without_pages({name}, search.best))):
                break


def _without_pages(gone: set[str], trace: Trace) -> Trace:
    return with_turns(trace, [_turn_without_pages(turn, gone) for turn in trace.turns])


def _turn_without_pages(turn: Turn, gone: set[str]) -> Turn:
    signatures = {
        item.signature
        for item in turn.events_before
        if isinstance(item, ToolDeclaration) and item.page is not None and item.page.id in gone
    }
    return dataclasses.replace(
        turn,
        events_before=tuple(
            item for item in turn.events_before if (page := page_in(item)) is None or page.id not in gone
        ),
        calls=tuple(call for call in turn.calls if call.signature not in signatures),
        demands=tuple(demand for demand in turn.demands if demand[0] not in gone),
        updates=tuple(update for update in turn.updates if update.page_id not in gone),
    )


def _fewer_items(search: _Search) -> None:
    """Leave out single things that precede a turn or happen in it."""
    trace = search.best
    places = [
        (at, kind, index)
        for at, turn in enumerate(trace.turns)
        for kind in KINDS
        for index in range(len(getattr(turn, kind)))
    ]

    def improves(kept: list[tuple[int, str, int]]) -> bool:
        wanted = set(kept)
        turns = []
        for at, turn in enumerate(trace.turns):
            parts: dict[str, Any] = {
                kind: tuple(item for index, item in enumerate(getattr(turn, kind)) if (at, kind, index) in wanted)
                for kind in KINDS
            }
            turns.append(dataclasses.replace(turn, **parts))
        return search.improves(with_turns(trace, turns))

    _leave_out(places, improves)


# --- less in what is left ------------------------------------------------------------------------------------


def _simpler_words(search: _Search) -> None:
    """Do without accounting, worths and every level that is not needed."""
    search.improves(with_header(search.best, accounting=None))
    search.improves(with_pages(search.best, _without_worth))
    for name in page_names(search.best):
        for level in (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED):
            search.improves(with_pages(search.best, partial(_without_level, level), name))


def _without_worth(page: Page) -> Page:
    return page.changed(base_utility=1.0, recompute_cost=1.0)


def _without_level(level: Level, page: Page) -> Page:
    return page.changed(costs={other: cost for other, cost in page.costs.items() if other is not level})


def _smaller_numbers(search: _Search) -> None:
    """Bring token counts down: everything at once by halves, then one after the other."""
    while search.improves(_halved(search.best)):
        pass
    for name in page_names(search.best):
        search.improves(with_pages(search.best, _cheapest, name))
        for level in (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL):
            _lower(search, highest_cost(search.best, name, level), partial(with_cost_at_most, name, level))
            # Where cost and budget hold each other up, both go down together.
            _lower(search, highest_cost(search.best, name, level), partial(_with_cost_and_budget, name, level))
    for at, turn in enumerate(search.best.turns):
        _lower(search, turn.transcript_tokens, partial(with_transcript, at))
    _lower(search, search.best.header.budget, with_budget)
    for name in ("summary_tokens", "soft_threshold", "compaction_limit"):
        if search.best.header.accounting is not None:
            _lower(search, getattr(search.best.header.accounting, name), partial(with_accounting, name))


def _lower(search: _Search, number: int, changed: Callable[[int, Trace], Trace]) -> None:
    """Bring *number* down towards 0 in ever smaller strides; *changed* puts another one in its place."""
    stride = number
    while stride:
        while number >= stride and search.improves(changed(number - stride, search.best)):
            number -= stride
        stride //= 2


def _halved(trace: Trace) -> Trace:
    return with_budget(max(1, trace.header.budget // 2), with_pages(trace, _half_price))


def _half_price(page: Page) -> Page:
    return with_costs(page, {level: cost // 2 for level, cost in page.costs.items()})


def _cheapest(page: Page) -> Page:
    return with_costs(page, dict.fromkeys(page.costs, 1))


def _with_cost_and_budget(name: str, level: Level, tokens: int, trace: Trace) -> Trace:
    spared = highest_cost(trace, name, level) - tokens
    return with_budget(max(1, trace.header.budget - spared), with_cost_at_most(name, level, tokens, trace))


# --- Selectors that are broken on purpose, each in one way: what a check is worth shows when it meets them.


def _overshoots(request: SelectionRequest) -> Selection:
    """Spend one token more than there is."""
    return select(dataclasses.replace(request, budget=request.budget + 1))


def _drops_a_hard_page(request: SelectionRequest) -> Selection:
    """Leave out the hard page that was declared last."""
    selection = select(request)
    levels = dict(selection.levels)
    for page in reversed(request.pages):
        if page.is_hard and page.id in levels:
            tokens = selection.tokens - page.costs[levels.pop(page.id)]
            return dataclasses.replace(selection, levels=levels, tokens=tokens)
    return selection


def _forgets_a_demand(request: SelectionRequest) -> Selection:
    """Do not notice the last demand."""
    demands = dict(request.demands)
    if demands:
        demands.popitem()
    return select(dataclasses.replace(request, demands=demands))


def _serves_demands_first(request: SelectionRequest) -> Selection:
    """Install demands before floors, which makes a difference under pressure only."""
    policy = dataclasses.replace(request.policy, auto_pin=False, prefetch=False, upgrades=None)
    selection = select(dataclasses.replace(request, policy=policy, injected=()))
    levels, tokens = dict(selection.levels), selection.tokens
    for page in request.pages:
        current = levels.get(page.id, Level.NONE)
        added = page.floor_cost - page.costs.get(current, 0)
        if page.is_hard and current < page.floor_level and tokens + added <= request.budget:
            levels[page.id] = page.floor_level
            tokens += added
    return dataclasses.replace(selection, levels=levels, tokens=tokens)


def _misstates_its_tokens(request: SelectionRequest) -> Selection:
    """Say one token less than was spent."""
    selection = select(request)
    return dataclasses.replace(selection, tokens=max(0, selection.tokens - 1))


class _CountsItsCalls:
    """Make no upgrades in every third call of its life, so that a second replay is another one."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, request: SelectionRequest) -> Selection:
        self._calls += 1
        if self._calls % 3:
            return select(request)
        return select(dataclasses.replace(request, policy=dataclasses.replace(request.policy, upgrades=None)))


BROKEN_SELECTORS: Mapping[str, Callable[[], Selector]] = MappingProxyType(
    {
        "overshoots": lambda: _overshoots,
        "drops_a_hard_page": lambda: _drops_a_hard_page,
        "forgets_a_demand": lambda: _forgets_a_demand,
        "serves_demands_first": lambda: _serves_demands_first,
        "misstates_its_tokens": lambda: _misstates_its_tokens,
        "counts_its_calls": _CountsItsCalls,
    }
)


# --- The report of the property: statements, proof that the check can fail, what was generated.

STATEMENTS = {
    Property.ZERO_FAULTS: "no policy-controllable fault of any kind; floors and demands stand wherever they fit",
    Property.RIGHT_VERDICTS: "each access is judged against what the model could see, and counted as what it was",
    Property.PRESSURE_REPORTED: "pressure in exactly the turns that do not fit, with exactly what is missing",
    Property.WITHIN_BUDGET: "no prompt above its budget; each page once, at a level it has, at what that costs",
    Property.NOTHING_LOST: "every update is committed or rejected with the right code at the next boundary",
    Property.SAME_BYTES: "a second replay gives the same decision trace, byte for byte",
    Property.INVARIANTS_HOLD: "every replay runs to its end, and the engine's invariants hold there",
}


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    findings = results["findings"]
    return "\n".join(
        [
            "## The claim as a property\n",
            f"{findings['workloads_tried']:,} generated workloads, {findings['turns_tried']:,} turns, "
            f"{findings['demands_tried']:,} demands, {findings['tool_calls_tried']:,} tool calls (together "
            f"{findings['accesses_tried']:,} accesses: a call without a result is none), "
            f"{findings['updates_tried']:,} updates and {findings['boundaries_passed']:,} boundaries under ClawVM. "
            f"The minimum set fits in every turn of {findings['workloads_that_fit']:,} workloads; in the others "
            f"{findings['turns_under_pressure']:,} turns do not fit. "
            f"**Workloads that break a statement: {findings['violations']}.**\n",
            _statements(results),
            "### Proof that the check can fail\n",
            "One thing is taken away at a time. A protection or a broken selector has to be caught; what only spends "
            "spare tokens must not be. The first failing seed was shrunk; sizes are turns / pages / items.\n",
            _proofs(results["features"], "removed from ClawVM"),
            _proofs(results["selectors"], "selector"),
            "The first statement that the first failing seed breaks stands above. All failing seeds, by every "
            "statement that they break:\n",
            _by_statement([*results["features"], *results["selectors"]]),
            _unbroken(results["statements_no_proof_breaks"]),
            "### What was generated\n",
            _coverage(results),
        ]
    )


def _statements(results: dict[str, Any]) -> str:
    broken = Counter(kind for violation in results["violations"] for kind in violation["all_properties"])
    return table(
        ["statement", "workloads that break it"],
        [(f"`{kind.value}`: {text}", broken[kind.value]) for kind, text in STATEMENTS.items()],
    )


def _proofs(rows: Sequence[Row], what: str) -> str:
    header = [
        what,
        "must fail",
        "failing seeds",
        "first",
        "first statement broken",
        "faults counted",
        "size before",
        "size after",
        "candidates",
    ]
    return table(header, [_proof_line(row) for row in rows])


def _proof_line(row: Row) -> tuple[object, ...]:
    share = f"{row['failing_seeds']} of {row['seeds']}"
    line: tuple[object, ...] = (row["name"], row["must_fail"], share)
    if not row["caught"]:
        return (*line, None, None, None, None, None, None)
    faults = ", ".join(row["fault_kinds"]) or "none"
    sizes = (_size(row["size_before"]), _size(row["size_after"]))
    return (*line, row["first_seed"], row["property"], faults, *sizes, row["candidates"])


def _by_statement(rows: Sequence[Row]) -> str:
    return table(
        ["removed or broken", *(f"`{kind.value}`" for kind in Property)],
        [(row["name"], *(row["failing_seeds_by_property"][kind.value] for kind in Property)) for row in rows],
    )


def _unbroken(names: Sequence[str]) -> str:
    return f"Statements that none of these breaks: {', '.join(f'`{name}`' for name in names) or 'none'}.\n"


def _size(size: dict[str, int]) -> str:
    return f"{size['turns']} / {size['pages']} / {size['items']}"


def _coverage(results: dict[str, Any]) -> str:
    counts = results["counts"]
    lines = []
    for group, kinds in GROUPS.items():
        numbers = ", ".join(f"{kind} {counts.get(f'{group}/{kind}', 0):,}" for kind in kinds)
        lines.append(f"- **{group}**: {numbers}\n")
    return "".join(lines)


# --- The claim as a property: every statement of it on thousands of generated workloads, and proof that it can fail.

CLAWVM = POLICIES["clawvm"]

CHUNKS, SEEDS_PER_CHUNK = 60, 100
QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK = 6, 50

PROOF_SEEDS, QUICK_PROOF_SEEDS = 100, 25
"""How many seeds a removed protection or a broken selector gets to be caught."""

NO_PROTECTIONS = ("upgrade_scoring", "prefetch")
"""Features of ClawVM that spend spare tokens: without them nothing may break."""

MOST_COUNTEREXAMPLES = 3
"""How many failing seeds of a chunk are shrunk; the others are listed as they are."""

# --- cells ---------------------------------------------------------------------------------------------------


def cells(quick: bool) -> list[Cell]:
    """Return the chunks of seeds, then one cell for each feature removed and each broken selector."""
    chunks, seeds = (QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK) if quick else (CHUNKS, SEEDS_PER_CHUNK)
    proof_seeds = QUICK_PROOF_SEEDS if quick else PROOF_SEEDS
    return [
        *(
            Cell(f"seeds-{number * seeds:06d}", {"part": "seeds", "first_seed": number * seeds, "seeds": seeds})
            for number in range(chunks)
        ),
        *(
            Cell(f"without-{feature}", {"part": "feature", "name": feature, "seeds": proof_seeds})
            for feature in FEATURES
        ),
        *(
            Cell(f"selector-{name}", {"part": "selector", "name": name, "seeds": proof_seeds})
            for name in BROKEN_SELECTORS
        ),
    ]


def run_cell(cell: Cell) -> Row:
    """Return the row of one cell."""
    parameters = cell.parameters
    if parameters["part"] == "seeds":
        return _chunk(parameters["first_seed"], parameters["seeds"])
    name, seeds = parameters["name"], parameters["seeds"]
    if parameters["part"] == "feature":
        row = _proof(CLAWVM.without(FEATURES[name]), plain_selector, seeds)
        row["must_fail"] = name not in NO_PROTECTIONS
    else:
        row = _proof(CLAWVM, BROKEN_SELECTORS[name], seeds)
        row["must_fail"] = True
    row["caught"] = row["failing_seeds"] > 0
    return {"part": parameters["part"], "name": name, **row}


def _chunk(first_seed: int, seeds: int) -> Row:
    """Check ClawVM on consecutive seeds."""
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    violations: list[Row] = []
    for seed in range(first_seed, first_seed + seeds):
        trace = generate(seed)
        verdict = check_trace(trace, CLAWVM)
        if verdict.run is not None:
            counts.update(coverage_of(trace, verdict.expected, verdict.run))
            digest.update(verdict.run.decisions)
        if verdict.violations:
            violations.append({"seed": seed, **_told(verdict.violations)})
            if len(violations) <= MOST_COUNTEREXAMPLES:
                violations[-1].update(_counterexample(trace, verdict.violations[0].property, CLAWVM, plain_selector))
    return {
        "part": "seeds",
        "first_seed": first_seed,
        "seeds": seeds,
        "counts": dict(sorted(counts.items())),
        "violations": violations,
        "digest": digest.hexdigest(),
    }


def _proof(policy: Policy, make_selector: MakeSelector, seeds: int) -> Row:
    """Check a policy or a selector that has something missing, and shrink the first failing seed."""
    failing: list[int] = []
    by_property: Counter[str] = Counter()
    first: Row = {}
    for seed in range(seeds):
        trace = generate(seed)
        verdict = check_trace(trace, policy, make_selector)
        if not verdict.violations:
            continue
        failing.append(seed)
        by_property.update({violation.property.value for violation in verdict.violations})
        if not first:
            first = {
                "first_seed": seed,
                **_told(verdict.violations),
                "fault_kinds": _fault_kinds(verdict),
                **_counterexample(trace, verdict.violations[0].property, policy, make_selector),
            }
    return {
        "seeds": seeds,
        "failing_seeds": len(failing),
        "failing_seeds_by_property": {kind.value: by_property[kind.value] for kind in Property},
        **first,
    }


def _told(violations: Sequence[Violation]) -> Row:
    """Return the first of several violations, and which statements they break."""
    first = violations[0]
    broken = {violation.property for violation in violations}
    return {
        "property": first.property.value,
        "turn": first.turn,
        "detail": first.detail,
        "all_properties": [kind.value for kind in Property if kind in broken],
    }


def _fault_kinds(verdict: Verdict) -> list[str]:
    return [] if verdict.run is None else [kind for kind in FAULT_FIELDS if getattr(verdict.run.metrics, kind)]


def _counterexample(trace: Trace, broken: Property, policy: Policy, make_selector: MakeSelector) -> Row:
    """Shrink a failing trace to a small one that breaks the same statement."""

    def fails(candidate: Trace) -> bool:
        verdict = check_trace(candidate, policy, make_selector)
        return any(violation.property is broken for violation in verdict.violations)

    shrunk = shrink(trace, fails)
    before, after = TraceSize.of(trace), TraceSize.of(shrunk.trace)
    return {
        "size_before": before.to_record(),
        "size_after": after.to_record(),
        "candidates": shrunk.candidates,
        "finished": shrunk.finished,
        "counterexample": [line.rstrip("\n") for line in write_trace(shrunk.trace.header, shrunk.trace.turns)],
    }


# --- results -------------------------------------------------------------------------------------------------


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the counts over all chunks, every violation, and how each proof came out."""
    chunks = [row for row in rows if row["part"] == "seeds"]
    counts: Counter[str] = Counter()
    for row in chunks:
        counts.update(row["counts"])
    violations = [violation for row in chunks for violation in row["violations"]]
    features = [row for row in rows if row["part"] == "feature"]
    selectors = [row for row in rows if row["part"] == "selector"]
    unbroken = [
        kind.value
        for kind in Property
        if not any(row["failing_seeds_by_property"][kind.value] for row in (*features, *selectors))
    ]
    digest = hashlib.sha256("".join(row["digest"] for row in chunks).encode("ascii")).hexdigest()
    return {
        "findings": {
            **_findings(counts, violations, features, selectors),
            "statements_no_proof_breaks": len(unbroken),
            "seeds_tried": sum(row["seeds"] for row in chunks),
            "decision_traces_sha256": digest,
        },
        "counts": dict(sorted(counts.items())),
        "uncovered": uncovered(counts),
        "violations": violations,
        "features": features,
        "selectors": selectors,
        "statements_no_proof_breaks": unbroken,
    }


def _findings(
    counts: Counter[str], violations: Sequence[Row], features: Sequence[Row], selectors: Sequence[Row]
) -> dict[str, int]:
    protections = [row for row in features if row["must_fail"]]
    harmless = [row for row in features if not row["must_fail"]]
    shrunk = [row["size_after"] for row in (*features, *selectors) if row["caught"]]
    return {
        "workloads_tried": counts["workloads"],
        "workloads_that_fit": counts["workloads that fit"],
        "workloads_under_pressure": counts["workloads"] - counts["workloads that fit"],
        "turns_tried": counts["turns"],
        "turns_under_pressure": counts["turns under pressure"],
        "demands_tried": counts["demands"],
        "tool_calls_tried": counts["calls"],
        "accesses_tried": counts["accesses"],
        "updates_tried": counts["updates"],
        "lookups_tried": counts["look-ups"],
        "boundaries_passed": counts["boundaries"],
        "violations": len(violations),
        "kinds_of_input_uncovered": len(uncovered(counts)),
        "protections": len(protections),
        "protections_caught": sum(row["caught"] for row in protections),
        "harmless_features": len(harmless),
        "harmless_features_quiet": sum(not row["caught"] for row in harmless),
        "broken_selectors": len(selectors),
        "broken_selectors_caught": sum(row["caught"] for row in selectors),
        "latest_first_failing_seed": max(
            (row["first_seed"] for row in (*protections, *selectors) if row["caught"]), default=0
        ),
        "largest_counterexample_turns": max((size["turns"] for size in shrunk), default=0),
        "largest_counterexample_pages": max((size["pages"] for size in shrunk), default=0),
    }


def traces(results: dict[str, Any]) -> dict[str, str]:
    """Return every shrunk trace as a file: of each violation, and of each protection whose absence was noticed."""
    found = {f"counterexample-{row['seed']:06d}": row for row in results["violations"]}
    found.update({f"without-{row['name'].replace('_', '-')}": row for row in results["features"]})
    found.update({f"selector-{row['name'].replace('_', '-')}": row for row in results["selectors"]})
    return {
        f"{name}.trace.jsonl": "".join(f"{line}\n" for line in row["counterexample"])
        for name, row in found.items()
        if "counterexample" in row
    }


EXPERIMENT = Experiment(
    id="property",
    title="The claim as a property",
    question="Does the contract hold on workloads that nobody chose, and would the check notice if it did not?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
    attachments=traces,
)

"""What a trace asks of memory, apart from any policy's choices: the input of every bound.

The sequence is read off the engine while it runs (decision trace and selection requests), so that there is no second
account of what a turn asks for. ``docs/bounds.md`` says what in it could depend on the policy.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.faults import Verdict
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import Level, PinClass, level_from_name

__all__ = ["DemandSequence", "DemandedContent", "ObservedRun", "Prompt", "TurnNeeds", "Use", "observe_run"]


class DemandedContent(NamedTuple):
    """A page between two replacements: old content can never serve an access to new content."""

    page_id: str
    generation: int


Prompt = Mapping[DemandedContent, Level]
"""What one prompt holds; contents at `none` are left out."""


class Use(NamedTuple):
    """Warm accesses of one turn to one content that the prompt before could have served.

    The level that they need, how many there are, and the tokens of one page-in.
    """

    content: DemandedContent
    level: Level
    times: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TurnNeeds:
    """One turn: its uses are judged against the prompt before, then its own prompt is assembled.

    ``unavoidable`` are the tokens of warm accesses that no prompt could have served: a boundary lies between the prompt
    before and them, or their page did not exist when that prompt was assembled. ``boundary`` is whether a boundary lies
    between the two prompts, so that nothing is carried over. ``required`` is what the turn's prompt has to hold,
    ``allowed`` what the floors and demands of the turn let in: the same, unless the requirements were reduced to what a
    run met.
    """

    unavoidable: int
    uses: tuple[Use, ...]
    boundary: bool
    allowed: Prompt
    required: Prompt


@dataclass(frozen=True, slots=True)
class DemandSequence:
    """The turns of a trace under a budget (tokens), with the cost of every level of every content."""

    budget: int
    costs: Mapping[DemandedContent, Mapping[Level, int]]
    turns: tuple[TurnNeeds, ...]

    def tokens(self, content: DemandedContent, level: Level) -> int:
        """Return what *content* costs at *level* (tokens); nothing at `none`."""
        return self.costs[content][level] if level else 0

    def _left(self) -> tuple[int, ...]:
        return tuple(self.budget - sum(self.tokens(*held) for held in turn.required.items()) for turn in self.turns)

    @property
    def under_pressure(self) -> bool:
        """Whether some prompt cannot hold what it has to: then no policy can, and no bound is defined."""
        return min(self._left(), default=0) < 0

    def free_tokens(self) -> tuple[int, ...]:
        """Return the tokens that each prompt has beyond what it has to hold. Raises ValueError under pressure."""
        if self.under_pressure:
            raise ValueError("a prompt cannot hold what it has to: under pressure no bound is defined")
        return self._left()

    def met_by(self, prompts: Sequence[Prompt]) -> DemandSequence:
        """Return the sequence without the requirements that *prompts* (one for each turn) did not meet."""
        turns = []
        for turn, prompt in zip(self.turns, prompts):
            met = {name: level for name, level in turn.required.items() if prompt.get(name, Level.NONE) >= level}
            turns.append(dataclasses.replace(turn, required=met))
        return dataclasses.replace(self, turns=tuple(turns))


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A replay: its metrics, what the trace asked of it, and what its prompts held."""

    metrics: CellMetrics
    sequence: DemandSequence
    prompts: tuple[Prompt, ...]

    @property
    def met(self) -> DemandSequence:
        """The sequence with only the requirements that this run met: what its own bounds are computed from."""
        return self.sequence.met_by(self.prompts)


def observe_run(trace: Trace, policy: Policy, selector: Selector = select) -> ObservedRun:
    """Replay *trace* under *policy* at the trace's budget and record what was asked and what was held."""
    recorder = _Recorder(selector)
    metrics = replay_trace(trace, policy, decisions=DecisionTrace(recorder.event), selector=recorder.select)
    sequence = DemandSequence(trace.header.budget, recorder.costs, recorder.turns())
    return ObservedRun(metrics, sequence, tuple(recorder.prompts))


def _lowest(page: Page, wanted: Level) -> Level:
    """Return the lowest level that *page* has and that is good enough; not the page's own answer, which is checked."""
    return min(level for level in page.costs if level >= wanted)


_Accesses = Counter[tuple[DemandedContent, Level]]


class _Recorder:
    """Listens to a replay at two places: its decisions, and the requests of its selector."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._generation: Counter[str] = Counter()
        self._present: set[DemandedContent] = set()
        self._served: _Accesses = Counter()
        self._unavoidable: _Accesses = Counter()
        self._boundary = False
        self._turns: list[tuple[_Accesses, _Accesses, bool, Prompt]] = []
        self.costs: dict[DemandedContent, Mapping[Level, int]] = {}
        self.prompts: list[Prompt] = []

    def _content(self, page_id: str) -> DemandedContent:
        return DemandedContent(page_id, self._generation[page_id])

    def event(self, event: Event) -> None:
        kind = event["event"]
        if kind == "page" and event["cause"] == "replaced":
            self._generation[event["page"]] += 1
        elif kind == "demand":
            content = self._content(event["page"])
            # What the harness injected is there before the first prompt: no policy chose to keep it.
            injected = event["verdict"] == Verdict.HIT.value and not self._turns
            if event["verdict"] != Verdict.COLD.value and not injected:
                could_be_held = content in self._present and not self._boundary
                (self._served if could_be_held else self._unavoidable)[content, level_from_name(event["level"])] += 1
        elif kind == "boundary":
            self._boundary = True

    def select(self, request: SelectionRequest) -> Selection:
        selection = self._selector(request)
        required: dict[DemandedContent, Level] = {}
        for page in request.pages:
            content = self._content(page.id)
            self.costs.setdefault(content, page.costs)
            if page.id in request.demands:
                required[content] = _lowest(page, max(request.demands[page.id], page.minimum))
            elif page.pin is PinClass.HARD:  # Injected pages are: instructions always are.
                required[content] = _lowest(page, page.minimum)
        self._turns.append((self._unavoidable, self._served, self._boundary, required))
        self.prompts.append({self._content(page_id): level for page_id, level in selection.levels.items()})
        self._present = {self._content(page.id) for page in request.pages}
        self._served, self._unavoidable, self._boundary = Counter(), Counter(), False
        return selection

    def turns(self) -> tuple[TurnNeeds, ...]:
        # Costs are read last: the turn in which a page is used may replace it before the request shows it.
        def cost(access: tuple[DemandedContent, Level]) -> int:
            return self.costs[access[0]][access[1]]

        return tuple(
            TurnNeeds(
                sum(times * cost(access) for access, times in unavoidable.items()),
                tuple(Use(*access, served[access], cost(access)) for access in sorted(served)),
                boundary,
                required,
                required,
            )
            for unavoidable, served, boundary, required in self._turns
        )

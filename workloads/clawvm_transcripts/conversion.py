"""From the events of a session, or of a chain of sessions, to the turns of both views.

The rules are those of ``docs/real-sessions.md``. Memory: O(signatures and paths); no text is kept. The last turns wait
until it is known whether a compaction follows (``FlushPlacer``); observations and texts go out at once.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, Turn
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import Boundary, Level, PageType
from clawvm_transcripts.calls import CallFacts, CallKind
from clawvm_transcripts.events import (
    AssistantMessage,
    Cleared,
    Compaction,
    Event,
    Prompt,
    RecordedCall,
    Reset,
    Resume,
    Rewind,
)
from clawvm_transcripts.evidence import Answer, Change, Evidence, Novelty, ReplyStep, StepAssembler, Words
from clawvm_transcripts.pseudonyms import Pseudonyms, digest_of
from clawvm_transcripts.recorded_pages import (
    PlanKeeper,
    page_of_answer,
    page_of_words,
    page_type_of,
    preferences_in,
    rules_in,
)
from clawvm_transcripts.views import Observed, View, ViewBuilder

__all__ = ["FLUSH_BEFORE_COMPACTION", "MOST_HELD", "FlushPlacer", "SessionConverter", "Sinks"]


# --- Where the flush before a compaction is inserted.

FLUSH_BEFORE_COMPACTION = 4000
"""Tokens of transcript before a compaction at which a best-effort flush is due, as OpenClaw documents it."""

MOST_HELD = FLUSH_BEFORE_COMPACTION
"""Turns that wait at most; if they hardly let the transcript grow, the flush comes later than it should."""


class FlushPlacer:
    """Takes the turns of every view and hands them to *sink* in order, as soon as no flush can come before them."""

    def __init__(self, sink: Callable[[View, Turn], None]) -> None:
        self._sink = sink
        self._held: deque[tuple[int, dict[View, Turn]]] = deque()  # With the transcript at which each turn begins.
        self._transcript = 0  # Of all turns so far, in tokens: only differences within a cycle count.

    def add(self, turns: dict[View, Turn], tokens: int) -> None:
        """Take the same turn of every view, which lets the transcript grow by *tokens*."""
        self._held.append((self._transcript, turns))
        self._transcript += tokens
        # The last turn stays, however large: a flush may have to come before it.
        while len(self._held) > 1 and (
            self._transcript - self._held[0][0] > FLUSH_BEFORE_COMPACTION or len(self._held) > MOST_HELD
        ):
            self._hand_on()

    def compaction(self) -> None:
        """Take a recorded compaction: its flush comes before the oldest turn that waits, if any does."""
        if self._held:
            _, turns = self._held[0]
            for view, turn in turns.items():
                turns[view] = flushed_first(turn)
        self.release()

    def release(self) -> None:
        """Hand on every turn that waits: a boundary without a flush follows, or the session ends."""
        while self._held:
            self._hand_on()

    def _hand_on(self) -> None:
        for view, turn in self._held.popleft()[1].items():
            self._sink(view, turn)


def flushed_first(turn: Turn) -> Turn:
    """Return *turn* with a flush before everything else of its cycle."""
    at = max((place + 1 for place, item in enumerate(turn.events_before) if isinstance(item, BoundaryEvent)), default=0)
    return dataclasses.replace(turn, events_before=(*turn.events_before[:at], FlushEvent(), *turn.events_before[at:]))


# --- From events to turns.

KEEPS_THE_CONTEXT = frozenset({"handoff", "start:fork"})
"""Resets that take the harness's own context along; any other empties it."""

FilePage = tuple[str, PageType, tuple[int, ...]]
"""The page of a file that was read, by its id, type and costs: a long session has a hundred thousand of them."""

SHORTEST_UNIQUE_ID = 16
"""Characters of an id that is unique among sessions; some harnesses only number."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a converter hands things: each turn of a view, each observation of a view, each text with its page."""

    turn: Callable[[View, Turn], None]
    observed: Callable[[View, Observed], None]
    text: Callable[[str, str, str], None] | None = None


@dataclass(slots=True)
class SessionConverter:
    """Converts the sessions that it is fed, in order, into one trace per view.

    ``transcripts_at_compaction`` are the sizes of the transcript, in tokens, at which the recorded harness compacted.
    With ``chain`` several sessions may follow each other: what a session repeats of an earlier one, because it was
    resumed or forked from it, is left out.
    """

    names: Pseudonyms
    sinks: Sinks
    chain: bool = False
    pages: Counter[str] = field(default_factory=Counter)
    transcripts_at_compaction: list[int] = field(default_factory=list)
    turns: int = 0
    _assembler: StepAssembler = field(default_factory=StepAssembler)
    _evidence: Evidence = field(default_factory=Evidence)
    _views: tuple[ViewBuilder, ...] = field(default_factory=lambda: tuple(ViewBuilder(view) for view in View))
    _plans: PlanKeeper = field(init=False)
    _held: FlushPlacer = field(init=False)
    _file_pages: dict[bytes, FilePage] = field(default_factory=dict)
    _templates: dict[PageType, Page] = field(default_factory=dict)  # A page of a file of each type.
    _words_declared: set[str] = field(default_factory=set)
    _transcript: int = 0
    _prompts: int = 0
    _unanswered: bool = False  # The model has not replied to the newest prompt yet.
    _instructions: list[str] = field(default_factory=list)  # Pages of instructions, by their place in a session.
    _given: set[bytes] = field(default_factory=set)  # Instructions that the running session has.
    _begins: bool = False  # The session has begun, and no turn of it came yet.
    _copied: bool = False  # The session began with turns of an earlier one.
    _earlier: set[bytes] = field(default_factory=set)  # Ids of replies and calls of earlier sessions.
    _own: set[bytes] = field(default_factory=set)  # Those of the running session.

    def __post_init__(self) -> None:
        self._plans = PlanKeeper(self.names)
        self._held = FlushPlacer(self.sinks.turn)

    @property
    def working_set(self) -> dict[str, int]:
        """Tokens of all pages at full, each once at its largest, by view."""
        return {builder.view.value: builder.working_set for builder in self._views}

    def begin_session(self) -> None:
        """Begin the next session: everything before the first one is a reset away from it."""
        self._assembler = StepAssembler()
        self._begins, self._copied = True, False
        self._earlier |= self._own
        self._own = set()

    def feed(self, event: Event, facts: CallFacts | None = None) -> None:
        """Take the next event of the running session; *facts* are those of a RecordedCall, if the caller has them."""
        if isinstance(event, Rewind) and self._unanswered and event.dropped <= 1 and not (event.lost or event.restored):
            return  # A prompt without a reply was written anew: no turn came between.
        if isinstance(event, (Prompt, AssistantMessage, RecordedCall)):
            self._unanswered = isinstance(event, Prompt)
        for step in self._assembler.feed(event, facts):
            self._step(step)

    def end_session(self) -> None:
        """End the running session."""
        for step in self._assembler.finish():
            self._step(step)
        self._held.release()

    def _step(self, step: ReplyStep) -> None:
        if self.chain and self._is_copy(step):
            self._copied = True
            return
        if self._begins:
            self._begins = False
            self._next_session()
        for item in step.before:
            if isinstance(item, Words):
                self._words(item)
            else:
                self._change(item)
        for answer in step.answers:
            self._answer(answer)
        self._transcript += step.tokens
        self.turns += 1
        for builder in self._views:
            for observed in builder.observed:
                self.sinks.observed(builder.view, observed)
            builder.observed.clear()
        self._held.add({builder.view: builder.close(step.tokens) for builder in self._views}, step.tokens)

    def _is_copy(self, step: ReplyStep) -> bool:
        """Return whether an earlier session of the chain holds this reply; remember it as one of this session."""
        names = [name for name in (step.message, *step.calls) if len(name) >= SHORTEST_UNIQUE_ID]
        digests = {digest_of(name) for name in names}
        self._own |= digests
        return not self._earlier.isdisjoint(digests)

    def _next_session(self) -> None:
        """Put a reset between two sessions of a chain, unless the second goes on with what it copied of the first."""
        if not self.turns:
            return
        self._evidence.files_unknown()
        if not self._copied:
            self._evidence.context_lost()
            self._reset()
        self._end_instructions()

    def _change(self, change: Change) -> None:
        """Follow a change of the harness's context; what it drops or empties is a boundary for the policies, too."""
        if isinstance(change, Cleared):
            self._evidence.results_lost(change.calls or ())
        elif isinstance(change, Resume):
            self._evidence.files_unknown()  # They may have changed since the session was left.
        elif isinstance(change, Reset):
            if change.kind in KEEPS_THE_CONTEXT:
                self._evidence.files_unknown()
            else:
                self._evidence.context_lost()
            self._reset()
        else:
            self._compaction(change)

    def _reset(self) -> None:
        if not self.turns:
            return  # There is no memory yet that could be lost.
        self._transcript = 0
        self._held.release()
        for builder in self._views:
            builder.reset()

    def _compaction(self, event: Compaction | Rewind) -> None:
        if isinstance(event, Rewind):
            self._evidence.results_lost(event.lost)
            self._evidence.results_restored(event.restored)
            self._evidence.files_unknown()  # Some harnesses restore files, too.
            self._held.release()
        else:
            if event.lost is None:
                self._evidence.context_lost(event.kept)
            else:
                self._evidence.results_lost(event.lost)
            self.transcripts_at_compaction.append(self._transcript)
            self._held.compaction()
        self._transcript = 0
        for builder in self._views:
            builder.boundary(BoundaryEvent(Boundary.COMPACTION))

    def _words(self, words: Words) -> None:
        if not words.text.strip():
            return
        if words.kind == "prompt":
            self._prompts += 1
            self._page("prompt", f"{self._prompts} {words.text}", PageType.CONVERSATION_SEGMENT, words.text)
            if rules := rules_in(words.text):
                self._page("rules", "\n".join(rules), PageType.CONSTRAINT, bulleted(rules))
            if preferences := preferences_in(words.text):
                self._page("preference", "\n".join(preferences), PageType.PREFERENCE, bulleted(preferences))
        elif words.kind == "summary":
            self._page("summary", f"{self.turns} {words.text}", PageType.CONVERSATION_SEGMENT, words.text)
        elif words.kind == "memory":
            self._page("preference", words.text, PageType.PREFERENCE, words.text)
        else:
            self._instruct(words.text)

    def _instruct(self, text: str) -> None:
        """Put instructions in front of the model; those of a new session take the place of the earlier session's."""
        digest = digest_of(text)
        if digest in self._given:
            return
        place = len(self._given)
        self._given.add(digest)
        page_id = self.names.name("instructions", str(place + 1))
        if place == len(self._instructions):
            self._instructions.append(page_id)
            self.pages[PageType.BOOTSTRAP_POLICY.value] += 1
        self._declare(page_of_words(page_id, PageType.BOOTSTRAP_POLICY, text, "harness"))
        self._keep(page_id, page_id, text)

    def _end_instructions(self) -> None:
        """Empty the instructions of a session that is over, which would stay pinned and take ever more tokens."""
        self._given.clear()
        for page_id in self._instructions:
            self._declare(page_of_words(page_id, PageType.BOOTSTRAP_POLICY, "", "harness"))

    def _page(self, kind: str, identity: str, page_type: PageType, text: str) -> None:
        """Declare a page of words, once; a segment of the conversation is also a demand of this turn."""
        page_id = self.names.name(kind, identity)
        if page_id in self._words_declared:
            return
        self._words_declared.add(page_id)
        self.pages[page_type.value] += 1
        if page_type is PageType.CONVERSATION_SEGMENT:
            self._declare(page_of_words(page_id, page_type, text, "transcript_span"), demanded=Level.FULL)
        else:
            self._declare(page_of_words(page_id, page_type, text, "user"))
        self._keep(page_id, identity, text)

    def _declare(self, page: Page, demanded: Level | None = None) -> None:
        for builder in self._views:
            builder.declare(page, demanded=demanded)

    def _keep(self, page_id: str, words: str, text: str) -> None:
        if self.sinks.text is not None:
            self.sinks.text(page_id, words, text)

    def _answer(self, answer: Answer) -> None:
        facts = answer.facts
        if facts.kind is CallKind.PLAN:
            self._plan(answer)
            return
        if answer.text.strip() or answer.images:
            self._result(answer)
        if (facts.kind is CallKind.EDIT or facts.edits) and not answer.failed:
            for key in self._evidence.edited(facts.edits):
                page = self._file_page(self._file_pages.pop(key))
                for builder in self._views:
                    builder.stale(page)

    def _result(self, answer: Answer) -> None:
        finding = self._evidence.take(answer)
        page_id, kind = self._name_of(answer), answer.facts.kind
        make_page = cache(lambda: page_of_answer(page_id, answer))
        if finding.novelty is not Novelty.REPEATED:
            self._keep(page_id, answer.facts.core, answer.text)
            if kind is CallKind.READ and not answer.failed:
                self._file_pages[finding.key] = self._kept_small(make_page())
        if not self._views[0].knows(page_id):  # The view of exact signatures has a page of every result.
            self.pages[page_type_of(answer).value] += 1
        covering = tuple(self._file_pages[key][0] for key in finding.covering)
        if kind is CallKind.POLL:
            self._declare(make_page())
            return
        for builder in self._views:
            builder.answer(page_id, make_page, kind.value, finding, covering, answer.tokens)

    def _kept_small(self, page: Page) -> FilePage:
        self._templates.setdefault(page.type, page)
        return page.id, page.type, tuple(page.costs.get(level, 0) for level in Level)

    def _file_page(self, kept: FilePage) -> Page:
        page_id, page_type, costs = kept
        template = self._templates[page_type]
        return template.changed(
            id=page_id,
            costs={level: cost for level, cost in zip(Level, costs) if cost},
            provenance=Provenance(template.provenance.kind, page_id),
        )

    def _name_of(self, answer: Answer) -> str:
        kind = answer.facts.kind.value
        if answer.facts.kind is CallKind.READ:
            kind = "unread" if answer.failed else "file"
        return self.names.name(kind, answer.facts.core)

    def _plan(self, answer: Answer) -> None:
        change = self._plans.take(answer)
        if change is None:
            return
        if change.page is not None:
            self._keep(change.page_id, change.page_id, change.text)
            self._declare(change.page)
        self.pages[PageType.PLAN.value] += change.is_new
        for builder in self._views:
            builder.demand(change.page_id, Level.STRUCTURED)
            for update in change.updates:
                builder.update(update)


def bulleted(sentences: tuple[str, ...]) -> str:
    """Return sentences as a list, the form in which rules are kept word for word."""
    return "\n".join(f"- {sentence}" for sentence in sentences)

"""Sessions written by hand reply by reply, and their conversion in short words, for the tests of the conversion."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, Replacement, ToolDeclaration, Trace, TraceHeader, Turn
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import POLICIES
from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounts, count_sessions
from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.events import (
    AssistantMessage,
    Cleared,
    Compaction,
    CompactionSummary,
    Event,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionEnd,
    SessionStart,
)
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.reading import Source
from clawvm_transcripts.views import Observed, View

SIGNATURES, RESOURCES = View.SIGNATURES, View.RESOURCES

LARGE = 10**6
"""A budget in tokens under which nothing is ever under pressure."""


class PlainNames(Pseudonyms):
    """Names that can be read: the kind, and the words or the values of the arguments."""

    def __init__(self) -> None:
        super().__init__(b"")

    def name(self, kind: str, words: str) -> str:
        _, brace, arguments = words.partition(" {")
        if brace:
            words = " ".join(map(str, json.loads("{" + arguments).values()))
        return f"{kind} {' '.join(words.split())}"


@dataclass(frozen=True)
class Done:
    """A tool call with its result; a *text* of None leaves it unanswered."""

    tool: str
    arguments: Any
    text: str | None
    failed: bool = False


def read(path: str, text: str | None = "", first: int | None = None, last: int | None = None, **more: Any) -> Done:
    """Return a read of lines *first* to *last*."""
    arguments: dict[str, Any] = {"path": path}
    if first is not None or last is not None:
        arguments["view_range"] = [first or 1, -1 if last is None else last]
    return Done("read_file", arguments, f"text of {path}" if text == "" else text, **more)


def edit(path: str | None, text: str | None = "done", **more: Any) -> Done:
    """Return an edit of a file, or of an unknown path."""
    return Done("edit_file", {} if path is None else {"path": path}, text, **more)


def run(command: str, text: str | None, **more: Any) -> Done:
    """Return a command."""
    return Done("shell", {"command": command}, text, **more)


def search(pattern: str, text: str | None) -> Done:
    """Return a search."""
    return Done("grep", {"pattern": pattern}, text)


def fetch(url: str, text: str | None) -> Done:
    """Return a fetched page of the web."""
    return Done("web_fetch", {"url": url}, text)


def poll(text: str | None) -> Done:
    """Return a look at a running process."""
    return Done("bashoutput", {"id": "1"}, text)


def plan(*steps: tuple[str, str], **more: Any) -> Done:
    """Return a call that writes a list of (words, status)."""
    todos = [{"content": words, "status": status} for words, status in steps]
    return Done("todowrite", {"todos": todos}, "written", **more)


@dataclass
class Hand:
    """A session in the making; *harness* ids of messages are given unless *messages* is False."""

    messages: bool = True
    prefix: str = "c"
    events: list[Event] = field(default_factory=lambda: [SessionStart("s")])
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, *events: Event) -> Hand:
        self.events += events
        return self

    def prompt(self, text: str = "go on") -> Hand:
        return self.add(Prompt(text))

    def instruction(self, kind: str, text: str) -> Hand:
        return self.add(Instruction(kind, text))

    def reply(self, *done: Done, text: str = "") -> Hand:
        """Let the model reply with words and calls, and the tools answer."""
        message = f"{self.prefix}-message-{next(self._numbers):08d}" if self.messages else ""
        self.add(AssistantMessage(text, message))
        results = []
        for item in done:
            call = f"{self.prefix}-call-{next(self._numbers):08d}"
            self.add(RecordedCall(call, item.tool, item.arguments, message))
            if item.text is not None:
                results.append(RecordedResult(call, item.text, item.failed))
        return self.add(*results)

    def call_of(self, number: int) -> str:
        """Return the id of a call, counted from 1."""
        return [event.call for event in self.events if isinstance(event, RecordedCall)][number - 1]

    def compaction(self, kind: str = "auto", tokens: int | None = None, kept: Iterable[int] = ()) -> Hand:
        """Let the harness compact and keep the results of the calls with these numbers."""
        return self.add(Compaction(kind, tokens, kept=tuple(map(self.call_of, kept))))

    def forgetting(self, *lost: int) -> Hand:
        """Let the harness compact by forgetting the results of the calls with these numbers."""
        return self.add(Compaction("auto", lost=tuple(map(self.call_of, lost))))

    def cleared(self, *calls: int) -> Hand:
        return self.add(Cleared(tuple(map(self.call_of, calls))))

    def summary(self, text: str) -> Hand:
        return self.add(CompactionSummary(text))

    def reset(self, kind: str) -> Hand:
        return self.add(Reset(kind))

    def resume(self) -> Hand:
        return self.add(Resume("start:resume"))

    def rewind(self, *lost: int, restored: Iterable[int] = (), dropped: int = 1) -> Hand:
        """Go back: the results of the calls *lost* are left behind, those *restored* are there again."""
        return self.add(Rewind(dropped, tuple(map(self.call_of, lost)), tuple(map(self.call_of, restored))))

    def ended(self) -> list[Event]:
        return [*self.events, SessionEnd(len(self.events))]


@dataclass(frozen=True)
class Converted:
    """The result of a conversion."""

    converter: SessionConverter
    turns: dict[View, list[Turn]]
    observations: dict[View, list[Observed]]
    texts: list[tuple[str, str, str]]

    def events_before(self, view: View = SIGNATURES) -> list[list[str]]:
        """Return what precedes each turn, in short words."""
        return [[_short(item) for item in turn.events_before] for turn in self.turns[view]]

    def calls(self, view: View = SIGNATURES) -> list[list[str]]:
        """Return the calls of each turn by the names of their pages."""
        return [[call.signature.removeprefix("call ") for call in turn.calls] for turn in self.turns[view]]

    def demands(self, view: View = SIGNATURES) -> list[list[str]]:
        """Return the demands of each turn, those of words left out."""
        return [
            [name for name, _ in turn.demands if name.split()[0] not in ("prompt", "summary")]
            for turn in self.turns[view]
        ]

    def updates(self) -> list[list[tuple[str, Any]]]:
        """Return the updates of each turn as (field, value)."""
        return [[(update.field, update.value) for update in turn.updates] for turn in self.turns[SIGNATURES]]

    def observed(self, view: View = SIGNATURES) -> list[tuple[int, str, str, bool]]:
        """Return (turn, pages, novelty, kept) of each observation."""
        return [(item.turn, " + ".join(item.pages), item.novelty.value, item.kept) for item in self.observations[view]]

    def pages(self, view: View = SIGNATURES) -> dict[str, Page]:
        """Return every page as it was first declared, by name."""
        found: dict[str, Page] = {}
        for turn in self.turns[view]:
            for item in turn.events_before:
                page = item if isinstance(item, Page) else getattr(item, "page", None)
                if page is not None:
                    found.setdefault(page.id, page)
        return found


def _short(item: object) -> str:
    if isinstance(item, Page):
        return f"page {item.id}"
    if isinstance(item, Replacement):
        return f"replace {item.page.id}"
    if isinstance(item, ToolDeclaration):
        assert item.page is not None
        return f"tool {item.page.id}"
    if isinstance(item, FlushEvent):
        return "flush"
    assert isinstance(item, BoundaryEvent)
    return f"reset {item.session}" if item.session else item.boundary.value


def converted(*sessions: Hand, chain: bool = False, names: Pseudonyms | None = None) -> Converted:
    """Convert *sessions* (several are a chain)."""
    turns: dict[View, list[Turn]] = {view: [] for view in View}
    observations: dict[View, list[Observed]] = {view: [] for view in View}
    texts: list[tuple[str, str, str]] = []
    converter = SessionConverter(
        PlainNames() if names is None else names,
        Sinks(
            lambda view, turn: turns[view].append(turn),
            lambda view, observed: observations[view].append(observed),
            lambda page, words, text: texts.append((page, words, text)),
        ),
        chain=chain or len(sessions) > 1,
    )
    for session in sessions:
        converter.begin_session()
        for event in session.events:
            converter.feed(event)
        converter.end_session()
    return Converted(converter, turns, observations, texts)


def replayed(result: Converted, policy: str, view: View = SIGNATURES, budget: int = LARGE) -> CellMetrics:
    """Replay a view under a policy."""
    return replay_trace(Trace(TraceHeader("by hand", budget), tuple(result.turns[view])), POLICIES[policy])


FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Reading:
    """What the reader and the converter make of a file with one session."""

    events: list[Event]
    counts: SessionCounts
    kept: list[tuple[str, bool]]

    def of(self, *kinds: type[Event]) -> list[Event]:
        """Return the events of these *kinds*."""
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def prompts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Prompt)]


def reading_of(events: Iterable[Event]) -> Reading:
    """Return what *events* of one session come to; ``kept`` has the pages of every demand, view of resources."""
    known = list(events)
    (counts,) = count_sessions(known)
    observed = converted(Hand(events=known)).observed(RESOURCES)
    return Reading(known, counts, [(pages, kept) for _, pages, _, kept in observed])


def reading_of_fixture(name: str) -> Reading:
    """Return what the fixture *name*, a path below ``fixtures``, comes to."""
    source = Source(FIXTURES / name)
    return reading_of(events_of(source, detect(source)))

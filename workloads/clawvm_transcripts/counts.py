"""The counts of a recorded session, from its events alone.

- Turns are prompts that the user typed. Messages, calls and results are counted once per id; those without an id once
  each. A call is unanswered when no result names its id; all calls without an id are one in that count.
- A call repeats when its signature (or core signature: without presentation) occurred before.
- A cross-compaction repeat was last issued before the newest compaction: a forced refetch. Polls are none.
- Polls are calls that wait on a running process or type into it, by the name of the tool: ``sleep`` in a shell is an
  ordinary call here, as it is in the counts to compare with.
- A path is reread when it was read before, any lines of it; ``counted_paths`` says what is a read here.
- Resets start over, but leave memory of signatures and paths as it is: only a compaction makes a repeat a forced one.
- A resume goes on with the same conversation and is no reset.
- Cleared results left the context without a compaction; subagents and their calls are counted apart from the session's.

Signatures, ids and paths are kept as 64 bits each: some 100 bytes of memory per call and per distinct path.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from clawvm_transcripts.calls import ACTION_TOOL, CallFacts, CallKind, command_of, facts_of, plain_name
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Cleared,
    Compaction,
    Event,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionEnd,
    SessionStart,
    Skipped,
    Subagent,
)
from clawvm_transcripts.pseudonyms import Pseudonyms, number_of
from clawvm_transcripts.shell import name_set, plain_path

__all__ = [
    "COMPACTIONS",
    "MOST_UNKNOWN_KINDS",
    "OTHER_KINDS",
    "RESETS",
    "SessionCounter",
    "SessionCounts",
    "count_sessions",
    "counted_paths",
    "shown_counts",
]


# --- Which reads are counted: a simpler rule than that of the facts, kept because published counts follow it.

_PIECE = re.compile(r"(?:^|[;&|\n])[ \t\r]*((?:cat|head|sed|tail|nl)[ \t\r][^;&|\n]*)")
_REDIRECTION = re.compile(r"[0-9]*(<<|>>|<|>)")
_UNKNOWN = re.compile(r"[*?$`()]")
_VALUED = frozenset({("head", "-n"), ("head", "-c"), ("tail", "-n"), ("tail", "-c"), ("nl", "-b")})
_OPENHANDS_SHELL = "run"
_OPENHANDS_READ = "start"
_MOST_PIECES = 1000
_LONGEST_PIECE = 2000
"""Characters; nobody names files at such length, and splitting takes a microsecond each."""


def counted_paths(call: RecordedCall, facts: CallFacts) -> list[str]:
    """Return the paths that *call* adds to the counts of reads, in order; *facts* are its facts."""
    name = plain_name(call.tool)
    if name in (ACTION_TOOL, _OPENHANDS_SHELL):
        return []
    command = command_of(call)
    if command is None:
        if isinstance(call.arguments, dict) and (facts.kind is not CallKind.READ or _OPENHANDS_READ in call.arguments):
            return []
        return [read.path for read in facts.reads]
    if isinstance(command, list):
        command = command[-1] if len(command) > 1 and command[-2].startswith("-") else shlex.join(command)
    return [path for piece in islice(_PIECE.finditer(command), _MOST_PIECES) for path in _paths(piece.group(1))]


def _paths(piece: str) -> list[str]:
    if len(piece) > _LONGEST_PIECE:
        return []
    try:
        words = shlex.split(piece)
    except ValueError:
        return []
    name = words[0]
    if name == "sed" and "-n" not in words:
        return []
    found: list[str] = []
    passed = 1 if name == "sed" else 0  # The script of sed is no path.
    skipped = False
    for word in words[1:]:
        if skipped:
            skipped = False
            continue
        direction = _REDIRECTION.match(word)
        if direction is not None:
            if direction.group(1) == "<<" or word in (">", ">>"):
                return []
            skipped = word in ("<", "2>", "2>>")
        elif word.startswith("-"):
            skipped = (name, word) in _VALUED
        elif passed:
            passed -= 1
        elif _UNKNOWN.search(word) is None:
            found.append(plain_path(word))
    return found


# --- The counts.

POLL_TOOLS = name_set("bashoutput read_bash sleep taskoutput wait write_bash write_stdin")
"""Tools that only wait on a running process or type into it."""

MOST_UNKNOWN_KINDS = 1000
"""Kinds of unknown entries that are counted by name; all further ones count as one more."""

OTHER_KINDS = "(further kinds)"


@dataclass(slots=True)
class SessionCounts:
    """What was counted in one session, by the definitions of the module.

    ``compaction_at`` has, for each compaction, the number of calls before it, its kind, and the tokens before it where
    they are recorded. ``skipped`` are unknown kinds of entries with their numbers, ``known_skipped`` the number of
    entries that are known to be of no use. ``harness_version`` is "" where it is not recorded.
    """

    harness_version: str = ""
    lines: int = 0
    bad_lines: int = 0
    turns: int = 0
    assistant_messages: int = 0
    tool_calls: int = 0
    tool_results: int = 0
    unanswered_calls: int = 0
    distinct_signatures: int = 0
    repeated_signatures: int = 0
    distinct_core_signatures: int = 0
    repeated_core: int = 0
    repeated_core_nopoll: int = 0
    cross_compaction_repeats: int = 0
    path_reads: int = 0
    distinct_paths: int = 0
    path_rereads: int = 0
    cross_compaction_path_rereads: int = 0
    result_chars: int = 0
    compactions: int = 0
    compaction_at: Sequence[dict[str, Any]] = field(default_factory=list)
    resets: int = 0
    reset_kinds: Mapping[str, int] = field(default_factory=dict)
    resumes: int = 0
    resume_kinds: Mapping[str, int] = field(default_factory=dict)
    cleared_results: int = 0
    unnamed_clearings: int = 0
    images: int = 0
    subagents: int = 0
    subagent_tool_calls: int = 0
    polls: int = 0
    rewinds: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    known_skipped: int = 0


class SessionCounter:
    """Counts the events of one session. Memory: O(calls), see the module."""

    def __init__(self) -> None:
        self._so_far = SessionCounts()
        self._messages, self._calls, self._results = _Ids(), _Ids(), _Ids()
        self._signatures: set[int] = set()
        self._cores, self._paths = _Repeats(), _Repeats()
        self._poll_cores: set[int] = set()
        self._compactions: list[dict[str, Any]] = []
        self._resets: dict[str, int] = {}
        self._resumes: dict[str, int] = {}
        self._cleared, self._agents, self._agent_calls = _Ids(), _Ids(), _Ids()
        self._skipped: dict[str, int] = {}

    def add(self, event: Event, facts: CallFacts | None = None) -> bool:
        """Count *event* and return whether it is new: a call that is written twice counts once.

        *facts* are those of a RecordedCall, for a caller that has them already.
        """
        counts = self._so_far
        if isinstance(event, RecordedCall):
            return self._call(event, facts)
        if isinstance(event, RecordedResult):
            if self._results.take(event.call):
                counts.result_chars += len(event.text)
                counts.images += len(event.images)
        elif isinstance(event, AssistantMessage):
            self._messages.take(event.message)
        elif isinstance(event, Skipped):
            if event.known:
                counts.known_skipped += 1
            else:
                _count(self._skipped, event.kind)
        elif isinstance(event, Prompt):
            counts.turns += 1
        elif isinstance(event, Compaction):
            tokens = {} if event.tokens_before is None else {"tokens_before": event.tokens_before}
            self._compactions.append({"after_tool_call": self._calls.number, "kind": event.kind, **tokens})
        elif isinstance(event, Reset):
            _count(self._resets, event.kind)
        elif isinstance(event, Resume):
            _count(self._resumes, event.kind)
        elif isinstance(event, Cleared):
            counts.unnamed_clearings += event.calls is None
            for call in event.calls or ():
                if self._results.has(call):
                    self._cleared.take(call)
        elif isinstance(event, Rewind):
            counts.rewinds += 1
        elif isinstance(event, Subagent):
            self.add_subagent(event)
        elif isinstance(event, Broken):
            counts.bad_lines += 1
        elif isinstance(event, SessionStart):
            counts.harness_version = event.version
        elif isinstance(event, SessionEnd):
            counts.lines = event.lines
        return True

    def add_subagent(self, record: Subagent) -> None:
        """Count a subagent and its calls, each once, from wherever they were recorded."""
        self._agents.take(record.agent or "without a name")
        for call in record.calls:
            self._agent_calls.take(call)

    def _call(self, call: RecordedCall, facts: CallFacts | None) -> bool:
        if not self._calls.take(call.call):
            return False
        facts = facts_of(call) if facts is None else facts
        stretch = len(self._compactions)
        core = number_of(facts.core)
        # A signature is rarely anything but the core signature.
        self._signatures.add(core if facts.signature == facts.core else number_of(facts.signature))
        poll = _is_poll(call, facts)
        if poll:
            self._so_far.polls += 1
            self._poll_cores.add(core)
        self._cores.take(core, stretch, forced=not poll)
        for path in counted_paths(call, facts):
            self._paths.take(number_of(path), stretch)
        return True

    def counts(self) -> SessionCounts:
        """Return what was counted so far."""
        calls, cores, paths = self._calls.number, self._cores, self._paths
        return replace(
            self._so_far,
            assistant_messages=self._messages.number,
            tool_calls=calls,
            tool_results=self._results.number,
            unanswered_calls=self._calls.missing_in(self._results),
            distinct_signatures=len(self._signatures),
            repeated_signatures=calls - len(self._signatures),
            distinct_core_signatures=cores.distinct,
            repeated_core=calls - cores.distinct,
            # The same core signature means the same tool, so a poll's core is no other call's.
            repeated_core_nopoll=(calls - self._so_far.polls) - (cores.distinct - len(self._poll_cores)),
            cross_compaction_repeats=cores.forced,
            path_reads=paths.number,
            distinct_paths=paths.distinct,
            path_rereads=paths.number - paths.distinct,
            cross_compaction_path_rereads=paths.forced,
            compactions=len(self._compactions),
            compaction_at=self._compactions,
            resets=sum(self._resets.values()),
            reset_kinds=dict(sorted(self._resets.items())),
            resumes=sum(self._resumes.values()),
            resume_kinds=dict(sorted(self._resumes.items())),
            cleared_results=self._cleared.number,
            subagents=self._agents.number,
            subagent_tool_calls=self._agent_calls.number,
            skipped=dict(sorted(self._skipped.items())),
        )


def count_sessions(events: Iterable[Event]) -> Iterator[SessionCounts]:
    """Yield the counts of every session in *events*, each as soon as its SessionEnd came."""
    counter = SessionCounter()
    for event in events:
        counter.add(event)
        if isinstance(event, SessionEnd):
            yield counter.counts()
            counter = SessionCounter()


class _Ids:
    """Counts things by id; things without an id count once each."""

    def __init__(self) -> None:
        self.number = 0
        self._seen: set[int] = set()

    def take(self, name: str) -> bool:
        """Count the thing with this id; returns whether it is new."""
        number = number_of(name)
        if name and number in self._seen:
            return False
        self._seen.add(number)
        self.number += 1
        return True

    def has(self, name: str) -> bool:
        """Return whether the thing with this id was counted."""
        return number_of(name) in self._seen

    def missing_in(self, others: _Ids) -> int:
        """Return how many ids *others* did not see."""
        return len(self._seen - others._seen)


class _Repeats:
    """Counts things and their repeats; a repeat is forced when the last time was in another stretch."""

    def __init__(self) -> None:
        self.number = 0
        self.forced = 0
        self._last: dict[int, int] = {}

    @property
    def distinct(self) -> int:
        return len(self._last)

    def take(self, thing: int, stretch: int, forced: bool = True) -> None:
        self.number += 1
        if forced and self._last.get(thing, stretch) != stretch:
            self.forced += 1
        self._last[thing] = stretch


def _is_poll(call: RecordedCall, facts: CallFacts) -> bool:
    if plain_name(call.tool) in POLL_TOOLS:
        return True
    # A program of calls, each of which only polls.
    return facts.kind is CallKind.POLL and isinstance(call.arguments, str)


def _count(numbers: dict[str, int], kind: str) -> None:
    name = kind if kind in numbers or len(numbers) < MOST_UNKNOWN_KINDS else OTHER_KINDS
    numbers[name] = numbers.get(name, 0) + 1


# --- Which counts may be published: numbers, and words of harnesses that everybody knows.

OTHER = "other"
COMPACTIONS = name_set("auto compaction condensation extension manual replacement_history summary truncation unknown")
RESETS = name_set("handoff other_session reset start:clear start:fork")
RESUMES = name_set("session_meta_again start:resume")
VERSION = re.compile(r"v?\d[\d.-]{0,30}(?:[.+-]?(?:a|b|rc|alpha|beta|canary|dev|next|nightly|preview)[\d.-]{0,20})?|")


def shown_counts(counts: SessionCounts, names: Pseudonyms) -> dict[str, Any]:
    """Return the record of *counts* as it may be written down; everything as it is if *names* keep the text."""
    record = asdict(counts)
    if names.keep_text:
        return record
    for entry in record["compaction_at"]:
        if entry["kind"] not in COMPACTIONS:
            entry["kind"] = OTHER
    if not VERSION.fullmatch(counts.harness_version):
        record["harness_version"] = OTHER
    skipped = ((kind if kind == OTHER_KINDS else names.name("type", kind), n) for kind, n in counts.skipped.items())
    return {
        **record,
        "reset_kinds": _shown_kinds(counts.reset_kinds, RESETS),
        "resume_kinds": _shown_kinds(counts.resume_kinds, RESUMES),
        "skipped": dict(sorted(skipped)),
    }


def _shown_kinds(kinds: Mapping[str, int], known: frozenset[str]) -> dict[str, int]:
    shown: Counter[str] = Counter()
    for kind, number in kinds.items():
        shown[kind if kind in known else OTHER] += number
    return dict(sorted(shown.items()))

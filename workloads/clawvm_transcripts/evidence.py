"""From events to steps, and what each answer is to what came before it.

A step is one reply of the model with what came before it and the results of its calls. The rules by which an answer is
judged (``docs/real-sessions.md``):

- A call whose core signature never ran before is *new*, unless it only reads lines of files that current results, one
  or several together, have shown: then it is *covered*. This is the only difference between the two views: by exact
  signature it is new.
- A call that ran before is *repeated* (a demand) if it returned the same text and nothing edited it in between: a file
  by an edit of that file, commands and searches by any edit. Otherwise it is *changed*: a new version, unless it only
  reads what newer results show already.
- A read of lines that were shown before the agent itself edited the file is *edited*: new content, and no demand. It is
  a class of its own because a layer that applied edits to its pages would have had it.
- Edits, plans and polls are no demands on earlier results: they are *new* each time.
- A read that failed shows no lines, and is another resource than the file. A read of which only a part is shown
  (a tail, the matches of a search) shows no lines to others.
- When a read returns another text without an edit, the file changed unseen: its other results no longer hold for it.

Also, ``kept`` records whether the harness still had the content in its context, from all that the recording shows.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from zlib import crc32

from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_transcripts.calls import CallFacts, CallKind, PathRead, facts_of
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
)
from clawvm_transcripts.pseudonyms import digest_of, number_of

__all__ = ["Answer", "Evidence", "Finding", "Novelty", "ReplyStep", "StepAssembler", "Words"]


# --- From events to steps.

MOST_WAITING = 10_000
"""Calls that wait for a result; beyond that the oldest is dropped."""

MOST_WAITING_CHARACTERS = 1 << 25
"""Characters of their arguments, with the same limit."""

MOST_CHARACTERS = 1 << 25
"""Of the texts in one step; a larger reply is split, which bounds the memory."""

CHARACTERS_PER_TOKEN = 4
"""For the arguments of calls, which make no page."""

IMAGE_TOKENS = 1600
"""What Anthropic's documentation gives as about the most that one image takes; recordings rarely hold its size."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words that came before the reply; ``kind`` is "prompt", "summary", or the kind of an Instruction."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool call that got its result; ``text`` is the result without the head that changes on every run.

    ``name`` is the id of the call, ``call`` the call itself, for one that writes a plan; ``images`` are the digests of
    the images in the result, and ``tokens`` includes them.
    """

    facts: CallFacts
    text: str
    failed: bool
    tokens: int
    call: RecordedCall | None = None
    name: str = ""
    images: tuple[bytes, ...] = ()


Change = Cleared | Compaction | Reset | Resume | Rewind
"""What changes the context that the harness has."""

Before = Words | Change


@dataclass(slots=True)
class ReplyStep:
    """One reply of the model.

    ``before`` came before it, in order; ``answers`` are the results that arrived before the next reply; ``tokens`` is
    the growth of the transcript; ``message`` and ``calls`` are the ids of the reply and of its calls, as far as
    recorded; ``characters`` is the size of all its texts.
    """

    before: list[Before] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    tokens: int = 0
    message: str = ""
    replied: bool = False
    calls: list[str] = field(default_factory=list)
    characters: int = 0

    @property
    def has_substance(self) -> bool:
        """Whether a prompt was assembled for the step, or words wait for one."""
        return self.replied or bool(self.answers) or any(isinstance(item, Words) for item in self.before)


class StepAssembler:
    """Makes steps from the events of one session in order; each call comes once."""

    def __init__(self) -> None:
        self._step = ReplyStep()
        self._interrupted = False  # A result or prompt came since the reply began.
        self._waiting: dict[str, tuple[CallFacts, RecordedCall | None]] = {}
        self._waiting_characters = 0

    def feed(self, event: Event, facts: CallFacts | None = None) -> Iterator[ReplyStep]:
        """Take the next event; yield the step that it completes.

        *facts* are those of a RecordedCall, for a caller that has them already.
        """
        if isinstance(event, (AssistantMessage, RecordedCall)):
            if self._begins_reply(event.message):
                yield self._next()
            self._step.replied = True
            self._step.message = event.message or self._step.message
            self._interrupted = False
            if isinstance(event, RecordedCall):
                self._call(event, facts)
            else:
                self._step.tokens += estimate_tokens(event.text)
        elif isinstance(event, RecordedResult):
            self._interrupted = True
            self._result(event)
        elif isinstance(event, (Prompt, Instruction, CompactionSummary, Cleared, Compaction, Reset, Resume, Rewind)):
            if self._step.replied or self._step.answers:
                yield self._next()
            self._interrupted = True
            self._precede(event)
        if self._step.characters > MOST_CHARACTERS:
            yield self._next()

    def finish(self) -> Iterator[ReplyStep]:
        """Yield the last step, if there is something in it."""
        if self._step.has_substance:
            yield self._next()

    def _begins_reply(self, message: str) -> bool:
        step = self._step
        other = message != step.message if message and step.message else self._interrupted
        return step.replied and other

    def _next(self) -> ReplyStep:
        done, self._step = self._step, ReplyStep()
        self._interrupted = False
        return done

    def _call(self, call: RecordedCall, facts: CallFacts | None) -> None:
        facts = facts_of(call) if facts is None else facts
        self._step.tokens += len(facts.signature) // CHARACTERS_PER_TOKEN + 1
        if not call.call:
            return
        self._step.calls.append(call.call)
        self._waiting[call.call] = (facts, call if facts.kind is CallKind.PLAN else None)
        self._waiting_characters += len(facts.signature)
        while len(self._waiting) > MOST_WAITING or (
            self._waiting_characters > MOST_WAITING_CHARACTERS and len(self._waiting) > 1
        ):
            self._forget(next(iter(self._waiting)))

    def _forget(self, call: str) -> tuple[CallFacts, RecordedCall | None] | None:
        waiting = self._waiting.pop(call, None)
        if waiting is not None:
            self._waiting_characters -= len(waiting[0].signature)
        return waiting

    def _result(self, event: RecordedResult) -> None:
        waiting = self._forget(event.call)
        if waiting is None:
            return  # A result that came twice, or one without a call.
        text = event.text[event.head :] if event.head else event.text
        images = tuple(map(digest_of, event.images))
        tokens = estimate_tokens(text) + IMAGE_TOKENS * len(images)
        self._step.tokens += tokens
        self._step.characters += len(text)
        self._step.answers.append(Answer(waiting[0], text, event.failed, tokens, waiting[1], event.call, images))

    def _precede(self, event: Prompt | Instruction | CompactionSummary | Change) -> None:
        if isinstance(event, (Cleared, Compaction, Reset, Resume, Rewind)):
            self._step.before.append(event)
            return
        kind = (
            "prompt" if isinstance(event, Prompt) else "summary" if isinstance(event, CompactionSummary) else event.kind
        )
        self._step.before.append(Words(kind, event.text))
        self._step.characters += len(event.text)
        self._step.tokens += estimate_tokens(event.text)


# --- What an answer is to what came before it.

MOST_MARKS = 1 << 24
"""Bytes for the marks of lines; beyond that, the oldest results hold no lines for other reads any more."""

MOST_CALLS = 16
"""The newest calls that showed one result; it is in the context as long as that of one of them is."""

RESULTS_OF_A_PATH = 64
"""The newest results of one file that a read is compared with, so that time per read does not grow with the session."""


class Novelty(str, Enum):
    """What an answer is to what came before it."""

    NEW = "new"
    CHANGED = "changed"
    EDITED = "edited"
    REPEATED = "repeated"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one answer is.

    ``key`` is the digest of its core signature; ``covering`` are the keys of the current results that hold the lines it
    asked for (also for a repeated one); ``kept`` is whether the harness still had the content, for what is repeated,
    covered or edited.
    """

    key: bytes
    novelty: Novelty
    covering: tuple[bytes, ...] = ()
    kept: bool = False


@dataclass(slots=True, eq=False)
class _Result:
    """The newest result of one core signature."""

    key: bytes
    digest: bytes
    reads: tuple[PathRead, ...]
    lines: bytes  # Four bytes for each line of a file that it shows.
    edits: int  # Edits of anything before it was taken.
    calls: tuple[int, ...]  # The newest calls that showed it, by their number_of.
    era: int  # The era of files in which it holds.
    covers: bool = True  # Whether later reads are compared with it: what another result covers adds nothing.
    stale: bool = False

    def shows(self, path: str, first: int) -> float:
        """Return the last line up to which it holds the file at *path* from line *first* on; 0 if it lacks that one."""
        ends = (
            math.inf if read.last is None else read.last
            for read in self.reads
            if read.path == path and not read.partly and (read.first or 1) <= first
        )
        return max((end for end in ends if end >= first), default=0)


_LINE_NUMBER = re.compile(r"^[ \t]*\d+(?:\u2192|\t|: |\. )", re.MULTILINE)
"""What tools put in front of the lines of a file."""


def marks_of_lines(text: str) -> bytes:
    """Return four bytes for each line of *text* that is not blank, line numbers left out."""
    lines = _LINE_NUMBER.sub("", text).encode("utf-8", "surrogatepass").splitlines()
    return array("I", [crc32(line) for line in map(bytes.strip, lines) if line]).tobytes()


def _all_among(lines: bytes, results: Sequence[_Result]) -> bool:
    held: set[int] = set()
    for result in results:
        held.update(memoryview(result.lines).cast("I"))
    return held.issuperset(memoryview(lines).cast("I"))


_NEVER_A_DEMAND = (CallKind.EDIT, CallKind.PLAN, CallKind.POLL)
_STALE_WITH_ANY_EDIT = (CallKind.COMMAND, CallKind.SEARCH)

_PAST = -1
"""The era of a result that no longer holds for its file."""


class Evidence:
    """What is known of every resource; takes answers in order. Memory: O(signatures), and ``MOST_MARKS``."""

    def __init__(self) -> None:
        self._results: dict[bytes, _Result] = {}
        # All fresh results of a path and the newest stale ones, in the order in which they were last of use.
        self._of_path: dict[str, list[_Result]] = {}
        self._fresh_paths: dict[str, None] = {}
        self._edits = 0
        self._context: set[int] = set()  # The calls whose results the harness has, by their number_of.
        self._era = 0
        self._marked: deque[_Result] = deque()  # Those that hold the marks of their lines, the oldest first.
        self._marks = 0  # Their bytes.

    def context_lost(self, kept: Iterable[str] = ()) -> None:
        """Note that the harness lost what it had shown (a compaction, a clear), but for the results of calls *kept*."""
        self._context.intersection_update(map(number_of, kept))

    def results_lost(self, calls: Iterable[str]) -> None:
        """Note that the results of *calls* left the context, and nothing else."""
        self._context.difference_update(map(number_of, calls))

    def results_restored(self, calls: Iterable[str]) -> None:
        """Note that the results of *calls* are in the context again."""
        self._context.update(map(number_of, calls))

    def files_unknown(self) -> None:
        """Note that files may have changed unseen (between two sessions), unless equal results prove otherwise."""
        self._era += 1

    def take(self, answer: Answer) -> Finding:
        """Return what *answer* is, and remember it."""
        facts = answer.facts
        failed_read = answer.failed and facts.kind is CallKind.READ
        key = digest_of(f"failed {facts.core}" if failed_read else facts.core)
        if facts.kind in _NEVER_A_DEMAND:
            return Finding(key, Novelty.NEW)
        reads = facts.reads if facts.kind is CallKind.READ and not failed_read else ()
        lines = marks_of_lines(answer.text) if reads else b""
        call = number_of(answer.name)
        digest = digest_of(answer.text)
        if answer.images:
            digest = digest_of(b"".join((digest, *answer.images)).hex())
        result = _Result(key, digest, reads, lines, self._edits, (call,), self._era)
        known = self._results.get(key)
        finding = self._judge(result, facts.kind, known)
        if known is not None and known.digest == digest:
            result.calls = (*known.calls[1 - MOST_CALLS :], call)
        self._context.add(call)
        if known is not None and finding.novelty is Novelty.CHANGED and not known.stale:
            self._changed_unseen(reads)
        self._remember(result, finding, known)
        return finding

    def edited(self, paths: Sequence[str]) -> tuple[bytes, ...]:
        """Note an edit of *paths* (none: of any path) and return the keys of the results that it makes stale."""
        self._edits += 1
        stale: list[bytes] = []
        for path in paths or tuple(self._fresh_paths):
            if path not in self._fresh_paths:
                continue
            del self._fresh_paths[path]
            results = self._of_path[path]
            for result in results:
                if not result.stale:
                    result.stale = True
                    stale.append(result.key)
            del results[:-RESULTS_OF_A_PATH]
        return tuple(stale)

    def _judge(self, result: _Result, kind: CallKind, known: _Result | None) -> Finding:
        key, reads = result.key, result.reads
        covering = self._holding(reads, known, stale=False)
        # A name and a range are no proof: a result may have been cut off, or the file written by a program.
        if not _all_among(result.lines, covering):
            covering = []
        keys = tuple(other.key for other in covering)
        if known is not None and known.digest == result.digest and not self._outdated(known, kind):
            return Finding(key, Novelty.REPEATED, keys, self._is_present(known) or self._kept(result))
        if covering and (known is None or known.stale or known.era != self._era):
            return Finding(key, Novelty.COVERED, keys, self._kept(result))
        if (known is not None and known.stale and known.era != _PAST) or self._holding(reads, known, stale=True):
            before = known is not None and self._is_present(known)
            return Finding(key, Novelty.EDITED, (), before or bool(self._all_held(reads, self._is_present)))
        return Finding(key, Novelty.NEW if known is None else Novelty.CHANGED)

    def _outdated(self, result: _Result, kind: CallKind) -> bool:
        return result.stale or (kind in _STALE_WITH_ANY_EDIT and result.edits != self._edits)

    def _kept(self, result: _Result) -> bool:
        """Return whether current results in the present context hold all lines of *result*, one or several together."""

        def is_usable(other: _Result) -> bool:
            return not other.stale and other.era != _PAST and self._is_present(other)

        found = self._all_held(result.reads, is_usable)
        return bool(found) and _all_among(result.lines, found)

    def _is_present(self, result: _Result) -> bool:
        return not self._context.isdisjoint(result.calls)

    def _holding(self, reads: Sequence[PathRead], own: _Result | None, *, stale: bool) -> list[_Result]:
        """Return results, other than the call's own, that together hold every line of *reads*; none if they do not.

        They may be of an earlier era: whoever takes a fresh one for the file as it is now compares the text.
        """

        def is_usable(result: _Result) -> bool:
            return result.era != _PAST and result.covers and result.stale is stale and result is not own

        return self._all_held(reads, is_usable)

    def _all_held(self, reads: Sequence[PathRead], is_usable: Callable[[_Result], bool]) -> list[_Result]:
        """Return usable results that together hold every line of *reads*; none if they do not."""
        found: dict[bytes, _Result] = {}
        for wanted in reads:
            results = self._together(wanted, is_usable)
            if not results:
                return []
            found.update((result.key, result) for result in results)
        return list(found.values())

    def _together(self, wanted: PathRead, is_usable: Callable[[_Result], bool]) -> list[_Result]:
        """Return usable results that together hold the *wanted* lines, as few as possible; none if they do not."""
        usable = [result for result in self._newest(wanted.path) if is_usable(result)]
        found: list[_Result] = []
        line, end = wanted.first or 1, math.inf if wanted.last is None else wanted.last
        while usable:
            # Of those that reach as far as is wanted, the newest.
            best = max(usable, key=lambda result: min(end, result.shows(wanted.path, line)))
            reached = best.shows(wanted.path, line)
            if not reached:
                break
            found.append(best)
            if reached >= end:
                return found
            line = int(reached) + 1
        return []

    def _newest(self, path: str) -> Iterator[_Result]:
        return islice(reversed(self._of_path.get(path, ())), RESULTS_OF_A_PATH)

    def _changed_unseen(self, reads: Sequence[PathRead]) -> None:
        for read in reads:
            for result in self._of_path.get(read.path, ()):
                result.era = _PAST

    def _remember(self, result: _Result, finding: Finding, known: _Result | None) -> None:
        result.covers = not finding.covering
        if known is not None:
            self._forget_lines(known)
        self._marked.append(result)
        self._marks += len(result.lines)
        while self._marks > MOST_MARKS:
            oldest = self._marked.popleft()
            oldest.covers = False
            self._forget_lines(oldest)
        for key in finding.covering:
            self._place(self._results[key])
        self._results[result.key] = result
        self._place(result, known)

    def _forget_lines(self, result: _Result) -> None:
        self._marks -= len(result.lines)
        result.lines = b""

    def _place(self, result: _Result, known: _Result | None = None) -> None:
        """Make *result* the newest of its paths, in the place of the *known* one of its signature."""
        old = known or result
        for path in dict.fromkeys(read.path for read in result.reads):
            results = self._of_path.setdefault(path, [])
            if old in results:
                results.remove(old)
            results.append(result)
            self._fresh_paths[path] = None

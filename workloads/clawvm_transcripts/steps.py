"""From events to steps: one step is one reply of the model with what came before it and what its tools gave.

==============  =======================================================================================
Words           words that came before the reply: a prompt, instructions, a summary
Answer          a tool call that got its result
Step            one reply: it becomes one turn of the trace, because the harness assembles one prompt for it
StepAssembler   takes events, gives steps as soon as they are complete
==============  =======================================================================================

Of a text only what pages need is kept, and only until its step is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clawvm_runtime.token_counter import estimate_tokens
from clawvm_transcripts.calls import CallFacts, CallKind, facts_of
from clawvm_transcripts.events import (
    AssistantMessage,
    Compaction,
    Event,
    Instruction,
    Prompt,
    Reset,
    Rewind,
    Summary,
    ToolCall,
    ToolResult,
)

__all__ = ["Answer", "Before", "Step", "StepAssembler", "Words"]

MOST_WAITING = 10_000
"""Calls that wait for a result; beyond that the oldest is given up."""

MOST_WAITING_CHARACTERS = 1 << 25
"""The same for the characters of their arguments."""

MOST_CHARACTERS = 1 << 25
"""Of the texts in one step; a reply that brings more is parted, so that memory has an end."""

CHARACTERS_PER_TOKEN = 4
"""Used for the arguments of calls, which make no page."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words that came before the reply; ``kind`` is "prompt", "summary", or the kind of an Instruction."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool call that got its result; ``text`` is the result without the head that changes on every run.

    ``call`` is the call itself, for one that writes a plan.
    """

    facts: CallFacts
    text: str
    failed: bool
    tokens: int
    call: ToolCall | None = None


Before = Words | Compaction | Reset | Rewind


@dataclass(slots=True)
class Step:
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
    """Takes the events of one session in order and gives its steps; each call comes once."""

    def __init__(self) -> None:
        self._step = Step()
        self._interrupted = False  # A result or prompt came since the reply began.
        self._waiting: dict[str, tuple[CallFacts, ToolCall | None]] = {}
        self._waiting_characters = 0

    def feed(self, event: Event, facts: CallFacts | None = None) -> Iterator[Step]:
        """Take the next event; yield the step that it completes.

        *facts* are those of a ToolCall, for a caller that has them already.
        """
        if isinstance(event, (AssistantMessage, ToolCall)):
            if self._begins_reply(event.message):
                yield self._next()
            self._step.replied = True
            self._step.message = event.message or self._step.message
            self._interrupted = False
            if isinstance(event, ToolCall):
                self._call(event, facts)
            else:
                self._step.tokens += estimate_tokens(event.text)
        elif isinstance(event, ToolResult):
            self._interrupted = True
            self._result(event)
        elif isinstance(event, (Prompt, Instruction, Summary, Compaction, Reset, Rewind)):
            if self._step.replied or self._step.answers:
                yield self._next()
            self._interrupted = True
            self._precede(event)
        if self._step.characters > MOST_CHARACTERS:
            yield self._next()

    def finish(self) -> Iterator[Step]:
        """Yield the last step, if there is something in it."""
        if self._step.has_substance:
            yield self._next()

    def _begins_reply(self, message: str) -> bool:
        step = self._step
        if not step.replied:
            return False
        if message and step.message:
            return message != step.message
        return self._interrupted

    def _next(self) -> Step:
        done, self._step = self._step, Step()
        self._interrupted = False
        return done

    def _call(self, call: ToolCall, facts: CallFacts | None) -> None:
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

    def _forget(self, call: str) -> tuple[CallFacts, ToolCall | None] | None:
        waiting = self._waiting.pop(call, None)
        if waiting is not None:
            self._waiting_characters -= len(waiting[0].signature)
        return waiting

    def _result(self, event: ToolResult) -> None:
        waiting = self._forget(event.call)
        if waiting is None:
            return  # A result that came twice, or one that nobody asked for.
        text = event.text[event.head :] if event.head else event.text
        tokens = estimate_tokens(text)
        self._step.tokens += tokens
        self._step.characters += len(text)
        self._step.answers.append(Answer(waiting[0], text, event.failed, tokens, waiting[1]))

    def _precede(self, event: Prompt | Instruction | Summary | Compaction | Reset | Rewind) -> None:
        if isinstance(event, (Compaction, Reset, Rewind)):
            self._step.before.append(event)
            return
        kind = "prompt" if isinstance(event, Prompt) else "summary" if isinstance(event, Summary) else event.kind
        self._step.before.append(Words(kind, event.text))
        self._step.characters += len(event.text)
        self._step.tokens += estimate_tokens(event.text)

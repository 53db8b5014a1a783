"""What every format of recorded session is read into: one stream of events, in the order in which they happened.

A reader yields nothing else; what is common to all formats (counts, pages, demands) is made from these events alone.
Text is the recording's own; whoever writes something down keeps it private.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "AssistantMessage",
    "Broken",
    "Cleared",
    "Compaction",
    "CompactionSummary",
    "Event",
    "Instruction",
    "Prompt",
    "RecordedCall",
    "RecordedResult",
    "Reset",
    "Resume",
    "Rewind",
    "SessionEnd",
    "SessionStart",
    "Skipped",
    "Subagent",
    "Usage",
    "Window",
]


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A session begins: the first event of every session, followed by the rest and one SessionEnd.

    ``version`` is the harness's, ``project`` the working directory, ``started`` the recorded time (ISO 8601);
    each is "" where the recording does not hold it before the first other event. ``subagent`` marks the recording of a
    subagent, which belongs to the session ``parent`` ("" where it does not name it) and is no session of its own.
    """

    session: str = ""
    version: str = ""
    project: str = ""
    started: str = ""
    subagent: bool = False
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Words that the user typed, "" for an image alone: no tool results, no summaries, no lines that were injected."""

    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """Words that the harness put in front of the model.

    ``kind`` is "system" for system instructions, "rules" for a project's rule file, "memory" for remembered
    preferences.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """Words of the model, perhaps none; events of one reply share a non-empty ``message``, if the format has one."""

    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """The model asks for a tool; ``call`` is the id that the result names, "" where the recording has none.

    ``arguments`` is plain JSON data: an object, or the text that the tool took.
    """

    call: str
    tool: str
    arguments: Any
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """What a tool returned; the first ``head`` characters of ``text`` change on every run (times, chunk ids).

    ``images`` has one entry for each image among it: its data as recorded, or the name under which it is referred to.
    """

    call: str
    text: str
    failed: bool = False
    head: int = 0
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compaction:
    """The harness replaced the conversation by a summary; token counts are None where the recording has none.

    The results of the calls ``kept`` stay in the context, all others go; with ``lost`` it is these alone that go.
    """

    kind: str
    tokens_before: int | None = None
    tokens_after: int | None = None
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CompactionSummary:
    """The words that a compaction left in place of the conversation."""

    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The results of ``calls`` were taken out of the context; everything else stays, and there is no summary.

    None where the recording does not name them.
    """

    calls: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Reset:
    """The harness started over: ``kind`` is "start:clear", "reset", "other_session", ...

    Nothing is left of the context, except after a "start:fork" or "handoff", which take it along.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Resume:
    """The same conversation goes on in another process, and nothing is dropped: ``kind`` is "start:resume", ..."""

    kind: str


@dataclass(frozen=True, slots=True)
class Rewind:
    """The conversation goes on from an earlier point, and comes before the prompt that goes on there.

    ``dropped`` is what of the abandoned branch is left behind: entries or prompts, as the format counts, 1 at least.
    The results of the calls ``lost`` leave the context with them. Those of ``restored`` are there again: a compaction
    had taken them, and the earlier point lies before it.
    """

    dropped: int = 0
    lost: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subagent:
    """A line of the subagent ``agent`` within the recording of its parent session; ``calls`` are its calls there."""

    agent: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the provider counted for one request; ``prompt`` includes ``cached`` and ``written``.

    One that follows another of the same non-empty ``message`` and prompt takes its place: it knows more.
    """

    prompt: int
    cached: int = 0
    written: int = 0
    output: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The model's context window in tokens, as recorded."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line or entry that the reader has no use for; ``known`` is whether the format's reader expects the type."""

    kind: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A line (counted from 1) that is not what the format says; reading goes on behind it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The session is over; ``lines`` is the number of lines that it took in its file."""

    lines: int


Event = (
    SessionStart
    | Prompt
    | Instruction
    | AssistantMessage
    | RecordedCall
    | RecordedResult
    | Compaction
    | CompactionSummary
    | Cleared
    | Reset
    | Resume
    | Rewind
    | Subagent
    | Usage
    | Window
    | Skipped
    | Broken
    | SessionEnd
)

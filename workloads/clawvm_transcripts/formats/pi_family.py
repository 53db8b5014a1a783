"""Sessions of the pi family (pi, OpenClaw, Oh My Pi): JSON lines, a header and then entries that form a tree.

=================  ======================================================================================
PiReader           reads the records of one session of any member of the family
in_family          whether the beginning of a file is of the family
=================  ======================================================================================

Facts, from @mariozechner/pi-coding-agent 0.73.1 (docs/session-format.md, core/session-manager), openclaw 2026.9.6 and
@oh-my-pi/pi-coding-agent 18.3.4:

- ``session`` is the header; its ``version`` is that of the file's form. Version 1 has no ids: the file is the order.
  Versions 2 and 3 link entries by ``id`` and ``parentId``; 3 renamed the role ``hookMessage`` to ``custom``.
- A new entry hangs below the newest one. Another known parent means that the user went back: a Rewind that counts
  the entries from the newest one up to where the branches meet; ``parentId`` null is a way back to before the first
  entry. A parent that is not known (its line was lost) or not recorded is taken for the newest entry.
- ``branch_summary`` follows the way back and stands in place of the abandoned branch: Rewind, then Summary.
- ``compaction`` holds ``summary``, ``tokensBefore``, and in the two descendants ``tokensAfter``; Oh My Pi names its
  ``method``; ``fromHook`` (``fromExtension`` in Oh My Pi) marks one that an extension made.
- A header with ``parentSession`` (``branchedFrom`` in version 1) begins a fork, which holds copies of older entries,
  or a new session that only remembers where it came from. Copies keep their times, so entries older than their header
  are copies, and the fork happened behind the last of them.
- A further header begins the session anew in the same file (resume, or fork with ``parentSession``).
- ``custom_message`` and the roles ``custom``, ``developer`` and ``fileMention`` are words that extensions or the
  harness put in, mostly reminders for one turn; ``bashExecution`` and ``pythonExecution`` are what the user ran. None
  is a prompt, an answer or a call of the model. A user message of another agent or of the gateway is no prompt either.
- The harness's version is recorded nowhere.
- All entry types are read in all members, so that a file whose beginning does not tell them apart loses nothing.

What falls short: Oh My Pi can append to a branch while the conversation stands on another; that reads as going there
and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawvm_transcripts.events import (
    AssistantMessage,
    Compaction,
    Event,
    Instruction,
    Prompt,
    Reset,
    Rewind,
    SessionStart,
    Skipped,
    Summary,
    ToolCall,
    ToolResult,
    Usage,
)
from clawvm_transcripts.format_contract import Head
from clawvm_transcripts.formats.entry_tree import ROOT, EntryTree

__all__ = ["PiReader", "in_family"]

WITHOUT_USE = frozenset(
    {
        "credential_pin",
        "custom",
        "custom_message",
        "label",
        "mode_change",
        "model_change",
        "model_usage",
        "service_tier_change",
        "session_info",
        "thinking_level_change",
        "title",
        "title_change",
        "ttsr_injection",
    }
)
"""Entry types that say nothing about memory, or say it for one turn only."""

ROLES_WITHOUT_USE = frozenset(
    {
        "bashExecution",
        "branchSummary",
        "compactionSummary",
        "custom",
        "developer",
        "fileMention",
        "hookMessage",
        "pythonExecution",
    }
)
"""Roles of messages that are no prompt, no answer and no result."""

MIRRORS = frozenset({"delivery-mirror", "gateway-injected"})
"""Models of provider ``openclaw`` that are none: the gateway's copy of a reply, or a note of its own."""

RESETS = {"reset": "reset", "reset_boundary": "start:clear"}
"""Entries from which on the model sees nothing older: OpenClaw's, and Oh My Pi's of ``/clear``."""


def in_family(head: Head) -> bool:
    """Return whether a header or a message of the family stands in the first lines."""
    return any(_is_header(record) or _is_message(record) for record in head.records)


def _is_header(record: dict[str, Any]) -> bool:
    return (
        record.get("type") == "session"
        and isinstance(record.get("id"), str)
        and (isinstance(record.get("cwd"), str) or isinstance(record.get("timestamp"), str))
    )


def _is_message(record: dict[str, Any]) -> bool:
    message = record.get("message")
    return (
        record.get("type") == "message"
        and isinstance(record.get("timestamp"), str)
        and isinstance(message, dict)
        and isinstance(message.get("role"), str)
    )


class PiReader:
    """Reads the records of one session of pi, OpenClaw or Oh My Pi."""

    def __init__(self) -> None:
        self._tree = EntryTree()
        self._started = False
        self._forked = ""  # When the fork was made, while its copied entries may still be read.
        self._copies = False  # Whether any was read.

    def record(self, record: dict[str, Any]) -> Iterator[Event]:
        """Return the events of one record; raises ``RECORD_ERRORS`` before anything is remembered of it."""
        kind = record["type"]
        if kind == "session":
            yield from self._header(record)
            return
        entry = _text(record.get("id"))
        if entry and self._tree.place_of(entry) is not None:
            yield Skipped("entry again", known=True)
            return
        if record.get("appendMode") == "side" and kind != "leaf":
            yield Skipped("entry beside the conversation", known=True)
            return
        events = tuple(self._entry(kind, record, entry))
        yield from self._fork_behind(record.get("timestamp"))
        dropped = self._move(record, "targetId" if kind == "leaf" else "parentId")
        if dropped:
            yield Rewind(dropped)
        yield from events
        if not entry:
            return
        if kind == "leaf":
            self._tree.name(entry)
            return
        self._tree.append(entry)
        if kind == "reset":
            # OpenClaw hangs whatever comes later below the reset, even if it names an older parent.
            self._tree.set_barrier()

    def finish(self) -> Iterator[Event]:
        """Return the fork of a file that holds nothing but copies."""
        if self._copies:
            yield Reset("start:fork")

    def _header(self, record: dict[str, Any]) -> Iterator[Event]:
        time = _text(record.get("timestamp"))
        fork = bool(_text(record.get("parentSession")) or _text(record.get("branchedFrom")))
        if not self._started:
            self._started = True
            self._forked = time if fork else ""
            yield SessionStart(_text(record.get("id")), "", _text(record.get("cwd")), time)
            return
        # Ids are unique within one session only.
        self._tree = EntryTree()
        yield Reset("start:fork" if fork else "start:resume")

    def _fork_behind(self, time: Any) -> Iterator[Event]:
        if not self._forked or not isinstance(time, str):
            return
        if time < self._forked:
            self._copies = True
            return
        if self._copies:
            yield Reset("start:fork")
        self._forked, self._copies = "", False

    def _move(self, record: dict[str, Any], field: str) -> int:
        parent = record.get(field, "")
        place = ROOT if parent is None else self._tree.place_of(_text(parent))
        return 0 if place is None else self._tree.move_to(place)

    def _entry(self, kind: Any, record: dict[str, Any], entry: str) -> Iterator[Event]:
        if kind == "message":
            yield from _message(record["message"], entry)
        elif kind == "compaction":
            yield _compaction(record)
            words = _text(record.get("summary"))
            if words:
                yield Summary(words)
        elif kind == "branch_summary":
            yield Summary(_text(record["summary"]))
        elif kind == "session_init":
            yield Instruction("system", _text(record["systemPrompt"]))
        elif kind in RESETS:
            yield Reset(RESETS[kind])
        else:
            yield Skipped(str(kind), known=kind == "leaf" or kind in WITHOUT_USE)


def _message(message: dict[str, Any], entry: str) -> Iterator[Event]:
    role = message["role"]
    if role == "assistant":
        yield from _assistant(message, entry)
    elif role == "user":
        words = _words(message["content"])
        if _written_by_harness(message):
            yield Skipped("line written by the harness", known=True)
        elif words:
            yield Prompt(words)
        else:
            yield Skipped("prompt without words", known=True)
    elif role == "toolResult":
        yield ToolResult(_text(message.get("toolCallId")), _words(message["content"]), message.get("isError") is True)
    else:
        yield Skipped(f"message/{role}", known=role in ROLES_WITHOUT_USE)


def _assistant(message: dict[str, Any], entry: str) -> Iterator[Event]:
    if message.get("provider") == "openclaw" and message.get("model") in MIRRORS:
        yield Skipped("reply written by the harness", known=True)
        return
    content = message["content"]
    yield AssistantMessage(_words(content), entry)
    usage = message.get("usage")
    if isinstance(usage, dict):
        cached, written, output = _count(usage, "cacheRead"), _count(usage, "cacheWrite"), _count(usage, "output")
        prompt = _count(usage, "input") + cached + written
        if prompt or output:
            yield Usage(prompt, cached, written, output, entry)
    for part in content if isinstance(content, list) else ():
        if part["type"] == "toolCall":
            yield ToolCall(_text(part.get("id")), str(part["name"]), part.get("arguments", {}), entry)


def _written_by_harness(message: dict[str, Any]) -> bool:
    """Return whether a user message is none: OpenClaw tells its provenance, Oh My Pi to whom it is attributed."""
    provenance = message.get("provenance")
    if isinstance(provenance, dict) and provenance.get("kind") in ("inter_session", "internal_system"):
        return True
    return message.get("attribution") == "agent"


def _compaction(record: dict[str, Any]) -> Compaction:
    by_extension = record.get("fromHook") is True or record.get("fromExtension") is True
    kind = _text(record.get("method")) or ("extension" if by_extension else "compaction")
    return Compaction(kind, _tokens(record.get("tokensBefore")), _tokens(record.get("tokensAfter")))


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _tokens(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _count(usage: dict[str, Any], name: str) -> int:
    return _tokens(usage.get(name)) or 0

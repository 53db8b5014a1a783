"""The pi family: pi, OpenClaw and Oh My Pi keep JSON lines, a header and then entries that form a tree.

- pi: ``~/.pi/agent/sessions/<project>/<time>_<session>.jsonl`` (@mariozechner/pi-coding-agent 0.73.1)
- OpenClaw: ``~/.openclaw/agents/<agent>/sessions/<session>.jsonl`` (before it kept sessions in a database)
- Oh My Pi: ``~/.omp/agent/sessions/<project>/<time>_<session>.jsonl``

pi writes nothing that its descendants could not have written as well: a file of the family is pi's as long as nothing
in its first lines is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import HARNESS_LINE, Head, Reader, count_of, line_format, names, object_of, text_of

__all__ = ["OH_MY_PI", "OPENCLAW", "PI", "ROOT", "EntryTree", "PiReader", "in_family"]

WITHOUT_USE = names(
    """
    credential_pin custom custom_message label mode_change model_change model_usage service_tier_change session_info
    thinking_level_change title title_change ttsr_injection
    """
)
"""Entry types without any lasting effect on memory."""

ROLES_WITHOUT_USE = names(
    """
    bashExecution branchSummary compactionSummary custom developer fileMention hookMessage pythonExecution
    """
)
"""Roles of messages that are no prompt, no answer and no result."""

MIRRORS = frozenset({"delivery-mirror", "gateway-injected"})
"""Models of provider ``openclaw`` that are none: the gateway's copy of a reply, or a note of its own."""

RESETS = {"reset": "reset", "reset_boundary": "start:clear"}
"""Entries from which on the model sees nothing older: OpenClaw's, and Oh My Pi's of ``/clear``."""

ROOT = 0
"""The place above the first entry."""


class EntryTree:
    """Entries of one session in the order of the file; a place is the number of an entry, from 1."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._depths = [0]
        self._parents = [ROOT]
        self._jumps = [ROOT]  # A far ancestor of each entry, so that walking up takes O(log of the depth).
        self._here = ROOT
        self._barrier = ROOT

    def place_of(self, entry: str) -> int | None:
        """Return the place of *entry*, None for one that was never seen."""
        return self._places.get(entry)

    def move_to(self, place: int) -> int:
        """Go on below *place*; return how many entries of the branch are left behind (0 on the way down).

        A place that is not below the barrier is not gone to. O(log of the depth).
        """
        if place == self._here or self._common(place, self._barrier) != self._barrier:
            return 0
        left = self._depths[self._here] - self._depths[self._common(place, self._here)]
        self._here = place
        return left

    def append(self, entry: str) -> None:
        """Add *entry* below the current place, and go there."""
        depths, jumps, parent = self._depths, self._jumps, self._here
        above = jumps[parent]
        far = depths[parent] - depths[above] == depths[above] - depths[jumps[above]]
        depths.append(depths[parent] + 1)
        jumps.append(jumps[above] if far and parent != ROOT else parent)
        self._parents.append(parent)
        self._here = self._places[entry] = len(depths) - 1

    def name(self, entry: str) -> None:
        """Let *entry* be another name of the current place."""
        self._places[entry] = self._here

    def set_barrier(self) -> None:
        """Forbid moves to anything that is not below the current place."""
        self._barrier = self._here

    def _common(self, one: int, other: int) -> int:
        depths, jumps, parents = self._depths, self._jumps, self._parents
        if depths[one] < depths[other]:
            one, other = other, one
        while depths[one] > depths[other]:
            one = jumps[one] if depths[jumps[one]] >= depths[other] else parents[one]
        while one != other:
            apart = jumps[one] != jumps[other]
            one, other = (jumps[one], jumps[other]) if apart else (parents[one], parents[other])
        return one


def in_family(head: Head) -> bool:
    """Return whether a header or a message of the family is in the first lines."""
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


class PiReader(Reader):
    """Reads the records of one session of pi, OpenClaw or Oh My Pi."""

    def __init__(self) -> None:
        self._tree = EntryTree()
        self._started = False
        self._forked = ""  # When the fork was made, while its copied entries may still be read.
        self._copies = False  # Whether any was read.

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        """Return the events of one record; raises ``RECORD_ERRORS`` before anything is remembered of it."""
        kind = record["type"]
        if kind == "session":
            yield from self._header(record)
            return
        entry = text_of(record.get("id"))
        if entry and self._tree.place_of(entry) is not None:
            yield events.Skipped("entry again", known=True)
            return
        if record.get("appendMode") == "side" and kind != "leaf":
            yield events.Skipped("entry outside the conversation", known=True)
            return
        found = tuple(self._entry(kind, record, entry))
        yield from self._fork_behind(record.get("timestamp"))
        dropped = self._move(record, "targetId" if kind == "leaf" else "parentId")
        if dropped:
            yield events.Rewind(dropped)
        yield from found
        if not entry:
            return
        if kind == "leaf":
            self._tree.name(entry)
            return
        self._tree.append(entry)
        if kind == "reset":
            # OpenClaw hangs whatever comes later below the reset, even if it names an older parent.
            self._tree.set_barrier()

    def finish(self) -> Iterator[events.Event]:
        """Return the fork of a file that holds nothing but copies."""
        if self._copies:
            yield events.Reset("start:fork")

    def _header(self, record: dict[str, Any]) -> Iterator[events.Event]:
        time = text_of(record.get("timestamp"))
        fork = bool(text_of(record.get("parentSession")) or text_of(record.get("branchedFrom")))
        if not self._started:
            self._started = True
            self._forked = time if fork else ""
            yield events.SessionStart(text_of(record.get("id")), "", text_of(record.get("cwd")), time)
            return
        # Ids are unique within one session only.
        self._tree = EntryTree()
        yield events.Reset("start:fork" if fork else "start:resume")

    def _fork_behind(self, time: Any) -> Iterator[events.Event]:
        if not self._forked or not isinstance(time, str):
            return
        if time < self._forked:
            self._copies = True
            return
        if self._copies:
            yield events.Reset("start:fork")
        self._forked, self._copies = "", False

    def _move(self, record: dict[str, Any], field: str) -> int:
        parent = record.get(field, "")
        place = ROOT if parent is None else self._tree.place_of(text_of(parent))
        return 0 if place is None else self._tree.move_to(place)

    def _entry(self, kind: Any, record: dict[str, Any], entry: str) -> Iterator[events.Event]:
        if kind == "message":
            yield from _message(record["message"], entry)
        elif kind == "compaction":
            yield _compaction(record)
            words = text_of(record.get("summary"))
            if words:
                yield events.CompactionSummary(words)
        elif kind == "branch_summary":
            yield events.CompactionSummary(text_of(record["summary"]))
        elif kind == "session_init":
            yield events.Instruction("system", text_of(record["systemPrompt"]))
        elif kind in RESETS:
            yield events.Reset(RESETS[kind])
        else:
            yield events.Skipped(str(kind), known=kind == "leaf" or kind in WITHOUT_USE)


def _message(message: dict[str, Any], entry: str) -> Iterator[events.Event]:
    role = message["role"]
    if role == "assistant":
        yield from _assistant(message, entry)
    elif role == "user":
        words = _words(message["content"])
        if _written_by_harness(message):
            yield HARNESS_LINE
        elif words:
            yield events.Prompt(words)
        else:
            yield events.Skipped("prompt without words", known=True)
    elif role == "toolResult":
        yield events.RecordedResult(
            text_of(message.get("toolCallId")), _words(message["content"]), message.get("isError") is True
        )
    else:
        yield events.Skipped(f"message/{role}", known=role in ROLES_WITHOUT_USE)


def _assistant(message: dict[str, Any], entry: str) -> Iterator[events.Event]:
    if message.get("provider") == "openclaw" and message.get("model") in MIRRORS:
        yield events.Skipped("reply written by the harness", known=True)
        return
    content = message["content"]
    yield events.AssistantMessage(_words(content), entry)
    usage = message.get("usage")
    if isinstance(usage, dict):
        fresh, cached, written, output = (
            count_of(usage.get(name)) or 0 for name in ("input", "cacheRead", "cacheWrite", "output")
        )
        prompt = fresh + cached + written
        if prompt or output:
            yield events.Usage(prompt, cached, written, output, entry)
    for part in content if isinstance(content, list) else ():
        if part["type"] == "toolCall":
            yield events.RecordedCall(text_of(part.get("id")), str(part["name"]), part.get("arguments", {}), entry)


def _written_by_harness(message: dict[str, Any]) -> bool:
    """Return whether a user message is none: OpenClaw records its provenance, Oh My Pi to whom it is attributed."""
    origin = object_of(message.get("provenance")).get("kind")
    return origin in ("inter_session", "internal_system") or message.get("attribution") == "agent"


def _compaction(record: dict[str, Any]) -> events.Compaction:
    by_extension = record.get("fromHook") is True or record.get("fromExtension") is True
    kind = text_of(record.get("method")) or ("extension" if by_extension else "compaction")
    return events.Compaction(kind, count_of(record.get("tokensBefore")), count_of(record.get("tokensAfter")))


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


HEADER_FIELDS = frozenset(
    {"additionalDirectories", "previousSessionFiles", "providerPromptCacheKey", "title", "titleSource"}
)
"""Fields of the header that only Oh My Pi writes."""

ENTRY_TYPES = names(
    """
    credential_pin mode_change model_usage reset_boundary service_tier_change session_init title_change ttsr_injection
    """
)
"""Entry types that only Oh My Pi writes."""

ROLES = frozenset({"developer", "fileMention", "pythonExecution"})
"""Roles of messages that only Oh My Pi writes."""


def _oh_my_pi_recognizes(head: Head) -> bool:
    return in_family(head) and any(map(_oh_my_pi_is_own, head.records))


def _oh_my_pi_is_own(record: dict[str, Any]) -> bool:
    kind, message = record.get("type"), record.get("message")
    if kind == "session":
        return not HEADER_FIELDS.isdisjoint(record)
    if kind == "message" and isinstance(message, dict):
        return "attribution" in message or str(message.get("role")) in ROLES
    if kind == "model_change":
        return isinstance(record.get("model"), str)
    return str(kind) in ENTRY_TYPES or (kind == "title" and "pad" in record)


OH_MY_PI = line_format("oh-my-pi", "Oh My Pi", _oh_my_pi_recognizes, PiReader)


def _openclaw_recognizes(head: Head) -> bool:
    return in_family(head) and not OH_MY_PI.recognizes(head) and any(map(_is_own, head.records))


def _is_own(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    if kind == "session":
        return ".openclaw" in str(record.get("cwd")).replace("\\", "/").split("/")
    if kind in ("custom", "custom_message"):
        name = str(record.get("customType"))
        return name == "model-snapshot" or name.startswith("openclaw")
    message = record.get("message")
    if kind == "message" and isinstance(message, dict):
        return "__openclaw" in message or "provenance" in message or message.get("provider") == "openclaw"
    return kind in ("leaf", "reset") or record.get("appendMode") == "side"


OPENCLAW = line_format("openclaw", "OpenClaw", _openclaw_recognizes, PiReader)


def _recognizes(head: Head) -> bool:
    return in_family(head) and not OPENCLAW.recognizes(head) and not OH_MY_PI.recognizes(head)


PI = line_format("pi", "pi", _recognizes, PiReader)

"""Claude Code: ``~/.claude/projects/<project>/<session>.jsonl``.

One reply of the model spans several lines with the same ``message.id``; its usage is counted once. Lines of a subagent
(``isSidechain``) are not the main thread: a subagent's own file is a session of skipped lines. One start of a session
shows as several lines; older files have none. A file that holds lines of an earlier session, copied when it was resumed
or forked, is one session under the name of its first line.
"""

from __future__ import annotations

import re
from array import array
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
from clawvm_transcripts.formats.message_parts import count_of, text_of, words_of
from clawvm_transcripts.pseudonyms import number_of
from clawvm_transcripts.reading import Head, RecordError, line_format

__all__ = ["CLAUDE_CODE", "NumberTable"]


# --- A table of millions of numbers in a sixth of the memory that a dictionary of them takes.

SMALLEST = 1 << 10


class NumberTable:
    """Whole numbers below 2^31 by 64-bit keys, which have to be evenly spread, as those of ``number_of`` are.

    An entry takes 18 to 36 bytes; nothing is ever removed.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(SMALLEST)

    def __len__(self) -> int:
        return self._count

    def _allocate(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("Q", bytes(8 * size))
        self._values = array("i", bytes(4 * size))

    def _place(self, key: int) -> int:
        """Return the place of *key*, or the free one where it belongs."""
        keys, mask = self._keys, self._mask
        place = key & mask
        while keys[place] != key and keys[place]:
            place = (place + 1) & mask
        return place

    def get(self, key: int, default: int) -> int:
        """Return the number under *key*, or *default*."""
        place = self._place(key or 1)  # 0 marks a free place.
        return self._values[place] if self._keys[place] else default

    def add(self, key: int, value: int) -> bool:
        """Put *value* under *key* unless there is one; return whether there was none. O(1) on average."""
        key = key or 1
        place = self._place(key)
        if self._keys[place]:
            return False
        self._keys[place], self._values[place] = key, value
        self._count += 1
        if 3 * self._count > 2 * len(self._keys):
            self._grow()
        return True

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._allocate(2 * len(keys))
        for key, value in zip(keys, values):
            if key:
                place = self._place(key)
                self._keys[place], self._values[place] = key, value


# --- Claude Code: ``~/.claude/projects/<project>/<session>.jsonl``.

WITHOUT_USE = frozenset(
    {
        "agent-name",
        "ai-title",
        "custom-title",
        "file-history-snapshot",
        "last-prompt",
        "permission-mode",
        "pr-link",
        "queue-operation",
        "summary",
        "tag",
        "worktree-state",
    }
)
"""Line types that say nothing about memory."""

OWN_FIELDS = {"file-history-snapshot": "messageId", "summary": "leafUuid"}
"""Lines that may fill the beginning of a file without naming a session, and the field by which they are known."""

INJECTED = re.compile(
    r"\s*(?:<(?:local-command-stdout|local-command-stderr|local-command-caveat|bash-stdout|bash-stderr"
    r"|task-notification|system-reminder)\b|\[Request interrupted by user|Caveat: The messages below were generated)"
)
"""How the text of a user line begins that the harness wrote; a typed slash command or shell line is a prompt."""

INSTRUCTIONS = {
    "hook_additional_context": ("rules", "content"),
    "mcp_instructions_delta": ("system", "addedBlocks"),
    "nested_memory": ("rules", "content"),
    "skill_listing": ("system", "content"),
}
"""Attachments that put instructions in front of the model: their kind, and the field that holds the words."""

SESSION_START = "SessionStart:"
RESETS = frozenset({"clear", "resume", "fork"})
"""Ways of starting that leave the running conversation behind."""


def _recognizes(head: Head) -> bool:
    return any(map(_is_own, head.records))


def _is_own(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    if not isinstance(kind, str):
        return False
    # A long message stands before the names of its line and of the session, so a line that was cut off has neither.
    in_tree = "parentUuid" in record and "isSidechain" in record
    by_name = isinstance(record.get("sessionId"), str) and ("uuid" in record or kind in WITHOUT_USE)
    return in_tree or by_name or OWN_FIELDS.get(kind) in record


class _Reader:
    def __init__(self) -> None:
        self._started = False
        self._starts: set[str] = set()  # Starts of the session that were told already.
        self._usages: set[int] = set()  # Replies whose usage was told already, by their number_of.
        self._usage = Usage(0)  # The newest.
        self._prompts = NumberTable()  # Typed prompts on the way from the root to a line, by its number_of.
        self._depth = 0  # The same for the newest line of the conversation.

    def record(self, record: dict[str, Any]) -> Iterator[Event]:
        kind = record["type"]
        if not isinstance(kind, str):
            raise RecordError("the type of a line is no text")
        if not self._started and "uuid" in record:
            self._started = True
            yield SessionStart(
                text_of(record.get("sessionId")),
                text_of(record.get("version")),
                text_of(record.get("cwd")),
                text_of(record.get("timestamp")),
            )
        if record.get("isSidechain") is True:
            yield Skipped("sidechain", known=True)
        elif kind == "assistant":
            yield from self._assistant(record)
        elif kind == "user":
            yield from self._user(record)
        elif kind == "system":
            yield from self._system(record)
        elif kind in ("progress", "attachment"):
            yield from self._side_line(record)
        else:
            yield Skipped(kind, known=kind in WITHOUT_USE)
            return
        self._place(record)

    def finish(self) -> Iterator[Event]:
        return iter(())

    def _place(self, record: dict[str, Any], typed: int = 0) -> None:
        """Remember how many typed prompts lead to this line."""
        if record.get("isSidechain") is True or not isinstance(record.get("uuid"), str):
            return
        uuid = number_of(record["uuid"])
        depth = self._before(record) + typed
        if self._prompts.add(uuid, depth):
            self._depth = depth

    def _before(self, record: dict[str, Any]) -> int:
        parent = record.get("parentUuid") or record.get("logicalParentUuid")
        return self._prompts.get(number_of(parent), self._depth) if isinstance(parent, str) else self._depth

    def _assistant(self, record: dict[str, Any]) -> Iterator[Event]:
        message = record["message"]
        name = text_of(message.get("id")) or text_of(record.get("uuid"))
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        yield AssistantMessage("".join(text_of(block.get("text")) for block in blocks if block["type"] == "text"), name)
        usage = message.get("usage")
        if isinstance(usage, dict):
            yield from self._told_usage(usage, name)
        for block in blocks:
            if block["type"] == "tool_use":
                if not isinstance(block["name"], str):
                    raise RecordError("the name of a tool is no text")
                yield ToolCall(text_of(block.get("id")), block["name"], block.get("input", {}), name)

    def _told_usage(self, usage: dict[str, Any], name: str) -> Iterator[Event]:
        """Tell the usage of a reply once; its later lines only know more of the output."""
        cached = count_of(usage.get("cache_read_input_tokens")) or 0
        written = count_of(usage.get("cache_creation_input_tokens")) or 0
        prompt = (count_of(usage.get("input_tokens")) or 0) + cached + written
        told = Usage(prompt, cached, written, count_of(usage.get("output_tokens")) or 0, name)
        known = bool(name) and number_of(name) in self._usages
        if prompt and (not known or (name == self._usage.message and told.output > self._usage.output)):
            self._usages.add(number_of(name))
            self._usage = told
            yield told

    def _user(self, record: dict[str, Any]) -> Iterator[Event]:
        content = record["message"]["content"]
        if record.get("isCompactSummary") is True:
            yield Summary(words_of(content))
            return
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        results = [block for block in content if block["type"] == "tool_result"]
        if results:
            for block in results:
                failed = block.get("is_error") is True
                yield ToolResult(text_of(block.get("tool_use_id")), words_of(block.get("content")), failed)
            return
        words = "".join(text_of(block.get("text")) for block in content if block["type"] == "text")
        if record.get("isMeta") is True or INJECTED.match(words):
            yield Skipped("line written by the harness", known=True)
            return
        parent = record.get("parentUuid")
        depth = self._prompts.get(number_of(parent), self._depth) if isinstance(parent, str) else self._depth
        dropped = self._depth - depth
        if dropped > 0:
            yield Rewind(dropped)
        yield Prompt(words)
        self._place(record, typed=1)

    def _system(self, record: dict[str, Any]) -> Iterator[Event]:
        if record.get("subtype") != "compact_boundary":
            yield Skipped(f"system/{record.get('subtype')}", known=True)
            return
        facts = record.get("compactMetadata") or {}
        yield Compaction(
            text_of(facts.get("trigger")) or "unknown",
            count_of(facts.get("preTokens")),
            count_of(facts.get("postTokens")),
        )

    def _side_line(self, record: dict[str, Any]) -> Iterator[Event]:
        facts = record["data"] if record["type"] == "progress" else record["attachment"]
        hook = facts.get("hookName")
        if isinstance(hook, str) and hook.startswith(SESSION_START):
            start = hook.removeprefix(SESSION_START)
            # One start shows as a line per hook; they share the id of the hook's call.
            name = f"{start} {record.get('toolUseID') or facts.get('toolUseID') or record.get('timestamp')}"
            if start in RESETS and name not in self._starts:
                self._starts.add(name)
                yield Reset(f"start:{start}")
        kind, field = INSTRUCTIONS.get(str(facts.get("type")), ("", ""))
        words = facts.get(field)
        if kind and words:
            yield Instruction(kind, words if isinstance(words, str) else "\n".join(map(str, words)))
        else:
            yield Skipped(f"{record['type']}/{facts.get('type')}", known=True)


CLAUDE_CODE = line_format("claude-code", "Claude Code", _recognizes, _Reader)

"""Claude Code: ``~/.claude/projects/<project>/<session>.jsonl``.

One reply of the model spans several lines with the same ``message.id``; its usage is counted once. Lines of a subagent
(``isSidechain``) are not the main thread: a subagent's own file is a session of skipped lines. One start of a session
shows as several lines; older files have none. A file that holds lines of an earlier session, copied when it was resumed
or forked, is one session under the name of its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    HARNESS_LINE,
    Head,
    Reader,
    count_of,
    line_format,
    names,
    object_of,
    required_text,
    text_of,
    texts_of,
    words_of,
)
from clawvm_transcripts.pseudonyms import number_of

__all__ = ["CLAUDE_CODE"]

WITHOUT_USE = names(
    """
    agent-name ai-title custom-title file-history-snapshot last-prompt permission-mode pr-link queue-operation summary
    tag worktree-state
    """
)
"""Line types without any effect on memory."""

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
    # Qwen Code has the same frame around other messages, results as lines of their own, and facts of its own.
    if not isinstance(kind, str) or kind == "tool_result" or "systemPayload" in record:
        return False
    if "message" in record and "content" not in object_of(record["message"]):
        return False
    # A long message precedes the names of its line and of the session, so a line that was cut off has neither.
    in_tree = "parentUuid" in record and "isSidechain" in record
    whole = "uuid" in record and ("message" in record or kind not in ("assistant", "user"))
    by_name = isinstance(record.get("sessionId"), str) and (whole or kind in WITHOUT_USE)
    return in_tree or by_name or OWN_FIELDS.get(kind) in record


class _Reader(Reader):
    def __init__(self) -> None:
        self._started = False
        self._starts: set[str] = set()  # Starts of the session that were reported already.
        self._usages: set[int] = set()  # Replies whose usage was reported already, by their number_of.
        self._usage = events.Usage(0)  # The newest.
        self._prompts: dict[int, int] = {}  # Typed prompts on the way from the root to a line, by its number_of.
        self._depth = 0  # The same for the newest line of the conversation.

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        kind = required_text(record, "type")
        if not self._started and "uuid" in record:
            self._started = True
            session, version, project, started = texts_of(record, "sessionId", "version", "cwd", "timestamp")
            yield events.SessionStart(session, version, project, started)
        if record.get("isSidechain") is True:
            yield events.Skipped("sidechain", known=True)
        elif kind == "assistant":
            yield from self._assistant(record)
        elif kind == "user":
            yield from self._user(record)
        elif kind == "system":
            yield from self._system(record)
        elif kind in ("progress", "attachment"):
            yield from self._side_line(record)
        else:
            yield events.Skipped(kind, known=kind in WITHOUT_USE)
            return
        self._place(record)

    def _place(self, record: dict[str, Any], typed: int = 0) -> None:
        """Remember how many typed prompts lead to this line."""
        if record.get("isSidechain") is True or not isinstance(record.get("uuid"), str):
            return
        uuid = number_of(record["uuid"])
        if uuid not in self._prompts:
            parent = record.get("parentUuid") or record.get("logicalParentUuid")
            self._depth = self._prompts[uuid] = self._depth_of(parent) + typed

    def _depth_of(self, parent: Any) -> int:
        return self._prompts.get(number_of(parent), self._depth) if isinstance(parent, str) else self._depth

    def _assistant(self, record: dict[str, Any]) -> Iterator[events.Event]:
        message = record["message"]
        name = text_of(message.get("id")) or text_of(record.get("uuid"))
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        yield events.AssistantMessage(
            "".join(text_of(block.get("text")) for block in blocks if block["type"] == "text"), name
        )
        usage = message.get("usage")
        if isinstance(usage, dict):
            yield from self._new_usage(usage, name)
        for block in blocks:
            if block["type"] == "tool_use":
                yield events.RecordedCall(
                    text_of(block.get("id")), required_text(block, "name"), block.get("input", {}), name
                )

    def _new_usage(self, usage: dict[str, Any], name: str) -> Iterator[events.Event]:
        """Report the usage of a reply once; its later lines only know more of the output."""
        cached = count_of(usage.get("cache_read_input_tokens")) or 0
        written = count_of(usage.get("cache_creation_input_tokens")) or 0
        prompt = (count_of(usage.get("input_tokens")) or 0) + cached + written
        newest = events.Usage(prompt, cached, written, count_of(usage.get("output_tokens")) or 0, name)
        known = bool(name) and number_of(name) in self._usages
        if prompt and (not known or (name == self._usage.message and newest.output > self._usage.output)):
            self._usages.add(number_of(name))
            self._usage = newest
            yield newest

    def _user(self, record: dict[str, Any]) -> Iterator[events.Event]:
        content = record["message"]["content"]
        if record.get("isCompactSummary") is True:
            yield events.CompactionSummary(words_of(content))
            return
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        results = [block for block in content if block["type"] == "tool_result"]
        if results:
            for block in results:
                failed = block.get("is_error") is True
                yield events.RecordedResult(text_of(block.get("tool_use_id")), words_of(block.get("content")), failed)
            return
        words = _words(content)
        if record.get("isMeta") is True or INJECTED.match(words):
            yield HARNESS_LINE
            return
        dropped = self._depth - self._depth_of(record.get("parentUuid"))
        if dropped > 0:
            yield events.Rewind(dropped)
        yield events.Prompt(words)
        self._place(record, typed=1)

    def _system(self, record: dict[str, Any]) -> Iterator[events.Event]:
        if record.get("subtype") != "compact_boundary":
            yield events.Skipped(f"system/{record.get('subtype')}", known=True)
            return
        facts = record.get("compactMetadata") or {}
        yield events.Compaction(
            text_of(facts.get("trigger")) or "unknown",
            count_of(facts.get("preTokens")),
            count_of(facts.get("postTokens")),
        )

    def _side_line(self, record: dict[str, Any]) -> Iterator[events.Event]:
        facts = record["data"] if record["type"] == "progress" else record["attachment"]
        hook = facts.get("hookName")
        if isinstance(hook, str) and hook.startswith(SESSION_START):
            start = hook.removeprefix(SESSION_START)
            # One start shows as a line per hook; they share the id of the hook's call.
            name = f"{start} {record.get('toolUseID') or facts.get('toolUseID') or record.get('timestamp')}"
            if start in RESETS and name not in self._starts:
                self._starts.add(name)
                yield events.Reset(f"start:{start}")
        kind, field = INSTRUCTIONS.get(str(facts.get("type")), ("", ""))
        words = facts.get(field)
        if kind and words:
            yield events.Instruction(kind, words if isinstance(words, str) else "\n".join(map(str, words)))
        else:
            yield events.Skipped(f"{record['type']}/{facts.get('type')}", known=True)


def _words(blocks: list[dict[str, Any]]) -> str:
    return "".join(text_of(block.get("text")) for block in blocks if block["type"] == "text")


CLAUDE_CODE = line_format("claude-code", "Claude Code", _recognizes, _Reader)

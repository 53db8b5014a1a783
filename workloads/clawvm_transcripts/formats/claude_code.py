"""Claude Code: ``~/.claude/projects/<project>/<session>.jsonl``.

One reply of the model spans several lines with the same ``message.id``; its usage is counted once. Lines of a subagent
(``isSidechain``) are not the main thread; newer versions write them into a file for each, under the id of the session.
One start of a session shows as several lines; older files have none. A file that holds lines of an earlier session,
copied when it was resumed or forked, is one session under the name of its first line.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    HARNESS_LINE,
    Head,
    Reader,
    count_of,
    images_of,
    line_format,
    names,
    object_of,
    required_text,
    text_of,
    texts_of,
    words_of,
)
from clawvm_transcripts.formats.branches import ROOT, Branches
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
    r"|task-notification|teammate-message|system-reminder)\b|\[Request interrupted by user"
    r"|Caveat: The messages below were generated)"
)
"""How the text of a user line begins that the harness wrote; a typed slash command or shell line is a prompt."""

INSTRUCTIONS = {
    "hook_additional_context": ("rules", "content"),
    "mcp_instructions_delta": ("system", "addedBlocks"),
    "nested_memory": ("rules", "content"),
    "skill_listing": ("system", "content"),
}
"""Attachments that put instructions in front of the model: their kind, and the field that holds the words."""

QUEUED = "queued_command"
"""The attachment that holds what was typed while the agent worked, or another's words that waited as well."""

MOST_QUEUED = 1000
"""Prompts that wait at most; the oldest is dropped."""

SESSION_START = "SessionStart:"
STARTS: dict[str, Callable[[str], events.Event]] = {
    "clear": events.Reset,
    "fork": events.Reset,
    "resume": events.Resume,
}
"""Ways of starting: two leave the running conversation behind, the third goes on with it."""


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
        self._subagent = False  # The file is that of a subagent: its side lines are its conversation.
        self._starts: set[str] = set()  # Starts of the session that were reported already.
        self._idle_since = ""  # The start behind which nothing was said yet.
        self._usages: set[int] = set()  # Replies whose usage was reported already, by their number_of.
        self._usage = events.Usage(0)  # The newest.
        self._thread = _Thread()
        self._queue = _Queue()

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        kind = required_text(record, "type")
        if not self._started and "uuid" in record:
            yield self._start(record)
        if self._thread.knows(record.get("uuid")):
            yield events.Skipped("line again", known=True)
            return
        if record.get("isSidechain") is True and not self._subagent:
            yield events.Subagent(text_of(record.get("agentId")), tuple(_calls_of(record)))
        elif kind == "assistant":
            self._idle_since = ""
            yield from self._queue.handed_over()
            yield from self._assistant(record)
        elif kind == "user":
            yield from self._user(record)
        elif kind == "system":
            yield from self._system(record)
        elif kind in ("progress", "attachment"):
            yield from self._side_line(record)
        elif kind == "queue-operation":
            if not self._subagent:
                self._queue.take(record)
            yield events.Skipped(kind, known=True)
        else:
            yield events.Skipped(kind, known=kind in WITHOUT_USE)

    def finish(self) -> Iterator[events.Event]:
        return self._queue.handed_over()

    def _start(self, record: dict[str, Any]) -> events.SessionStart:
        self._started = True
        self._subagent = record.get("isSidechain") is True and isinstance(record.get("agentId"), str)
        session, version, project, started = texts_of(record, "sessionId", "version", "cwd", "timestamp")
        if self._subagent:
            # Its lines bear the id of the session that it belongs to.
            return events.SessionStart(record["agentId"], version, project, started, subagent=True, parent=session)
        return events.SessionStart(session, version, project, started)

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
        self._thread.reply(record, name)

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
            self._thread.line(record)
            return
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        results = [block for block in content if block["type"] == "tool_result"]
        for block in results:
            inside = block.get("content")
            failed = block.get("is_error") is True
            yield events.RecordedResult(
                text_of(block.get("tool_use_id")), words_of(inside), failed, images=images_of(inside)
            )
        words = _words(content)
        if results:
            self._thread.line(record, [text_of(block.get("tool_use_id")) for block in results])
        elif record.get("isMeta") is True or self._subagent or not _by_user(record) or INJECTED.match(words):
            yield HARNESS_LINE
            self._thread.line(record)
        else:
            self._idle_since = ""
            yield from self._queue.handed_over()
            rewind = self._thread.prompt(record)
            if rewind is not None:
                yield rewind
            yield events.Prompt(words)

    def _system(self, record: dict[str, Any]) -> Iterator[events.Event]:
        subtype = record.get("subtype")
        if subtype == "compact_boundary":
            yield from self._queue.handed_over()
            yield self._thread.compaction(record, object_of(record.get("compactMetadata")))
            return
        calls = object_of(record.get("microcompactMetadata")).get("compactedToolIds")
        if subtype == "microcompact_boundary":
            named = tuple(filter(None, map(text_of, calls))) if isinstance(calls, list) else None
            self._thread.cleared(named or ())
            yield events.Cleared(named)
        else:
            yield events.Skipped(f"system/{subtype}", known=True)
        self._thread.line(record)

    def _side_line(self, record: dict[str, Any]) -> Iterator[events.Event]:
        facts = record["data"] if record["type"] == "progress" else record["attachment"]
        hook = facts.get("hookName")
        if isinstance(hook, str) and hook.startswith(SESSION_START):
            start = hook.removeprefix(SESSION_START)
            # One start shows as a line per hook; they share the id of the hook's call.
            name = f"{start} {record.get('toolUseID') or facts.get('toolUseID') or record.get('timestamp')}"
            # Resumes with nothing said between them are one.
            if start in STARTS and name not in self._starts and not (start == "resume" == self._idle_since):
                self._starts.add(name)
                self._idle_since = start
                yield STARTS[start](f"start:{start}")
                if start == "clear":
                    self._thread.emptied()
        kind, field = INSTRUCTIONS.get(str(facts.get("type")), ("", ""))
        words = facts.get(field)
        if kind and words:
            yield events.Instruction(kind, words if isinstance(words, str) else "\n".join(map(str, words)))
        elif facts.get("type") == QUEUED and not self._subagent:
            words = words_of(facts.get("prompt"))
            typed = _is_typed(facts, words)
            yield events.Prompt(words) if self._queue.attached(words, typed) else HARNESS_LINE
        else:
            yield events.Skipped(f"{record['type']}/{facts.get('type')}", known=True)
        self._thread.line(record)


def _is_typed(facts: dict[str, Any], words: str) -> bool:
    """Return whether the user typed what was queued: neither a notification, nor a message of another agent."""
    return facts.get("commandMode") == "prompt" and _by_user(facts) and INJECTED.match(words) is None


def _by_user(facts: dict[str, Any]) -> bool:
    """Return whether no other agent is recorded as the origin."""
    origin = facts.get("origin")
    return origin is None or object_of(origin).get("kind") == "human"


def _calls_of(record: dict[str, Any]) -> Iterator[str]:
    blocks = object_of(record.get("message")).get("content")
    for block in blocks if record.get("type") == "assistant" and isinstance(blocks, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_use":
            yield text_of(block.get("id"))


class _Queue:
    """Prompts that were typed while the agent worked, and handed over between two calls.

    Newer files hold each as an attachment, before or behind the line that removes it from the queue. In older ones, the
    queue's own lines are the only trace: what is removed and has no attachment before the next reply was handed over.
    """

    def __init__(self) -> None:
        # What waits, and whether it is in the file as an attachment already.
        self._waiting: deque[tuple[str, bool]] = deque(maxlen=MOST_QUEUED)
        self._removed: deque[str] = deque(maxlen=MOST_QUEUED)
        self._handed: deque[str] = deque(maxlen=MOST_QUEUED)  # Reported without an attachment.

    def take(self, record: dict[str, Any]) -> None:
        """Take a line of the queue."""
        operation, words = record.get("operation"), words_of(record.get("content")).strip()
        if operation == "enqueue":
            self._waiting.append((words, False))
        elif operation == "popAll":
            self._waiting.clear()  # The user has them back.
        elif operation in ("dequeue", "remove") and self._waiting:
            words, attached = self._taken(words)
            # A line of the user follows what was dequeued; commands and notifications are no prompts.
            if operation == "remove" and not (attached or words.startswith("/") or INJECTED.match(words)):
                self._removed.append(words)

    def _taken(self, words: str) -> tuple[str, bool]:
        """Take *words* out of what waits, the oldest where the line does not say which."""
        for item in ((words, True), (words, False)):
            if item in self._waiting:
                self._waiting.remove(item)
                return item
        return self._waiting.popleft()

    def attached(self, words: str, typed: bool) -> bool:
        """Take *words* that are in the file as an attachment; return whether they are a prompt not yet reported."""
        words = words.strip()
        if words in self._removed:
            self._removed.remove(words)
        elif words in self._handed:
            self._handed.remove(words)
            return False
        elif (words, False) in self._waiting:
            self._mark(words)
        elif typed and self._removed:
            self._removed.popleft()  # With an image, or with pasted text in full, the words are others.
        elif typed and (others := [other for other, attached in self._waiting if not attached]):
            self._mark(others[0])
        return typed

    def _mark(self, words: str) -> None:
        self._waiting[self._waiting.index((words, False))] = (words, True)

    def handed_over(self) -> Iterator[events.Event]:
        """Yield the prompts that were removed from the queue, and of which nothing else is in the file."""
        while self._removed:
            words = self._removed.popleft()
            if words:
                self._handed.append(words)
                yield events.Prompt(words)


class _Thread:
    """The tree of the main thread: replies and typed prompts are its places, and every line belongs to one.

    Parallel calls, attachments and progress also branch, so only a typed prompt makes a rewind.
    """

    def __init__(self) -> None:
        self._branches = Branches()
        self._lines: dict[int, int] = {}  # The number of each line, by the number_of of its uuid.
        self._places = array("I")  # The place of each line, by its number.
        self._parents = array("i")  # The line that each line hangs on, -1 for none that is known.
        self._results: dict[int, tuple[str, ...]] = {}  # Of the lines that hold any, by their number.
        self._reply = ""  # The newest.
        self._reply_line = 0  # The number of its first line.

    def knows(self, uuid: Any) -> bool:
        """Return whether a line with this *uuid* came before."""
        return isinstance(uuid, str) and number_of(uuid) in self._lines

    def line(self, record: dict[str, Any], results: Sequence[str] = ()) -> None:
        """Take a line that is part of the place where it hangs, with the *results* in it."""
        place = self._parent(record)
        for call in results:
            self._branches.add_result(call, place)
        if results:
            self._results[len(self._places)] = tuple(results)
        self._add(record, place)

    def reply(self, record: dict[str, Any], message: str) -> None:
        """Take a line of the reply *message*."""
        if message == self._reply:
            self._add(record, self._branches.here)
        else:
            self._reply, self._reply_line = message, len(self._places)
            # Wherever it hangs, what was said before is in the context: only a prompt goes back.
            self._add(record, self._branches.append(weight=0))

    def prompt(self, record: dict[str, Any]) -> events.Rewind | None:
        """Take a typed prompt; return the rewind that it makes, None for one that goes on where the newest line is."""
        parent, place = self._parent_line(record), self._parent(record)
        if record.get("parentUuid", "") is None and self._branches.is_open(ROOT):
            parent, place = -1, ROOT  # The first prompt was written anew.
        # Within the words behind one prompt, a line may hang below any other, but it is written behind all of them.
        cut_short = parent is not None and parent < self._reply_line and place != self._branches.here
        rewind = None
        if self._branches.weight_to(place) or cut_short:
            rewind = self._branches.go_to(place)
            rewind = replace(rewind, dropped=max(1, rewind.dropped))
        self._reply = ""
        self._add(record, self._branches.append())
        return rewind

    def compaction(self, record: dict[str, Any], facts: dict[str, Any]) -> events.Compaction:
        """Take the line of a compaction with its *facts*; return it, with what it kept."""
        lines = self._preserved(record, facts)
        place = self._leave(self._parent(record))
        present = set(self._branches.context())
        # A range of lines also spans what was left behind before.
        kept = tuple(call for line in lines for call in self._results.get(line, ()) if call in present)
        self._branches.compacted(kept)
        for line in lines:
            self._places[line] = place  # They go on behind the summary.
        self._add(record, place)
        return events.Compaction(
            text_of(facts.get("trigger")) or "unknown",
            count_of(facts.get("preTokens")),
            count_of(facts.get("postTokens")),
            kept,
        )

    def emptied(self) -> None:
        """Note that nothing said so far is in the context any more."""
        self._leave(self._branches.here)
        self._branches.compacted()
        self._branches.set_barrier()

    def cleared(self, calls: Iterable[str]) -> None:
        """Note that the results of *calls* are gone for good."""
        self._branches.clear(calls)

    def _leave(self, parent: int) -> int:
        """End the reply, and return a new place below *parent*."""
        self._reply = ""
        return self._branches.append(parent, weight=0)

    def _preserved(self, record: dict[str, Any], facts: dict[str, Any]) -> Sequence[int]:
        """Return the lines that a compaction keeps word for word; those behind it in the file need no mention."""
        messages, segment = object_of(facts.get("preservedMessages")), object_of(facts.get("preservedSegment"))
        named = messages.get("allUuids") or messages.get("uuids")
        if isinstance(named, list):
            lines = (self._lines.get(number_of(uuid)) for uuid in named if isinstance(uuid, str))
            return sorted({line for line in lines if line is not None})
        if not all(texts_of(segment, "headUuid", "tailUuid")):
            return ()
        first, last = (self._lines.get(number_of(segment[end]), -1) for end in ("headUuid", "tailUuid"))
        if last < 0:  # The end of the range is behind the summary.
            newest = self._parent_line(record)
            last = len(self._places) - 1 if newest is None else newest
        chain = []
        while 0 <= first <= last:
            chain.append(last)
            last = self._parents[last]
        return chain[::-1] if chain[-1:] == [first] else ()

    def _parent_line(self, record: dict[str, Any]) -> int | None:
        parent = record.get("parentUuid") or record.get("logicalParentUuid")
        return self._lines.get(number_of(parent)) if isinstance(parent, str) else None

    def _parent(self, record: dict[str, Any]) -> int:
        line = self._parent_line(record)
        return self._branches.here if line is None else self._places[line]

    def _add(self, record: dict[str, Any], place: int) -> None:
        if isinstance(record.get("uuid"), str):
            self._lines.setdefault(number_of(record["uuid"]), len(self._places))
        parent = self._parent_line(record)
        self._parents.append(-1 if parent is None else parent)
        self._places.append(place)


def _words(blocks: list[dict[str, Any]]) -> str:
    return "".join(text_of(block.get("text")) for block in blocks if block["type"] == "text")


CLAUDE_CODE = line_format("claude-code", "Claude Code", _recognizes, _Reader)

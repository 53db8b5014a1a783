"""Codex: ``~/.codex/sessions/<year>/<month>/<day>/rollout-<time>-<session>.jsonl``.

Records are ``{"timestamp", "type", "payload"}``; the first releases wrote the payloads bare. What was said stands in a
file twice, as an item of the conversation and as an event for the screen, and what a tool gave up to three times: each
is told once. A resumed session appends a further header to the same file.
"""

from __future__ import annotations

import hashlib
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
    Usage,
    Window,
)
from clawvm_transcripts.format_contract import Head, line_format
from clawvm_transcripts.formats.codex_records import (
    BARE_ITEMS,
    EVENTS_WITHOUT_USE,
    INJECTED_KINDS,
    ITEMS_WITHOUT_USE,
    RECORD_TYPES,
    is_injected,
    is_rules,
    own_words,
)
from clawvm_transcripts.formats.codex_tools import tool_call, tool_result
from clawvm_transcripts.formats.message_parts import count_of, text_of
from clawvm_transcripts.formats.said_twice import SaidTwice
from clawvm_transcripts.json_lines import RecordError

__all__ = ["CODEX"]

REMEMBERED = 512
"""Instructions of which is known that they were told."""

HARNESS_LINE = Skipped("line written by the harness", known=True)


def _recognizes(head: Head) -> bool:
    return any(_is_enveloped(record) or _is_bare_header(record) for record in head.records)


def _is_enveloped(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    return isinstance(kind, str) and kind in RECORD_TYPES and isinstance(record.get("payload"), dict)


def _is_bare_header(record: dict[str, Any]) -> bool:
    return "type" not in record and isinstance(record.get("timestamp"), str) and {"id", "instructions"} <= record.keys()


class _Reader:
    def __init__(self) -> None:
        self._started = False
        self._instructions: dict[bytes, None] = {}  # Digests of those told, oldest first.
        self._total: Any = None  # Tokens of the whole session at the newest request.
        self._window = 0
        self._prompts = SaidTwice(Prompt)
        self._replies = SaidTwice(AssistantMessage)

    def record(self, record: dict[str, Any]) -> Iterator[Event]:
        kind, payload = _unwrapped(record)
        if kind == "event_msg":
            yield from self._screen_event(payload)
        elif kind == "response_item":
            yield from self._item(payload)
        elif kind == "turn_context":
            yield from self._turn(payload)
        elif kind == "session_meta":
            yield from self._session(payload, record)
        elif kind == "compacted":
            yield from self.finish()
            yield from _compaction(payload)
        else:
            yield Skipped(kind, known=kind == "state")

    def finish(self) -> Iterator[Event]:
        yield from self._prompts.settle()
        yield from self._replies.settle()

    def _session(self, payload: dict[str, Any], record: dict[str, Any]) -> Iterator[Event]:
        if self._started:
            yield from self.finish()
            yield Reset("session_meta_again")
        else:
            self._started = True
            yield SessionStart(
                text_of(payload.get("id")) or text_of(payload.get("session_id")),
                text_of(payload.get("cli_version")),
                text_of(payload.get("cwd")),
                text_of(payload.get("timestamp")) or text_of(record.get("timestamp")),
            )
        base = payload.get("base_instructions")
        yield from self._instruction("system", text_of(base.get("text") if isinstance(base, dict) else base))
        yield from self._instruction("rules", text_of(payload.get("instructions")))

    def _turn(self, payload: dict[str, Any]) -> Iterator[Event]:
        told = False
        for kind, field in (("system", "developer_instructions"), ("rules", "user_instructions")):
            for event in self._instruction(kind, text_of(payload.get(field))):
                told = True
                yield event
        if not told:
            yield Skipped("turn_context", known=True)

    def _instruction(self, kind: str, words: str) -> Iterator[Event]:
        """Tell an instruction, unless the same words were told before: several records carry them."""
        own = own_words(words)
        digest = hashlib.sha256(own.encode()).digest()
        if not own or digest in self._instructions:
            return
        if len(self._instructions) >= REMEMBERED:
            del self._instructions[next(iter(self._instructions))]
        self._instructions[digest] = None
        yield Instruction(kind, words)

    def _item(self, payload: dict[str, Any]) -> Iterator[Event]:
        kind = _kind(payload)
        if kind == "message":
            yield from self._message(payload)
        elif kind.endswith("_call"):
            call = tool_call(kind, payload)
            yield from self.finish()
            yield call
        elif kind.endswith("_output"):
            result = tool_result(payload)
            yield from self.finish()
            yield result
        else:
            yield Skipped(f"response_item/{kind}", known=kind in ITEMS_WITHOUT_USE)

    def _message(self, payload: dict[str, Any]) -> Iterator[Event]:
        role, content = payload.get("role"), payload.get("content")
        if not isinstance(content, (str, list)):
            raise RecordError("a message without content")
        parts = _parts(content)
        if role == "assistant":
            yield from self._prompts.settle()
            yield from self._replies.item("".join(parts))
        elif role == "user":
            yield from self._replies.settle()
            yield from self._user_message(parts)
        elif role in ("developer", "system"):
            told = [event for part in parts for event in self._instruction("system", part)]
            yield from told or (HARNESS_LINE,)
        else:
            yield Skipped(f"message/{role!s:.40}")

    def _user_message(self, parts: list[str]) -> Iterator[Event]:
        typed = [part for part in parts if _is_typed(part)]
        rules = [part for part in parts if is_rules(part)]
        told = [event for part in rules for event in self._instruction("rules", part)]
        yield from told
        if typed:
            yield from self._prompts.item("".join(typed))
        elif not told:
            yield HARNESS_LINE

    def _screen_event(self, payload: dict[str, Any]) -> Iterator[Event]:
        kind = _kind(payload)
        if kind == "user_message":
            words = _required(payload, "message")
            yield from self._replies.settle()
            if payload.get("kind") in INJECTED_KINDS or not _is_typed(words):
                self._prompts.events_exist()
                yield HARNESS_LINE
            else:
                yield from self._prompts.event(words)
        elif kind == "agent_message":
            words = _required(payload, "message")
            yield from self._prompts.settle()
            yield from self._replies.event(words)
        elif kind == "token_count":
            yield from self._usage(payload)
        elif kind == "thread_rolled_back":
            yield from self.finish()
            yield Rewind(count_of(payload.get("num_turns")) or 0)
        elif kind == "task_started":
            yield from self._new_window(payload) or (Skipped("event_msg/task_started", known=True),)
        else:
            yield Skipped(f"event_msg/{kind}", known=kind in EVENTS_WITHOUT_USE)

    def _usage(self, payload: dict[str, Any]) -> Iterator[Event]:
        facts = payload.get("info")
        latest = facts.get("last_token_usage") if isinstance(facts, dict) else None
        if not isinstance(facts, dict) or not isinstance(latest, dict):
            yield Skipped("event_msg/token_count", known=True)
            return
        events = self._new_window(facts)
        total = facts.get("total_token_usage")
        prompt = count_of(latest.get("input_tokens"))
        # The same total again is the same request again, told because something else changed.
        if prompt and (total is None or total != self._total):
            cached = min(prompt, count_of(latest.get("cached_input_tokens")) or 0)
            events.append(Usage(prompt, cached, 0, count_of(latest.get("output_tokens")) or 0))
        self._total = total
        yield from events or (Skipped("event_msg/token_count", known=True),)

    def _new_window(self, facts: dict[str, Any]) -> list[Event]:
        tokens = count_of(facts.get("model_context_window"))
        if not tokens or tokens == self._window:
            return []
        self._window = tokens
        return [Window(tokens)]


def _unwrapped(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the type and the payload of a record; the first releases wrote header, state and items bare."""
    if "payload" not in record:
        if _is_bare_header(record):
            return "session_meta", record
        if "type" not in record and isinstance(record.get("record_type"), str):
            return record["record_type"], record
        if _kind(record) in BARE_ITEMS:
            return "response_item", record
    kind, payload = _kind(record), record.get("payload")
    if kind in RECORD_TYPES and not isinstance(payload, dict):
        raise RecordError(f"{kind} without a payload")
    return kind, payload if isinstance(payload, dict) else {}


def _compaction(payload: dict[str, Any]) -> list[Event]:
    """Return a compaction and the words that it left, but for instructions, which the harness puts there anew."""
    history = payload.get("replacement_history")
    words: list[str] = []
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and entry.get("role") in ("user", "assistant"):
            parts = _parts(entry.get("content"))
            words.extend(part for part in parts if _is_typed(part))
    text = "\n".join(words) or text_of(payload.get("message"))
    compaction = Compaction("replacement_history" if isinstance(history, list) else "summary")
    return [compaction, Summary(text)] if text else [compaction]


def _is_typed(words: str) -> bool:
    return not is_rules(words) and not is_injected(words)


def _kind(record: dict[str, Any]) -> str:
    return _required(record, "type")


def _required(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        raise RecordError(f"{field} is no text")
    return value


def _parts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else ()
    return [words for part in parts if isinstance(part, dict) and (words := text_of(part.get("text")))]


CODEX = line_format("codex", "Codex", _recognizes, _Reader)

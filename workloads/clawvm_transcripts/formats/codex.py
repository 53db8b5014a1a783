"""Codex: ``~/.codex/sessions/<year>/<month>/<day>/rollout-<time>-<session>.jsonl``.

Records are ``{"timestamp", "type", "payload"}``; the first releases wrote the payloads bare. Words are in a
file twice, as an item of the conversation and as an event for the screen, and what a tool returned up to three times:
each is read once. A resumed session appends further headers to the same file; a subagent has a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    HARNESS_LINE,
    Head,
    Reader,
    RecordError,
    arguments_of,
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
from clawvm_transcripts.formats.branches import Branches
from clawvm_transcripts.pseudonyms import digest_of

__all__ = ["CODEX", "tool_result"]


RECORD_TYPES = frozenset({"compacted", "event_msg", "response_item", "session_meta", "turn_context"})

RECORDS_WITHOUT_USE = names("inter_agent_communication_metadata state world_state")

BARE_ITEMS = frozenset({"function_call", "function_call_output", "local_shell_call", "message", "reasoning"})
"""Items of a conversation that the first releases wrote without an envelope."""

ITEMS_WITHOUT_USE = names(
    "agent_message compaction compaction_summary context_compaction ghost_snapshot other reasoning"
)
"""Items without any effect on memory; an ``agent_message`` is the word of another agent."""

EVENTS_WITHOUT_USE = names(
    """
    agent_reasoning agent_reasoning_raw_content agent_reasoning_section_break background_event
    collab_agent_interaction_begin collab_agent_interaction_end collab_agent_spawn_begin collab_agent_spawn_end
    collab_close_begin collab_close_end collab_resume_begin collab_resume_end collab_waiting_begin
    collab_waiting_end context_compacted deprecation_notice dynamic_tool_call_request dynamic_tool_call_response
    entered_review_mode error exec_command_begin exec_command_end exited_review_mode image_generation_begin
    image_generation_end item_completed item_started mcp_tool_call_begin mcp_tool_call_end model_reroute
    patch_apply_begin patch_apply_end plan_update stream_error sub_agent_activity task_complete task_started
    terminal_interaction thread_goal_updated thread_name_updated thread_settings_applied turn_aborted turn_complete
    turn_diff turn_started undo_completed undo_started view_image_tool_call warning web_search_begin web_search_end
    """
)
"""Events without any effect on memory, and those that repeat an item of the conversation."""

RULES = re.compile(r"\s*(?:# AGENTS\.md instructions\b|<user_instructions>)")
"""How a part of a user message begins in which the harness hands over the project's rules."""

RULES_FRAME = re.compile(
    r"\s*(?:# AGENTS\.md instructions[^\n]*\n\s*)?<(INSTRUCTIONS|user_instructions)>(.*)</\1>\s*", re.DOTALL
)
"""The frame around those rules; their own words are the last group."""

INJECTED = re.compile(
    r"\s*<(?:environment_context|environments|turn_aborted|skill|user_action|user_shell_command|subagent_notification"
    r"|system_reminder|permissions instructions|collaboration_mode|personality_spec|model_switch|hook_prompt)\b"
)
"""How a part of a user message begins that the harness wrote and that is no rule."""

INJECTED_KINDS = ("environment_context", "user_instructions")
"""Kinds of a ``user_message`` event that nobody typed."""

ARGUMENT_FIELDS = ("arguments", "input", "action")
"""Where the call types keep what the tool is given."""

EXEC = "exec"
PROGRAM_FIELDS = ("code", "input")
"""Where an ``exec`` that is recorded as a function call keeps its program."""

HEAD_START = re.compile(r"(?:Command: |Chunk ID: |Wall time:? |Exit code: |Script [a-z])")
HEAD_END = re.compile(r"Output:(?:\r?\n|\Z)")
"""The last line of a head."""

HEAD_LINE = re.compile(r"(?:Process [a-z]|Original token count: |Total output lines: |Exit code: |Script [a-z])")
"""The lines that may be between the wall time and the end of a head."""

WALL_TIME = re.compile(r"^Wall time:? ", re.MULTILINE)
"""Every head has this line; it follows the command, whose own lines may look like the end of a head."""

EXIT_CODE = re.compile(r"^(?:Exit code:|Process exited with code) (-?[0-9]{1,9})$", re.MULTILINE)
SCRIPT_FAILED = "Script failed"

FAILURE = re.compile(
    r"(?:(?:apply_patch|exec_command|shell|view_image|write_stdin) (?:verification )?failed\b"
    r"|failed to parse function arguments\b|execution error\b|unsupported call\b|aborted by user\b)"
)
"""How a result without a head begins when the harness itself refused or lost the call."""


def tool_call(kind: str, payload: dict[str, Any]) -> events.RecordedCall:
    """Return the call of an item of type *kind*; raises RecordError for a function call without a name."""
    tool = payload.get("name", kind.removesuffix("_call"))
    if not isinstance(tool, str) or (kind in ("function_call", "custom_tool_call") and "name" not in payload):
        raise RecordError("a call without a name")
    call = text_of(payload.get("call_id")) or text_of(payload.get("id"))
    arguments: Any = next((payload[key] for key in ARGUMENT_FIELDS if payload.get(key) is not None), {})
    if kind == "function_call" and isinstance(inside := arguments_of(arguments), dict):
        arguments = inside
    if tool == EXEC and isinstance(arguments, dict):
        arguments = next((value for key in PROGRAM_FIELDS if (value := text_of(arguments.get(key)))), arguments)
    namespace = text_of(payload.get("namespace"))
    return events.RecordedCall(call, f"{namespace}.{tool}" if namespace else tool, arguments)


def tool_result(payload: dict[str, Any]) -> events.RecordedResult:
    """Return the result in an item; its text is the tool's output as recorded, "" where the item holds none."""
    call, output = text_of(payload.get("call_id")) or text_of(payload.get("id")), payload.get("output")
    failed: bool | None = None  # None where nothing but the text itself may show it.
    if isinstance(output, str):
        wrapped = arguments_of(output)
        # Only the harness writes exactly this around an output; a tool that prints JSON is left as it is.
        if isinstance(wrapped, dict) and wrapped.keys() == {"output", "metadata"}:
            metadata, output = wrapped["metadata"], wrapped["output"]
            failed = isinstance(metadata, dict) and metadata.get("exit_code") not in (0, None)
    elif isinstance(output, dict):
        failed = True if output.get("success") is False else None
        output = output.get("content") or output.get("content_items") or output
    output = output if isinstance(output, (str, list)) else [output]  # One part, without its list.
    text = words_of(output)
    head = _head_length(text)
    if failed is None and head:
        # The newest code counts: a command in front of it may look like one.
        codes = EXIT_CODE.findall(text, 0, head)
        failed = (bool(codes) and int(codes[-1]) != 0) or text.startswith(SCRIPT_FAILED)
    elif failed is None:
        failed = FAILURE.match(text) is not None
    return events.RecordedResult(call, text, failed, head, images_of(output))


def _head_length(text: str) -> int:
    """Return the number of characters of the head; 0 for a text without one."""
    if not HEAD_START.match(text):
        return 0
    wall_time = WALL_TIME.search(text)
    if wall_time is None:
        return 0
    line = text.find("\n", wall_time.start()) + 1
    # Only lines that a head may have are between the two, so that an output is never taken for a head.
    while line:
        end = HEAD_END.match(text, line)
        if end:
            return end.end()
        if not HEAD_LINE.match(text, line):
            return 0
        line = text.find("\n", line) + 1
    return 0


def _recognizes(head: Head) -> bool:
    return any(_is_enveloped(record) or _is_bare_header(record) for record in head.records)


def _is_enveloped(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    return isinstance(kind, str) and kind in RECORD_TYPES and isinstance(record.get("payload"), dict)


def _is_bare_header(record: dict[str, Any]) -> bool:
    return "type" not in record and isinstance(record.get("timestamp"), str) and {"id", "instructions"} <= record.keys()


CONVERSATION = (events.Prompt, events.AssistantMessage, events.RecordedCall, events.RecordedResult)
"""What ends a run of headers that are one resume."""

HELD_BACK = 64
"""Items held back until it is clear whether the file has events for them."""

REPEATED = events.Skipped("item that is in the file as an event too", known=True)


class _Speaker:
    """The words of one side: its events where the file has any, its items where it has none.

    Items are held back until an event follows, which repeats the words, or the conversation goes on without one.
    *event* makes the common event of the words.
    """

    def __init__(self, event: Callable[[str], events.Event]) -> None:
        self._event = event
        self._waiting: list[str] = []
        self._latest: str | None = None  # The latest words that came from an item.
        self.has_events = False

    def event(self, words: str) -> Iterator[events.Event]:
        """Yield the words of an event, unless an item held them just now."""
        self.has_events = True
        self._waiting.clear()
        repeated, self._latest = self._latest == words.strip(), None
        yield REPEATED if repeated else self._event(words)

    def item(self, words: str) -> Iterator[events.Event]:
        """Hold the words of an item back, or skip them if the file has events."""
        if self.has_events:
            yield REPEATED
            return
        self._waiting.append(words)
        if len(self._waiting) > HELD_BACK:
            yield from self.release()

    def release(self) -> Iterator[events.Event]:
        """Yield what was held back: no event repeats it."""
        for words in self._waiting:
            self._latest = words.strip()
            yield self._event(words)
        self._waiting.clear()


class _Reader(Reader):
    def __init__(self) -> None:
        self._session_id = ""
        self._started = False
        self._subagent = False
        self._forked_from = ""
        self._copied_from = ""  # The same, once copies of it came.
        self._idle = True  # No word and no call came since the newest header.
        self._branches = Branches()  # A place for every prompt.
        self._instructions: set[bytes] = set()  # Digests of those reported.
        self._total: Any = None  # Tokens of the whole session at the newest request.
        self._window = 0
        self._prompts = _Speaker(events.Prompt)
        self._replies = _Speaker(events.AssistantMessage)

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        for event in self._read(record):
            self._place(event)
            yield event

    def _read(self, record: dict[str, Any]) -> Iterator[events.Event]:
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
            yield events.Skipped(kind, known=kind in RECORDS_WITHOUT_USE)

    def _place(self, event: events.Event) -> None:
        """Remember behind which prompt a result is."""
        if isinstance(event, events.Prompt):
            self._branches.append()
        elif isinstance(event, events.RecordedResult):
            self._branches.add_result(event.call)
        elif isinstance(event, events.Compaction):
            self._branches.append(weight=0)
            self._branches.compacted(event.kept)
        self._idle = self._idle and not isinstance(event, CONVERSATION)

    def finish(self) -> Iterator[events.Event]:
        yield from self._prompts.release()
        yield from self._replies.release()

    def _session(self, payload: dict[str, Any], record: dict[str, Any]) -> Iterator[events.Event]:
        name, other_name, version, project, started = texts_of(
            payload, "id", "session_id", "cli_version", "cwd", "timestamp"
        )
        name = name or other_name
        if not self._started:
            self._started, self._session_id = True, name
            self._forked_from = text_of(payload.get("forked_from_id"))
            self._subagent, parent = _parent_of(payload.get("source"))
            yield events.SessionStart(
                name, version, project, started or text_of(record.get("timestamp")), self._subagent, parent
            )
        else:
            yield from self.finish()
            yield from self._further_header(name)
        self._idle = True
        base = payload.get("base_instructions")
        yield from self._instruction("system", text_of(base.get("text") if isinstance(base, dict) else base))
        yield from self._instruction("rules", text_of(payload.get("instructions")))

    def _further_header(self, name: str) -> Iterator[events.Event]:
        """Return what a header behind the first is: the extension for editors writes one before nearly every prompt."""
        if name in (self._session_id, self._copied_from, ""):
            # Several with nothing said between them are one resume.
            yield events.Skipped("header again", known=True) if self._idle else events.Resume("session_meta_again")
        elif name == self._forked_from:
            # What follows was copied from there, with every header that was there.
            self._forked_from, self._copied_from = "", name
            yield events.Reset("start:fork")
        else:
            self._session_id = name
            yield events.Reset("other_session")

    def _turn(self, payload: dict[str, Any]) -> Iterator[events.Event]:
        instructions = [
            *self._instruction("system", text_of(payload.get("developer_instructions"))),
            *self._instruction("rules", text_of(payload.get("user_instructions"))),
        ]
        yield from instructions or (events.Skipped("turn_context", known=True),)

    def _instruction(self, kind: str, words: str) -> Iterator[events.Event]:
        """Yield an instruction, unless an earlier record held the same words: several records carry them."""
        frame = RULES_FRAME.fullmatch(words)
        own = (frame[2] if frame else words).strip()
        digest = digest_of(own)
        if own and digest not in self._instructions:
            self._instructions.add(digest)
            yield events.Instruction(kind, words)

    def _item(self, payload: dict[str, Any]) -> Iterator[events.Event]:
        kind = required_text(payload, "type")
        if kind == "message":
            yield from self._message(payload)
        elif kind.endswith("_call"):
            call = tool_call(kind, payload)
            yield from self.finish()
            yield call
            if kind == "image_generation_call" and text_of(payload.get("result")):
                # The picture itself: its result has no item of its own.
                yield events.RecordedResult(call.call, "", images=(payload["result"],))
        elif kind.endswith("_output"):
            result = tool_result(payload)
            yield from self.finish()
            yield result
        else:
            yield events.Skipped(f"response_item/{kind}", known=kind in ITEMS_WITHOUT_USE)

    def _message(self, payload: dict[str, Any]) -> Iterator[events.Event]:
        role, content = payload.get("role"), payload.get("content")
        if not isinstance(content, (str, list)):
            raise RecordError("a message without content")
        parts = _parts(content)
        if role == "assistant":
            yield from self._prompts.release()
            yield from self._replies.item("".join(parts))
        elif role == "user":
            yield from self._replies.release()
            yield from self._user_message(parts, image=not parts and bool(images_of(content)))
        elif role in ("developer", "system"):
            instructions = [event for part in parts for event in self._instruction("system", part)]
            yield from instructions or (HARNESS_LINE,)
        else:
            yield events.Skipped(f"message/{role!s:.40}")

    def _user_message(self, parts: list[str], *, image: bool) -> Iterator[events.Event]:
        """Yield what a user message says: *parts* of words, or an *image* alone."""
        typed = [part for part in parts if _is_typed(part)]
        rules = [event for part in parts if RULES.match(part) for event in self._instruction("rules", part)]
        yield from rules
        if (typed or image) and not self._subagent:
            yield from self._prompts.item("".join(typed))
        elif not rules:
            yield HARNESS_LINE

    def _screen_event(self, payload: dict[str, Any]) -> Iterator[events.Event]:
        kind = required_text(payload, "type")
        if kind == "user_message":
            words = required_text(payload, "message")
            yield from self._replies.release()
            # The prompt of a subagent was written by its parent.
            if self._subagent or payload.get("kind") in INJECTED_KINDS or not _is_typed(words):
                self._prompts.has_events = True
                yield HARNESS_LINE
            else:
                yield from self._prompts.event(words)
        elif kind == "agent_message":
            words = required_text(payload, "message")
            yield from self._prompts.release()
            yield from self._replies.event(words)
        elif kind == "token_count":
            yield from self._usage(payload)
        elif kind == "thread_rolled_back":
            yield from self.finish()
            prompts = count_of(payload.get("num_turns"))
            yield self._rolled_back(prompts) if prompts else events.Skipped(f"event_msg/{kind}", known=True)
        elif kind == "task_started":
            yield from self._new_window(payload) or (events.Skipped("event_msg/task_started", known=True),)
        else:
            yield events.Skipped(f"event_msg/{kind}", known=kind in EVENTS_WITHOUT_USE)

    def _rolled_back(self, prompts: int) -> events.Rewind:
        """Go back before the last *prompts*; return the rewind."""
        return replace(self._branches.go_to(self._branches.place_above(prompts)), dropped=prompts)

    def _usage(self, payload: dict[str, Any]) -> Iterator[events.Event]:
        facts = object_of(payload.get("info"))
        latest = facts.get("last_token_usage")
        if not isinstance(latest, dict):
            yield events.Skipped("event_msg/token_count", known=True)
            return
        found = self._new_window(facts)
        total = facts.get("total_token_usage")
        prompt = count_of(latest.get("input_tokens"))
        # The same total again is the same request again, written because something else changed.
        if prompt and (total is None or total != self._total):
            cached = min(prompt, count_of(latest.get("cached_input_tokens")) or 0)
            found.append(events.Usage(prompt, cached, 0, count_of(latest.get("output_tokens")) or 0))
        self._total = total
        yield from found or (events.Skipped("event_msg/token_count", known=True),)

    def _new_window(self, facts: dict[str, Any]) -> list[events.Event]:
        tokens = count_of(facts.get("model_context_window"))
        if not tokens or tokens == self._window:
            return []
        self._window = tokens
        return [events.Window(tokens)]


def _unwrapped(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the type and the payload of a record; the first releases wrote header, state and items bare."""
    if "payload" not in record:
        if _is_bare_header(record):
            return "session_meta", record
        if "type" not in record and isinstance(record.get("record_type"), str):
            return record["record_type"], record
        if required_text(record, "type") in BARE_ITEMS:
            return "response_item", record
    kind, payload = required_text(record, "type"), record.get("payload")
    if kind in RECORD_TYPES and not isinstance(payload, dict):
        raise RecordError(f"{kind} without a payload")
    return kind, payload if isinstance(payload, dict) else {}


def _compaction(payload: dict[str, Any]) -> list[events.Event]:
    """Return a compaction and the words that it left, but for instructions, which the harness puts there anew."""
    listed = payload.get("replacement_history")
    history = listed if isinstance(listed, list) else []
    words: list[str] = []
    for entry in history:
        if isinstance(entry, dict) and entry.get("role") in ("user", "assistant"):
            parts = _parts(entry.get("content"))
            words.extend(part for part in parts if _is_typed(part))
    text = "\n".join(words) or text_of(payload.get("message"))
    kept = (entry.get("call_id") for entry in history if isinstance(entry, dict) and "output" in entry)
    kind = "replacement_history" if isinstance(listed, list) else "summary"
    compaction = events.Compaction(kind, kept=tuple(filter(None, map(text_of, kept))))
    return [compaction, events.CompactionSummary(text)] if text else [compaction]


def _parent_of(source: Any) -> tuple[bool, str]:
    """Return whether the *source* of a session is that of a subagent, and the id of its parent, "" if it has none."""
    if not isinstance(source, dict) or "subagent" not in source:
        return False, ""
    return True, text_of(object_of(object_of(source["subagent"]).get("thread_spawn")).get("parent_thread_id"))


def _is_typed(words: str) -> bool:
    return RULES.match(words) is None and INJECTED.match(words) is None


def _parts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else ()
    return [words for part in parts if isinstance(part, dict) and (words := text_of(part.get("text")))]


CODEX = line_format("codex", "Codex", _recognizes, _Reader)

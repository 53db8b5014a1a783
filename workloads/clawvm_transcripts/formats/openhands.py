"""OpenHands: evaluation output, one JSON document with ``history`` per line, or one array of events.

An event is an action ``{id, action, args}`` or the observation that names it as its ``cause``. Every action of the
model that asks for something is one reply and one call; ``think`` and ``finish`` only hold words. The ``thought`` among
the arguments is the text of the reply. Errors without a cause answer no call. Facts: the published package
``openhands-ai`` 0.62.0.
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
    SessionStart,
    Skipped,
    Summary,
    ToolCall,
    ToolResult,
)
from clawvm_transcripts.formats import (
    Head,
    Reader,
    RecordError,
    document_format,
    names,
    required_text,
    text_of,
    usage_of,
)
from clawvm_transcripts.reading import TOP, Element

__all__ = ["OPENHANDS"]

CALLS = names(
    """
    browse browse_interactive call_tool_mcp delegate edit read run run_ipython task_tracking write
    """
)
"""Actions that ask for a tool."""

WORDS = {"think": ("thought",), "finish": ("final_thought", "thought"), "reject": ("thought",)}
"""Actions that only hold words of the model, and the arguments that may hold them."""

WITHOUT_USE = names(
    """
    agent_state_changed change_agent_state condensation_request condense loop_detection loop_recovery null pause
    recall resume start stop
    """
)
"""Actions and observations without any effect on memory."""

ANSWERS = names(
    """
    browse delegate download edit error mcp read run run_ipython success task_tracking think user_rejected write
    """
)
"""Observations that answer the action that they name."""

NAMES = frozenset({"action", "observation"})
"""Every event has one of them."""

RULES = ("repo_instructions", "additional_agent_instructions", "conversation_instructions")
"""What an observation of a recall may hold beside knowledge."""

FAILED = "ERROR:\n"
"""How the answer of a file tool begins that did nothing."""


def _recognizes(head: Head) -> bool:
    # The first line may be damaged, so the others count, too.
    histories = [record.get("history") for record in head.records]
    events = [history[0] for history in histories if isinstance(history, list) and history]
    return any(map(_is_event, [head.firsts.get("history"), head.firsts.get(TOP), *events]))


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and "id" in event and "source" in event and bool(event.keys() & NAMES)


class _Reader(Reader):
    def __init__(self) -> None:
        self._session = ""
        self._started = False
        self._reply = ""  # The newest reply.
        self._response = ""  # The response of the provider whose tokens were reported last.

    def record(self, record: Element) -> Iterator[Event]:
        event = record.value
        if record.key == "instance_id":
            self._session = text_of(event)
            return
        if not isinstance(event, dict):
            raise RecordError("history holds something else than objects")
        if not self._started:
            self._started = True
            yield SessionStart(self._session, _version(event), "", text_of(event.get("timestamp")))
        if "action" in event:
            yield from self._action(event["action"], event)
        else:
            yield from _observation(event["observation"], event)

    def finish(self) -> Iterator[Event]:
        if not self._started:
            yield SessionStart(self._session)

    def _action(self, action: str, event: dict[str, Any]) -> Iterator[Event]:
        arguments, name = event["args"], _name(event["id"])
        if not isinstance(arguments, dict):
            raise RecordError("the arguments of an action are no object")
        users = event.get("source") == "user"
        if action == "system":
            yield Instruction("system", required_text(arguments, "content"))
        elif action == "message" and users:
            yield Prompt(required_text(arguments, "content"))
        elif action == "message":
            yield from self._replies(required_text(arguments, "content"), name, event)
        elif action == "condensation":
            yield Compaction(action)
            if text_of(arguments.get("summary")):
                yield Summary(arguments["summary"])
        elif action in WITHOUT_USE or (users and action in CALLS):
            yield Skipped(action, known=True)  # The user may run commands, too.
        elif action in WORDS:
            words = [text_of(arguments.get(field)) for field in WORDS[action]]
            # They ask for no tool: they belong to the reply before them.
            yield from self._replies(next(filter(None, words), ""), self._reply or name, event)
        elif action in CALLS:
            yield from self._replies(text_of(arguments.get("thought")), name, event)
            taken = {field: value for field, value in arguments.items() if field != "thought"}
            yield ToolCall(name, action, taken, name)
        else:
            yield Skipped(str(action))

    def _replies(self, words: str, name: str, event: dict[str, Any]) -> Iterator[Event]:
        self._reply = name
        yield AssistantMessage(words, name)
        metadata = event.get("tool_call_metadata")
        response = metadata.get("model_response") if isinstance(metadata, dict) else None
        if not isinstance(response, dict):
            return
        counted = usage_of(response.get("usage"), name)
        # A response that asks for several tools stands in each of its actions.
        told = text_of(response.get("id"))
        if counted is not None and not (told and told == self._response):
            self._response = told
            yield counted


def _observation(kind: str, event: dict[str, Any]) -> Iterator[Event]:
    cause = event.get("cause")
    if kind == "recall":
        words = list(_recalled(event.get("extras")))
        if not words:
            yield Skipped(kind, known=True)
        for text in words:
            yield Instruction("rules", text)
    elif kind in ANSWERS and cause is not None:
        text = required_text(event, "content")
        extras = event.get("extras")
        failed = kind in ("error", "user_rejected") or event.get("success") is False
        files = kind in ("edit", "read", "write") and isinstance(extras, dict)
        yield ToolResult(_name(cause), text, failed or (files and text.startswith(FAILED)))
    else:
        yield Skipped(str(kind), known=kind in WITHOUT_USE or kind == "error")


def _recalled(extras: Any) -> Iterator[str]:
    if not isinstance(extras, dict):
        return
    for field in RULES:
        if text_of(extras.get(field)):
            yield extras[field]
    for knowledge in extras.get("microagent_knowledge") or ():
        if isinstance(knowledge, dict) and text_of(knowledge.get("content")):
            yield knowledge["content"]


def _version(event: dict[str, Any]) -> str:
    arguments = event.get("args")
    return text_of(arguments.get("openhands_version")) if isinstance(arguments, dict) else ""


def _name(number: Any) -> str:
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise RecordError("an event is named by something else than a number")
    return str(number)


OPENHANDS = document_format("openhands", "OpenHands", _recognizes, _Reader, ("instance_id", "history", TOP))

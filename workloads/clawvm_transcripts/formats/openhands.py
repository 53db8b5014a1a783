"""OpenHands: evaluation output, one JSON document with ``history`` per line, or one array of events.

An event is an action ``{id, action, args}`` or the observation that names it as its ``cause``. Every action of the
model that asks for something is one reply and one call; ``think`` and ``finish`` only hold words. The ``thought`` among
the arguments is the text of the reply. Errors without a cause answer no call. Facts: the published package
``openhands-ai`` 0.62.0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    Head,
    Reader,
    RecordError,
    document_format,
    names,
    object_of,
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
"""What an observation of a recall may hold in addition to knowledge."""

FAILED = "ERROR:\n"
"""How the answer of a file tool begins that did nothing."""


def _recognizes(head: Head) -> bool:
    # The first line may be damaged, so the others count, too.
    histories = [record.get("history") for record in head.records]
    firsts = [history[0] for history in histories if isinstance(history, list) and history]
    return any(map(_is_event, [head.firsts.get("history"), head.firsts.get(TOP), *firsts]))


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and "id" in event and "source" in event and bool(event.keys() & NAMES)


class _Reader(Reader):
    def __init__(self) -> None:
        self._session = ""
        self._started = False
        self._reply = ""  # The newest reply.
        self._causes: dict[int | str, str] = {}  # The call that each result answers, by the id of the result.
        self._response = ""  # The response of the provider whose tokens were reported last.

    def record(self, record: Element) -> Iterator[events.Event]:
        event = record.value
        if record.key == "instance_id":
            self._session = text_of(event)
            return
        if not isinstance(event, dict):
            raise RecordError("history holds something else than objects")
        if not self._started:
            self._started = True
            version = text_of(object_of(event.get("args")).get("openhands_version"))
            yield events.SessionStart(self._session, version, "", text_of(event.get("timestamp")))
        if "action" in event:
            yield from self._action(event["action"], event)
        else:
            for found in _observation(event["observation"], event):
                if isinstance(found, events.RecordedResult) and isinstance(event.get("id"), (int, str)):
                    self._causes[event["id"]] = found.call
                yield found

    def finish(self) -> Iterator[events.Event]:
        if not self._started:
            yield events.SessionStart(self._session)

    def _action(self, action: str, event: dict[str, Any]) -> Iterator[events.Event]:
        arguments, name = event["args"], _name(event["id"])
        if not isinstance(arguments, dict):
            raise RecordError("the arguments of an action are no object")
        users = event.get("source") == "user"
        if action == "system":
            yield events.Instruction("system", required_text(arguments, "content"))
        elif action == "message" and users:
            yield events.Prompt(required_text(arguments, "content"))
        elif action == "message":
            yield from self._replies(required_text(arguments, "content"), name, event)
        elif action == "condensation":
            yield events.Compaction(action, lost=self._forgotten(arguments))
            if text_of(arguments.get("summary")):
                yield events.CompactionSummary(arguments["summary"])
        elif action in WITHOUT_USE or (users and action in CALLS):
            yield events.Skipped(action, known=True)  # The user may run commands, too.
        elif action in WORDS:
            words = [text_of(arguments.get(field)) for field in WORDS[action]]
            # They ask for no tool: they belong to the reply before them.
            yield from self._replies(next(filter(None, words), ""), self._reply or name, event)
        elif action in CALLS:
            yield from self._replies(text_of(arguments.get("thought")), name, event)
            taken = {field: value for field, value in arguments.items() if field != "thought"}
            yield events.RecordedCall(name, action, taken, name)
        else:
            yield events.Skipped(str(action))

    def _forgotten(self, arguments: dict[str, Any]) -> tuple[str, ...] | None:
        """Return the calls whose results a condensation forgot; None where it does not name what it forgot."""
        named = arguments.get("forgotten_event_ids")
        first, last = arguments.get("forgotten_events_start_id"), arguments.get("forgotten_events_end_id")
        if isinstance(named, list):
            numbers: Collection[Any] = [number for number in named if isinstance(number, (int, str))]
        elif isinstance(first, int) and isinstance(last, int):
            numbers = [number for number in self._causes if isinstance(number, int) and first <= number <= last]
        else:
            return None
        return tuple(self._causes.pop(number) for number in numbers if number in self._causes)

    def _replies(self, words: str, name: str, event: dict[str, Any]) -> Iterator[events.Event]:
        self._reply = name
        yield events.AssistantMessage(words, name)
        response = object_of(object_of(event.get("tool_call_metadata")).get("model_response"))
        counted = usage_of(response.get("usage"), name)
        # A response that asks for several tools is in each of its actions.
        response_id = text_of(response.get("id"))
        if counted is not None and not (response_id and response_id == self._response):
            self._response = response_id
            yield counted


def _observation(kind: str, event: dict[str, Any]) -> Iterator[events.Event]:
    cause = event.get("cause")
    if kind == "recall":
        words = list(_recalled(object_of(event.get("extras"))))
        if not words:
            yield events.Skipped(kind, known=True)
        for text in words:
            yield events.Instruction("rules", text)
    elif kind in ANSWERS and cause is not None:
        text = required_text(event, "content")
        extras = event.get("extras")
        failed = kind in ("error", "user_rejected") or event.get("success") is False
        files = kind in ("edit", "read", "write") and isinstance(extras, dict)
        yield events.RecordedResult(_name(cause), text, failed or (files and text.startswith(FAILED)))
    else:
        yield events.Skipped(str(kind), known=kind in WITHOUT_USE or kind == "error")


def _recalled(extras: dict[str, Any]) -> Iterator[str]:
    for field in RULES:
        if text_of(extras.get(field)):
            yield extras[field]
    for knowledge in extras.get("microagent_knowledge") or ():
        if isinstance(knowledge, dict) and text_of(knowledge.get("content")):
            yield knowledge["content"]


def _name(number: Any) -> str:
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise RecordError("an event is named by something else than a number")
    return str(number)


OPENHANDS = document_format("openhands", "OpenHands", _recognizes, _Reader, ("instance_id", "history", TOP))

"""SWE-agent (``<instance>.traj``) and mini-swe-agent (``<instance>.traj.json``): one JSON document each.

SWE-agent: ``trajectory`` holds the steps ``{action, observation, thought, response}``: every step is one reply and one
call. The words that came before the first step are in ``history``, which may follow the trajectory: steps wait for it.
Newer versions repeat them in the ``messages`` (or ``query``) of every step.

mini-swe-agent: a call is a ``tool_calls`` entry answered by a message of role ``tool``. Version 1, and models without
tools, write the one command as a fenced block of the reply; its output is the next user message. Replies of the
Responses API are kept whole, with ``output`` items and without a role. Facts: the published packages
``mini-swe-agent`` 1.17.4 and 2.4.6.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    HARNESS_LINE,
    Head,
    Reader,
    RecordError,
    arguments_of,
    document_format,
    images_of,
    names,
    object_of,
    required_text,
    text_of,
    usage_of,
    words_of,
)
from clawvm_transcripts.reading import Element

__all__ = ["MINI_SWE_AGENT", "SWE_AGENT"]

TOOL = "action"
"""The name under which every call of SWE-agent goes: one text, a shell command or a command of the agent's own."""


def _is_swe_agent(head: Head) -> bool:
    step, message = head.firsts.get("trajectory", {}), head.firsts.get("history", {})
    return ("observation" in step and isinstance(step.get("action"), str)) or (
        "role" in message and "content" in message and bool(head.keys & {"trajectory", "environment"})
    )


class _SweAgentReader(Reader):
    def __init__(self) -> None:
        self._system = False  # The system instructions were reported.
        self._opened = False  # The task was reported.
        self._waiting: list[events.Event] = []  # Steps that wait for the task.

    def record(self, record: Element) -> Iterator[events.Event]:
        value = record.value
        if not isinstance(value, dict):
            raise RecordError(f"{record.key} holds something else than objects")
        if record.key == "history":
            yield from self._message(value)
            return
        step = list(_step(value, str(record.index)))
        earlier = value.get("messages") or value.get("query")
        if not self._opened and isinstance(earlier, list):
            for message in earlier:
                if isinstance(message, dict) and not self._opened:
                    yield from self._message(message)
        if self._opened:
            yield from step
        else:
            self._waiting += step

    def finish(self) -> Iterator[events.Event]:
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def _message(self, message: dict[str, Any]) -> Iterator[events.Event]:
        role, words = message["role"], words_of(message.get("content"))
        if self._opened:
            yield events.Skipped("history", known=True)
        elif role == "system" and not self._system:
            self._system = True
            yield events.Instruction("system", words)
        elif role == "user" and message.get("is_demo") is not True:
            self._opened = True
            yield events.Prompt(words)
            yield from self.finish()
        elif message.get("is_demo") is True:
            yield events.Instruction("system", words)
        else:
            yield events.Skipped("history", known=True)


def _step(step: dict[str, Any], name: str) -> Iterator[events.Event]:
    action, observation = required_text(step, "action"), step.get("observation")
    yield events.AssistantMessage(text_of(step.get("thought")) or text_of(step.get("response")), name)
    if not action.strip():
        yield events.Skipped("step without an action", known=True)
        return
    yield events.RecordedCall(name, TOOL, action, name)
    if isinstance(observation, str):
        yield events.RecordedResult(name, observation)


SWE_AGENT = document_format("swe-agent", "SWE-agent", _is_swe_agent, _SweAgentReader, ("trajectory", "history"))


SHELL = "bash"
"""The one tool of mini-swe-agent."""

OPENING = re.compile(r"```(?:bash|mswea_bash_command)\s*\n")
CLOSING = "\n```"
"""The marks around a command inside a reply."""

TYPED = frozenset({"UserInterruption", "UserNewTask", "UserRejection"})
"""Interruptions of the agent that carry words of the user; all others were written by the harness."""


INFO = names("exit_status mini_version model_stats submission")
"""What mini-SWE-agent says about a run; documents of others have an ``info`` too."""


def _is_mini_swe_agent(head: Head) -> bool:
    message = head.firsts.get("messages", {})
    named = "trajectory_format" in head.keys or not INFO.isdisjoint(object_of(head.values.get("info")))
    return "role" in message and "content" in message and named


class _MiniSweAgentReader(Reader):
    def __init__(self) -> None:
        self._opened = False  # The task was reported.
        self._asked: deque[str] = deque()  # Calls of the newest reply that have no result yet.

    def record(self, record: Element) -> Iterator[events.Event]:
        message, name = record.value, str(record.index)
        if not isinstance(message, dict):
            raise RecordError(f"{record.key} holds something else than objects")
        if record.key == "info":
            yield events.SessionStart(version=text_of(message.get("mini_version")))
            return
        role, kind = message.get("role"), message.get("type")
        if kind == "function_call_output":
            yield _result(text_of(message.get("call_id")), message["output"], message)
        elif message.get("object") == "response":
            yield from self._response(message, name)
        elif role == "system":
            yield events.Instruction("system", words_of(message["content"]))
        elif role == "user":
            yield from self._user(message)
        elif role == "assistant":
            yield from self._assistant(message, name)
        elif role == "tool":
            yield _result(text_of(message.get("tool_call_id")), message["content"], message)
        else:
            yield events.Skipped(str(role or kind), known=role == "exit")

    def _assistant(self, message: dict[str, Any], name: str) -> Iterator[events.Event]:
        words, extra = words_of(message["content"]), object_of(message.get("extra"))
        calls = [_call(call["function"], call.get("id"), name) for call in message.get("tool_calls") or ()]
        self._asked.clear()
        if not calls:
            commands = _recorded(extra) or _written(words)
            calls = [
                events.RecordedCall(f"{name}.{place}", SHELL, {"command": text}, name)
                for place, text in enumerate(commands)
            ]
            self._asked.extend(call.call for call in calls)
        yield from _reply(words, calls, object_of(extra.get("response")).get("usage"), name)

    def _response(self, message: dict[str, Any], name: str) -> Iterator[events.Event]:
        items = [item for item in message["output"] if isinstance(item, dict)]
        words = "".join(words_of(item.get("content")) for item in items if item.get("type") == "message")
        calls = [_call(item, item.get("call_id"), name) for item in items if item.get("type") == "function_call"]
        yield from _reply(words, calls, message.get("usage"), name)

    def _user(self, message: dict[str, Any]) -> Iterator[events.Event]:
        words, extra = words_of(message["content"]), object_of(message.get("extra"))
        interruption = extra.get("interrupt_type")
        if not self._opened:
            self._opened = True
            yield events.Prompt(words)
        elif interruption is not None:
            yield events.Prompt(words) if interruption in TYPED else HARNESS_LINE
        elif self._asked:
            yield _result(self._asked.popleft(), words, message)
        elif "actions" in extra:
            yield events.Prompt(words)  # A command that the user typed.
        else:
            yield HARNESS_LINE


def _call(function: dict[str, Any], call: Any, message: str) -> events.RecordedCall:
    return events.RecordedCall(text_of(call), str(function["name"]), arguments_of(function["arguments"]), message)


def _reply(words: str, calls: list[events.RecordedCall], usage: Any, name: str) -> Iterator[events.Event]:
    yield events.AssistantMessage(words, name)
    counted = usage_of(usage, name)
    if counted is not None:
        yield counted
    yield from calls


def _result(call: str, content: Any, message: dict[str, Any]) -> events.RecordedResult:
    status = object_of(message.get("extra")).get("returncode")
    failed = isinstance(status, int) and status != 0
    return events.RecordedResult(call, words_of(content), failed, images=images_of(content))


def _recorded(extra: dict[str, Any]) -> list[str]:
    """Return the commands that the agent found in the reply, where it wrote them down."""
    actions = extra.get("actions")
    if not isinstance(actions, list):
        return []
    return [text_of(action.get("command")) for action in actions if isinstance(action, dict)]


def _written(words: str) -> list[str]:
    """Return the command in a reply; the agent runs none where there are more."""
    found: list[str] = []
    opening = OPENING.search(words)
    while opening is not None and len(found) < 2:
        end = words.find(CLOSING, opening.end())
        if end < 0:
            break
        found.append(words[opening.end() : end].strip())
        opening = OPENING.search(words, end + len(CLOSING))
    return found if len(found) == 1 else []


MINI_SWE_AGENT = document_format(
    "mini-swe-agent", "mini-swe-agent", _is_mini_swe_agent, _MiniSweAgentReader, ("info", "messages")
)

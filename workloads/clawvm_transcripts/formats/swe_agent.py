"""SWE-agent: ``<instance>.traj``, one JSON document.

``trajectory`` holds the steps ``{action, observation, thought, response}``: every step is one reply and one call. The
words that came before the first step are in ``history``, which may follow the trajectory: steps wait for it. Newer
versions repeat them in the ``messages`` (or ``query``) of every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawvm_transcripts import events
from clawvm_transcripts.formats import Head, Reader, RecordError, document_format, required_text, text_of, words_of
from clawvm_transcripts.reading import Element

__all__ = ["SWE_AGENT"]

TOOL = "action"
"""The name under which every call goes: an action is one text, a shell command or a command of the agent's own."""


def _recognizes(head: Head) -> bool:
    step, message = head.firsts.get("trajectory", {}), head.firsts.get("history", {})
    return {"action", "observation"} <= step.keys() or (
        "role" in message and "content" in message and bool(head.keys & {"trajectory", "environment"})
    )


class _Reader(Reader):
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


SWE_AGENT = document_format("swe-agent", "SWE-agent", _recognizes, _Reader, ("trajectory", "history"))

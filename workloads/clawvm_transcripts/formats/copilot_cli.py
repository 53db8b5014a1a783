"""GitHub Copilot CLI: ``~/.copilot/session-state/<session>/events.jsonl``.

Every line is an event ``{"type", "data", "id", "parentId"}``; ``parentId`` names the line before, so it shows no
branches. Events of a subagent (``agentId``, older: ``parentToolCallId``) are not the main thread, tools that the user
started are not the model's. A rewind takes its events out of the file, so that nothing of it is left to read. The file
has no tokens per request. Event types and fields: the published package ``@github/copilot-sdk`` 1.0.14.
"""

from __future__ import annotations

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
)

__all__ = ["COPILOT_CLI"]

WITHOUT_USE = names(
    """
    abort assistant.fusion_phase_completed assistant.fusion_phase_failed assistant.reasoning assistant.turn_end
    assistant.turn_start external_tool.requested hook.end hook.start permission.completed permission.requested
    session.auto_mode_resolved session.autopilot_objective_changed session.binary_asset session.canvas.recorded
    session.canvas.removed session.compaction_start session.completion_receipt session.context_changed session.error
    session.fusion_completed session.fusion_resolved session.fusion_route_failed session.info session.mode_changed
    session.mode_notice_delivered session.model_change session.permissions_changed session.plan_changed
    session.remote_steerable_changed session.schedule_cancelled session.schedule_created session.schedule_rearmed
    session.session_limits_changed session.shutdown session.task_complete session.usage_checkpoint session.warning
    session.workspace_file_changed subagent.completed subagent.configured subagent.deselected subagent.failed
    subagent.selected subagent.started system.notification tool_search.activated
    """
)
"""Event types without any effect on memory."""

INJECTED = ("skill-", "agent-")
"""How the ``source`` of a user message begins that the harness wrote."""


def _recognizes(head: Head) -> bool:
    return any(
        isinstance(record.get("type"), str)
        and isinstance(record.get("data"), dict)
        and "parentId" in record
        and ("." in record["type"] or record["type"] == "abort")
        for record in head.records
    )


class _Reader(Reader):
    def __init__(self) -> None:
        self._started = False
        self._session_id = ""
        self._message = ""  # The newest reply; the calls that follow are its.
        self._instructions = ""  # The newest system instructions.
        self._window = 0
        self._users: set[str] = set()  # Running tools that the user started.

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        kind, data = record["type"], record["data"]
        if record.get("agentId") or data.get("parentToolCallId"):
            calls = (text_of(data.get("toolCallId")),) if kind == "tool.execution_start" else ()
            yield events.Subagent(text_of(record.get("agentId")) or text_of(data.get("parentToolCallId")), calls)
        elif kind.startswith("session."):
            yield from self._session(kind, data)
        elif kind == "system.message":
            yield from self._system(data)
        elif kind == "user.message":
            yield from _user(data)
        elif kind == "assistant.message":
            words = required_text(data, "content")
            self._message = text_of(data.get("messageId")) or text_of(record.get("id"))
            yield events.AssistantMessage(words, self._message)
        elif kind.startswith("tool."):
            yield from self._tool(kind, data)
        elif kind == "skill.invoked":
            yield events.Instruction("system", required_text(data, "content"))
        else:
            yield events.Skipped(kind, known=kind in WITHOUT_USE)

    def _session(self, kind: str, data: dict[str, Any]) -> Iterator[events.Event]:
        yield from self._limit(data)
        if kind == "session.start":
            project = text_of(object_of(data.get("context")).get("cwd"))
            session, version, started = texts_of(data, "sessionId", "copilotVersion", "startTime")
            if self._started:
                same = session in (self._session_id, "")
                self._session_id = session or self._session_id
                yield events.Resume("session_meta_again") if same else events.Reset("other_session")
                return
            self._started, self._session_id = True, session
            yield events.SessionStart(session, version, project, started)
        elif kind == "session.resume":
            yield events.Resume("start:resume")
        elif kind == "session.context_cleared":
            yield events.Reset("start:clear")
        elif kind == "session.handoff":
            yield events.Reset("handoff")
            yield from _summary(data, "summary")
        elif kind == "session.compaction_complete" and data.get("success") is True:
            before, after = count_of(data.get("preCompactionTokens")), count_of(data.get("postCompactionTokens"))
            yield events.Compaction(text_of(data.get("trigger")) or "unknown", before, after)
            yield from _summary(data, "summaryContent")
        elif kind == "session.truncation":
            before = count_of(data.get("preTruncationTokensInMessages"))
            after = count_of(data.get("postTruncationTokensInMessages"))
            yield events.Compaction("truncation", before, after)
        else:
            yield events.Skipped(kind, known=kind in WITHOUT_USE or kind == "session.compaction_complete")

    def _limit(self, data: dict[str, Any]) -> Iterator[events.Event]:
        tokens = count_of(data.get("tokenLimit"))
        if tokens and tokens != self._window:
            self._window = tokens
            yield events.Window(tokens)

    def _system(self, data: dict[str, Any]) -> Iterator[events.Event]:
        words = required_text(data, "content")
        if words == self._instructions:
            yield events.Skipped("system instructions again", known=True)  # They are written for every prompt.
            return
        self._instructions = words
        yield events.Instruction("system", words)

    def _tool(self, kind: str, data: dict[str, Any]) -> Iterator[events.Event]:
        call = text_of(data.get("toolCallId"))
        if kind == "tool.user_requested":
            self._users.add(call)
            yield events.Skipped(kind, known=True)
        elif kind == "tool.execution_start":
            if call in self._users:
                yield events.Skipped("tool that the user started", known=True)
            else:
                yield events.RecordedCall(
                    call, required_text(data, "toolName"), data.get("arguments", {}), self._message
                )
        elif kind == "tool.execution_complete":
            if call in self._users:
                self._users.remove(call)
                yield events.Skipped("tool that the user started", known=True)
            else:
                text = text_of(object_of(data.get("result")).get("content"))
                yield events.RecordedResult(call, text, data.get("success") is not True)
        else:
            yield events.Skipped(kind)


def _user(data: dict[str, Any]) -> Iterator[events.Event]:
    words = required_text(data, "content")
    if data.get("isAutopilotContinuation") is True or text_of(data.get("source")).startswith(INJECTED):
        yield HARNESS_LINE
    else:
        yield events.Prompt(words)


def _summary(data: dict[str, Any], name: str) -> Iterator[events.Event]:
    words = text_of(data.get(name))
    if words:
        yield events.CompactionSummary(words)


COPILOT_CLI = line_format("copilot-cli", "Copilot CLI", _recognizes, _Reader)

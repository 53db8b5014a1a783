"""Plans of a recorded agent: to-do and plan tools as plan pages with their updates.

===========  ============================================================================
PlanChange   what one call to a plan tool does to the plan page
PlanKeeper   follows the plans of a session
===========  ============================================================================

A call with other steps writes the page anew; one with the same steps and other statuses only updates it. Some tools
write one step at a time: the page then holds all steps so far. Each call is state that the agent relies on and that is
dirty until it is committed. When every step is done the plan is done, and the next call begins another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import PageType, Scope, UpdateOperation
from clawvm_transcripts.pseudonyms import Pseudonyms, digest_of
from clawvm_transcripts.recorded_pages import page_of_words
from clawvm_transcripts.steps import Answer
from clawvm_transcripts.tool_kinds import plain_name

__all__ = ["PlanChange", "PlanKeeper"]

STATUSES = {
    "completed": "done",
    "complete": "done",
    "done": "done",
    "in_progress": "active",
    "in-progress": "active",
    "active": "active",
    "pending": "open",
    "todo": "open",
    "open": "open",
    "not-started": "open",
    "cancelled": "dropped",
    "canceled": "dropped",
    "deleted": "dropped",
}
"""The words of harnesses for the state of a step, in ours; any other word is "other"."""

ENDED = frozenset({"done", "dropped"})

MOST_STEPS = 500
"""Steps of a plan that one update carries."""

ADDS_A_STEP, CHANGES_A_STEP = "taskcreate", "taskupdate"
"""Tools that write one step at a time; the second names it by the number that the first one's result told."""

_NUMBER = re.compile(r"#(\w{1,40})")


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What one call does to the plan: a page to declare or replace (None: none), and updates to stage."""

    page_id: str
    page: Page | None
    is_new: bool
    text: str
    updates: tuple[Update, ...]


class PlanKeeper:
    """Follows the plans of a session; a plan that is done is followed by a new one."""

    def __init__(self, names: Pseudonyms) -> None:
        self._names = names
        self._number = 1
        self._content: frozenset[bytes] | None = None  # Digests of the steps; None: there is no plan yet.
        self._steps: dict[str, tuple[str, str]] = {}  # Words and state of each step, by number or words.
        self._ended = False

    def take(self, answer: Answer) -> PlanChange | None:
        """Return what a call to a plan tool does, or None for one that writes nothing."""
        if answer.failed or answer.call is None:
            return None
        tool, arguments = plain_name(answer.call.tool), answer.call.arguments
        if tool == CHANGES_A_STEP:
            return self._change_step(arguments if isinstance(arguments, dict) else {})
        steps = [(words, _state(status)) for words, status in answer.facts.steps[:MOST_STEPS]]
        text = "" if steps else _longest_text(arguments)
        if not steps and not text.strip():
            return None
        if self._ended:
            self._number += 1
            self._content, self._steps, self._ended = None, {}, False
        if tool == ADDS_A_STEP:
            told = _NUMBER.search(answer.text)
            number = told.group(1) if told is not None else str(len(self._steps) + 1)
            if len(self._steps) < MOST_STEPS:
                self._steps[number] = steps[0] if steps else (text, "open")
            return self._written(self._steps.values())
        self._steps = {words: (words, state) for words, state in steps}
        return self._written(steps, text)

    def _change_step(self, arguments: dict[str, Any]) -> PlanChange | None:
        number = str(arguments.get("taskId", arguments.get("id", "")))
        if self._ended or number not in self._steps:
            return None
        words, state = self._steps[number]
        subject, status = arguments.get("subject"), arguments.get("status")
        self._steps[number] = (
            subject if isinstance(subject, str) and subject else words,
            _state(status) if isinstance(status, str) and status else state,
        )
        return self._written(self._steps.values())

    def _written(self, steps: Iterable[tuple[str, str]], text: str = "") -> PlanChange:
        """Return the change to a plan that holds these *steps* now, or this *text* if there are none."""
        steps = list(steps)
        content = frozenset(digest_of(words) for words, _ in steps) or frozenset({digest_of(text)})
        page_id = self._names.name("plan", str(self._number))
        text = "\n".join(f"- [{state}] {words}" for words, state in steps) or text
        page = None if content == self._content else page_of_words(page_id, PageType.PLAN, text, "tool_call")
        is_new = self._content is None
        self._content = content
        return PlanChange(page_id, page, is_new, text, self._updates(page_id, steps))

    def _updates(self, page_id: str, steps: list[tuple[str, str]]) -> tuple[Update, ...]:
        if not steps:
            return (self._update(page_id, "text", UpdateOperation.SET_WITH_VERSION, "written"),)
        states = {self._names.name("step", words): state for words, state in steps}
        merged = self._update(page_id, "steps", UpdateOperation.MERGE, states)
        self._ended = all(state in ENDED for state in states.values())
        if not self._ended:
            return (merged,)
        return (merged, self._update(page_id, "status", UpdateOperation.SET_WITH_VERSION, "done"))

    @staticmethod
    def _update(page_id: str, field: str, operation: UpdateOperation, value: object) -> Update:
        return Update(page_id, field, operation.value, value, Scope.SESSION.value, page_id)


def _state(status: str) -> str:
    return STATUSES.get(status.strip().lower(), "other")


def _longest_text(arguments: Any) -> str:
    """Return the words of a plan that is written as a text: the longest text among the arguments."""
    if isinstance(arguments, str):
        return arguments
    texts = [value for value in arguments.values() if isinstance(value, str)] if isinstance(arguments, dict) else []
    return max(texts, key=len, default="")

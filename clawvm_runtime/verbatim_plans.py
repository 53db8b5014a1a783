"""Goal and steps of a plan, kept word for word.

======  ==============================================================
plan    goal, current step and open steps, and how many steps are done
======  ==============================================================

Plans are read from marked lists, from headings and labels, and from JSON as agents write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clawvm_runtime.content_kinds import ContentKind
from clawvm_runtime.text_blocks import blocks

__all__ = ["plan"]

PLAN_JSON_MOST = 262_144


@dataclass(slots=True)
class _Step:
    """One step of a plan: its state (done, current, open or unmarked), its lines, what is nested under it."""

    state: str
    lines: list[str]
    details: list[str]


@dataclass(slots=True)
class _PlanParts:
    """Goal and current step as lines, and the steps, in the order of the text."""

    goal: list[str]
    current: list[str]
    steps: list[_Step]


def plan(text: str, kind: ContentKind) -> str:
    """Return goal, current step and open steps of a plan word for word, and how many steps are done.

    The current step is the one that the plan marks or names, else the first that is open in a plan with check
    marks. A text in which no step is found comes back as it is.
    """
    parts = _plan_from_json(text) if kind is ContentKind.JSON else _plan_from_lines(text)
    steps = parts.steps
    if any(step.state != "unmarked" for step in steps):
        steps = [step for step in steps if step.state != "unmarked"]
        if not parts.current:
            marked = [step for step in steps if step.state == "current"]
            step = next(iter(marked or [step for step in steps if step.state == "open"]), None)
            if step is not None:
                parts.current = [*step.lines, *step.details]
                step.state = "shown"
    if not steps and not parts.current:
        return text
    open_steps = [line for step in steps if step.state not in ("done", "shown") for line in step.lines]
    done = sum(step.state == "done" for step in steps)
    sheet: list[str] = []
    for label, lines in (("goal", parts.goal), ("current step", parts.current), ("open steps", open_steps)):
        if lines:
            sheet += [f"{label}:", *lines]
    if done:
        sheet.append(f"{done} of {len(steps)} steps done")
    return "\n".join(sheet)


def _plan_from_lines(text: str) -> _PlanParts:
    parts = _PlanParts([], [], [])
    first: list[str] = []
    awaited: list[str] | None = None
    section_done = False
    for block in blocks(text):
        line = block.lines[0]
        goal, current = _GOAL.match(line), _CURRENT.match(line)
        named = parts.goal if goal else parts.current if current else None
        label = goal or current
        if label is not None and named is not None and (block.kind == "heading" or label.group(1)) and not named:
            if label.group(2) or len(block.lines) > 1:
                named += block.lines
            else:
                awaited = named
            section_done = False
        elif block.kind == "heading":
            section_done = _DONE_HEADING.search(line) is not None
            awaited = None
            first = first or block.lines
        elif awaited is not None:
            awaited += block.lines
            awaited = None
        elif block.kind == "item":
            _add_step(parts.steps, block.lines, section_done)
        else:
            first = first or block.lines
    if not parts.goal:
        parts.goal += first
    return parts


def _add_step(steps: list[_Step], lines: list[str], section_done: bool) -> None:
    state = _step_state(lines[0])
    if state == "unmarked" and section_done:
        state = "done"
    nested = steps and _indent(lines[0]) > _indent(steps[-1].lines[0])
    if state == "unmarked" and nested:
        steps[-1].details += lines
    else:
        steps.append(_Step(state, lines, []))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _step_state(line: str) -> str:
    if _STEP_DONE.search(line):
        return "done"
    if _STEP_CURRENT.search(line):
        return "current"
    return "open" if _STEP_OPEN.match(line) else "unmarked"


def _plan_from_json(text: str) -> _PlanParts:
    parts = _PlanParts([], [], [])
    try:
        value: Any = json.loads(text) if len(text) <= PLAN_JSON_MOST else None
    except (ValueError, RecursionError):
        return parts
    candidates = [value]
    if isinstance(value, dict):
        candidates = list(value.values())
        parts.goal += [
            value[key] for key in ("goal", "objective", "title", "explanation") if isinstance(value.get(key), str)
        ]
    steps: list[dict[str, Any]] = next(filter(_has_states, candidates), [])
    for step in steps:
        what = next((step[key] for key in _STEP_TEXTS if isinstance(step.get(key), str)), None)
        if what is None:
            # A step that cannot be read must not be lost: better no short form at all.
            return _PlanParts([], [], [])
        state = _JSON_STATES.get(str(step.get("status", step.get("state"))).lower(), "open")
        parts.steps.append(_Step(state, [f"{_STEP_MARKS[state]} {what}"], []))
    return parts


def _has_states(value: Any) -> bool:
    """Return whether *value* is a list of objects that each have a status."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(step, dict) and ("status" in step or "state" in step) for step in value)


_LABEL = r"\s*(?:#{1,6}\s*|[-*+]\s+|\d{1,3}[.)]\s+)?[*_]{0,2}(?i:%s)[*_]{0,2}\s{0,3}(:|=|$)[*_]{0,2}\s*(.*)"
_GOAL = re.compile(_LABEL % "(?:overall |main )?(?:goals?|objectives?|aim|mission|task)")
_CURRENT = re.compile(
    _LABEL % "current(?:ly| step| task)?|in progress|now|doing|working on|next(?: step| up)?|active step"
)
_BULLET = r"\s*(?:[-*+•]\s+|\d{1,4}[.)]\s+)?"
_STEP_DONE = re.compile(
    rf"^{_BULLET}(?:\[[xX✓✔]\]|[✅✔✓☑]|~~)|(?i:[(\[—–:-]\s?(?:done|completed?|finished)[)\]]?[.\s]*$)|[✅✔✓]\s*$"
)
_STEP_CURRENT = re.compile(
    rf"^{_BULLET}(?:\[[>~/*-]\]|[▶→➜⏳\U0001f504])"
    r"|(?i:[(\[<—–:-]\s?(?:in[ _-]progress|current(?: step)?|doing|now)\b)"
)
_STEP_OPEN = re.compile(rf"{_BULLET}(?:\[\s?\]|[☐⬜□○])")
_DONE_HEADING = re.compile(r"(?i:\b(?:done|completed?|finished)\b)")
_STEP_TEXTS = ("content", "step", "title", "text", "task", "description", "subject", "name")
_JSON_STATES: Mapping[str, str] = MappingProxyType(
    {
        "done": "done",
        "complete": "done",
        "completed": "done",
        "finished": "done",
        "in_progress": "current",
        "in-progress": "current",
        "active": "current",
        "current": "current",
        "doing": "current",
    }
)
_STEP_MARKS: Mapping[str, str] = MappingProxyType({"done": "[x]", "current": "[>]", "open": "[ ]"})

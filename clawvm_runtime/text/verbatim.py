"""Rules of a policy page and steps of a plan, kept word for word.

Plans are read from marked lists, from headings and labels, and from JSON as agents write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawvm_runtime.text.kinds import LIST_ITEM, ContentKind, heading_depth, is_key_value, left_out

__all__ = ["plan", "rules"]

PLAN_JSON_MOST = 262_144  # Characters; longer JSON is not read as a plan.


@dataclass(slots=True)
class _Block:
    """Lines that belong together: a heading, a list item with what continues it, a paragraph, fenced code."""

    kind: str
    lines: list[str]


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the blocks of *text* in its order; blank lines outside fenced code belong to none."""
    block: _Block | None = None
    fence = ""
    after_blank = False
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if fence and block is not None:
            block.lines.append(line)
            mark = line.strip()
            if mark.startswith(fence) and not mark.strip(fence[0]):
                fence = ""
                yield block
                block = None
            continue
        if not line.strip():
            after_blank = True
            continue
        fenced = _FENCE.match(line)
        kind = "heading" if heading_depth(line) else "item" if LIST_ITEM.match(line) else "paragraph"
        kind = "code" if fenced else kind
        continues = block is not None and (
            block.kind in ("item", "paragraph", "code")
            if not after_blank
            else block.kind == "item" and line[0].isspace()
        )
        if kind == "paragraph" and continues and block is not None:
            block.lines.append(line)
        else:
            if block is not None:
                yield block
            block = _Block(kind, [line])
            fence = fenced.group(1) if fenced else ""
        after_blank = False
    if block is not None:
        yield block


_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


def rules(text: str, kind: ContentKind) -> str:
    """Return *text* without the paragraphs that explain; rules stay word for word, under their headings.

    A paragraph is left out only if it is English, has no word that rules have, begins no sentence with a command, does
    not introduce what follows, is no table or list of values, and is under no heading that makes rules of what is under
    it. What cannot be judged stays, and so does everything if no rule is found or if the text is not made of sentences.
    """
    if kind in _OPAQUE:
        return text
    parts = list(_blocks(text))
    depths = [heading_depth(block.lines[0]) for block in parts if block.kind == "heading"]
    title = depths[:1] == [1] and depths.count(1) == 1 and len(depths) > 1
    kept: list[str] = []
    open_headings: list[_OpenHeading] = []
    found = False
    omitted = 0
    for block in parts:
        if block.kind == "heading":
            depth = heading_depth(block.lines[0])
            while open_headings and open_headings[-1].depth >= depth:
                omitted += open_headings.pop().waiting
            lowered = block.lines[0].lower()
            binding = any(heading.binding for heading in open_headings) or (
                not title and _RULE_HEADING.search(lowered) is not None
            )
            title = False
            open_headings.append(_OpenHeading(depth, block.lines[0], binding))
            if not _RULE_WORD.search(lowered):
                continue
            found = True
        elif block.kind == "item" or _binds(block, open_headings):
            found = True
        elif block.kind == "paragraph" and _explains(block.lines):
            omitted += len(block.lines)
            continue
        kept.extend(heading.line for heading in open_headings if heading.waiting)
        for heading in open_headings:
            heading.waiting = False
        if block.kind != "heading":
            kept.extend(block.lines)
    omitted += sum(heading.waiting for heading in open_headings)
    if not found or not omitted:
        return text
    return "\n".join([*kept, left_out(omitted)])


@dataclass(slots=True)
class _OpenHeading:
    """A heading whose section is being read; *waiting* until something under it is kept."""

    depth: int
    line: str
    binding: bool
    waiting: bool = True


def _binds(block: _Block, open_headings: Sequence[_OpenHeading]) -> bool:
    """Return whether a paragraph is a rule by its own words or by a heading above it."""
    if block.kind != "paragraph":
        return False
    if any(heading.binding for heading in open_headings):
        return True
    joined = " ".join(block.lines)
    return _RULE_WORD.search(joined.lower()) is not None or any(map(_COMMAND.search, block.lines))


def _explains(lines: Sequence[str]) -> bool:
    """Return whether a paragraph without rules is English prose that can be left out."""
    if lines[-1].rstrip().endswith(":") or not any(_ENGLISH.search(line.lower()) for line in lines):
        return False
    # What is indented belongs to the item above it, whatever is between.
    if lines[0].startswith(("  ", "\t")) or any(map(_LAYOUT.match, lines)):
        return False
    return len(lines) == 1 or sum(map(is_key_value, lines)) * 2 < len(lines)


_RULE_WORD = re.compile(
    r"\b(?:must|never|always|not|no|nobody|nothing|nowhere|none|only|required?|requires|forbidden|prohibited"
    r"|mandatory|shall|should|cannot|can['’]?t|(?:do|does|must|should|wo|is|are)n['’]t|(?:dis)?allowed|permitted"
    r"|needs?\s+to|ha(?:s|ve)\s+to|ensure|avoid|refuse|prefer|unless|until|except|without|instead\s+of|rather\s+than"
    r"|at\s+most|at\s+least|limits?|you\s+are|your\s+(?:role|task|job|goal)|important|critical|warning|make\s+sure)\b"
)
_COMMANDS = (
    "Use|Run|Keep|Write|Add|Check|Follow|Ask|Stop|Commit|Push|Treat|Return|Put|Set|Test|Respond|Reply|Answer|Call"
    "|Start|Begin|End|Read|Create|Update|Delete|Remove|Include|Exclude|Make|Do|Be|Give|Name|Place|Store|Save|Report"
    "|Review|Verify|Confirm|Format|Lint|Install|Build|Execute|Open|Close|Wait|Remember|Note|Think|Explain|Respect"
    "|Leave|Skip|Ignore|Limit|Document|Describe|Say|Tell|Show|Provide|Work|Fix|Look|Search|Find"
)
_COMMAND = re.compile(rf"(?:^|[.!?:;]\s+)[\"'*_`(]*(?:{_COMMANDS})\b")
_RULE_HEADING = re.compile(
    r"\b(?:rules?|must|never|always|do\s+not|don['’]ts?|dos|forbidden|required|requirements?|constraints?"
    r"|polic(?:y|ies)|guidelines?|conventions?|instructions?|security|safety|permissions?|restrictions?|limits?"
    r"|protocol|boundaries)\b"
)
# Words that prose in English cannot do without and that mean nothing in other common languages.
_ENGLISH = re.compile(r"\b(?:the|and|this|that|which|with|are|these|they|its|were|from)\b")
# Rows of a table, rules and underlines, tags, a line of bold words used as a heading.
_LAYOUT = re.compile(r"\s*(?:\||-{3,}\s*$|={3,}\s*$|<|\*\*[^*]+\*\*:?\s*$)")
# In these, rules cannot be distinguished from the rest, so everything counts as a rule.
_OPAQUE = frozenset({ContentKind.SOURCE_CODE, ContentKind.JSON, ContentKind.LOG, ContentKind.DIFF})


@dataclass(slots=True)
class _Step:
    """One step of a plan: its state (done, current, open or unmarked), its lines, what is nested under it."""

    state: str
    lines: list[str]
    details: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _PlanParts:
    """Goal and current step as lines, and the steps, in the order of the text."""

    goal: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)


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
    form: list[str] = []
    for label, lines in (("goal", parts.goal), ("current step", parts.current), ("open steps", open_steps)):
        if lines:
            form += [f"{label}:", *lines]
    if done:
        form.append(f"{done} of {len(steps)} steps done")
    return "\n".join(form)


def _plan_from_lines(text: str) -> _PlanParts:
    parts = _PlanParts()
    first: list[str] = []
    awaited: list[str] | None = None
    section_done = False
    for block in _blocks(text):
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
    state = _step_state(lines[0], section_done)
    if state == "unmarked" and steps and _indent(lines[0]) > _indent(steps[-1].lines[0]):
        steps[-1].details += lines
    else:
        steps.append(_Step(state, lines))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _step_state(line: str, section_done: bool) -> str:
    if _STEP_DONE.search(line):
        return "done"
    if _STEP_CURRENT.search(line):
        return "current"
    if _STEP_OPEN.match(line):
        return "open"
    return "done" if section_done else "unmarked"


def _plan_from_json(text: str) -> _PlanParts:
    parts = _PlanParts()
    try:
        value: Any = json.loads(text) if len(text) <= PLAN_JSON_MOST else None
    except (ValueError, RecursionError):
        return parts
    candidates = [value]
    if isinstance(value, dict):
        candidates = list(value.values())
        parts.goal += [value[key] for key in _GOAL_TEXTS if isinstance(value.get(key), str)]
    steps: list[dict[str, Any]] = next(filter(_has_states, candidates), [])
    for step in steps:
        what = next((step[key] for key in _STEP_TEXTS if isinstance(step.get(key), str)), None)
        if what is None:
            # A step that cannot be read must not be lost: better no short form at all.
            return _PlanParts()
        state = _JSON_STATES.get(str(step.get("status", step.get("state"))).lower(), "open")
        parts.steps.append(_Step(state, [f"{_STEP_MARKS[state]} {what}"]))
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
_GOAL_TEXTS = ("goal", "objective", "title", "explanation")
_STEP_TEXTS = ("content", "step", "title", "text", "task", "description", "subject", "name")
_JSON_STATES = {
    **dict.fromkeys(("done", "complete", "completed", "finished"), "done"),
    **dict.fromkeys(("in_progress", "in-progress", "active", "current", "doing"), "current"),
}
_STEP_MARKS = {"done": "[x]", "current": "[>]", "open": "[ ]"}

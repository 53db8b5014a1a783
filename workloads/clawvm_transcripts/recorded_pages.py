"""Pages of recorded texts and plans: the token cost of each level is made from the text, and the text is not kept.

Published conversion: tool results become evidence pages (soft pin, minimum pointer, base utility 5, recompute cost 8
for reads and commands, 12 for edits, 6 for the rest); requirement documents become constraint pages (hard, minimum
structured, base utility 7, as by default).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.text.pages import page_from_text
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, PinClass, Scope, UpdateOperation
from clawvm_transcripts.calls import CallKind, plain_name
from clawvm_transcripts.evidence import Answer
from clawvm_transcripts.pseudonyms import Pseudonyms, digest_of, hidden_name
from clawvm_transcripts.shell import name_set

__all__ = [
    "LONGEST_SENTENCE",
    "MOST_SENTENCES",
    "PlanChange",
    "PlanKeeper",
    "is_requirement_document",
    "is_rule_file",
    "page_of_answer",
    "page_of_words",
    "page_type_of",
    "preferences_in",
    "rules_in",
]


# --- Words that decide how a page is held: rules, preferences, rule files, requirement documents.

LONGEST_FILE_NAME = 255
"""Characters; no file system has longer names."""

LONGEST_SENTENCE = 400
"""Characters; longer pieces are pasted text, not a rule that the user sets."""

MOST_SENTENCES = 12
"""Of one prompt; a pasted document of rules is not a list of rules for this session."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")
_RULE = re.compile(
    r"\b(?:always|never|must(?: not)?|do not|don['\u2019]t|make sure|ensure that|only ever|under no circumstances"
    r"|no matter what)\b",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(
    r"\b(?:i(?:['\u2019]d| would)? (?:prefer|rather|like)|prefer(?:ably|ence)?|from now on|in (?:the )?future"
    r"|by default)\b",
    re.IGNORECASE,
)

_RULE_FILES = name_set(
    "agent.md agents.md claude.md claude.local.md copilot-instructions.md gemini.md .cursorrules .windsurfrules"
    " conventions.md soul.md tools.md identity.md"
)
_REQUIREMENTS = re.compile(
    r"(?:^|[-_. ])(?:requirements?|spec|specs|specification|prd|acceptance|user[-_ ]stor(?:y|ies)|rfc)"
    r"(?:[-_. ].*)?\.(?:md|markdown|rst|adoc)$"
)


def _sentences(text: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    sentences = map(str.strip, _SENTENCE_END.split(text))
    found = (sentence for sentence in sentences if len(sentence) <= LONGEST_SENTENCE and pattern.search(sentence))
    return tuple(islice(found, MOST_SENTENCES))


def rules_in(text: str) -> tuple[str, ...]:
    """Return the sentences of a prompt in which the user sets a rule, at most ``MOST_SENTENCES``."""
    return _sentences(text, _RULE)


def preferences_in(text: str) -> tuple[str, ...]:
    """Return the sentences of a prompt in which the user states a preference but no rule."""
    return tuple(sentence for sentence in _sentences(text, _PREFERENCE) if not _RULE.search(sentence))


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1][-LONGEST_FILE_NAME:].lower()


def is_rule_file(path: str) -> bool:
    """Return whether *path* is a file in which a project keeps rules for agents."""
    return _file_name(path) in _RULE_FILES


def is_requirement_document(path: str) -> bool:
    """Return whether *path* has the name of a document of requirements; requirements.txt is none."""
    return _REQUIREMENTS.search(_file_name(path)) is not None


# --- Pages of tool results and of words.

IMAGE_WORDS = "[image]"
"""The text of a result that is an image and nothing else."""

EVIDENCE_UTILITY = 5.0
RECOMPUTE = {CallKind.READ: 8.0, CallKind.COMMAND: 8.0, CallKind.EDIT: 12.0}
RECOMPUTE_REST = 6.0


def page_type_of(answer: Answer) -> PageType:
    """Return the type of the page that a tool result becomes; a failure is evidence, whatever the file."""
    paths = [read.path for read in answer.facts.reads]
    if paths and answer.facts.kind is CallKind.READ and not answer.failed:
        if all(map(is_rule_file, paths)):
            return PageType.BOOTSTRAP_POLICY
        if all(map(is_requirement_document, paths)):
            return PageType.CONSTRAINT
    return PageType.EVIDENCE


def page_of_answer(page_id: str, answer: Answer) -> Page:
    """Return the page of a tool result, with costs and no text."""
    page_type = page_type_of(answer)
    if page_type is not PageType.EVIDENCE:
        return page_of_words(page_id, page_type, answer.text, "file")
    return page_of_words(
        page_id,
        page_type,
        answer.text or IMAGE_WORDS,
        "tool_call",
        base_utility=EVIDENCE_UTILITY,
        recompute_cost=RECOMPUTE.get(answer.facts.kind, RECOMPUTE_REST),
        pin=PinClass.SOFT,
        minimum=Level.POINTER,
        tokens=answer.tokens,
    )


def page_of_words(page_id: str, page_type: PageType, text: str, source: str, **values: Any) -> Page:
    """Return a page of words, with costs and no text; *source* is a kind of provenance, *values* go to the page.

    A pointer holds the name of its page, so a run that shows names would cost more than one that does not: the costs
    are those under the hidden name, whatever is shown.
    """
    hidden = hidden_name(page_id)
    page = page_from_text(hidden, page_type, text, Provenance(source, hidden), keep_texts=False, **values)
    return page if hidden == page_id else page.changed(id=page_id, provenance=Provenance(source, page_id))


# --- Plans: calls of to-do and plan tools as plan pages with their updates.

_STATUS_WORDS = {
    "done": "completed complete done",
    "active": "in_progress in-progress active",
    "open": "pending todo open not-started",
    "dropped": "cancelled canceled deleted",
}
STATUSES = {word: state for state, words in _STATUS_WORDS.items() for word in words.split()}
"""The state of a step by a harness's word for it; any other word means "other"."""

ENDED = frozenset({"done", "dropped"})

MOST_STEPS = 500
"""Steps of a plan that one update carries."""

ADDS_A_STEP, CHANGES_A_STEP = "taskcreate", "taskupdate"
"""Tools that write one step at a time; the second names it by the number in the result of the first."""

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
            found = _NUMBER.search(answer.text)
            number = found[1] if found is not None else str(len(self._steps) + 1)
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
        """Return the change to a plan that now holds these *steps*, or this *text* if there are none."""
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
    """Return the longest text among the arguments: the plan, if it is written as a text."""
    if isinstance(arguments, str):
        return arguments
    texts = [value for value in arguments.values() if isinstance(value, str)] if isinstance(arguments, dict) else []
    return max(texts, key=len, default="")

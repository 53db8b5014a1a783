"""What the words of a session say about memory: rules, preferences, rule files, requirement documents.

========================  ==================================================================
rules_in                  sentences of a prompt in which the user sets a rule
preferences_in            sentences in which the user states a preference
is_rule_file              whether a path is a project's rule file
is_requirement_document   whether a path is a document of requirements
========================  ==================================================================

These are word lists, not understanding: they miss rules in other words and languages, and take for a rule what was only
told. They decide how a page is held, never whether a demand is counted. ``docs/real-sessions.md`` lists them.
"""

from __future__ import annotations

import re

__all__ = ["is_requirement_document", "is_rule_file", "preferences_in", "rules_in"]

LONGEST_FILE_NAME = 255
"""Characters; no file system has longer ones."""

LONGEST_SENTENCE = 400
"""Characters; longer pieces are pasted text rather than a rule that the user sets."""

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

_RULE_FILES = frozenset(
    {
        "agent.md",
        "agents.md",
        "claude.md",
        "claude.local.md",
        "copilot-instructions.md",
        "gemini.md",
        ".cursorrules",
        ".windsurfrules",
        "conventions.md",
        "soul.md",
        "tools.md",
        "identity.md",
    }
)
_REQUIREMENTS = re.compile(
    r"(?:^|[-_. ])(?:requirements?|spec|specs|specification|prd|acceptance|user[-_ ]stor(?:y|ies)|rfc)"
    r"(?:[-_. ].*)?\.(?:md|markdown|rst|adoc)$"
)


def _sentences(text: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    found: list[str] = []
    for piece in _SENTENCE_END.split(text):
        sentence = piece.strip()
        if 0 < len(sentence) <= LONGEST_SENTENCE and pattern.search(sentence):
            found.append(sentence)
            if len(found) == MOST_SENTENCES:
                break
    return tuple(found)


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
    """Return whether the name of *path* says that it is a document of requirements; requirements.txt is none."""
    return _REQUIREMENTS.search(_file_name(path)) is not None

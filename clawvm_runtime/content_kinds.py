"""Kinds of text that an agent meets, and how to tell them apart by a bounded look at the beginning.

================  ==============================================================================
ContentKind       prose, source code, JSON, log, diff, table, search listing
detect_kind       the kind of a text, from its first 8,192 characters
================  ==============================================================================

Rules of ``detect_kind``; the first that holds decides, shares are of the lines that are not blank:

 1. Nothing but white space is prose.
 2. An opening that only JSON has (``{"``, ``[{``, ``["``, ``[1,``, ...) is JSON, JSON lines included.
 3. A diff header or hunk within the first 40 lines, and at least 60 % diff lines from there on, is a diff.
 4. A ``#!`` line, ``<?php`` or the start of a markup document is source code.
 5. More list items than other lines, or two marks of markdown (a heading of depth 2 or more, a fence, bold
    words, a link, a quotation) of which, with list items, 10 % of the lines carry one, make prose.
 6. 60 % paths or matches are a search listing, or a log if as many lines report failures.
 7. 5 % lines that only logs have (tracebacks, test banners), or 30 % log lines, are a log.
 8. 10 % (and at least 2) imports and definitions, or 40 % lines of code, are source code; the latter not
    where rule 9 holds and there is a section header or a row of a table.
 9. 60 % key-values or table rows, or 90 % rows with the same number of separators, are a table.
10. Anything else is prose.

Before rule 2 the lines that a harness sets before the output of a command are taken off; from rule 5 on, what
stands in fences and the line numbers of a file viewer are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import filterfalse, islice

from clawvm_runtime.line_kinds import (
    DEFINITION,
    LINE_CHARACTERS,
    LINE_WITH_PATH,
    LIST_ITEM,
    NUMBERED,
    either,
    failure_ranks,
    is_key_value,
)
from clawvm_runtime.text_lines import matching

__all__ = ["ContentKind", "detect_kind"]

DETECTION_CHARACTERS = 8192
DETECTION_LINES = 200
ROW_SPACES = 12


class ContentKind(str, Enum):
    """What a text is made of."""

    PROSE = "prose"
    SOURCE_CODE = "source_code"
    JSON = "json"
    LOG = "log"
    DIFF = "diff"
    TABLE = "table"
    SEARCH_LISTING = "search_listing"


# The beginnings are told once, so that most lines are refused at their first character.
_SURE_LOG = re.compile(
    r"(?=[\s=_cEno(\-pytgmFRPeCTa])"
    + either(
        r"\s*(?=[TFa])(?:Traceback \(most recent|File \"[^\"]*\", line \d|(?<=\s)at \S.*[(:])",
        r"={3,}\s.*\s={3,}\s*$",
        r"_{3,}\s.*\s_{3,}\s*$",
        r"collected \d+ items?",
        r"E\s{3}\S",
        r"(?:not )?ok[ \t]+\S",
        r"\((?:pass|fail|skip)\) ",
        r"(?:---|===) (?:FAIL|PASS|SKIP|RUN)",
        r"(?:npm|pnpm|yarn) (?:ERR!|error|warn|WARN)",
        r"test \S+ \.\.\. ",
        r"goroutine \d+ \[",
        r"thread '.*' panicked",
        r"make(?:\[\d+\])?: ",
        r"FAILED \S",
        r"Ran \d+ tests? in ",
        r"(?=[pPeEcC])(?i:process exited|exit(?:ed)?(?: with)? (?:code|status)|command failed)",
    )
)
_TEST_OUTCOME = re.compile(r"\w+\.\w+.* (?:PASSED|FAILED|SKIPPED)\b")
_LOG = re.compile(
    either(
        r"[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:)",
        r"\[?(?:ERROR|WARN|WARNING|INFO|DEBUG|TRACE|FATAL|NOTICE|CRITICAL)\b",
        r"\[(?:error|warn|info|debug)",
        r"[$%>] \S",
        r"\+ [a-z]",
        r"\S+:\d+(?::\d+)?:? (?:error|warning|note|fatal)",
        r"(?:error|warning|fatal|note|hint)(?:\[\w+\])?:",
        r"\s*(?=[CFRDISBUaP\u2713\u2717\u2718\u2714\u2716\u00d7\u221a])"
        + either(
            r"(?:Compiling|Finished|Running|Downloading|Downloaded|Installing|Collecting|Successfully|Building"
            r"|Resolving|Requirement already|Checking|Fetching|Using cached|Cloning|Creating|Updated|added \d)\b",
            r"[\u2713\u2717\u2718\u2714\u2716\u00d7\u221a] ",
            r"(?:PASS|FAIL)\b",
        ),
    )
)
_IMPORT = re.compile(
    either(
        r"\s*(?=[ifupr])"
        + either(
            r"import\s+[\w{*\"']",
            r"from\s+[\w.]+\s+import\b",
            r"using\s+[\w.:]+",
            r"package\s+[\w.]+;?$",
            r"use\s+[\w:]+.*;",
            r"require\b",
        ),
        r"#\s*include\b",
    )
)
_CODE = re.compile(
    r"\s*(?=\S)"
    + either(
        r"//|/\*|\*/|\* ?$|\* @|\"\"\"|@\w+|#\s",
        r"(?:return|elif|except|finally|raise|await)\b|self\.",
        r"(?:else|try)\b.{0,3}$",
        r"(?:if|for|while|with|switch|catch|match)\b.*[:{]$",
        r"(?:const|let|var|val|mut)\s+\w",
        r"[})\]]+[;,]?$",
        r"</?\w[^>]*>",
        r"[A-Za-z_][\w.\[\]]*(?::\s*[\w\[\], .|]+)?\s[+*/|-]?=\s\S",
    )
)
_CODE_ENDS = ("{", ";", "):", "(", "[", "},", "],", "),", "->", "=>")

_MARKDOWN = re.compile(r" {0,3}#{2,6} \S|(?:.*\s)?\*\*\S[^*]{0,80}\*\*|.*\[[^\]]{1,80}\]\([^)\s]+\)|>\s\S")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_JSON_OPENING = re.compile(
    r"\{\s*(?:\"|\}\s*$)|\[[\[\s]*(?:\{\s*[\"}]|\"|\]|(?:-?\d[\d.eE+-]*|true|false|null)\s*(?:,|\n\s*\]))"
)
# What some harnesses set before the output of a command.
_COMMAND_HEAD = re.compile(
    r"(?:(?:Command|Chunk ID|Wall time|Process exited|Process running|Exit code|Original token count"
    r"|Total output lines)\b.*\n)+Output:\r?\n(?:Total output lines: \d+\s)?"
)
_MARKUP_OPENING = re.compile(r"#!|<\?php|<\?xml|(?i:<!doctype|<html|<svg)")
_DIFF_START = re.compile(r"diff --git |--- \S|\*\*\* \S|@@ -\d|Index: \S")
_DIFF_PROOF = re.compile(r"diff --git |@@ -\d+(?:,\d+)? \+\d+|\+\+\+ \S")
_DIFF_LINE = re.compile(
    r"[-+ @\\]|diff |index |new file|deleted file|old mode|new mode|rename |similarity |copy |Binary |Index: "
    r"|={3,}|$"
)
_TABLE_ROW = re.compile(r"\s*(?=[|\[+])(?:\|.*\|\s*$|\[[^\[\]]+\]\s*$|\+[-=+]+\+\s*$)")
_SENTENCE = re.compile(r"[^:=]*\b(?:the|is|are|and|of|to)\b.*[.!?]$")


def detect_kind(text: str) -> ContentKind:
    """Return the kind of *text*, judged by its first 8,192 characters alone, whatever its length."""
    opening = text[:DETECTION_CHARACTERS].lstrip("\ufeff \t\r\n\f\v")
    head = _COMMAND_HEAD.match(opening)
    if head is not None:
        opening = opening[head.end() :].lstrip() or opening
    if not opening:
        return ContentKind.PROSE
    if _JSON_OPENING.match(opening):
        return ContentKind.JSON
    lines = [line[:LINE_CHARACTERS].rstrip() for line in opening.split("\n", DETECTION_LINES)[:DETECTION_LINES]]
    if _is_diff(lines):
        return ContentKind.DIFF
    if _MARKUP_OPENING.match(opening):
        return ContentKind.SOURCE_CODE
    lines, fences = _outside_fences(lines)
    if not lines:
        return ContentKind.PROSE
    return _kind_by_shares(lines, fences)


def _is_diff(lines: Sequence[str]) -> bool:
    start = next(iter(matching(_DIFF_START, lines[:40])), None)
    if start is None:
        return False
    body = lines[start:]
    return any(map(_DIFF_PROOF.match, body[:5])) and _count(_DIFF_LINE, body) / len(body) >= 0.6


def _outside_fences(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines neither blank nor fenced, without viewer numbers, and the number of fences."""
    kept = list(filter(None, lines))
    fences = 0
    if _any_in(("```", "~~~"), kept):
        unfenced: list[str] = []
        for line in kept:
            if _FENCE.match(line):
                fences += 1
            elif fences % 2 == 0:
                unfenced.append(line)
        kept = unfenced
    if kept and _reaches(0.9, kept, NUMBERED.match):
        numbers = map(NUMBERED.match, kept)
        unnumbered = (line[number.end() :] if number else line for line, number in zip(kept, numbers))
        kept = [line for line in unnumbered if line.strip()]
    return kept, fences


def _any_in(words: Iterable[str], lines: Sequence[str]) -> bool:
    """Return whether a line has one of *words*; much faster than to ask for each line."""
    everything = "\n".join(lines)
    return any(word in everything for word in words)


def _count(pattern: re.Pattern[str], lines: Iterable[str]) -> int:
    return len(list(filter(pattern.match, lines)))


def _reaches(share: float, lines: Sequence[str], holds: Callable[[str], object]) -> bool:
    """Return whether *holds* does for this share of *lines*; stops as soon as too many are without."""
    needed = int(len(lines) * share)
    while needed / len(lines) < share:
        needed += 1
    without = filterfalse(holds, lines)
    return next(islice(without, len(lines) - needed, None), None) is None


def _kind_by_shares(lines: Sequence[str], fences: int) -> ContentKind:
    # A plain search first: the pattern tries every place of a line.
    marks = fences
    if _any_in(("##", "**", "](", ">"), lines):
        marked = [line for line in lines if "##" in line or "**" in line or "](" in line or line[:1] == ">"]
        marks += _count(_MARKDOWN, marked)
    items = _count(LIST_ITEM, lines)
    if (marks >= 2 and (marks + items) * 10 >= len(lines)) or items * 2 > len(lines):
        return ContentKind.PROSE
    if _reaches(0.6, lines, LINE_WITH_PATH.match):
        if failure_ranks(lines).count(2) < len(lines) * 0.6:
            return ContentKind.SEARCH_LISTING
        return ContentKind.LOG
    sure_log = _sure_log_lines(lines) / len(lines)
    if sure_log >= 0.05 or _count(_LOG, lines) / len(lines) + sure_log >= 0.3:
        return ContentKind.LOG
    defining = list(filter(DEFINITION.match, lines))
    importing = list(filterfalse(DEFINITION.match, filter(_IMPORT.match, lines)))
    if len(defining) + len(importing) >= max(2, len(lines) * 0.1):
        return ContentKind.SOURCE_CODE
    # "key = value" is an assignment too; a section header tells a configuration from a script.
    if _is_code(lines, defining) and not (any(map(_TABLE_ROW.match, lines)) and _is_table(lines)):
        return ContentKind.SOURCE_CODE
    if _is_table(lines) or _has_columns(lines):
        return ContentKind.TABLE
    return ContentKind.PROSE


def _sure_log_lines(lines: Sequence[str]) -> int:
    others = list(filterfalse(_SURE_LOG.match, lines))
    # A plain search first: the pattern tries every place of a line.
    tested = others if _any_in(("PASSED", "FAILED", "SKIPPED"), others) else ()
    return len(lines) - len(others) + _count(_TEST_OUTCOME, tested)


def _is_code(lines: Sequence[str], defining: Iterable[str]) -> bool:
    """Return whether 40 % of *lines* are lines of code, as those are that are *defining* something."""
    others = [line for line in lines if not line.endswith(_CODE_ENDS)]
    code = len(lines) - len(others) + _count(_CODE, others)
    code += sum(not line.endswith(_CODE_ENDS) and not _CODE.match(line) for line in defining)
    return code / len(lines) >= 0.4


def _is_table(lines: Sequence[str]) -> bool:
    return _reaches(0.6, lines, _is_table_row)


def _is_table_row(line: str) -> bool:
    if _TABLE_ROW.match(line):
        return True
    # A speaker or a label before a sentence is no key.
    if (":" not in line and "=" not in line) or line.endswith((".", "!", "?")) or line.count(" ") > ROW_SPACES:
        return False
    return is_key_value(line)


def _has_columns(lines: Sequence[str]) -> bool:
    if len(lines) < 3:
        return False
    for separator in ("\t", ",", ";"):
        columns = [line.count(separator) for line in lines] if separator in lines[0] else [0]
        if columns[0] and columns.count(columns[0]) * 10 >= len(lines) * 9 and not _SENTENCE.match(lines[0]):
            return True
    return False

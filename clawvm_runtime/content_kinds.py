"""Kinds of text that an agent meets, and how to tell them apart by a bounded look at the beginning.

================  ==============================================================================
ContentKind       prose, source code, JSON, log, diff, table, search listing
detect_kind       the kind of a text, from its first 8,192 characters
definition_in     whether a line of source code defines something
failure_ranks     how surely each line reports a failure
heading_depth     depth of a markdown heading
is_key_value      whether a line is a short key with a value
is_list_item      whether a line is an item of a list
matched_path      path that a search result or listing line names
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
from collections.abc import Callable, Sequence
from enum import Enum

__all__ = [
    "ContentKind",
    "definition_in",
    "detect_kind",
    "failure_ranks",
    "heading_depth",
    "is_key_value",
    "is_list_item",
    "matched_path",
]

DETECTION_CHARACTERS = 8192
DETECTION_LINES = 200
ROW_SPACES = 12
LINE_CHARACTERS = 240  # No pattern sees more of a line than this, so that no line can be slow.


class ContentKind(str, Enum):
    """What a text is made of."""

    PROSE = "prose"
    SOURCE_CODE = "source_code"
    JSON = "json"
    LOG = "log"
    DIFF = "diff"
    TABLE = "table"
    SEARCH_LISTING = "search_listing"


def _either(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


# Tools that read files often number the lines: "  12\tdef run():", "12→def run():", "12:def run():".
_NUMBER = r"(?:\s{0,8}\d{1,7}(?:→|\t|:(?!\d\d\b)|\s?\|)\s?)?"
_STRIP_NUMBER = re.compile(_NUMBER)

_DEFINES = re.compile(
    _NUMBER
    + _either(
        r"\s*(?:export\s+)?(?:default\s+)?(?:declare\s+)?"
        r"(?:(?:public|private|protected|internal|abstract|final|static|sealed|open|data|async|unsafe"
        r"|pub(?:\([^)]*\))?)\s+)*"
        + _either(
            r"def\s+[\w.]+[?!]?\s*(?:[(\[:=]|$)",
            r"(?:defp|defmodule)\s+\w",
            r"class\s+\w+\s*(?:[(:<{;]|extends\b|implements\b|$)",
            r"(?:function\*?|interface|enum|struct|trait|namespace|protocol|extension|record|object)"
            r"\s+\w+\s*(?:[(:<{]|extends\b|$)",
            r"type\s+\w+(?:<[^>]*>)?\s*(?:=|struct\b|interface\b|func\b)",
            r"(?:const|let|var)\s+\w+\s*(?::[^=]*)?=\s*(?:async\s*)?"
            r"(?:function\b|\([^)]*\)\s*(?::[^=]*)?=>|\w+\s*=>)",
            r"func\s+(?:\([^)]*\)\s*)?\w+\s*[(\[<]",
            r"fn\s+\w+\s*[(<]",
            r"fun\s+[\w.<> ]+\(",
            r"impl\b[^;]*\{",
            r"mod\s+\w+\s*\{",
            r"macro_rules!\s*\w",
            r"#\s*define\s+\w",
            r"(?i:create\s+(?:or\s+replace\s+)?(?:table|view|index|function|trigger)\s+\S)",
        ),
        # A method of the Java family.
        r"\s*(?:@\w+\s+)?(?:(?:public|private|protected|internal|static|final|abstract|override|virtual"
        r"|synchronized)\s+)+[^=;({]*\(",
        # A function of the C family: two words before the parenthesis, at the left margin, no semicolon.
        r"(?!(?:return|if|else|for|while|switch|case|new|throw|await|yield|assert|raise|print|and|or|not|import"
        r"|from|use|using)\b)[A-Za-z_][\w:<>,]*(?:[ *&]+[\w:<>,~]+)+\([^;]*\)\s*(?:const\s*)?\{?\s*$",
        # A function of a shell.
        r"(?:function\s+)?[\w-]+\s?\(\)\s?\{",
    )
)

_SURE_FAILURE = re.compile(
    _either(
        r"^E\s{1,6}\S",
        r"^\s*(?:FAILED|FAIL|ERROR|FATAL)\b",
        r"^--- FAIL",
        r"^not ok\b",
        r"^\s*[\u2717\u2718\u2716\u00d7]\s",
        r"\b(?:[A-Z]\w*)?(?:Error|Exception|Panic|Failure)\b(?:\s*\(.{0,40}\))?:(?!:)",
        r"\b(?:error|fatal|panic|critical)(?:\[\w+\]|\s+[A-Z]{1,3}\d+)?:\s",
        r"\bTraceback \(most recent",
        r"\bpanicked at\b",
        r"\bSegmentation fault\b",
        r"\bcore dumped\b",
        r"\bERR!",
        r"\[(?:ERROR|FATAL|CRITICAL)\]",
        r"\b(?:ERROR|FATAL|CRITICAL)\b[\s:|\]]",
        r"(?i:\b(?:exit|return)(?:ed)?(?: with)?(?: code| status)?:?\s*[:=]?\s*(?:-\d|[1-9])\d{0,3}\b)",
        r"\b[1-9]\d*\s(?:failed|failing|failures?|errors?)\b",
    )
)
# Words by which a line may report a failure, as they stand in the lowered line; plain substrings are much
# faster to look for than an alternation of patterns. The second group reports one only in the forms of
# _SURE_FAILURE.
_FAILURE_LIST = (
    "error|fail|exception|fatal|panic|assert|denied|not found|no such|cannot|unable to|undefined|refused"
    "|timed out|timeout|abort|critical|unhandled|unexpected|invalid|missing|traceback|crash"
    "|segmentation fault|core dumped|not ok"
)
_FAILURE_WORDS = tuple(_FAILURE_LIST.split("|"))
_FAILURE_HINTS = ("exit", "returned", "err!", "\u2717", "\u2718", "\u2716", "\u00d7")
_NO_FAILURE = re.compile(r"\b(?:0|no|zero|without)\s+(?:\w+\s+)?(?:errors?|fail\w*|exceptions?|problems?|issues?)\b")
_SOME_FAILURES = re.compile(r"\b[1-9]\d* (?:fail|error)")

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+\S")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•‣◦]|\d{1,4}[.)]|[A-Za-z][.)]|\([a-z\d]{1,3}\)|[☐☑☒✅✔✓⬜□■○●▶➜→])\s+\S")
_KEY_VALUE = re.compile(
    r"\s*(?:[-*+•]\s+)?[\"'`*]{0,3}[\w][\w./@$ -]{0,39}[\"'`*]{0,3}"
    r"\s?(?::(?!//)|=|:=|=>|\?=)(?:\s+\S|$|[\"'\w\d/.$<\[{-])"
)

_LINE_WITH_PATH = (
    # "path:12:text", the match of a search, and "path-12-text", a line around it.
    re.compile(r"(?!\d{4}-\d\d-\d\d)((?:[A-Za-z]:)?(?=\d*[^\d\s:])[^\s:|<>\"'`(){}=,;]{1,200}?):\d{1,7}(?::|$)"),
    re.compile(r"([^\s:|<>\"'`(){}=,;]{0,200}[./][^\s:|<>\"'`(){}=,;]{1,80}?)-\d{1,7}-"),
    # "path:text".
    re.compile(r"((?:[\w@.+~-]{0,80}/){1,40}[\w@.+-]{0,80}|[\w@+-]{1,80}\.[A-Za-z]\w{0,7}):\S?"),
    # A long listing, a tree, a short status.
    re.compile(r"[-dlbcps][-rwxsStT]{9}[@+.]?\s+\d+\s+\S+.*?\s(\S+(?: -> \S+)?)\s*$"),
    re.compile(r"[\s│|]*(?:├|└|\|--|`--)[─-]*\s*(\S.*)$"),
    re.compile(r"(?:[ MADRCUT?!]{2}|[MADRCUT]\t) ?(\S+(?: -> \S+)?)\s*$"),
    # A path alone.
    re.compile(r"((?:\S{0,120}/)\S{0,120}|[\w@.+-]{1,80}\.[A-Za-z0-9]{1,8}|\.[\w.-]{1,40})\s*$"),
)

_SURE_LOG = re.compile(
    _either(
        r"\s*Traceback \(most recent",
        r"\s*File \"[^\"]*\", line \d",
        r"\s+at \S.*[(:]",
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
        r"\w+\.\w+.* (?:PASSED|FAILED|SKIPPED)\b",
        r"FAILED \S",
        r"Ran \d+ tests? in ",
        r"(?i:process exited|exit(?:ed)?(?: with)? (?:code|status)|command failed)",
    )
)
_LOG = re.compile(
    _either(
        r"[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:)",
        r"\[?(?:ERROR|WARN|WARNING|INFO|DEBUG|TRACE|FATAL|NOTICE|CRITICAL)\b",
        r"\[(?:error|warn|info|debug)",
        r"[$%>] \S",
        r"\+ [a-z]",
        r"\S+:\d+(?::\d+)?:? (?:error|warning|note|fatal)",
        r"(?:error|warning|fatal|note|hint)(?:\[\w+\])?:",
        r"\s*(?:Compiling|Finished|Running|Downloading|Downloaded|Installing|Collecting|Successfully|Building"
        r"|Resolving|Requirement already|Checking|Fetching|Using cached|Cloning|Creating|Updated|added \d)\b",
        r"\s*[\u2713\u2717\u2718\u2714\u2716\u00d7\u221a] ",
        r"\s*(?:PASS|FAIL)\b",
    )
)
_IMPORT = re.compile(
    _either(
        r"\s*import\s+[\w{*\"']",
        r"\s*from\s+[\w.]+\s+import\b",
        r"#\s*include\b",
        r"\s*using\s+[\w.:]+",
        r"\s*package\s+[\w.]+;?$",
        r"\s*use\s+[\w:]+.*;",
        r"\s*require\b",
    )
)
_CODE = re.compile(
    r"\s*"
    + _either(
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
_TABLE_ROW = re.compile(r"\s*\|.*\|\s*$|\s*\[[^\[\]]+\]\s*$|\s*\+[-=+]+\+\s*$")
_SENTENCE = re.compile(r"[^:=]*\b(?:the|is|are|and|of|to)\b.*[.!?]$")


def definition_in(line: str) -> bool:
    """Return whether *line* defines a class, function, type or method in a common programming language."""
    return _DEFINES.match(line[:LINE_CHARACTERS]) is not None


def failure_ranks(lines: Sequence[str]) -> list[int]:
    """Return how surely each line reports a failure: 2 surely, 1 by a word that failures use, 0 not."""
    clipped = [line[:LINE_CHARACTERS] for line in lines]
    everything = "\n".join(clipped).lower()
    words = [word for word in _FAILURE_WORDS if word in everything]
    hints = [word for word in _FAILURE_HINTS if word in everything]
    return [_failure_rank(line, words, hints) for line in clipped]


def _failure_rank(line: str, words: Sequence[str], hints: Sequence[str]) -> int:
    lowered = line.lower()
    likely = any(word in lowered for word in words)
    if not likely and not line.startswith("E  ") and not any(word in lowered for word in hints):
        return 0
    if _NO_FAILURE.search(lowered) and not _SOME_FAILURES.search(lowered):
        return 0
    if _SURE_FAILURE.search(line):
        return 2
    return 1 if likely else 0


def heading_depth(line: str) -> int:
    """Return the depth of the markdown heading in *line*, 1 to 6; 0 if it is none."""
    found = _HEADING.match(line)
    return len(found.group(1)) if found else 0


def is_list_item(line: str) -> bool:
    """Return whether *line* begins an item of a bulleted, numbered or check list."""
    return _LIST_ITEM.match(line) is not None


def is_key_value(line: str) -> bool:
    """Return whether *line* is a short key with a value, as in a configuration file."""
    return _KEY_VALUE.match(line[:LINE_CHARACTERS]) is not None


def matched_path(line: str) -> str | None:
    """Return the path that a line of a search result or a directory listing names, None if it names none."""
    line = line[:LINE_CHARACTERS]
    for pattern in _LINE_WITH_PATH:
        found = pattern.match(line)
        if found:
            return found.group(1)
    return None


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
    for index, line in enumerate(lines[:40]):
        if _DIFF_START.match(line):
            body = lines[index:]
            proven = any(_DIFF_PROOF.match(candidate) for candidate in body[:5])
            return proven and _share(body, lambda candidate: _DIFF_LINE.match(candidate) is not None) >= 0.6
    return False


def _outside_fences(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines neither blank nor fenced, without viewer numbers, and the number of fences."""
    kept: list[str] = []
    fences = 0
    for line in lines:
        if _FENCE.match(line):
            fences += 1
        elif fences % 2 == 0 and line.strip():
            kept.append(line)
    numbered = [_STRIP_NUMBER.sub("", line, count=1) for line in kept]
    if sum(before != after for before, after in zip(kept, numbered)) * 10 >= len(kept) * 9:
        kept = [line for line in numbered if line.strip()]
    return kept, fences


def _share(lines: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, lines)) / len(lines)


def _kind_by_shares(lines: Sequence[str], fences: int) -> ContentKind:
    marks = sum(_MARKDOWN.match(line) is not None for line in lines) + fences
    items = sum(is_list_item(line) for line in lines)
    if (marks >= 2 and (marks + items) * 10 >= len(lines)) or items * 2 > len(lines):
        return ContentKind.PROSE
    if _share(lines, lambda line: matched_path(line) is not None) >= 0.6:
        if failure_ranks(lines).count(2) < len(lines) * 0.6:
            return ContentKind.SEARCH_LISTING
        return ContentKind.LOG
    sure_log = _share(lines, lambda line: _SURE_LOG.match(line) is not None)
    if sure_log >= 0.05 or _share(lines, lambda line: _LOG.match(line) is not None) + sure_log >= 0.3:
        return ContentKind.LOG
    sure_code = sum(definition_in(line) or _IMPORT.match(line) is not None for line in lines)
    if sure_code >= max(2, len(lines) * 0.1):
        return ContentKind.SOURCE_CODE
    is_table = _share(lines, _is_table_row) >= 0.6
    # "key = value" is an assignment too; a section header tells a configuration from a script.
    if not (is_table and any(map(_TABLE_ROW.match, lines))) and _share(lines, _is_code) >= 0.4:
        return ContentKind.SOURCE_CODE
    if is_table or _has_columns(lines):
        return ContentKind.TABLE
    return ContentKind.PROSE


def _is_code(line: str) -> bool:
    return definition_in(line) or _CODE.match(line) is not None or line.endswith(_CODE_ENDS)


def _is_table_row(line: str) -> bool:
    if _TABLE_ROW.match(line):
        return True
    # A speaker or a label before a sentence is no key.
    return is_key_value(line) and line.count(" ") <= ROW_SPACES and not line.endswith((".", "!", "?"))


def _has_columns(lines: Sequence[str]) -> bool:
    if len(lines) < 3:
        return False
    for separator in ("\t", ",", ";"):
        columns = [line.count(separator) for line in lines]
        if columns[0] and columns.count(columns[0]) * 10 >= len(lines) * 9 and not _SENTENCE.match(lines[0]):
            return True
    return False

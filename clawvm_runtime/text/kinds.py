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
from dataclasses import dataclass, field
from enum import Enum
from itertools import filterfalse, islice
from typing import Any, TypeVar

__all__ = [
    "COMPRESSED_MOST",
    "ITEM_LENGTH",
    "LONG_LINE",
    "ContentKind",
    "Lines",
    "clipped",
    "definition_in",
    "definitions",
    "detect_kind",
    "failure_ranks",
    "heading_depth",
    "headings",
    "is_key_value",
    "is_list_item",
    "is_section",
    "key_points",
    "key_values",
    "left_out",
    "lines_of",
    "lines_with",
    "list_items",
    "matched_path",
    "matched_paths",
    "matching",
    "summaries",
    "sure_failures",
]


# --- The lines of a text that are looked at, and what tells their worth in any form shorter than full.

ANALYSED_HEAD = 300_000
ANALYSED_TAIL = 200_000
ANALYSED_CHARACTERS = ANALYSED_HEAD + ANALYSED_TAIL
COMPRESSED_MOST = 60_000  # Beyond it a page can no longer be called small.
LONG_LINE = 400
ITEM_LENGTH = 200


_Judgement = TypeVar("_Judgement")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text that are looked at; *missing* lines lie unseen before the one at *hole*."""

    kept: list[str]
    hole: int
    missing: int
    _judgements: dict[Callable[[Sequence[str]], Any], Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def total(self) -> int:
        return len(self.kept) + self.missing

    def judged(self, judge: Callable[[Sequence[str]], _Judgement]) -> _Judgement:
        """Return what *judge* says of the lines kept; it is asked once, whatever number of levels needs the answer."""
        if judge not in self._judgements:
            self._judgements[judge] = judge(self.kept)
        answer: _Judgement = self._judgements[judge]
        return answer


def lines_of(text: str) -> Lines:
    """Return the lines of *text* that are looked at, without their line ends."""
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(text) <= ANALYSED_CHARACTERS:
        return Lines([line.rstrip("\r") for line in lines] if "\r" in text else lines, 0, 0)
    head = _take(lines, ANALYSED_HEAD)
    tail = _take(reversed(lines[len(head) :]), ANALYSED_TAIL)
    tail.reverse()
    return Lines(head + tail, len(head), len(lines) - len(head) - len(tail))


def _take(lines: Iterable[str], most: int) -> list[str]:
    """Return the first lines that have *most* characters together, one at least."""
    taken: list[str] = []
    for line in lines:
        # A line counts for what is kept of it at most: one giant line must not hide all the others.
        most -= min(len(line), COMPRESSED_MOST) + 1
        if most < 0 and taken:
            break
        taken.append(line.rstrip("\r"))
    return taken


def left_out(lines: int) -> str:
    """Return the mark that stands for a number of lines left out."""
    return f"[... {lines} {'line' if lines == 1 else 'lines'} left out ...]"


def clipped(lines: Sequence[str], most: int) -> Sequence[str]:
    """Return the first *most* characters of each line."""
    return [line[:most] for line in lines] if max(map(len, lines), default=0) > most else lines


def matching(pattern: re.Pattern[str], lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines that *pattern* matches at their beginning."""
    return [number for number, found in enumerate(map(pattern.match, lines)) if found]


def lines_with(text: str, words: Iterable[str]) -> list[int]:
    """Return the numbers of the lines of *text* that have one of *words*.

    Searches for one word after the other, which is much faster than a pattern for all of them.
    """
    numbers: set[int] = set()
    for word in words:
        start = number = 0
        found = text.find(word)
        while found >= 0:
            number += text.count("\n", start, found)
            numbers.add(number)
            # The next line is the next place of interest.
            start = text.find("\n", found)
            found = text.find(word, start) if start >= 0 else -1
    return sorted(numbers)


def key_points(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that have a word of obligation, decision or result."""
    return lines_with("\n".join(clipped(lines, LONG_LINE)).lower(), _KEY_POINT_WORDS)


def summaries(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines of a log that sum up what was run."""
    lines = clipped(lines, ITEM_LENGTH)
    return [number for number in lines_with("\n".join(lines), _SUMMARY_WORDS) if _SUMMARY.search(lines[number])]


def is_section(line: str) -> bool:
    """Return whether a line is a section header such as ``[tool.ruff]``."""
    return _SECTION.match(line) is not None


_KEY_POINT_LIST = (
    "must|never|always|do not|don't|required|forbidden|should|important|decided|decision|conclusion"
    "|root cause|because|therefore|fixed|todo"
)
_KEY_POINT_WORDS = tuple(_KEY_POINT_LIST.split("|"))
_SUMMARY = re.compile(
    r"={3,} .*\b(?:passed|failed|errors?|warnings?|skipped)\b.* ={3,}|\bRan \d+ tests?\b|\btest result: "
    r"|^\s*Tests?(?: Suites)?: .*\d|^\s*\d+ (?:passing|failing|pending|passed|failed)\b|\bFound \d+ errors?\b"
    r"|\d+ problems? \("
)
# No summary is without one of these.
_SUMMARY_WORDS = (
    *("=== ", "Ran ", "test result: ", "Test", " passing", " failing", " pending", " passed", " failed"),
    *("Found ", " problem"),
)
_SECTION = re.compile(r"\s*\[\[?[^\[\]]+\]\]?\s*$")


# --- What one line of a text is: a definition, a report of a failure, a heading, an item, a key with a value, a path.

LINE_CHARACTERS = 240  # No pattern sees more of a line than this, so that no line can be slow.


def either(*patterns: str) -> str:
    """Return a pattern that matches what one of *patterns* does."""
    return f"(?:{'|'.join(patterns)})"


# Tools that read files often number the lines: "  12\tdef run():", "12→def run():", "12:def run():".
_SURE_NUMBER = r"\s{0,8}\d{1,7}(?:→|\t|:(?!\d\d\b)|\s?\|)\s?"
_NUMBER = rf"(?:{_SURE_NUMBER})?"
NUMBERED = re.compile(_SURE_NUMBER)

DEFINITION = re.compile(
    _NUMBER
    + either(
        # Looking ahead spares trying every pattern again for each space of an indentation.
        r"\s*(?=[#@Ca-v])"
        + either(
            r"(?:export\s+)?(?:default\s+)?(?:declare\s+)?"
            r"(?:(?:public|private|protected|internal|abstract|final|static|sealed|open|data|async|unsafe"
            r"|pub(?:\([^)]*\))?)\s+)*"
            + either(
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
            r"(?:@\w+\s+)?(?:(?:public|private|protected|internal|static|final|abstract|override|virtual"
            r"|synchronized)\s+)+[^=;({]*\(",
        ),
        # A function of the C family: two words before the parenthesis, at the left margin, no semicolon.
        r"(?=[A-Za-z_][\w:<>,~ *&]*\()"
        r"(?!(?:return|if|else|for|while|switch|case|new|throw|await|yield|assert|raise|print|and|or|not|import"
        r"|from|use|using)\b)[A-Za-z_][\w:<>,]*(?:[ *&]+[\w:<>,~]+)+\([^;]*\)\s*(?:const\s*)?\{?\s*$",
        # A function of a shell.
        r"(?:function\s+)?[\w-]+(?![\w-])\s?\(\)\s?\{",
    )
)

_FAILURE_START = re.compile(
    either(
        r"E\s{1,6}\S",
        r"\s*(?:FAILED|FAIL|ERROR|FATAL)\b",
        r"--- FAIL",
        r"not ok\b",
        r"\s*[\u2717\u2718\u2716\u00d7]\s",
    )
)
_SURE_FAILURE = re.compile(
    r"\b"
    + either(
        r"(?:[A-Z]\w*)?(?:Error|Exception|Panic|Failure)\b(?:\s*\(.{0,40}\))?:(?!:)",
        r"(?:error|fatal|panic|critical)(?:\[\w+\]|\s+[A-Z]{1,3}\d+)?:\s",
        r"Traceback \(most recent",
        r"panicked at\b",
        r"Segmentation fault\b",
        r"core dumped\b",
        r"ERR!",
        r"(?:ERROR|FATAL|CRITICAL)\b[\s:|\]]",
        r"(?i:(?:exit|return)(?:ed)?(?: with)?(?: code| status)?:?\s*[:=]?\s*(?:-\d|[1-9])\d{0,3}\b)",
        r"[1-9]\d*\s(?:failed|failing|failures?|errors?)\b",
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
# Not every sure failure has one of _FAILURE_WORDS; it has one of these or begins with E and a space.
# Patterns that ignore case take a dotless i and a dotted capital I for an i.
_SURE_WORDS = (
    *("error", "fail", "fatal", "exception", "panic", "critical", "traceback", "segmentation fault"),
    *("core dumped", "not ok", "exit", "ex\u0131t", "exi\u0307t", "return"),
    *("err!", "\u2717", "\u2718", "\u2716", "\u00d7"),
)
_FAILURE_HINTS = ("exit", "returned", "err!", "\u2717", "\u2718", "\u2716", "\u00d7")
_NO_FAILURE = re.compile(r"\b(?:0|no|zero|without)\s+(?:\w+\s+)?(?:errors?|fail\w*|exceptions?|problems?|issues?)\b")
_SOME_FAILURES = re.compile(r"\b[1-9]\d* (?:fail|error)")

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+\S")
LIST_ITEM = re.compile(r"\s*(?=\S)(?:[-*+•‣◦]|\d{1,4}[.)]|[A-Za-z][.)]|\([a-z\d]{1,3}\)|[☐☑☒✅✔✓⬜□■○●▶➜→])\s+\S")
_KEY_VALUE = re.compile(
    r"\s*(?=\S)(?:[-*+•]\s+)?[\"'`*]{0,3}[\w][\w./@$ -]{0,39}[\"'`*]{0,3}"
    r"\s?(?::(?!//)|=|:=|=>|\?=)(?:\s+\S|$|[\"'\w\d/.$<\[{-])"
)

LINE_WITH_PATH = re.compile(
    either(
        # "path:12:text", the match of a search, and "path-12-text", a line around it.
        r"(?=(?:[A-Za-z]:)?[^\s:|<>\"'`(){}=,;]{1,200}:\d)(?!\d{4}-\d\d-\d\d)"
        r"((?:[A-Za-z]:)?(?=\d*[^\d\s:])[^\s:|<>\"'`(){}=,;]{1,200}?):\d{1,7}(?::|$)",
        r"(?=[^\s:|<>\"'`(){}=,;]*-\d{1,7}-)([^\s:|<>\"'`(){}=,;]{0,200}[./][^\s:|<>\"'`(){}=,;]{1,80}?)-\d{1,7}-",
        # "path:text".
        r"(?=[\w@.+~/-]+:)((?:[\w@.+~-]{0,80}/){1,40}[\w@.+-]{0,80}|[\w@+-]{1,80}\.[A-Za-z]\w{0,7}):\S?",
        # A long listing, a tree, a short status.
        r"[-dlbcps][-rwxsStT]{9}[@+.]?\s+\d+\s+\S+.*?\s(\S+(?: -> \S+)?)\s*$",
        r"[\s│|]*(?:├|└|\|--|`--)[─-]*\s*(\S.*)$",
        r"(?:[ MADRCUT?!]{2}|[MADRCUT]\t) ?(\S+(?: -> \S+)?)\s*$",
        # A path alone.
        r"(?=\S+(?!\S)\s*$)((?:\S{0,120}/)\S{0,120}|[\w@.+-]{1,80}\.[A-Za-z0-9]{1,8}|\.[\w.-]{1,40})\s*$",
    )
)


def definition_in(line: str) -> bool:
    """Return whether *line* defines a class, function, type or method in a common programming language."""
    return DEFINITION.match(line[:LINE_CHARACTERS]) is not None


def definitions(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that ``definition_in`` holds for."""
    return matching(DEFINITION, clipped(lines, LINE_CHARACTERS))


def failure_ranks(lines: Sequence[str]) -> list[int]:
    """Return how surely each line reports a failure: 2 surely, 1 by a word that failures use, 0 not."""
    ranks = [0] * len(lines)
    lines = clipped(lines, LINE_CHARACTERS)
    everything = "\n".join(lines).lower()
    likely = lines_with(everything, _FAILURE_WORDS)
    possible = {number for number, line in enumerate(lines) if line.startswith("E  ")}
    possible.update(lines_with(everything, _FAILURE_HINTS), likely)
    for number in possible:
        if _is_sure_failure(lines[number]):
            ranks[number] = 2
    for number in likely:
        if not ranks[number] and not _denies_failure(lines[number]):
            ranks[number] = 1
    return ranks


def sure_failures(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines to which ``failure_ranks`` gives 2, without looking for those it gives 1."""
    lines = clipped(lines, LINE_CHARACTERS)
    everything = "\n".join(lines).lower()
    possible = {number for number, line in enumerate(lines) if line[:1] == "E" and line[1:2].isspace()}
    possible.update(lines_with(everything, _SURE_WORDS))
    return sorted(number for number in possible if _is_sure_failure(lines[number]) and _may_fail(lines[number]))


def _is_sure_failure(line: str) -> bool:
    return bool(_FAILURE_START.match(line) or _SURE_FAILURE.search(line)) and not _denies_failure(line)


def _denies_failure(line: str) -> bool:
    lowered = line.lower()
    return _NO_FAILURE.search(lowered) is not None and _SOME_FAILURES.search(lowered) is None


def _may_fail(line: str) -> bool:
    """Return whether *line* has what ``failure_ranks`` looks for first."""
    lowered = line.lower()
    return line.startswith("E  ") or any(word in lowered for word in (*_FAILURE_WORDS, *_FAILURE_HINTS))


def heading_depth(line: str) -> int:
    """Return the depth of the markdown heading in *line*, 1 to 6; 0 if it is none."""
    found = _HEADING.match(line)
    return len(found.group(1)) if found else 0


def headings(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that are headings of markdown."""
    return [number for number in lines_with("\n".join(lines), "#") if _HEADING.match(lines[number])]


def is_list_item(line: str) -> bool:
    """Return whether *line* begins an item of a bulleted, numbered or check list."""
    return LIST_ITEM.match(line) is not None


def list_items(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that ``is_list_item`` holds for."""
    return matching(LIST_ITEM, lines)


def is_key_value(line: str) -> bool:
    """Return whether *line* is a short key with a value, as in a configuration file."""
    return _KEY_VALUE.match(line[:LINE_CHARACTERS]) is not None


def key_values(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that ``is_key_value`` holds for."""
    lines = clipped(lines, LINE_CHARACTERS)
    return [number for number in lines_with("\n".join(lines), ":=") if _KEY_VALUE.match(lines[number])]


def matched_path(line: str) -> str | None:
    """Return the path that a line of a search result or a directory listing names, None if it names none."""
    found = LINE_WITH_PATH.match(line[:LINE_CHARACTERS])
    return found.group(found.lastindex or 0) if found else None


def matched_paths(lines: Sequence[str]) -> list[str | None]:
    """Return for each line what ``matched_path`` does."""
    found = map(LINE_WITH_PATH.match, clipped(lines, LINE_CHARACTERS))
    return [match.group(match.lastindex or 0) if match else None for match in found]


# --- Kinds of text that an agent meets, and how to tell them apart by a bounded look at the beginning.

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

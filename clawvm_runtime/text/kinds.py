"""What a text is made of: its kind, judged by a bounded look at the beginning, and what single lines of it are.

Rules of ``detect_kind``; the first that holds decides, shares are of the lines that are not blank:

 1. Nothing but white space is prose.
 2. An opening that only JSON has (``{"``, ``[{``, ``["``, ``[1,``, ...) is JSON, JSON lines included.
 3. A diff header or hunk within the first 40 lines, and at least 60 % diff lines from there on, is a diff.
 4. A ``#!`` line, ``<?php`` or the start of a markup document is source code.
 5. More list items than other lines, or two marks of Markdown (a heading of depth 2 or more, a fence, bold
    words, a link, a quotation) of which, with list items, 10 % of the lines carry one, make prose.
 6. 60 % paths or matches are a search listing, or a log if as many lines report failures.
 7. 5 % lines that only logs have (tracebacks, test banners), or 30 % log lines, are a log.
 8. 10 % (and at least 2) imports and definitions, or 40 % lines of code, are source code; the latter not
    where rule 9 holds and there is a section header or a row of a table.
 9. 60 % key-values or table rows, or 90 % rows with the same number of separators, are a table.
10. Anything else is prose.

Before rule 2, the lines that a harness puts before the output of a command are removed; rule 5 and later ignore
what is inside fences and the line numbers of a file viewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import compress, count, filterfalse
from typing import Any, TypeVar

__all__ = [
    "COMPRESSED_MOST",
    "ITEM_LENGTH",
    "LIST_ITEM",
    "LONG_LINE",
    "SECTION",
    "ContentKind",
    "Lines",
    "definitions",
    "detect_kind",
    "failure_ranks",
    "heading_depth",
    "headings",
    "is_key_value",
    "key_points",
    "key_values",
    "left_out",
    "lines_of",
    "lines_with",
    "list_items",
    "matched_paths",
    "matching",
    "summaries",
    "sure_failures",
]

ANALYSED_HEAD = 300_000
ANALYSED_TAIL = 200_000
COMPRESSED_MOST = 60_000  # Characters; beyond it a page can no longer be called small.
LONG_LINE = 400
ITEM_LENGTH = 200
LINE_CHARACTERS = 240  # No pattern sees more of a line than this, so that no line can be slow.

_Judgement = TypeVar("_Judgement")


@dataclass(frozen=True, slots=True)
class Lines:
    """A text and its lines that are analysed; *missing* lines before the one at *hole* are not."""

    text: str
    kept: list[str]
    hole: int = 0
    missing: int = 0
    _judgements: dict[Callable[[Sequence[str]], Any], Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def total(self) -> int:
        """The number of lines of the whole text."""
        return len(self.kept) + self.missing

    def judged(self, judge: Callable[[Sequence[str]], _Judgement]) -> _Judgement:
        """Return what *judge* returns for the lines kept; it runs once, however many levels need the answer."""
        if judge not in self._judgements:
            self._judgements[judge] = judge(self.kept)
        answer: _Judgement = self._judgements[judge]
        return answer


def lines_of(text: str) -> Lines:
    """Return the lines of *text* that are analysed, without their line ends."""
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(text) <= ANALYSED_HEAD + ANALYSED_TAIL:
        return Lines(text, [line.rstrip("\r") for line in lines])
    head = _take(lines, ANALYSED_HEAD)
    tail = _take(reversed(lines[len(head) :]), ANALYSED_TAIL)
    tail.reverse()
    return Lines(text, head + tail, len(head), len(lines) - len(head) - len(tail))


def _take(lines: Iterable[str], most: int) -> list[str]:
    """Return the first lines that have *most* characters together, one at least."""
    taken: list[str] = []
    for line in lines:
        # A line counts for at most what is kept of it: one giant line must not hide all the others.
        most -= min(len(line), COMPRESSED_MOST) + 1
        if most < 0 and taken:
            break
        taken.append(line.rstrip("\r"))
    return taken


def left_out(lines: int) -> str:
    """Return the mark for a number of lines left out."""
    return f"[... {lines} {'line' if lines == 1 else 'lines'} left out ...]"


def clipped(lines: Sequence[str], most: int = LINE_CHARACTERS) -> Sequence[str]:
    """Return the first *most* characters of each line."""
    return [line[:most] for line in lines] if max(map(len, lines), default=0) > most else lines


def matching(pattern: re.Pattern[str], lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines that *pattern* matches at their beginning."""
    return list(compress(count(), map(pattern.match, lines)))


def lines_with(text: str, words: Iterable[str]) -> list[int]:
    """Return the numbers of the lines of *text* that have one of *words*.

    One search per word is much faster than a pattern for all of them.
    """
    numbers: set[int] = set()
    for word in words:
        number = 0
        start, found = 0, text.find(word)
        while found >= 0:
            number += text.count("\n", start, found)
            numbers.add(number)
            start = text.find("\n", found)  # The rest of this line is of no interest.
            found = text.find(word, start) if start >= 0 else -1
    return sorted(numbers)


def key_points(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that have a word of obligation, decision or result."""
    return lines_with("\n".join(clipped(lines, LONG_LINE)).lower(), _KEY_POINT_WORDS)


def summaries(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines of a log that sum up what was run."""
    lines = clipped(lines, ITEM_LENGTH)
    return [number for number in lines_with("\n".join(lines), _SUMMARY_WORDS) if _SUMMARY.search(lines[number])]


def definitions(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that define a class, function, type or method in a common language."""
    return matching(_DEFINITION, clipped(lines))


def failure_ranks(lines: Sequence[str]) -> list[int]:
    """Return how surely each line reports a failure: 2 surely, 1 by a word that failures use, 0 not."""
    lines = clipped(lines)
    lowered = "\n".join(lines).lower()
    likely = set(lines_with(lowered, _FAILURE_WORDS))
    marked = (number for number, line in enumerate(lines) if line.startswith("E  "))
    ranks = [0] * len(lines)
    for number in likely.union(lines_with(lowered, _FAILURE_HINTS), marked):
        line = lines[number]
        if not _denies_failure(line.lower()):
            sure = _FAILURE_START.match(line) or _SURE_FAILURE.search(line)
            ranks[number] = 2 if sure else int(number in likely)
    return ranks


def sure_failures(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that ``failure_ranks`` ranks 2."""
    return [number for number, rank in enumerate(failure_ranks(lines)) if rank == 2]


def _denies_failure(lowered: str) -> bool:
    return _NO_FAILURE.search(lowered) is not None and _SOME_FAILURES.search(lowered) is None


def heading_depth(line: str) -> int:
    """Return the depth of the Markdown heading in *line*, 1 to 6; 0 if it is none."""
    found = _HEADING.match(line)
    return len(found.group(1)) if found else 0


def headings(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that are headings of Markdown."""
    return matching(_HEADING, lines)


def list_items(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that begin an item of a bulleted, numbered or check list."""
    return matching(LIST_ITEM, lines)


def is_key_value(line: str) -> bool:
    """Return whether *line* is a short key with a value, as in a configuration file."""
    return _KEY_VALUE.match(line[:LINE_CHARACTERS]) is not None


def key_values(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that ``is_key_value`` holds for."""
    lines = clipped(lines)
    return [number for number in lines_with("\n".join(lines), ":=") if _KEY_VALUE.match(lines[number])]


def matched_paths(lines: Sequence[str]) -> list[str | None]:
    """Return for each line the path that it names, as a match of a search or an entry of a listing, or None."""
    found = map(_LINE_WITH_PATH.match, clipped(lines))
    return [match.group(match.lastindex or 0) if match else None for match in found]


def _either(*patterns: str) -> str:
    """Return a pattern that matches what one of *patterns* does."""
    return f"(?:{'|'.join(patterns)})"


# Tools that read files often number the lines: "  12\tdef run():", "12→def run():", "12:def run():".
_LINE_NUMBER = r"\s{0,8}\d{1,7}(?:→|\t|:(?!\d\d\b)|\s?\|)\s?"
_NUMBER = rf"(?:{_LINE_NUMBER})?"
_NUMBERED_LINE = re.compile(_LINE_NUMBER)

_DEFINITION = re.compile(
    _NUMBER
    + _either(
        # Looking ahead spares trying every pattern again for each space of an indentation.
        r"\s*(?=[#@Ca-v])"
        + _either(
            r"(?:export\s+)?(?:default\s+)?(?:declare\s+)?"
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
    _either(
        r"E\s{1,6}\S",
        r"\s*(?:FAILED|FAIL|ERROR|FATAL)\b",
        r"--- FAIL",
        r"not ok\b",
        r"\s*[\u2717\u2718\u2716\u00d7]\s",
    )
)
_SURE_FAILURE = re.compile(
    r"\b"
    + _either(
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
# Plain substrings of the lowered line are much faster to look for than an alternation of patterns. The words of the
# second group report a failure only in the forms of _SURE_FAILURE.
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
LIST_ITEM = re.compile(r"\s*(?=\S)(?:[-*+•‣◦]|\d{1,4}[.)]|[A-Za-z][.)]|\([a-z\d]{1,3}\)|[☐☑☒✅✔✓⬜□■○●▶➜→])\s+\S")
_KEY_VALUE = re.compile(
    r"\s*(?=\S)(?:[-*+•]\s+)?[\"'`*]{0,3}[\w][\w./@$ -]{0,39}[\"'`*]{0,3}"
    r"\s?(?::(?!//)|=|:=|=>|\?=)(?:\s+\S|$|[\"'\w\d/.$<\[{-])"
)

_LINE_WITH_PATH = re.compile(
    _either(
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
_KEY_POINT_WORDS = (
    *(
        "must",
        "never",
        "always",
        "do not",
        "don't",
        "required",
        "forbidden",
        "should",
        "important",
        "decided",
        "decision",
    ),
    *("conclusion", "root cause", "because", "therefore", "fixed", "todo"),
)
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
SECTION = re.compile(r"\s*\[\[?[^\[\]]+\]\]?\s*$")


# --- The kind of a text.

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


# The first characters are listed once, so that most lines are refused at theirs.
_SURE_LOG = re.compile(
    r"(?=[\s=_cEno(\-pytgmFRPeCTa])"
    + _either(
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
    _either(
        r"[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:)",
        r"\[?(?:ERROR|WARN|WARNING|INFO|DEBUG|TRACE|FATAL|NOTICE|CRITICAL)\b",
        r"\[(?:error|warn|info|debug)",
        r"[$%>] \S",
        r"\+ [a-z]",
        r"\S+:\d+(?::\d+)?:? (?:error|warning|note|fatal)",
        r"(?:error|warning|fatal|note|hint)(?:\[\w+\])?:",
        r"\s*(?=[CFRDISBUaP\u2713\u2717\u2718\u2714\u2716\u00d7\u221a])"
        + _either(
            r"(?:Compiling|Finished|Running|Downloading|Downloaded|Installing|Collecting|Successfully|Building"
            r"|Resolving|Requirement already|Checking|Fetching|Using cached|Cloning|Creating|Updated|added \d)\b",
            r"[\u2713\u2717\u2718\u2714\u2716\u00d7\u221a] ",
            r"(?:PASS|FAIL)\b",
        ),
    )
)
_IMPORT = re.compile(
    _either(
        r"\s*(?=[ifupr])"
        + _either(
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
_JSON_BEGINS = re.compile(
    r"\{\s*(?:\"|\}\s*$)|\[[\[\s]*(?:\{\s*[\"}]|\"|\]|(?:-?\d[\d.eE+-]*|true|false|null)\s*(?:,|\n\s*\]))"
)
# What some harnesses put before the output of a command.
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
    """Return the kind of *text*, judged by its first 8,192 characters, whatever its length.

    >>> detect_kind("2026-01-02T10:00:00Z started\\n2026-01-02T10:00:01Z ready\\n").value
    'log'
    """
    opening = text[:DETECTION_CHARACTERS].lstrip("\ufeff \t\r\n\f\v")
    head = _COMMAND_HEAD.match(opening)
    if head is not None:
        opening = opening[head.end() :].lstrip() or opening
    if not opening:
        return ContentKind.PROSE
    if _JSON_BEGINS.match(opening):
        return ContentKind.JSON
    lines = [line[:LINE_CHARACTERS].rstrip() for line in opening.split("\n", DETECTION_LINES)[:DETECTION_LINES]]
    if _is_diff(lines):
        return ContentKind.DIFF
    if _MARKUP_OPENING.match(opening):
        return ContentKind.SOURCE_CODE
    lines, fences = _outside_fences(lines)
    return _kind_by_shares(lines, fences) if lines else ContentKind.PROSE


def _is_diff(lines: Sequence[str]) -> bool:
    start = next(iter(matching(_DIFF_START, lines[:40])), None)
    if start is None:
        return False
    body = lines[start:]
    return any(map(_DIFF_PROOF.match, body[:5])) and _mostly(body, _DIFF_LINE.match)


def _outside_fences(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines neither blank nor fenced, without viewer numbers, and the number of fences."""
    kept: list[str] = []
    fences = 0
    for line in filter(None, lines):
        if ("```" in line or "~~~" in line) and _FENCE.match(line):
            fences += 1
        elif fences % 2 == 0:
            kept.append(line)
    if kept and _share(kept, _NUMBERED_LINE.match) >= 0.9:
        unnumbered = (_NUMBERED_LINE.sub("", line, count=1) if _NUMBERED_LINE.match(line) else line for line in kept)
        kept = [line for line in unnumbered if line.strip()]
    return kept, fences


def _any_in(words: Iterable[str], lines: Sequence[str]) -> bool:
    """Return whether a line has one of *words*; much faster than to ask for each line."""
    everything = "\n".join(lines)
    return any(word in everything for word in words)


def _share(lines: Sequence[str], judge: Callable[[str], object]) -> float:
    """Return the share of *lines* that *judge* holds for."""
    return len(list(filter(judge, lines))) / len(lines)


def _mostly(lines: Sequence[str], judge: Callable[[str], object]) -> bool:
    """Return whether *judge* holds for 60 % of *lines*; where half of them decide it, it sees no others."""
    half = len(lines) // 2 + 1
    held = len(list(filter(judge, lines[:half])))
    if (held + len(lines) - half) / len(lines) < 0.6:
        return False
    return (held + len(list(filter(judge, lines[half:])))) / len(lines) >= 0.6


def _kind_by_shares(lines: Sequence[str], fences: int) -> ContentKind:
    marks = fences
    # A plain search first: the pattern tries every place of a line.
    if _any_in(("##", "**", "](", ">"), lines):
        marked = [line for line in lines if "##" in line or "**" in line or "](" in line or line[:1] == ">"]
        marks += len(matching(_MARKDOWN, marked))
    items = len(list_items(lines))
    if (marks >= 2 and (marks + items) * 10 >= len(lines)) or items * 2 > len(lines):
        return ContentKind.PROSE
    if _mostly(lines, _LINE_WITH_PATH.match):
        if failure_ranks(lines).count(2) < len(lines) * 0.6:
            return ContentKind.SEARCH_LISTING
        return ContentKind.LOG
    sure_log = _sure_log_share(lines)
    if sure_log >= 0.05 or _share(lines, _LOG.match) + sure_log >= 0.3:
        return ContentKind.LOG
    defining = list(filter(_DEFINITION.match, lines))
    importing = list(filterfalse(_DEFINITION.match, filter(_IMPORT.match, lines)))
    if len(defining) + len(importing) >= max(2, len(lines) * 0.1):
        return ContentKind.SOURCE_CODE
    # "key = value" is an assignment too; a section header distinguishes a configuration from a script.
    if _is_code(lines, defining) and not (any(map(_TABLE_ROW.match, lines)) and _is_table(lines)):
        return ContentKind.SOURCE_CODE
    return ContentKind.TABLE if _is_table(lines) or _has_columns(lines) else ContentKind.PROSE


def _sure_log_share(lines: Sequence[str]) -> float:
    others = list(filterfalse(_SURE_LOG.match, lines))
    # A plain search first: the pattern tries every place of a line.
    tested = others if _any_in(("PASSED", "FAILED", "SKIPPED"), others) else ()
    return (len(lines) - len(others) + len(matching(_TEST_OUTCOME, tested))) / len(lines)


def _is_code(lines: Sequence[str], defining: Sequence[str]) -> bool:
    """Return whether 40 % of *lines* are lines of code; one that is *defining* something is one more."""
    unclear = [line for line in lines if not line.endswith(_CODE_ENDS)]
    code = len(lines) - len(unclear) + len(list(filter(_CODE.match, unclear)))
    code += sum(not line.endswith(_CODE_ENDS) and not _CODE.match(line) for line in defining)
    return code / len(lines) >= 0.4


def _is_table(lines: Sequence[str]) -> bool:
    return _mostly(lines, _is_table_row)


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

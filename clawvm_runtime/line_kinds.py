"""What one line of a text is: a definition, a report of a failure, a heading, an item, a key with a value, a path.

================  ==============================================================================
definition_in     whether a line of source code defines something
failure_ranks     how surely each line reports a failure
heading_depth     depth of a markdown heading
is_key_value      whether a line is a short key with a value
is_list_item      whether a line is an item of a list
matched_path      path that a search result or listing line names
================  ==============================================================================

``definitions``, ``headings``, ``key_values``, ``list_items``, ``matched_paths`` and ``sure_failures`` judge many
lines at once: numbers of lines count from 0 and rise. ``DEFINITION``, ``LINE_WITH_PATH``, ``LIST_ITEM`` and
``NUMBERED`` (a line that a viewer numbered) are the patterns themselves, for lines of ``LINE_CHARACTERS`` at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from clawvm_runtime.text_lines import clipped, lines_with, matching

__all__ = [
    "DEFINITION",
    "LINE_CHARACTERS",
    "LINE_WITH_PATH",
    "LIST_ITEM",
    "NUMBERED",
    "definition_in",
    "definitions",
    "either",
    "failure_ranks",
    "heading_depth",
    "headings",
    "is_key_value",
    "is_list_item",
    "key_values",
    "list_items",
    "matched_path",
    "matched_paths",
    "sure_failures",
]

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

"""The simple commands of a shell command line, without running anything.

Bourne shell, as far as agents write it: quotes, escapes, lists, pipes, groups, redirections, here-documents, comments.
A word that holds a substitution, a variable or a pattern cannot be known and is ``None``. Time is linear in the length
of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["MOST_TOKENS", "ShellCommand", "Word", "commands_of"]

MOST_TOKENS = 20_000
"""Words, signs and gaps that are looked at in one text; a here-document takes none."""

Word = str | None
"""A word of a command, None for one that cannot be known."""


@dataclass(slots=True)
class ShellCommand:
    """One simple command.

    ``words`` are the program and its arguments; ``writes`` the files that output is redirected to, ``hides`` whether
    standard output is; ``source`` is the file that feeds it (``<``), ``body`` the here-document that does. ``piped``
    commands get the output of the command before; ``cut`` is set on the last command of a text that was too long.
    """

    words: list[Word] = field(default_factory=list)
    writes: list[Word] = field(default_factory=list)
    hides: bool = False
    source: Word = None
    body: str | None = None
    piped: bool = False
    cut: bool = False


_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r]|\\\r?\n)+)
    |(?P<direct>&>>?|[0-9]*(?:<<<|<<-?|<[&>]?|>[>&|]?)(?!\())
    |(?P<line>\n)
    |(?P<end>\|&|\|\|?|&&?|;+|[()])
    |(?P<comment>\#[^\n]*)""",
    re.VERBOSE,
)

_PIECE = re.compile(
    r"""(?P<plain>[^\s\\'"`$&|;<>()*?{]+)
    |(?P<single>'[^']*(?:'|$))
    |(?P<double>")
    |(?P<escape>\\(?:\r?\n|.|$))
    |(?P<inner>\$\(|[<>]\()
    |(?P<back>`)
    |(?P<braces>\{\}?(?=[\s;|&)]|$))
    |(?P<open>[$*?{])""",
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE = re.compile(r"[\"\\$`]")
_IN_PARENS = re.compile(r"['\"\\`()\n]|<<-?[ \t]*(?P<mark>\\?[A-Za-z_]\w*|'[^'\n]*'|\"[^\"\n]*\")")
_ESCAPED = re.compile(r"\\(?:\n|([\"\\$`]))")


def commands_of(text: str) -> list[ShellCommand]:
    """Return the simple commands of *text*; never raises, whatever the text."""
    return _CommandReader(text).commands()


class _CommandReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[ShellCommand] = []
        self._now = ShellCommand()
        self._direction = ""  # The redirection whose target comes next.
        self._waiting: list[tuple[ShellCommand, str, bool]] = []  # Here-documents that begin behind the line.

    def commands(self) -> list[ShellCommand]:
        position = 0
        for _ in range(MOST_TOKENS):
            if position >= len(self._text):
                self._finish(False)
                return self._found
            token = _TOKEN.match(self._text, position)
            if token is None:
                position = self._word(position)
                continue
            position = token.end()
            if token.lastgroup == "direct":
                self._direction = token.group()
            elif token.lastgroup in ("line", "end"):
                self._finish(token.group() in ("|", "|&"))
                if token.lastgroup == "line":
                    position = self._bodies(position)
        self._now.cut = True
        return [*self._found, self._now]

    def _finish(self, into_pipe: bool) -> None:
        now = self._now
        self._direction = ""
        if now.words or now.writes or now.source is not None:
            self._found.append(now)
            self._now = ShellCommand(piped=into_pipe)
        elif into_pipe:
            now.piped = True

    def _add(self, word: Word) -> None:
        direction = self._direction
        if not direction:
            self._now.words.append(word)
            return
        self._direction = ""
        if "<<" in direction:
            if "<<<" in direction:
                self._now.body = word or ""
            elif word is not None:
                self._now.body = ""
                self._waiting.append((self._now, word, direction.endswith("-")))
            return
        if direction.endswith("&") and word is not None and (word.isdigit() or word == "-"):
            return  # One descriptor joins another: no file.
        if "<" in direction:
            self._now.source = word
            return
        self._now.writes.append(word)
        if not direction[0].isdigit() or direction[0] == "1":
            self._now.hides = True

    def _bodies(self, position: int) -> int:
        """Read the here-documents that begin at *position*; one without an end runs to the end of the text."""
        for command, mark, indented in self._waiting:
            end, behind = _body_end(self._text, position, mark, indented)
            command.body = self._text[position:end]
            position = behind + 1 if self._text.startswith("\n", behind) else behind
        self._waiting.clear()
        return position

    def _word(self, position: int) -> int:
        """Add the word at *position* and return where it ends; takes at least one character."""
        text, start = self._text, position
        parts: list[Word] = []
        while (piece := _PIECE.match(text, position)) is not None:
            kind, position = piece.lastgroup, piece.end()
            if kind in ("plain", "braces"):
                parts.append(piece.group())
            elif kind == "single":
                parts.append(piece.group()[1:].removesuffix("'"))
            elif kind == "escape":
                parts.append(piece.group()[1:].lstrip("\r\n"))
            elif kind == "double":
                end, expands = _closing(text, position, '"')
                parts.append(None if expands else _ESCAPED.sub(r"\1", text[position : end - 1]))
                position = end
            else:
                parts.append(None)
                if kind in ("inner", "back"):
                    position, _ = _closing(text, position, ")" if kind == "inner" else "`")
        known = [part for part in parts if part is not None]
        self._add("".join(known) if parts and len(known) == len(parts) else None)
        return max(position, start + 1)


def _body_end(text: str, position: int, mark: str, indented: bool) -> tuple[int, int]:
    """Return where the here-document that begins at *position* ends, and where the text behind it begins."""
    end = re.compile(rf"^\t*{re.escape(mark)}\r?$" if indented else rf"^{re.escape(mark)}\r?$", re.MULTILINE)
    found = end.search(text, position)
    return (len(text), len(text)) if found is None else found.span()


def _closing(text: str, position: int, closer: str) -> tuple[int, bool]:
    """Return the position behind the *closer* of what was opened, and whether something in it is expanded.

    An opening without its end runs to the end of the text.
    """
    stack, expands = [closer], False
    waiting: list[str] = []
    while stack:
        inside = stack[-1]
        if inside == "`":
            found = _IN_DOUBLE.search(text, position)
            while found is not None and found.group() in '"$':
                found = _IN_DOUBLE.search(text, found.end())
        else:
            found = (_IN_DOUBLE if inside == '"' else _IN_PARENS).search(text, position)
        if found is None:
            return len(text), True
        sign, position = found.group(), found.end()
        if sign == "\\":
            position += 1
        elif sign == inside:
            stack.pop()
        elif sign == "$":
            expands = True
            if text.startswith("(", position):
                stack.append(")")
                position += 1
        elif sign in ("`", '"'):
            expands = expands or sign == "`"
            stack.append(sign)
        elif sign == "(":
            stack.append(")")
        elif sign == "'":
            position = text.find("'", position) + 1 or len(text)
        elif sign == "\n":
            for mark in waiting:
                _, position = _body_end(text, position, mark, False)
            waiting.clear()
        elif found.group("mark"):
            waiting.append(found.group("mark").strip("\\'\""))
    return position, expands

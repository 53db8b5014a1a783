"""The simple commands of a shell command line, without running anything.

=============  =====================================================================
Command        one simple command: its words, where its output goes, what feeds it
commands_of    the simple commands of a text, in order
=============  =====================================================================

Bourne shell, as far as agents write it: quotes, escapes, lists, pipes, groups, redirections, here-documents, comments.
What a substitution, a variable or a pattern stands for is not known, so a word that holds one is ``None``. Time is
linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["MOST_TOKENS", "Command", "commands_of"]

MOST_TOKENS = 20_000
"""Words, signs and gaps that are looked at in one text; a here-document takes none."""

Word = str | None


@dataclass(slots=True)
class Command:
    """One simple command.

    ``words`` are the program and its arguments, None for a word that cannot be known; ``writes`` the files that output
    is redirected to, ``hides`` whether standard output is, ``source`` the file that feeds it (``<``), ``body`` the
    here-document that does. ``piped`` commands get the output of the command before; ``cut`` is set on the last command
    of a text that was too long.
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
    |(?P<word>[^\s\\'"`$&|;<>()*?{#][^\s\\'"`$&|;<>()*?{]*)(?=[\s;|&)]|$)
    |(?P<quoted>'[^']*'|"[^"\\$`]*")(?=[\s;|&)]|$)
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


def commands_of(text: str) -> list[Command]:
    """Return the simple commands of *text*; never raises, whatever the text."""
    return _Reader(text).commands()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[Command] = []
        self._now = Command()
        self._direction = ""  # The redirection whose target comes next.
        self._waiting: list[tuple[Command, str, bool]] = []  # Here-documents that begin behind the line.

    def commands(self) -> list[Command]:
        text, size, position = self._text, len(self._text), 0
        match_token, left = _TOKEN.match, MOST_TOKENS
        while position < size:
            left -= 1
            if left < 0:
                self._now.cut = True
                self._found.append(self._now)
                return self._found
            token = match_token(text, position)
            kind = token.lastgroup if token is not None else None
            if token is None or kind is None:
                word, position = self._word(position)
                self._add(word)
                continue
            position = token.end()
            if kind == "space" or kind == "comment":
                continue
            if kind == "word":
                self._add(token.group())
            elif kind == "quoted":
                self._add(token.group()[1:-1])
            elif kind == "direct":
                self._direction = token.group()
            else:
                self._finish(token.group() in ("|", "|&"))
                if kind == "line" and self._waiting:
                    position = self._bodies(position)
        self._finish(False)
        return self._found

    def _finish(self, into_pipe: bool) -> None:
        now = self._now
        self._direction = ""
        if now.words or now.writes or now.source is not None:
            self._found.append(now)
            self._now = Command(piped=into_pipe)
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

    def _word(self, position: int) -> tuple[Word, int]:
        """Return the word made of several pieces at *position*, and where it ends; takes at least one character."""
        text, parts, known = self._text, [], True
        start = position
        while (piece := _PIECE.match(text, position)) is not None:
            kind, position = piece.lastgroup, piece.end()
            if kind == "plain" or kind == "braces":
                parts.append(piece.group())
            elif kind == "single":
                parts.append(piece.group()[1:].removesuffix("'"))
            elif kind == "escape":
                parts.append(piece.group()[1:].lstrip("\r\n"))
            elif kind == "double":
                end, opened = _closing(text, position, '"')
                if opened:
                    known = False
                else:
                    parts.append(_ESCAPED.sub(r"\1", text[position : end - 1]))
                position = end
            elif kind == "inner":
                known = False
                position, _ = _closing(text, position, ")")
            elif kind == "back":
                known = False
                position, _ = _closing(text, position, "`")
            else:
                known = False
        if position == start:
            return None, start + 1
        return ("".join(parts) if known else None), position


def _body_end(text: str, position: int, mark: str, indented: bool) -> tuple[int, int]:
    """Return where the here-document that begins at *position* ends, and where the text behind it begins."""
    end = re.compile(rf"^\t*{re.escape(mark)}\r?$" if indented else rf"^{re.escape(mark)}\r?$", re.MULTILINE)
    found = end.search(text, position)
    return (len(text), len(text)) if found is None else found.span()


def _closing(text: str, position: int, closer: str) -> tuple[int, bool]:
    """Return the position behind the *closer* of what was opened, and whether an expansion stands in it.

    An opening without its end runs to the end of the text.
    """
    stack, opened = [closer], False
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
            opened = True
            if text.startswith("(", position):
                stack.append(")")
                position += 1
        elif sign == "`" or sign == '"':
            opened = opened or sign == "`"
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
    return position, opened

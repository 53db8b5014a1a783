"""The tokens of a small JavaScript program, as far as they are needed to find the literals in it.

==================  =====================================================================================
TokenKind           name, text, template pieces, number, sign
Token               one token
ProgramTokens       all tokens of a program, each bracket with the one that closes it
ProgramError        the program cannot be understood
==================  =====================================================================================

Nothing is run. The time is linear in the length of the program.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

__all__ = ["ProgramError", "ProgramTokens", "Token", "TokenKind"]

MOST_TOKENS = 1 << 17
"""No program that a model writes for one call has more; a longer one is not looked at, which bounds the memory."""

_SPACE = re.compile(r"(?:\s+|//[^\n]*)+")
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER = re.compile(r"(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)n?", re.ASCII)
_TEXT = {quote: re.compile(rf"{quote}([^{quote}\\\n]*(?:\\[\s\S][^{quote}\\\n]*)*){quote}") for quote in "\"'"}
_TEMPLATE = re.compile(r"([^`\\$]*(?:(?:\\[\s\S]|\$(?!\{))[^`\\$]*)*)(`|\$\{)")
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_SIGN = re.compile(r"=>|===?|\?\.|\.\.\.|\+\+|\+=|--|[\s\S]")

_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"} | dict.fromkeys(
    ("\n", "\r\n", "\r", "\u2028", "\u2029"), ""
)
_SURROGATE = re.compile("[\ud800-\udfff]")

_CLOSING = {"(": ")", "[": "]", "{": "}"}

_BEFORE_PATTERN = frozenset(
    {"await", "case", "delete", "else", "in", "of", "return", "throw", "typeof", "void", "yield"}
)
"""Names behind which a slash begins a pattern; behind any other it divides."""


class ProgramError(ValueError):
    """A program cannot be understood."""


class TokenKind(Enum):
    """Kinds of tokens; a template with substitutions is a head, middles and a tail around their tokens."""

    NAME = 1
    TEXT = 2
    NUMBER = 3
    SIGN = 4
    PATTERN = 5
    TEMPLATE_HEAD = 6
    TEMPLATE_MIDDLE = 7
    TEMPLATE_TAIL = 8
    END = 9


class Token(NamedTuple):
    """One token: its text, for texts and templates what they stand for; ``fresh`` if it begins a line."""

    kind: TokenKind
    text: str
    fresh: bool = False


class ProgramTokens:
    """The tokens of a program and, for every bracket and template head, the index of the token that closes it.

    Raises ProgramError for brackets that do not match, for a text without an end and for too many tokens. The last
    token is of kind END.
    """

    def __init__(self, program: str) -> None:
        self.tokens: list[Token] = []
        self.closing: dict[int, int] = {}
        self._program = program
        self._position = 0
        self._open: list[tuple[str, int, bool]] = []  # What closes it, its index, and whether a template is raw.
        self._read()

    def _read(self) -> None:
        fresh = False
        while True:
            fresh |= self._skip_space()
            if self._position >= len(self._program):
                break
            if len(self.tokens) >= MOST_TOKENS:
                raise ProgramError("too many tokens")
            self._token(fresh)
            fresh = False
        if self._open:
            raise ProgramError("a bracket is not closed")
        self._add(TokenKind.END, "", True)

    def _skip_space(self) -> bool:
        """Pass over white space and comments; return whether a line ended there."""
        start = self._position
        while True:
            space = _SPACE.match(self._program, self._position)
            if space:
                self._position = space.end()
            if not self._program.startswith("/*", self._position):
                return self._program.find("\n", start, self._position) >= 0
            end = self._program.find("*/", self._position + 2)
            if end < 0:
                raise ProgramError("a comment is not closed")
            self._position = end + 2

    def _token(self, fresh: bool) -> None:
        first = self._program[self._position]
        if first in _TEXT:
            quoted = self._match(_TEXT[first])
            self._add(TokenKind.TEXT, _unescaped(quoted[1]), fresh)
        elif first == "`":
            self._position += 1
            self._template(fresh, self._is_raw())
        elif first == "}" and self._open and self._open[-1][0] == "`":
            self._position += 1
            _, head, raw = self._open.pop()
            self._template(fresh, raw, head)
        elif first == "/" and self._may_be_pattern():
            self._add(TokenKind.PATTERN, self._match(_PATTERN)[0], fresh)
        elif name := _NAME.match(self._program, self._position):
            self._position = name.end()
            self._add(TokenKind.NAME, name[0], fresh)
        elif number := _NUMBER.match(self._program, self._position):
            self._position = number.end()
            self._add(TokenKind.NUMBER, number[0], fresh)
        else:
            self._sign(fresh)

    def _sign(self, fresh: bool) -> None:
        sign = self._match(_SIGN)[0]
        if sign in _CLOSING:
            self._open.append((_CLOSING[sign], len(self.tokens), False))
        elif sign in (")", "]", "}"):
            if not self._open or self._open[-1][0] != sign:
                raise ProgramError("a bracket is not open")
            self.closing[self._open.pop()[1]] = len(self.tokens)
        self._add(TokenKind.SIGN, sign, fresh)

    def _template(self, fresh: bool, raw: bool, head: int | None = None) -> None:
        """Read a piece of a template up to a substitution or its end; *head* is its first piece, None if this is it."""
        piece = self._match(_TEMPLATE)
        text = piece[1] if raw else _unescaped(piece[1])
        if piece[2] == "`":
            if head is not None:
                self.closing[head] = len(self.tokens)
            self._add(TokenKind.TEXT if head is None else TokenKind.TEMPLATE_TAIL, text, fresh)
            return
        self._open.append(("`", len(self.tokens) if head is None else head, raw))
        self._add(TokenKind.TEMPLATE_HEAD if head is None else TokenKind.TEMPLATE_MIDDLE, text, fresh)

    def _is_raw(self) -> bool:
        """Return whether ``String.raw`` stands here, and drop it: the token behind it is the text."""
        texts = [token.text for token in self.tokens[-3:] if token.kind in (TokenKind.NAME, TokenKind.SIGN)]
        if texts != ["String", ".", "raw"]:
            return False
        del self.tokens[-3:]
        return True

    def _may_be_pattern(self) -> bool:
        if not self.tokens:
            return True
        before = self.tokens[-1]
        if before.kind is TokenKind.NAME:
            return before.text in _BEFORE_PATTERN
        if before.kind is TokenKind.SIGN:
            return before.text not in (")", "]", "}")
        return before.kind in (TokenKind.TEMPLATE_HEAD, TokenKind.TEMPLATE_MIDDLE)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._program, self._position)
        if found is None:
            raise ProgramError("a text is not closed")
        self._position = found.end()
        return found

    def _add(self, kind: TokenKind, text: str, fresh: bool) -> None:
        self.tokens.append(Token(kind, text, fresh))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(_escaped, text)
    if _SURROGATE.search(text):
        # Two escapes may make one character; a lone half could not be written down.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _escaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code:
        return chr(min(int(code, 16), 0x10FFFF))
    return _ESCAPED.get(escape[4], escape[4])

"""The tool calls inside the small JavaScript programs that newer releases of Codex write for their ``exec`` tool.

============  =====================================================================
inner_calls   tool and arguments of every ``tools.NAME(...)`` in a program
============  =====================================================================

A program is read, never run. What counts as a literal: texts, templates, numbers, ``true``, ``false``, ``null``, arrays
and objects of literals, texts joined by ``+`` or ``[...].join(text)``, and names that ``const`` gives a literal once.
A call that a loop or a function of the program's own makes many times counts once, with what of it is literal.
"""

from __future__ import annotations

import math
from typing import Any

from clawvm_transcripts.program_tokens import ProgramError, ProgramTokens, Token, TokenKind

__all__ = ["inner_calls"]

TOOLS = "tools"

DEEPEST = 60
"""Levels of nested literals that are read."""

LONGEST_NUMBER = 300
"""Digits of a number that is read."""

GROWTH = 16
"""How often its own length the literals of a program may take in all, as constants may be used again and again."""

_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


class _NoLiteral(Exception):
    """What stands here is no literal."""


def inner_calls(program: str) -> tuple[tuple[str, Any], ...]:
    """Return (tool, arguments) of every call of a tool in *program*, in the order in which they are written.

    Arguments are plain JSON data: properties that are no literals are left out, and an argument that is none, or a
    missing one, is {}. A program that cannot be understood gives (). Takes time linear in the length of the program.
    """
    if TOOLS not in program:
        return ()
    try:
        return tuple(_Program(program).calls())
    except ProgramError:
        return ()


class _Program:
    def __init__(self, program: str) -> None:
        read = ProgramTokens(program)
        self._tokens = read.tokens
        self._closing = read.closing
        self._constants: dict[str, tuple[Any, int] | None] = {}  # Value and size; None for a name declared twice.
        self._size = 0  # Characters and values in all literals so far.
        self._largest = GROWTH * len(program) + 1000

    def calls(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for position, token in enumerate(self._tokens):
            if token.kind is TokenKind.SIGN and token.text == "=>":
                self._forget_parameters(position - 1)
            if token.kind is not TokenKind.NAME:
                continue
            if token.text == "const":
                self._declare(position + 1)
            elif token.text == TOOLS and not (position and self._is_sign(position - 1, ".")):
                name, start = self._called(position + 1)
                if name:
                    found.append((name, self._argument(start)))
        return found

    def _called(self, position: int) -> tuple[str, int]:
        """Return the tool that is called behind ``tools``, and where its argument begins; "" for no call."""
        name = ""
        if self._is_sign(position, ".", "?.") and self._tokens[position + 1].kind is TokenKind.NAME:
            name, position = self._tokens[position + 1].text, position + 2
        elif self._is_sign(position, "[") and self._closing[position] == position + 2:
            text = self._tokens[position + 1]
            name, position = text.text if text.kind is TokenKind.TEXT else "", position + 3
        if self._is_sign(position, "?."):
            position += 1
        return (name, position + 1) if self._is_sign(position, "(") else ("", position)

    def _argument(self, position: int) -> Any:
        try:
            return self._item(position, 0)[0]
        except _NoLiteral:
            return {}

    def _declare(self, position: int) -> None:
        """Remember the constants declared at *position*, those that are literals and the only ones of their names."""
        while self._tokens[position].kind is TokenKind.NAME:
            name = self._tokens[position].text
            known, self._constants[name] = name in self._constants, None
            if known or not self._is_sign(position + 1, "="):
                return
            before = self._size
            try:
                value, end = self._literal(position + 2, 0)
            except _NoLiteral:
                return
            token = self._tokens[end]
            if not self._is_sign(end, ",", ";", ")", "]", "}") and not (
                token.fresh and token.kind in (TokenKind.NAME, TokenKind.END)
            ):
                return
            self._constants[name] = value, self._size - before
            if not self._is_sign(end, ","):
                return
            position = end + 1

    def _forget_parameters(self, position: int) -> None:
        """Forget constants that are hidden by the parameters of a function, the last of which ends at *position*."""
        # Up to the arrow before it at most, so that no token is looked at again and again.
        while position >= 0 and not self._is_sign(position, "(", "=>"):
            token = self._tokens[position]
            if token.kind is TokenKind.NAME:
                self._constants[token.text] = None
                if self._is_sign(position + 1, "=>"):
                    return
            position -= 1

    def _item(self, position: int, depth: int) -> tuple[Any, int]:
        """Return the literal that is all of an item of a list, and where the item ends; raises _NoLiteral."""
        value, end = self._literal(position, depth)
        if not self._is_sign(end, ",", ")", "]", "}"):
            raise _NoLiteral
        return value, end

    def _literal(self, position: int, depth: int) -> tuple[Any, int]:
        """Return the literal that begins at *position*, texts joined by ``+``, and where it ends; raises _NoLiteral."""
        value, position = self._unit(position, depth)
        if not self._is_sign(position, "+"):
            return value, position
        texts = [value]
        while self._is_sign(position, "+"):
            value, position = self._unit(position + 1, depth)
            texts.append(value)
        if not all(isinstance(text, str) for text in texts):
            raise _NoLiteral
        return "".join(texts), position

    def _unit(self, position: int, depth: int) -> tuple[Any, int]:
        token = self._tokens[position]
        if depth > DEEPEST:
            raise _NoLiteral
        self._grow(1)
        if token.kind is TokenKind.TEXT:
            self._grow(len(token.text))
            return token.text, position + 1
        if token.kind is TokenKind.TEMPLATE_HEAD:
            return self._template(position, depth)
        if token.kind is TokenKind.NUMBER:
            return _number(token.text), position + 1
        if token.kind is TokenKind.NAME:
            return self._name(token), position + 1
        if token.kind is not TokenKind.SIGN:
            raise _NoLiteral
        if token.text == "-" and self._tokens[position + 1].kind is TokenKind.NUMBER:
            return -_number(self._tokens[position + 1].text), position + 2
        if token.text == "(":
            value, end = self._literal(position + 1, depth + 1)
            if not self._is_sign(end, ")"):
                raise _NoLiteral
            return value, end + 1
        if token.text == "[":
            return self._array(position, depth)
        if token.text == "{":
            return self._object(position, depth)
        raise _NoLiteral

    def _name(self, token: Token) -> Any:
        if token.text in _WORDS:
            return _WORDS[token.text]
        constant = self._constants.get(token.text)
        if constant is None:
            raise _NoLiteral
        self._grow(constant[1])
        return constant[0]

    def _template(self, position: int, depth: int) -> tuple[str, int]:
        pieces = [self._tokens[position].text]
        while self._tokens[position].kind is not TokenKind.TEMPLATE_TAIL:
            value, position = self._literal(position + 1, depth + 1)
            if not isinstance(value, str) and (not isinstance(value, int) or isinstance(value, bool)):
                raise _NoLiteral
            if self._tokens[position].kind not in (TokenKind.TEMPLATE_MIDDLE, TokenKind.TEMPLATE_TAIL):
                raise _NoLiteral
            pieces += [str(value), self._tokens[position].text]
        text = "".join(pieces)
        self._grow(len(text))
        return text, position + 1

    def _array(self, position: int, depth: int) -> tuple[Any, int]:
        """Read an array, or the text that its elements are joined to; one element that is no literal spoils it."""
        end = self._closing[position]
        values: list[Any] = []
        position += 1
        while position < end:
            value, position = self._item(position, depth + 1)
            values.append(value)
            position += position < end
        if not (self._is_sign(end + 1, ".") and self._tokens[end + 2].text == "join" and self._is_sign(end + 3, "(")):
            return values, end + 1
        between, close = self._literal(end + 4, depth + 1)
        if not self._is_sign(close, ")") or not all(isinstance(text, str) for text in [between, *values]):
            raise _NoLiteral
        self._grow(len(between) * len(values))
        return between.join(values), close + 1

    def _object(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        """Read an object; a property that is no literal is left out."""
        end = self._closing[position]
        values: dict[str, Any] = {}
        position += 1
        while position < end:
            try:
                properties, position = self._property(position, depth + 1)
                values.update(properties)
            except _NoLiteral:
                position = self._separator(position)
            position += position < end
        return values, end + 1

    def _property(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        token = self._tokens[position]
        if self._is_sign(position, "..."):
            values, end = self._item(position + 1, depth)
            if not isinstance(values, dict):
                raise _NoLiteral
            return values, end
        if token.kind is TokenKind.NAME and self._is_sign(position + 1, ",", "}"):
            self._grow(1)
            return {token.text: self._name(token)}, position + 1
        if token.kind not in (TokenKind.NAME, TokenKind.TEXT, TokenKind.NUMBER) or not self._is_sign(position + 1, ":"):
            raise _NoLiteral
        value, end = self._item(position + 2, depth)
        return {token.text: value}, end

    def _separator(self, position: int) -> int:
        """Return where the item at *position* ends; what stands in brackets is jumped over."""
        while not self._is_sign(position, ",", ")", "]", "}"):
            position = self._closing.get(position, position) + 1
        return position

    def _is_sign(self, position: int, *signs: str) -> bool:
        token = self._tokens[min(position, len(self._tokens) - 1)]
        return token.kind is TokenKind.SIGN and token.text in signs

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._largest:
            raise ProgramError("constants are used too often")


def _number(text: str) -> int | float:
    digits = text.replace("_", "").removesuffix("n")
    if len(digits) > LONGEST_NUMBER:
        raise _NoLiteral
    if digits[1:2].lower() in ("x", "b", "o"):
        try:
            return int(digits, 0)
        except ValueError:
            raise _NoLiteral from None
    if digits.isdigit():
        return int(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise _NoLiteral
    return int(value) if value.is_integer() else value

"""Elements of large JSON documents, one by one: a session kept as one document needs no more memory than one in lines.

===============  ====================================================================================
Element          one element of a named top-level array, or the value of a named top-level key
DocumentEnd      a document is over; the next one may follow in the same file
DocumentBroken   a document that stops being JSON, with the line
ElementBroken    an element that is too large to be read, with the line
elements         all of these for a stream that holds one document, or several behind each other
===============  ====================================================================================

Only the outermost object is walked here; each element is decoded by the standard library as soon as all of it has
been read. What is not asked for is passed over without decoding it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from clawvm_transcripts.json_text import Damage, JsonText, Oversize

__all__ = ["TOP", "DocumentBroken", "DocumentEnd", "Element", "ElementBroken", "elements"]

TOP = ""
"""Stands for the array that is the document itself."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the array under ``key`` (``index`` from 0), or the value under ``key`` (``index`` -1)."""

    key: str
    index: int
    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class ElementBroken:
    """An element at ``line`` that is too long, too deep or too crowded to be read; the document goes on behind it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class DocumentEnd:
    """A document is over; it took ``lines`` lines."""

    lines: int


@dataclass(frozen=True, slots=True)
class DocumentBroken:
    """The document stops being JSON at ``line``; the rest of it is passed over, and a DocumentEnd follows."""

    line: int
    reason: str


def elements(
    stream: BinaryIO, arrays: Collection[str], values: Collection[str] = ()
) -> Iterator[Element | ElementBroken | DocumentEnd | DocumentBroken]:
    """Yield the elements of the top-level *arrays* and the top-level *values* of every document in *stream*, in order.

    An array that is no array is given as a value; ``TOP`` among the *arrays* takes a document that is itself an array.
    Memory is bounded by the largest element, and that by ``MAXIMUM_LINE``; what is not asked for takes none.
    """
    text = JsonText(stream)
    while text.skip_space():
        first = text.line
        try:
            yield from _document(text, arrays, values)
        except Damage as damage:
            yield DocumentBroken(text.line, str(damage))
            text.skip_document()
        yield DocumentEnd(max(1, text.line - first + (0 if text.line > first and text.at_line_start else 1)))


def _document(text: JsonText, arrays: Collection[str], values: Collection[str]) -> Iterator[Element | ElementBroken]:
    if text.peek() == "[" and TOP in arrays:
        yield from _array(text, TOP)
        return
    text.expect("{")
    if text.next_is("}"):
        return
    while True:
        key = _key(text)
        text.expect(":")
        text.skip_space()
        if key in arrays and text.peek() == "[":
            yield from _array(text, key)
        elif key in arrays or key in values:
            yield _element(text, key, -1)
        else:
            text.pass_over()
        if text.next_is("}"):
            return
        text.expect(",")


def _key(text: JsonText) -> str:
    try:
        key = text.decode()
    except Oversize as error:
        raise Damage(str(error)) from None
    if not isinstance(key, str):
        raise Damage("a key is no string")
    return key


def _array(text: JsonText, key: str) -> Iterator[Element | ElementBroken]:
    text.expect("[")
    if text.next_is("]"):
        return
    index = 0
    while True:
        yield _element(text, key, index)
        index += 1
        if text.next_is("]"):
            return
        text.expect(",")


def _element(text: JsonText, key: str, index: int) -> Element | ElementBroken:
    text.skip_space()
    line = text.line
    try:
        return Element(key, index, text.decode(), line)
    except Oversize as error:
        text.pass_over()
        return ElementBroken(line, str(error))

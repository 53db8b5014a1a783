"""Blocks: lines of a text that belong together and are kept or left out as a whole.

========  =======================================================================
Block     a heading, a list item with what continues it, a paragraph, fenced code
blocks    the blocks of a text, in its order
========  =======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from clawvm_runtime.line_kinds import heading_depth, is_list_item

__all__ = ["Block", "blocks"]


@dataclass(slots=True)
class Block:
    """Lines that belong together: a heading, a list item with what continues it, a paragraph, fenced code."""

    kind: str
    lines: list[str]


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of *text* in its order; blank lines outside fenced code belong to none."""
    block: Block | None = None
    fence = ""
    after_blank = False
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if fence and block is not None:
            block.lines.append(line)
            mark = line.strip()
            if mark.startswith(fence) and not mark.strip(fence[0]):
                fence = ""
                yield block
                block = None
            continue
        if not line.strip():
            after_blank = True
            continue
        fenced = _FENCE.match(line)
        kind = "code" if fenced else _line_kind(line)
        continues = block is not None and (
            block.kind in ("item", "paragraph", "code")
            if not after_blank
            else block.kind == "item" and line[0].isspace()
        )
        if kind == "paragraph" and continues and block is not None:
            block.lines.append(line)
        else:
            if block is not None:
                yield block
            block = Block(kind, [line])
            fence = fenced.group(1) if fenced else ""
        after_blank = False
    if block is not None:
        yield block


def _line_kind(line: str) -> str:
    if heading_depth(line):
        return "heading"
    return "item" if is_list_item(line) else "paragraph"


_FENCE = re.compile(r"\s*(`{3,}|~{3,})")

"""Zstandard frames without a dictionary (RFC 8878), for rows of databases: no standard library before 3.14 reads them.

=================  ===========================================================================
decompressed       the content of all frames
ZstandardError     data that is no Zstandard frame, damaged, or larger than allowed
=================  ===========================================================================

Numbers and tables are those of the RFC; the checksum behind a frame is not verified. ``entropy`` decodes the bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

from clawvm_transcripts.formats.entropy import (
    BackwardBits,
    HuffmanTable,
    StateTable,
    huffman_table,
    read_state_table,
    single_state_table,
    state_table,
)

__all__ = ["ZstandardError", "decompressed"]

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"
BLOCK = 128 << 10
"""The largest content of a block, in bytes."""

LITERAL_BITS = [0] * 16 + [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, *range(7, 17)]
MATCH_BITS = [0] * 32 + [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, *range(7, 17)]
LITERAL_BASES = list(accumulate((1 << bits for bits in LITERAL_BITS), initial=0))
MATCH_BASES = list(accumulate((1 << bits for bits in MATCH_BITS), initial=3))
"""Every code of a length stands for the lengths from its base on; its bits tell which of them."""

LITERAL_DEFAULT = state_table([4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6)
OFFSET_DEFAULT = state_table([1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5, 5)
MATCH_DEFAULT = state_table([1, 4, 3, *[2] * 6, *[1] * 37, *[-1] * 7], 6)

KINDS = ((LITERAL_DEFAULT, 9, 35), (OFFSET_DEFAULT, 8, 31), (MATCH_DEFAULT, 9, 52))
"""Of literal lengths, offsets and match lengths: the default table, the largest accuracy and the last code."""


class ZstandardError(ValueError):
    """Data that is no Zstandard frame, damaged, or larger than allowed."""


@dataclass(slots=True)
class _Frame:
    """What a block takes over from those before it."""

    huffman: HuffmanTable | None = None
    tables: list[StateTable | None] = field(default_factory=lambda: [None, None, None])
    offsets: list[int] = field(default_factory=lambda: [1, 4, 8])


def decompressed(data: bytes, limit: int) -> bytes:
    """Return the content of all frames in *data*; raises ZstandardError, also for more than *limit* bytes of content.

    Takes about half a second for a megabyte of content.
    """
    content = bytearray()
    position = 0
    try:
        while position < len(data):
            if data[position + 1 : position + 4] == SKIPPABLE and data[position] & 0xF0 == 0x50:
                position += 8 + _number(data, position + 4, 4)
            else:
                position = _frame(data, position, content, limit)
    except (IndexError, ValueError) as error:
        text = str(error) if isinstance(error, ZstandardError) else "the compressed data is damaged"
        raise ZstandardError(text) from None
    return bytes(content)


def _number(data: bytes, position: int, size: int) -> int:
    if position + size > len(data):
        raise ZstandardError("the compressed data is cut off")
    return int.from_bytes(data[position : position + size], "little")


def _frame(data: bytes, position: int, content: bytearray, limit: int) -> int:
    """Append the content of the frame at *position*; return where it ends."""
    if data[position : position + 4] != MAGIC:
        raise ZstandardError("this is no Zstandard data")
    descriptor = data[position + 4]
    single = descriptor >> 5 & 1
    position += 5 + (0 if single else 1)
    if descriptor & 0b11:
        raise ZstandardError("the data was compressed with a dictionary")
    position += (single, 2, 4, 8)[descriptor >> 6]
    frame, start, last = _Frame(), len(content), 0
    while not last:
        header = _number(data, position, 3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        position += 3
        taken = 1 if kind == 1 else size
        block = data[position : position + taken]
        if len(block) < taken or size > BLOCK or kind == 3:
            raise ZstandardError("the compressed data is damaged or cut off")
        if kind == 2:
            _block(block, frame, content, start)
        else:
            content += block * size if kind == 1 else block
        if len(content) > limit:
            raise ZstandardError(f"the content is longer than {limit} bytes")
        position += taken
    return position + (4 if descriptor >> 2 & 1 else 0)


def _block(block: bytes, frame: _Frame, content: bytearray, start: int) -> None:
    literals, position = _literals(block, frame)
    count = block[position]
    position += 1
    if count == 255:
        count = _number(block, position, 2) + 0x7F00
        position += 2
    elif count >= 128:
        count = (count - 128 << 8) + block[position]
        position += 1
    if count == 0:
        content += literals
        return
    modes = block[position]
    position += 1
    tables: list[StateTable] = []
    for index, (default, accuracy, last) in enumerate(KINDS):
        mode = modes >> 6 - 2 * index & 3
        table: StateTable | None = default
        if mode == 1:
            table = single_state_table(block[position])
            position += 1
        elif mode == 2:
            table, position = read_state_table(block, position, accuracy)
        elif mode == 3:
            table = frame.tables[index]
        if table is None or max(table.symbols) > last:
            raise ZstandardError("the compressed data is damaged")
        frame.tables[index] = table
        tables.append(table)
    _sequences(BackwardBits(block, position, len(block)), count, tables, literals, frame.offsets, content, start)


def _literals(block: bytes, frame: _Frame) -> tuple[bytes, int]:
    """Return the literals of a block, and where they end in it."""
    kind, form = block[0] & 3, block[0] >> 2 & 3
    if kind < 2:
        header, shift = ((1, 3), (2, 4), (1, 3), (3, 4))[form]
        size = _number(block, 0, header) >> shift
        if size > BLOCK:
            raise ZstandardError("the compressed data is damaged")
        if kind == 1:
            return block[header : header + 1] * size, header + 1
        return block[header : header + size], header + size
    header, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
    sizes = _number(block, 0, header) >> 4
    size, end = sizes & (1 << bits) - 1, header + (sizes >> bits)
    if size > BLOCK or end > len(block):
        raise ZstandardError("the compressed data is damaged")
    position = header
    if kind == 2:
        frame.huffman, position = huffman_table(block, position)
    if frame.huffman is None:
        raise ZstandardError("the compressed data is damaged")
    if form == 0:
        return frame.huffman.decode(block, position, end, size), end
    first = position + 6
    ends = [*accumulate((_number(block, position + 2 * index, 2) for index in range(3)), initial=first), end]
    each = (size + 3) // 4
    parts = [
        frame.huffman.decode(block, ends[index], ends[index + 1], each if index < 3 else size - 3 * each)
        for index in range(4)
    ]
    return b"".join(parts), end


def _sequences(
    bits: BackwardBits,
    count: int,
    tables: list[StateTable],
    literals: bytes,
    offsets: list[int],
    content: bytearray,
    start: int,
) -> None:
    """Append literals and copies of what came before, as the sequences of a block say."""
    literal_table, offset_table, match_table = tables
    read = bits.read
    literal_state = read(literal_table.accuracy)
    offset_state = read(offset_table.accuracy)
    match_state = read(match_table.accuracy)
    used, begin = 0, len(content)
    for remaining in range(count - 1, -1, -1):
        code = offset_table.symbols[offset_state]
        value = (1 << code) + read(code)
        code = match_table.symbols[match_state]
        length = MATCH_BASES[code] + read(MATCH_BITS[code])
        code = literal_table.symbols[literal_state]
        fresh = LITERAL_BASES[code] + read(LITERAL_BITS[code])
        if remaining:
            literal_state = literal_table.bases[literal_state] + read(literal_table.bits[literal_state])
            match_state = match_table.bases[match_state] + read(match_table.bits[match_state])
            offset_state = offset_table.bases[offset_state] + read(offset_table.bits[offset_state])
        offset = _offset(value, fresh, offsets)
        content += literals[used : used + fresh]
        used += fresh
        if not 0 < offset <= len(content) - start or used > len(literals) or len(content) - begin + length > BLOCK:
            raise ZstandardError("the compressed data is damaged")
        source = len(content) - offset
        if offset >= length:
            content += content[source : source + length]
        else:
            content += (content[source:] * (length // offset + 1))[:length]
    if not bits.exhausted():
        raise ZstandardError("the compressed data is damaged")
    content += literals[used:]


def _offset(value: int, fresh: int, offsets: list[int]) -> int:
    """Return how far back a copy begins; the three newest distances are remembered in *offsets*."""
    if value > 3:
        offsets[:] = [value - 3, offsets[0], offsets[1]]
        return offsets[0]
    index = value - 1 + (fresh == 0)
    offset = offsets[0] - 1 if index == 3 else offsets[index]
    if index:
        offsets[:] = [offset, offsets[0], offsets[1] if index > 1 else offsets[2]]
    return offset

"""OpenClaw's database: ``~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite``, the same entries in rows.

Facts (openclaw 2026.9.6, docs/reference/database-schemas): the table ``transcript_events`` holds ``session_id``,
``seq`` and the entry in ``event_json``, the header first. From schema 23 on an entry of 1 KiB or more may stand in
``event_zstd`` instead, compressed with Zstandard. Sessions in cold storage are in files of their own, not read here.

Tables are found by what their rows hold, so a table of another name serves as well: one session per value of the
column that names the session, in the order in which their first rows were written; without such a column, one session
per table. A line is a row of the session. The file is opened as it is: what stands only in the write-ahead log beside a
running agent's database is not read.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, cast

from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart
from clawvm_transcripts.formats.pi import OPENCLAW, in_family
from clawvm_transcripts.reading import MAXIMUM_LINE, Format, Head, parsed

__all__ = ["OPENCLAW_DATABASE", "ZstandardError", "decompressed"]


# --- The two codes of Zstandard (RFC 8878, section 4): finite state entropy and Huffman.

REFILL = 32
"""Bytes of a bit stream that are taken up at once."""

DESCRIPTION = 512
"""More bytes than the description of a table takes."""

HUFFMAN_BITS = 11
"""The longest Huffman code."""


class BackwardBits:
    """The bits of ``data[start:end]`` from the last to the first; the highest 1 is the mark where they begin."""

    __slots__ = ("_bits", "_data", "_held", "_position", "_start")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        if start >= end or end > len(data) or data[end - 1] == 0:
            raise ValueError("a stream of bits without its mark")
        self._data = data
        self._start = start
        self._position = end - 1
        self._bits = data[end - 1].bit_length() - 1
        self._held = data[end - 1] & (1 << self._bits) - 1

    def read(self, count: int) -> int:
        """Return the next *count* bits as a number; behind the end there are zeros."""
        if self._bits < count:
            self._refill()
        self._bits -= count
        if self._bits < 0:
            value = self._held << -self._bits
            self._held = 0
            return value
        value = self._held >> self._bits
        self._held &= (1 << self._bits) - 1
        return value

    def exhausted(self) -> bool:
        """Return whether all bits were read and no more."""
        return self._bits == 0 and self._position == self._start

    def overrun(self) -> bool:
        """Return whether more bits were read than there are."""
        return self._bits < 0

    def _refill(self) -> None:
        if self._bits < 0:
            return
        begin = max(self._start, self._position - REFILL)
        size = self._position - begin
        self._held = self._held << 8 * size | int.from_bytes(self._data[begin : self._position], "little")
        self._bits += 8 * size
        self._position = begin


@dataclass(frozen=True, slots=True)
class StateTable:
    """For every state: its symbol, and the base and number of bits that give the next state."""

    accuracy: int
    symbols: list[int]
    bits: list[int]
    bases: list[int]


def state_table(shares: list[int], accuracy: int) -> StateTable:
    """Return the table in which each symbol has its share of the states; -1 is a share below one state."""
    size = 1 << accuracy
    symbols = [0] * size
    high = size
    for symbol, share in enumerate(shares):
        if share == -1:
            high -= 1
            symbols[high] = symbol
    step, position = (size >> 1) + (size >> 3) + 3, 0
    for symbol, share in enumerate(shares):
        for _ in range(max(share, 0)):
            symbols[position] = symbol
            position = position + step & size - 1
            while position >= high:
                position = position + step & size - 1
    following = [1 if share == -1 else share for share in shares]
    bits, bases = [], []
    for symbol in symbols:
        number = following[symbol]
        following[symbol] += 1
        bits.append(accuracy - number.bit_length() + 1)
        bases.append((number << bits[-1]) - size)
    return StateTable(accuracy, symbols, bits, bases)


def single_state_table(symbol: int) -> StateTable:
    """Return the table of one symbol that takes no bits."""
    return StateTable(0, [symbol], [0], [0])


def read_state_table(data: bytes, position: int, largest: int) -> tuple[StateTable, int]:
    """Return the table described at *position* and where the description ends; *largest* is the accuracy allowed."""
    description = int.from_bytes(data[position : position + DESCRIPTION], "little")
    accuracy = (description & 15) + 5
    if accuracy > largest:
        raise ValueError("a table of too many states")
    used, left = 4, 1 << accuracy
    shares: list[int] = []
    while left > 0:
        width = (left + 1).bit_length()
        value = description >> used & (1 << width) - 1
        low = value & (1 << width - 1) - 1
        spare = (1 << width) - 2 - left
        used += width
        if low < spare:
            value = low
            used -= 1
        elif value >= 1 << width - 1:
            value -= spare
        share = value - 1
        left -= abs(share)
        shares.append(share)
        repeat = 3 if share == 0 else 0
        while repeat == 3:
            repeat = description >> used & 3
            used += 2
            shares.extend([0] * repeat)
        if len(shares) > 256:
            raise ValueError("a table of too many symbols")
    end = position + (used + 7) // 8
    if left < 0 or end > len(data):
        raise ValueError("a table that is cut off")
    return state_table(shares, accuracy), end


@dataclass(frozen=True, slots=True)
class HuffmanTable:
    """For every sequence of ``width`` bits: the symbol that it begins with, and the bits of that symbol."""

    width: int
    symbols: bytes
    lengths: bytes

    def decode(self, data: bytes, start: int, end: int, size: int) -> bytes:
        """Return the *size* symbols in the stream of bits ``data[start:end]``."""
        if start >= end or end > len(data) or data[end - 1] == 0 or size < 0:
            raise ValueError("a stream of bits without its mark")
        symbols, lengths, width = self.symbols, self.lengths, self.width
        bits = data[end - 1].bit_length() - 1
        held = data[end - 1] & (1 << bits) - 1
        position = end - 1
        padding = 0
        mask = (1 << width) - 1
        content = bytearray(size)
        for index in range(size):
            if bits < width:
                begin = max(start, position - REFILL)
                count = position - begin
                held = (held & (1 << bits) - 1) << 8 * count | int.from_bytes(data[begin:position], "little")
                bits += 8 * count
                position = begin
                if bits < width:
                    # Zeros behind the end let the last symbols be looked up like all others.
                    held <<= width
                    bits += width
                    padding += width
            looked_up = held >> bits - width & mask
            content[index] = symbols[looked_up]
            bits -= lengths[looked_up]
        if bits != padding or position != start:
            raise ValueError("a stream of bits of another length")
        return bytes(content)


def huffman_table(data: bytes, position: int) -> tuple[HuffmanTable, int]:
    """Return the table described at *position* and where the description ends."""
    size = data[position]
    position += 1
    if size < 128:
        end = position + size
        weights = _coded_weights(data, position, end)
    else:
        count = size - 127
        end = position + (count + 1) // 2
        weights = [data[position + index // 2] >> (4 if index % 2 == 0 else 0) & 15 for index in range(count)]
    total = sum(1 << weight - 1 for weight in weights if weight)
    width = total.bit_length()
    left = (1 << width) - total
    if total == 0 or width > HUFFMAN_BITS or left & left - 1:
        raise ValueError("weights that give no code")
    # The last weight is not written down: it fills the code.
    weights.append(left.bit_length())
    symbols, lengths = bytearray(), bytearray()
    for weight in range(1, width + 1):
        for symbol, own in enumerate(weights):
            if own == weight:
                symbols += bytes([symbol]) * (1 << weight - 1)
                lengths += bytes([width + 1 - weight]) * (1 << weight - 1)
    if len(symbols) != 1 << width:
        raise ValueError("weights that give no code")
    return HuffmanTable(width, bytes(symbols), bytes(lengths)), end


def _coded_weights(data: bytes, position: int, end: int) -> list[int]:
    if end > len(data):
        raise ValueError("weights that are cut off")
    table, position = read_state_table(data, position, 6)
    bits = BackwardBits(data, position, end)
    states = [bits.read(table.accuracy), bits.read(table.accuracy)]
    weights: list[int] = []
    while len(weights) < 255:
        for turn in (0, 1):
            state = states[turn]
            weights.append(table.symbols[state])
            states[turn] = table.bases[state] + bits.read(table.bits[state])
            if bits.overrun():
                weights.append(table.symbols[states[1 - turn]])
                return weights
    raise ValueError("too many weights")


# --- Zstandard frames without a dictionary (RFC 8878), for rows of databases: no standard library before 3.14 reads them.

ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"
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
    if data[position : position + 4] != ZSTANDARD_MAGIC:
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


# --- OpenClaw's database: ``~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite``, the same entries in rows.

MAGIC = b"SQLite format 3\0"

SAMPLE = 64
"""Rows of a column that are looked at to find the entries."""

SEQUENCE_NAMES = frozenset({"event_seq", "position", "seq", "sequence"})
"""Names of a column that gives the order of a session's rows; else the order of writing counts."""

DATABASE_ERRORS = (sqlite3.Error, ValueError, MemoryError)
"""What a damaged database may raise: names and messages that are no text give a ValueError, absurd sizes the last."""

COMPRESSED = "event_zstd"
"""The column of compressed entries."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Where entries are: names in quotes, as they stand in a query; ``session`` is "NULL" where no column names it."""

    name: str
    entry: str
    compressed: str
    session: str
    sequence: str


def _recognizes(head: Head) -> bool:
    return head.start.startswith(MAGIC)


def _read(stream: BinaryIO) -> Iterator[Event]:
    location = Path(stream.name).absolute().as_uri() + "?mode=ro&immutable=1"
    told, damaged = False, ""
    try:
        with closing(sqlite3.connect(location, uri=True)) as database:
            # Damaged text is met by the reader of lines, in the same way as in files.
            database.text_factory = bytes
            for table in _tables(database):
                for session in _sessions(database, table):
                    told = True
                    yield from _session(database, table, session)
    except DATABASE_ERRORS:
        damaged = "the database is damaged"
    if damaged or not told:
        yield SessionStart()
        yield Broken(0, damaged or "the database holds no rows of a session")
        yield SessionEnd(0)


def _tables(database: sqlite3.Connection) -> list[_Table]:
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [table for name in names for table in _table(database, _quoted(name))]


def _table(database: sqlite3.Connection, name: str) -> list[_Table]:
    """Return the table if its rows hold entries."""
    try:
        columns = [row[1].decode("utf-8", "replace") for row in database.execute(f"PRAGMA table_info({name})")]
        entry = next((column for column in columns if _holds_entries(database, name, _quoted(column))), None)
    except DATABASE_ERRORS:
        return []  # A table of an extension that is not here, or one without row ids.
    if entry is None:
        return []
    session = next((column for column in columns if "session" in column.lower()), None)
    sequence = next((column for column in columns if column.lower() in SEQUENCE_NAMES), None)
    return [
        _Table(
            name,
            _quoted(entry),
            _quoted(COMPRESSED) if COMPRESSED in columns else "NULL",
            "NULL" if session is None else _quoted(session),
            "rowid" if sequence is None else _quoted(sequence),
        )
    ]


def _holds_entries(database: sqlite3.Connection, table: str, column: str) -> bool:
    query = f"SELECT rowid, {_bounded(column)} FROM {table} WHERE typeof({column}) = 'text' LIMIT {SAMPLE}"
    for _, content in database.execute(query):
        records = parsed((content or b"").decode("utf-8", "replace"))
        if in_family(Head(b"", tuple(record for record in records if isinstance(record, dict)))):
            return True
    return False


def _sessions(database: sqlite3.Connection, table: _Table) -> list[object]:
    query = f"SELECT {table.session} AS session FROM {table.name} GROUP BY session ORDER BY MIN(rowid)"
    return [row[0] for row in database.execute(query)]


def _session(database: sqlite3.Connection, table: _Table, session: object) -> Iterator[Event]:
    query = (
        f"SELECT {_bounded(table.entry)}, {table.compressed} FROM {table.name}"
        f" WHERE {table.session} IS ? ORDER BY {table.sequence}, rowid"
    )
    name = session.decode("utf-8", "replace") if isinstance(session, bytes) else session
    rows = _Rows(database.execute(query, (name,)))
    for event in OPENCLAW.read(cast(BinaryIO, io.BufferedReader(rows))):
        if not isinstance(event, SessionStart):
            yield from rows.broken
            rows.broken.clear()
        yield event


class _Rows(io.RawIOBase):
    """The rows of one session as a stream with a row in each line; what is wrong with a row waits in ``broken``."""

    def __init__(self, rows: sqlite3.Cursor) -> None:
        self._rows = rows
        self._number = 0
        self._line = memoryview(b"")
        self.broken: list[Broken] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._line:
            self._line = memoryview(self._next())
        size = min(len(view), len(self._line))
        view[:size] = self._line[:size]
        self._line = self._line[size:]
        return size

    def _next(self) -> bytes:
        """Return the next row as a line, an empty one for a row that cannot be read, nothing behind the last row."""
        self._number += 1
        try:
            row = self._rows.fetchone()
            if row is None:
                return b""
            content = row[0]
            if content is None:
                content = decompressed(row[1], MAXIMUM_LINE) if isinstance(row[1], bytes) else None
        except ZstandardError as error:
            self.broken.append(Broken(self._number, f"a compressed row: {error}"))
            return b"\n"
        except DATABASE_ERRORS:
            self.broken.append(Broken(self._number, "the database is damaged from this row on"))
            return b""
        if content is None:
            self.broken.append(Broken(self._number, f"a row without text, or longer than {MAXIMUM_LINE} characters"))
            return b"\n"
        # Line ends in JSON stand only between its parts.
        return bytes(content).replace(b"\n", b" ") + b"\n"


def _bounded(column: str) -> str:
    return f"CASE WHEN typeof({column}) = 'text' AND length({column}) <= {MAXIMUM_LINE} THEN {column} END"


def _quoted(name: str | bytes) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return '"' + text.replace('"', '""') + '"'


OPENCLAW_DATABASE = Format("openclaw-database", "OpenClaw database", _recognizes, _read, needs_path=True)

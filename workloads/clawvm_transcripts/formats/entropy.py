"""The two codes of Zstandard (RFC 8878, section 4): finite state entropy and Huffman.

=====================  =================================================================
BackwardBits           a stream of bits that is read from its end
StateTable             a decoding table of finite state entropy
state_table            the table of given shares of the symbols
single_state_table     the table of one symbol that takes no bits
read_state_table       the table that is described in a block
HuffmanTable           a decoding table of a Huffman code
huffman_table          the table that is described in a block
=====================  =================================================================

Every function raises IndexError or ValueError for data that is damaged.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BackwardBits",
    "HuffmanTable",
    "StateTable",
    "huffman_table",
    "read_state_table",
    "single_state_table",
    "state_table",
]

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

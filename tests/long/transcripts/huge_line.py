"""Reads fixtures with a line of 120 MB; prints the peak of memory in bytes, then what went wrong.

A process of its own, so that the peak is that of the readers alone. The bytes are made while they are read. Databases
are not among them: making one with such a row takes the memory that is measured here.
"""

import io
import itertools
import json
import resource
import sys

from clawvm_transcripts.detection import FORMATS, HEAD, head_of
from clawvm_transcripts.events import Broken, SessionEnd, SessionStart
from tests.transcripts.mutations import documents_in
from tests.transcripts.recordings import content_of, fixtures_of, frame_errors

PIECE = b"kettle " * 10_000
TIMES = 120_000_000 // len(PIECE)

ONE_DOCUMENT = ("mini-swe-agent", "swe-agent")
"""Formats whose file is one document, which is refused as a whole."""

HOLE = "\x00hole\x00"

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class Pieces(io.RawIOBase):
    """A stream of *before*, 120 MB, and *after*; counts what was read."""

    def __init__(self, before, after):
        self._pieces = itertools.chain([before], itertools.repeat(PIECE, TIMES), [after])
        self._piece = b""
        self.read_bytes = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._piece:
            self._piece = next(self._pieces, b"")
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        self.read_bytes += size
        return size


def parts(content):
    """Return the bytes around the middle of a huge record, and those around the end of a huge first record."""
    filler = {"type": "filler", "role": "filler", "filler": HOLE}
    documents = documents_in(content)
    if any("type" in document for document in documents):
        middle = [documents[0], filler, *documents[1:]]
    else:
        array = next(key for key, value in documents[0].items() if isinstance(value, list) and len(value) > 1)
        elements = documents[0][array]
        middle = [{**documents[0], array: [elements[0], filler, *elements[1:]]}, *documents[1:]]
    first = [{**documents[0], "filler": HOLE}, *documents[1:]]
    return [
        b"".join(json.dumps(item).encode() + b"\n" for item in items).split(json.dumps(HOLE)[1:-1].encode())
        for items in (middle, first)
    ]


def failures(file_format, path):
    middle, first = parts(content_of(path))
    events = list(file_format.read(io.BufferedReader(Pieces(*middle), 1 << 20)))
    yield frame_errors(events)
    if not any(isinstance(event, Broken) and "longer" in event.reason for event in events):
        yield "the huge line was not reported"
    others = sum(not isinstance(event, (Broken, SessionStart, SessionEnd)) for event in events)
    if others < 2 and file_format.id not in ONE_DOCUMENT:
        yield "nothing else was read"
    pieces = Pieces(*first)
    head = head_of(io.BufferedReader(pieces, 1 << 16))
    if pieces.read_bytes > HEAD + (1 << 16):
        yield f"detection read {pieces.read_bytes} bytes"
    # A format may need what is behind the first line.
    recognized = [item.id for item in FORMATS if item.recognizes(head)]
    if len(recognized) > 1:
        yield f"by the beginning of a huge first line it is {recognized}"


def main():
    found = []
    for file_format in FORMATS:
        if (paths := fixtures_of(file_format)) and not file_format.needs_path:
            path = max(paths, key=lambda item: item.stat().st_size)
            found += [f"{file_format.id}/{path.name}: {text}" for text in failures(file_format, path) if text]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT)
    for text in found:
        print(text)


if __name__ == "__main__":
    main()

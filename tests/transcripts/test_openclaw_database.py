"""OpenClaw's database: the rows of each session are read as its lines would be."""

from __future__ import annotations

import gzip
import json
import random
import resource
import sqlite3
import sys
import types
import unittest
import zlib
from contextlib import closing
from typing import Any
from unittest.mock import patch

from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.events import Broken, Event, Prompt, SessionEnd, SessionStart, Skipped
from clawvm_transcripts.formats import pi
from clawvm_transcripts.formats.pi import OPENCLAW_DATABASE
from clawvm_transcripts.reading import MAXIMUM_LINE, Source
from tests.support import not_checked, temporary_folder

TABLE = """
CREATE TABLE transcript_events (
  session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL,
  event_zstd BLOB, PRIMARY KEY (session_id, seq)
)
"""
NOTHING = [SessionStart(), Broken(0, "the database holds no rows of a session"), SessionEnd(0)]


def header(session: str) -> dict[str, Any]:
    return {"type": "session", "version": 3, "id": session, "timestamp": "2026-02-03T10:00:00.000Z", "cwd": "/toys"}


def prompt(words: str) -> dict[str, Any]:
    return {"type": "message", "timestamp": "2026-02-03T10:00:01.000Z", "message": {"role": "user", "content": words}}


def start(session: str) -> SessionStart:
    return SessionStart(session, "", "/toys", "2026-02-03T10:00:00.000Z")


def memory_peak() -> int:
    """Return the largest memory of this process so far in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class StandIn:
    """Decompresses zlib's format the way a library for Zstandard does."""

    def __init__(self, options: dict[int, int]) -> None:
        self._inner = zlib.decompressobj()
        assert options == {1: pi.WINDOW_BITS}

    def decompress(self, content: bytes, max_length: int) -> bytes:
        return self._inner.decompress(content, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof


class Database(unittest.TestCase):
    def setUp(self) -> None:
        self.path = temporary_folder(self) / "a folder of toys?.sqlite"

    def make(self, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            for statement in statements:
                database.execute(*([statement] if isinstance(statement, str) else statement))
            database.commit()

    def row(
        self, session: str, number: int, content: Any, compressed: bytes | None = None
    ) -> tuple[str, tuple[Any, ...]]:
        text = content if content is None or isinstance(content, str) else json.dumps(content)
        return "INSERT INTO transcript_events VALUES (?, ?, ?, 0, ?)", (session, number, text, compressed)

    def read(self) -> list[Event]:
        source = Source(self.path)
        found = detect(source)
        self.assertIs(found, OPENCLAW_DATABASE)
        return list(events_of(source, found))

    def test_each_session_is_read_in_the_order_of_its_rows(self) -> None:
        self.make(
            TABLE,
            self.row("zebra", 0, header("zebra")),
            self.row("ape", 2, prompt("behind")),
            self.row("zebra", 10, json.dumps(prompt("line ends"), indent=1)),
            self.row("ape", 0, header("ape")),
            self.row("ape", 1, prompt("before")),
            self.row("zebra", 9, prompt("é")),
        )
        self.assertEqual(
            self.read(),
            [
                *(start("zebra"), Prompt("é"), Prompt("line ends"), SessionEnd(3)),
                *(start("ape"), Prompt("before"), Prompt("behind"), SessionEnd(3)),
            ],
        )

    def test_a_compressed_database_file_is_read_too(self) -> None:
        self.make(TABLE, self.row("ape", 0, header("ape")))
        self.path.write_bytes(gzip.compress(self.path.read_bytes()))
        self.assertEqual(self.read(), [start("ape"), SessionEnd(1)])

    def compressed_rows(self, module: str, *frames: bytes) -> list[Event]:
        """Return the events behind the header with *module* in place of the library that decompresses."""
        self.make(
            TABLE,
            self.row("ape", 0, header("ape")),
            *(self.row("ape", number, None, frame) for number, frame in enumerate(frames, 1)),
        )
        with patch.object(pi, "ZSTANDARD_MODULES", ("no.such.module", module)):
            return self.read()[1:-1]

    def test_compressed_rows_are_read_by_the_library_that_is_there(self) -> None:
        entry = json.dumps(prompt("the kite and the wind")).encode()
        stand_in = types.ModuleType("stand_in_zstd")
        parameters = types.SimpleNamespace(window_log_max=1)
        stand_in.__dict__.update(ZstdDecompressor=StandIn, ZstdError=zlib.error, DecompressionParameter=parameters)
        damaged = Broken(3, "a compressed row that is damaged")
        long = Broken(4, f"a compressed row that is cut off, or longer than {MAXIMUM_LINE} bytes")
        with patch.dict(sys.modules, {"stand_in_zstd": stand_in}):
            read = self.compressed_rows(
                "stand_in_zstd", zlib.compress(entry), b"no frame", zlib.compress(bytes(MAXIMUM_LINE + 1), 1)
            )
        self.assertEqual(read, [Prompt("the kite and the wind"), damaged, long])

    def test_without_a_library_they_are_not_read_and_the_reason_says_what_to_install(self) -> None:
        (reported,) = self.compressed_rows("no.such.module.either", b"frame")
        assert isinstance(reported, Broken)
        self.assertEqual(reported.line, 2)
        self.assertIn("pip install backports.zstd", reported.reason)

    def test_the_real_library_reads_them_too_and_a_bomb_takes_little_memory(self) -> None:
        zstandard = pi._zstandard()
        if zstandard is None:
            raise not_checked("neither compression.zstd (Python 3.14) nor backports.zstd is here: no real frames")
        entry = json.dumps(prompt("the kite and the wind")).encode()
        whole = zstandard.compress(entry)
        bomb = zstandard.compress(bytes(20 * MAXIMUM_LINE))
        before = memory_peak()
        self.make(TABLE, self.row("ape", 0, header("ape")))
        for number, frame in enumerate((whole, whole[:-3], b"no frame", bomb), 1):
            self.make(self.row("ape", number, None, frame))
        read = self.read()[1:-1]
        self.assertEqual(read[0], Prompt("the kite and the wind"))
        self.assertEqual([event.line for event in read[1:] if isinstance(event, Broken)], [3, 4, 5])
        self.assertLess(memory_peak() - before, 8 * MAXIMUM_LINE)

    def test_what_is_wrong_with_a_row_costs_only_the_row(self) -> None:
        self.make(
            TABLE,
            self.row("ape", 0, header("ape")),
            self.row("ape", 1, None),
            self.row("ape", 2, prompt("one")),
            self.row("ape", 3, None, b"no frame"),
            self.row("ape", 4, '{"type":"mess'),
            self.row("ape", 5, {"type": "wind_chime"}),
            ("INSERT INTO transcript_events VALUES ('ape', 6, CAST(x'7b22ff' AS TEXT), 0, NULL)", ()),
            self.row("ape", 7, prompt("two")),
        )
        read = self.read()
        self.assertEqual([event.line for event in read if isinstance(event, Broken)], [2, 4, 5, 7])
        self.assertEqual(
            [event for event in read if not isinstance(event, Broken)],
            [start("ape"), Prompt("one"), Skipped("wind_chime"), Prompt("two"), SessionEnd(8)],
        )

    def test_a_table_of_an_older_schema_has_no_column_of_compressed_entries(self) -> None:
        self.make(
            "CREATE TABLE transcript_events (session_id, seq INTEGER, event_json TEXT)",
            ("INSERT INTO transcript_events VALUES (NULL, 1, ?), (7, 1, ?)", tuple(map(json.dumps, map(header, "ab")))),
        )
        self.assertEqual(self.read(), [start("a"), SessionEnd(1), start("b"), SessionEnd(1)])

    def test_a_database_without_sessions_says_so(self) -> None:
        self.make(TABLE, "CREATE TABLE boats (name TEXT)", "INSERT INTO boats VALUES ('oak')")
        self.assertEqual(self.read(), NOTHING)

    def test_the_file_is_not_written(self) -> None:
        self.make("PRAGMA journal_mode = WAL", TABLE, self.row("ape", 0, header("ape")))
        before = self.path.read_bytes()
        with open(self.path, "rb") as stream:
            self.assertEqual(list(OPENCLAW_DATABASE.read(stream)), [start("ape"), SessionEnd(1)])
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual([path.name for path in self.path.parent.iterdir()], [self.path.name])

    def test_damage_ends_in_events(self) -> None:
        self.make(TABLE, *(self.row("ape", number, prompt("words " * 40)) for number in range(100)))
        whole = self.path.read_bytes()
        seed = 5
        draw = random.Random(seed)
        damaged = [whole[: draw.randrange(16, len(whole))] for _ in range(20)]
        for _ in range(60):
            content = bytearray(whole)
            for _ in range(1 + draw.randrange(60)):
                content[draw.randrange(16, len(content))] = draw.randrange(256)
            damaged.append(bytes(content))
        reported = 0
        for attempt, content in enumerate(damaged):
            self.path.write_bytes(content)
            read = self.read()
            self.assertIsInstance(read[0], SessionStart, f"seed {seed}, attempt {attempt}")
            self.assertIsInstance(read[-1], SessionEnd, f"seed {seed}, attempt {attempt}")
            reported += any(isinstance(event, Broken) for event in read)
        self.assertGreater(reported, 20)

    def test_damage_behind_the_first_rows_keeps_what_comes_before_it(self) -> None:
        prompts = [self.row("ape", number, prompt("word" * 200)) for number in range(1, 60)]
        self.make(TABLE, self.row("ape", 0, header("ape")), *prompts)
        content = bytearray(self.path.read_bytes())
        page = int.from_bytes(content[16:18], "big")
        content[-page:] = b"\xff" * page
        self.path.write_bytes(bytes(content))
        read = self.read()
        self.assertEqual(read[0], start("ape"))
        self.assertGreater(sum(isinstance(event, Prompt) for event in read), 40)
        self.assertIn("damaged from this row on", str(read[-2]))

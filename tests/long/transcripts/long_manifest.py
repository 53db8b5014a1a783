"""The counts of recorded sessions equal those of an independent reader.

The recordings are not in the repository. Their folder is looked for next to it: ``../shared/traces`` with its
``MANIFEST-2.json``.
"""

import json
import unittest
from dataclasses import asdict
from functools import cache

from clawvm_transcripts.counts import SessionCounts, count_sessions
from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.reading import Source
from tests.support import ROOT, not_checked

TRACES = ROOT.parent / "shared" / "traces"
MANIFEST = TRACES / "MANIFEST-2.json"

ABOUT_THE_FILE = frozenset({"session", "file", "format", "licence", "source", "sha256_raw", "instance", "chain"})
"""Fields of a row that are no counts; ``harness_version`` is compared where a row has it."""


@cache
def sessions_in(name: str) -> tuple[str, str, tuple[SessionCounts, ...]]:
    """The format, the digest and the counts of every session of a file."""
    source = Source(TRACES / name)
    found = detect(source)
    counts = tuple(count_sessions(events_of(source, found)))
    return found.id, source.digest, counts


class ManifestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not MANIFEST.is_file():
            raise not_checked("no recorded sessions in ../shared/traces: the counts of real sessions")
        cls.rows = json.loads(MANIFEST.read_text(encoding="utf-8"))["rows"]

    def test_the_manifest_has_rows_and_each_has_its_counts(self) -> None:
        self.assertGreater(len(self.rows), 0)
        fields = set(asdict(SessionCounts())) - {
            "skipped",
            "known_skipped",
            "rewinds",
            "harness_version",
            "cleared_results",
            "unnamed_clearings",
            "images",
            "subagents",
            "subagent_tool_calls",
        }
        for row in self.rows:
            with self.subTest(session=row["session"]):
                self.assertEqual(fields - set(row), set(), "counts that the row does not report")

    def test_every_count_of_every_session_is_that_of_the_independent_reader(self) -> None:
        for row in self.rows:
            name, _, place = row["file"].partition("#")
            with self.subTest(session=row["session"]):
                format_id, digest, sessions = sessions_in(name)
                self.assertEqual(format_id, row["format"])
                self.assertEqual(digest, row["sha256_raw"])
                record = asdict(sessions[int(place or 0)])
                for field in sorted(set(row) - ABOUT_THE_FILE):
                    with self.subTest(session=row["session"], field=field):
                        self.assertEqual(record[field], row[field])

    def test_files_hold_no_further_sessions(self) -> None:
        places: dict[str, int] = {}
        for row in self.rows:
            name = row["file"].partition("#")[0]
            places[name] = places.get(name, 0) + 1
        for name, number in places.items():
            with self.subTest(file=name):
                self.assertEqual(len(sessions_in(name)[2]), number)

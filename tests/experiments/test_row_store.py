"""Behaviour of the files of rows: whole rows survive a kill, a torn one is dropped, foreign ones are refused."""

import importlib.util
import json
import unittest
from pathlib import Path

from clawvm_experiments.running import RowFile
from clawvm_replay.errors import InputError
from tests.support import temporary_folder

HEADER = {"experiment": "made_up", "code": "0" * 64, "cells": "1" * 64}


class RowFileTest(unittest.TestCase):
    def setUp(self):
        self.path = Path(temporary_folder(self), "deep", "made_up.rows.jsonl")

    def opened(self, *, resume=True):
        """Return a file that was opened and closed again."""
        file = RowFile(self.path, HEADER, resume=resume)
        file.close()
        return file

    def filled(self, rows, *, finished=False):
        file = RowFile(self.path, HEADER, resume=False)
        for cell, row in rows.items():
            file.add(cell, row)
        if finished:
            file.finish()
        file.close()
        return file

    def test_rows_come_back_as_they_were_written(self):
        rows = {"a": {"faults": 3, "ratio": 0.1 + 0.2, "none": None}, "b": {"list": [1, "x"]}}
        self.filled(rows)
        self.assertEqual(self.opened().rows, rows)

    def test_a_row_counts_in_the_form_in_which_it_is_read_back(self):
        file = self.filled({"a": {"z": 1, "a": 2, "by_budget": {120: 3}}})
        self.assertEqual(json.dumps(file.rows), json.dumps(self.opened().rows))
        self.assertEqual(list(file.rows["a"]), ["a", "by_budget", "z"])
        self.assertEqual(file.rows["a"]["by_budget"], {"120": 3})

    def test_a_file_cut_anywhere_keeps_its_whole_rows_and_can_be_continued(self):
        rows = {f"cell-{number}": {"value": number} for number in range(3)}
        self.filled(rows, finished=True)
        content = self.path.read_bytes()
        for cut in range(len(content) + 1):
            self.path.write_bytes(content[:cut])
            file = RowFile(self.path, HEADER, resume=True)
            self.assertEqual(file.rows, dict(list(rows.items())[: len(file.rows)]), cut)
            self.assertEqual(len(file.rows), max(0, min(3, content[:cut].count(b"\n") - 1)), cut)
            for cell, row in rows.items():
                if cell not in file.rows:
                    file.add(cell, row)
            file.finish()
            file.close()
            self.assertEqual(self.path.read_bytes(), content, f"cut at {cut}")

    def test_a_finished_file_that_is_resumed_ends_only_once(self):
        self.filled({"a": {}}, finished=True)
        file = RowFile(self.path, HEADER, resume=True)
        file.add("b", {})
        file.finish()
        file.close()
        self.assertEqual(RowFile.read(self.path, HEADER)[0], {"a": {}, "b": {}})

    @unittest.skipUnless(importlib.util.find_spec("fcntl"), "needs file locks")
    def test_two_runs_cannot_write_one_file(self):
        first = RowFile(self.path, HEADER, resume=False)
        first.add("a", {})
        for resume in (True, False):
            with self.assertRaisesRegex(InputError, "another run is writing it"):
                RowFile(self.path, HEADER, resume=resume)
        first.add("b", {})
        first.close()
        self.assertEqual(self.opened().rows, {"a": {}, "b": {}})

    def test_without_resume_the_file_starts_empty(self):
        self.filled({"a": {}, "b": {}})
        self.assertEqual(self.opened(resume=False).rows, {})
        self.assertEqual(self.opened().rows, {})

    def test_rows_of_other_code_or_cells_are_refused(self):
        self.filled({"a": {}})
        for change in ({"code": "2" * 64}, {"cells": "2" * 64}, {"experiment": "another"}):
            with self.subTest(change), self.assertRaisesRegex(InputError, "other code or other cells"):
                RowFile(self.path, {**HEADER, **change}, resume=True)

    def test_what_is_no_row_is_refused_with_its_line(self):
        good = self.filled({"a": {}}).path.read_bytes()
        for line in (
            b"{}",
            b"nonsense",
            b"\xff\xfe",
            b'{"record":"row","cell":"a","row":{}}',
            b'{"record":"end","rows":7}',
            b'{"record":"row","cell":1,"row":{}}',
            b'{"record":"row","cell":"b","row":[]}',
            b"[" * 100_000,
        ):
            self.path.write_bytes(good + line + b"\n")
            with self.subTest(line[:40]), self.assertRaisesRegex(InputError, ":3: is no row of a cell"):
                RowFile(self.path, HEADER, resume=True)

    def test_a_record_after_the_end_is_refused(self):
        self.filled({"a": {}}, finished=True)
        self.path.write_bytes(self.path.read_bytes() + b'{"record":"end","rows":1}\n')
        with self.assertRaisesRegex(InputError, ":4: a record after the end record"):
            RowFile(self.path, HEADER, resume=True)

    def test_a_folder_that_cannot_be_written_is_one_line(self):
        self.path.parent.mkdir()
        self.path.mkdir()
        with self.assertRaises(InputError) as caught:
            RowFile(self.path, HEADER, resume=False)
        self.assertNotIn("\n", str(caught.exception))

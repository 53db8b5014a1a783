"""The whole contract of the readers: every kind of damage in quantity, and huge lines in little memory."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from tests.transcripts import test_reader_contract

HUGE = Path(__file__).parent / "huge_line.py"

MEGABYTE = 1 << 20


class WholeDamageTest(test_reader_contract.DamageTest):
    whole = True


class HugeLineTest(unittest.TestCase):
    def test_a_line_or_element_of_100_megabytes_costs_itself_and_little_memory(self):
        """In every format: in the middle of a fixture, and as the first line, where detection meets it."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run(
            [sys.executable, str(HUGE)], capture_output=True, text=True, env=environment, timeout=300, check=False
        )
        self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)
        peak, *failures = run.stdout.splitlines()
        self.assertEqual(failures, [])
        self.assertLess(int(peak), 300 * MEGABYTE)

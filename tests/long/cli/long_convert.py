"""Conversions of large recordings that are interrupted: no spool file stays, and no worker is waited for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.cli.support import start
from tests.cli.test_convert import CONVERT, ConvertTest
from tests.transcripts.recorded_files import Recording


class InterruptTest(ConvertTest):
    def large(self, megabytes: int = 24) -> Path:
        made = Recording("large").prompt("go")
        for number in range(megabytes * 10):
            made.call("Bash", {"command": f"make {number}"}, f"line {number}\n" * 9000)
        return made.write(self.inputs / "large.jsonl")

    def interrupt(self, *arguments: object) -> tuple[int, str]:
        """Interrupt a conversion in its middle, as Ctrl-C does; return its exit code and what it said."""
        process = start(CONVERT, *arguments, "--out", self.out, start_new_session=True)
        deadline = time.monotonic() + 60
        while not any(self.out.glob(".job-*.partial")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # By then all spool files are open; an interrupt within ``open`` gives a warning.
        os.killpg(process.pid, signal.SIGINT)
        _, printed = process.communicate(timeout=60)
        return process.returncode, printed

    def test_an_interrupt_leaves_no_spool_file(self) -> None:
        path = self.large()
        code, printed = self.interrupt(path)
        self.assertEqual(code, 130, printed)
        self.assertNotIn("Traceback", printed)
        self.assertNothingHalf()

    def test_an_interrupt_ends_the_workers_at_once(self) -> None:
        self.large()
        made = Recording("other").prompt("go")
        made.lines += self.inputs.joinpath("large.jsonl").read_text().splitlines()
        made.write(self.inputs / "other.jsonl")
        code, printed = self.interrupt(self.inputs, "--jobs", 2)
        self.assertEqual(code, 130, printed)
        self.assertNotIn("Traceback", printed)
        self.assertNothingHalf()
        self.assertEqual(list(self.out.glob("sessions/*/session.json")), [], "they were not waited for")


del ConvertTest  # It would be run here again.

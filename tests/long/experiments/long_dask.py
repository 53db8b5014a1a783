"""The sweep on a real Dask cluster (a scheduler and two workers on this machine) gives the bytes of one process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tests.cli.support import ROOT, command, run, tree
from tests.support import not_checked

SMALL = ("--quick", "--experiments", "gates,weights")
PATHS = os.pathsep.join(str(ROOT / name) for name in ("", "replay_py", "workloads"))


class DaskTest(unittest.TestCase):
    def setUp(self) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise not_checked("nothing was run on Dask: install the extra 'dask' to try it")
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def start(self, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": PATHS, "DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0"}
        with open(self.root / "dask.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=self.root, env=environment, stdout=log, stderr=log
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def address(self) -> str:
        """Start a scheduler and two workers on the loopback interface and return the scheduler's address."""
        place = self.root / "scheduler.json"
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place))
        for _ in range(300):
            if place.exists() and place.stat().st_size:
                break
            time.sleep(0.1)
        else:
            self.fail((self.root / "dask.log").read_text())
        for number in range(2):
            self.start(
                "worker",
                "--scheduler-file",
                str(place),
                "--name",
                f"worker-{number}",
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                "--local-directory",
                str(self.root),
            )
        address: str = json.loads(place.read_text())["address"]
        return address

    def run_all(self, name: str, *arguments: str) -> dict[str, bytes]:
        done = run("experiments", "--out-root", self.root / name, *SMALL, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return tree(self.root / name)

    def test_two_workers_give_the_bytes_of_one_process(self) -> None:
        expected = self.run_all("one", "--executor", "serial")
        self.assertEqual(self.run_all("dask", "--executor", f"dask:{self.address()}"), expected)

    def test_a_scheduler_that_is_not_there_is_one_line(self) -> None:
        done = subprocess.run(
            [
                sys.executable,
                *command("experiments", "--out-root", self.root / "none", *SMALL)[5:],
                "--executor",
                "dask:tcp://127.0.0.1:9",
            ],
            env={**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("no Dask scheduler answers at tcp://127.0.0.1:9", done.stderr.splitlines()[-1])

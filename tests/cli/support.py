"""Runs commands: in this process where that proves the same, as a script of a plain checkout where it does not."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clawvm_cli import main
from clawvm_transcripts.private_names import PRIVATE_NAMES
from tests.support import ROOT, temporary_folder

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LANG": "C"}

Done = subprocess.CompletedProcess[str]


def command(*words: object) -> list[str]:
    """Return the command line of ``clawvm`` in a process with warnings as errors and no site packages."""
    return [sys.executable, "-S", "-s", "-W", "error", str(ROOT / "replay_py/clawvm.py"), *map(str, words)]


def run(*words: object, cwd: Path | None = None, **environment: str) -> Done:
    """Run ``clawvm`` with these words: in a process of its own where a folder or an environment is given."""
    if cwd or environment:
        return subprocess.run(
            command(*words),
            cwd=cwd,
            env={**ENVIRONMENT, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = main([*map(str, words)])
    return subprocess.CompletedProcess(words, code, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit the size of every file that this process writes, in bytes: the same error at the same call as a full disk.

    Python ignores SIGXFSZ, so a write beyond the limit raises OSError.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FirstLast(ThreadPoolExecutor):
    """An executor whose first item is done last: ``--executor tests.cli.support:FirstLast``."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        first = not getattr(self, "begun", False)
        self.begun = True
        return super().submit(self._late if first else function, *([function] if first else []), *arguments, **named)

    @staticmethod
    def _late(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        time.sleep(0.1)
        return function(*arguments, **named)


def start(*words: object, **options: object) -> subprocess.Popen[str]:
    """Start ``clawvm`` in a process that SIGINT interrupts, even if this one ignores it."""
    return subprocess.Popen(
        command(*words),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,  # type: ignore[call-overload]
    )


class CommandTest(unittest.TestCase):
    """A test of a command, with a folder of its own."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)

    def assert_one_line(self, done: Done, code: int, *words: str) -> None:
        """Assert that a command ended with this exit code and one line on standard error that holds *words*."""
        self.assertEqual((done.returncode, len(done.stderr.strip().splitlines())), (code, 1), done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder that may be shared, without what a clock measured."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "timings" not in path.parts and path.name != PRIVATE_NAMES
    }

"""Runs the scripts of a plain checkout in subprocesses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def command(script: str, *arguments: object) -> list[str]:
    """Return the command line of a script with warnings as errors and no site packages."""
    return [sys.executable, "-S", "-s", "-W", "error", str(ROOT / script), *map(str, arguments)]


def run(
    script: str, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script and return what it printed and its exit code."""
    return subprocess.run(
        command(script, *arguments),
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", ""), "LANG": "C", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

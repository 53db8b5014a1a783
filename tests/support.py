"""What the tests of every package share."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def temporary_folder(case: unittest.TestCase | type[unittest.TestCase]) -> Path:
    """Return a new folder that lives as long as a test, or as the tests of a class."""
    folder = tempfile.TemporaryDirectory()
    add_cleanup = case.addClassCleanup if isinstance(case, type) else case.addCleanup
    add_cleanup(folder.cleanup)
    return Path(folder.name)


def not_checked(message: str) -> unittest.SkipTest:
    """Print what this run does not check, which a count of skipped tests would hide, and return the error to raise."""
    print(f"\nSKIPPED: {message}", file=sys.stderr)
    return unittest.SkipTest(message)

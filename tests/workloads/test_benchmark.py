"""The command line of the benchmark; that it runs and reports every field is a long test."""

from __future__ import annotations

import contextlib
import io
import unittest

import benchmark_policy_engine


class BenchmarkTest(unittest.TestCase):
    def test_wrong_usage_exits_with_2_and_one_line(self) -> None:
        for arguments in (("--pages", "0"), ("--turns", "many"), ("--repeats", "-1"), ("--unknown",)):
            errors = io.StringIO()
            with contextlib.redirect_stderr(errors):
                code = benchmark_policy_engine.main(list(arguments))
            self.assertEqual((code, len(errors.getvalue().splitlines())), (2, 1), arguments)

"""Behaviour of the detection of content kinds and of the judgements on single lines."""

import random
import time
import unittest

from clawvm_runtime.text.kinds import (
    ContentKind,
    definition_in,
    detect_kind,
    failure_ranks,
    heading_depth,
    is_key_value,
    is_list_item,
    matched_path,
)

AGENTS_MD = """# Acme billing service

This repository holds the billing service and its background workers. It was split from the monolith three
years ago, and the history before that is archived.

## Setup

The service uses Python and PostgreSQL, which are both started by the compose file.

```bash
make setup
make test
```

## Rules

- Never commit directly to `main`.
- Run `make lint` before every commit,
  and fix every warning it reports.
1. Migrations must be reversible.

## Background

The ledger and the invoices are kept in separate schemas. They are joined by the reporting jobs at night.

You must ask before you delete a table.

### Money

All amounts are integers of cents. Do not use floats for money.

## Style

The code follows the common conventions of the language. These were agreed on by the team.
"""

PYTEST_LOG = """$ python -m pytest tests/test_config.py
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-8.1.1, pluggy-1.4.0
rootdir: /srv/app
collected 14 items

tests/test_config.py ..........F...                                      [100%]

=================================== FAILURES ===================================
_________________________ test_missing_file_is_reported ________________________

tmp_path = PosixPath('/tmp/pytest-0/test_missing_file0')

    def test_missing_file_is_reported(tmp_path):
        path = tmp_path / "absent.toml"
>       with pytest.raises(ConfigError):
E       FileNotFoundError: [Errno 2] No such file or directory: 'absent.toml'

tests/test_config.py:41: FileNotFoundError
----------------------------- Captured stderr call -----------------------------
loading defaults
loading environment
=========================== short test summary info ============================
FAILED tests/test_config.py::test_missing_file_is_reported - FileNotFoundError
========================= 1 failed, 13 passed in 0.31s =========================
"""

PYTHON_MODULE = '''"""Token buckets that limit how often a caller may ask."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["RateLimitError", "TokenBucket", "retry"]


class RateLimitError(Exception):
    """The bucket is empty."""


@dataclass
class TokenBucket:
    """A bucket that refills at a steady rate."""

    rate: float
    capacity: int
    level: float = 0.0

    def take(self, count: int = 1) -> None:
        """Take tokens or raise RateLimitError."""
        self._refill()
        if count > self.level:
            raise RateLimitError(count)
        self.level -= count

    def _refill(self) -> None:
        now = time.monotonic()
        self.level = min(self.capacity, self.level + self.rate * now)


async def retry(call, attempts: int = 3):
    """Call until the bucket has room."""
    for attempt in range(attempts):
        try:
            return await call()
        except RateLimitError:
            time.sleep(2**attempt)
    raise RateLimitError(attempts)
'''

PACKAGE_JSON = """{
  "name": "billing-dashboard",
  "version": "2.4.1",
  "private": true,
  "scripts": {
    "build": "vite build",
    "test": "vitest run",
    "lint": "eslint ."
  },
  "dependencies": {
    "react": "^18.2.0",
    "zod": "^3.22.4"
  },
  "files": ["dist", "README.md"],
  "engines": {"node": ">=18"}
}
"""

GIT_DIFF = """diff --git a/src/app.py b/src/app.py
index 3f2a1bc..9d8e7fa 100644
--- a/src/app.py
+++ b/src/app.py
@@ -10,7 +10,7 @@ def parse_config(path):
     text = path.read_text()
-    data = json.loads(text)
--- this line was a comment
+    data = tomllib.loads(text)
+    check(data)
     return data


 def main():
@@ -40,3 +41,4 @@ def main():
     config = parse_config(path)
     run(config)
     return 0
+# end
diff --git a/old.txt b/old.txt
deleted file mode 100644
--- a/old.txt
+++ /dev/null
@@ -1,2 +0,0 @@
-one
-two
"""

GREP_LISTING = """src/app.py:12:def parse_config(path):
src/app.py:44:    config = parse_config(path)
src/app.py-45-    run(config)
src/cli/main.py:8:from app import parse_config
tests/test_config.py:3:from app import parse_config
tests/test_config.py:19:    assert parse_config(path) == {}
"""

TODO_PLAN = """# Move the configuration to TOML

Goal: every tool reads config.toml and nothing reads config.json any more.

- [x] Write the TOML reader
- [x] Convert the defaults
- [ ] Switch the command line over
  - keep the old flag for one release
- [ ] Delete the JSON reader
- [ ] Update the documentation

Notes: the reader was harder than we thought, see the discussion from last week.
"""

LISTING = """total 48
drwxr-xr-x  6 dev dev 4096 Mar  3 10:12 .
-rw-r--r--  1 dev dev 1843 Mar  3 10:12 pyproject.toml
-rw-r--r--  1 dev dev  311 Mar  1 09:00 README.md
drwxr-xr-x  3 dev dev 4096 Mar  3 10:12 src
"""

CSV = "name,team,role\nAda,core,lead\nGrace,core,engineer\nLinus,kernel,lead\n"
TOML = '[project]\nname = "billing"\nversion = "2.4.1"\nlicense = "MIT"\n\n[tool.ruff]\nline-length = 110\n'
TRANSCRIPT = """user: The import of the March file fails, can you look?

assistant: The parser stops at line 212 because the amount has a comma. I fixed the separator in the reader
and added a test for it. We decided to keep the old format readable.

user: Good. Then please also write a note for the release.
"""
JAVASCRIPT = """import { z } from 'zod';

export const parse = (text) => {
  return z.parse(text);
};

export default parse;
"""

SAMPLES = {
    "AGENTS.md": (AGENTS_MD, ContentKind.PROSE),
    "pytest output": (PYTEST_LOG, ContentKind.LOG),
    "python module": (PYTHON_MODULE, ContentKind.SOURCE_CODE),
    "javascript module": (JAVASCRIPT, ContentKind.SOURCE_CODE),
    "package.json": (PACKAGE_JSON, ContentKind.JSON),
    "git diff": (GIT_DIFF, ContentKind.DIFF),
    "grep listing": (GREP_LISTING, ContentKind.SEARCH_LISTING),
    "ls listing": (LISTING, ContentKind.SEARCH_LISTING),
    "to-do plan": (TODO_PLAN, ContentKind.PROSE),
    "csv": (CSV, ContentKind.TABLE),
    "toml": (TOML, ContentKind.TABLE),
    "transcript": (TRANSCRIPT, ContentKind.PROSE),
}
SEED = 20262


def numbered(text: str, separator: str) -> str:
    """Return *text* as a file viewer shows it."""
    return "\n".join(f"{number:6}{separator}{line}" for number, line in enumerate(text.splitlines(), 1))


class DetectionTests(unittest.TestCase):
    def test_realistic_texts_are_recognized(self) -> None:
        for name, (text, kind) in SAMPLES.items():
            with self.subTest(name):
                self.assertIs(detect_kind(text), kind)

    def test_line_ends_and_a_byte_order_mark_do_not_change_the_kind(self) -> None:
        for name, (text, kind) in SAMPLES.items():
            with self.subTest(name):
                self.assertIs(detect_kind("\ufeff" + text.replace("\n", "\r\n")), kind)

    def test_line_numbers_of_a_file_viewer_are_looked_through(self) -> None:
        for separator in ("→", "\t", ":", " | "):
            with self.subTest(separator=separator):
                self.assertIs(detect_kind(numbered(PYTHON_MODULE, separator)), ContentKind.SOURCE_CODE)

    def test_what_a_harness_sets_before_an_output_is_taken_off(self) -> None:
        head = "Chunk ID: 5ecb33\nWall time: 0.0000 seconds\nProcess exited with code 0\nOutput:\n"
        for name, (text, kind) in SAMPLES.items():
            with self.subTest(name):
                self.assertIs(detect_kind(head + text), kind)
        self.assertIs(detect_kind("Wall time: 0.1 seconds\nProcess exited with code 1\nOutput:\n"), ContentKind.LOG)

    def test_json_lines_and_bare_arrays_are_json(self) -> None:
        for text in (
            '{"a": 1}\n{"a": 2}\n',
            '[{"id": 1}]',
            "[1, 2, 3]",
            "[[1, 2], [3]]",
            "[]",
            "{}",
            '  ["a"]',
            "[\n  12\n]",
        ):
            with self.subTest(text):
                self.assertIs(detect_kind(text), ContentKind.JSON)

    def test_brackets_that_open_no_json_are_not_json(self) -> None:
        for text in (
            "[2026-01-02 10:00:00] started",
            "[INFO] started",
            "[1] 4242",
            "[section]\nkey = 1",
            "[link](a.md)",
        ):
            with self.subTest(text):
                self.assertIsNot(detect_kind(text), ContentKind.JSON)

    def test_a_script_and_markup_are_source_code(self) -> None:
        for text in (
            "#!/bin/sh\necho hi\n",
            "<?php echo 1;",
            "<!DOCTYPE html>\n<p>hi</p>",
            "<?xml version='1.0'?><a/>",
        ):
            with self.subTest(text):
                self.assertIs(detect_kind(text), ContentKind.SOURCE_CODE)

    def test_logs_of_many_tools_are_logs(self) -> None:
        for text in (
            "2026-01-02T10:00:00Z started\n2026-01-02T10:00:01Z ready\n",
            'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\nValueError: no\n',
            "ok  \tacme.io/cli\t1.9s\nok  \tacme.io/core\t0.2s\n",
            "npm ERR! code ELIFECYCLE\nnpm ERR! errno 1\n",
            "   Compiling serde v1.0\n   Compiling app v0.1\n    Finished dev in 3s\n",
            "src/a.c:3:5: error: expected ';'\nsrc/b.c:9:1: error: unknown type\n",
        ):
            with self.subTest(text):
                self.assertIs(detect_kind(text), ContentKind.LOG)

    def test_a_diff_quoted_in_a_text_does_not_make_it_a_diff(self) -> None:
        text = (
            "The fix is small.\n\n"
            + "\n".join(GIT_DIFF.splitlines()[:8])
            + "\n"
            + "It was reviewed by two people.\n" * 20
        )
        self.assertIsNot(detect_kind(text), ContentKind.DIFF)
        self.assertIsNot(detect_kind("--- a note\nwithout any hunk\n"), ContentKind.DIFF)

    def test_nothing_but_white_space_or_fences_is_prose(self) -> None:
        for text in ("", " ", "\n\t\r\n", "\ufeff", "```\nx = 1\n```"):
            with self.subTest(text):
                self.assertIs(detect_kind(text), ContentKind.PROSE)

    def test_only_the_beginning_decides(self) -> None:
        self.assertIs(detect_kind(PYTHON_MODULE * 10 + AGENTS_MD * 1000), ContentKind.SOURCE_CODE)
        self.assertIs(detect_kind("many words " * 1000 + "\n" + PYTHON_MODULE), ContentKind.PROSE)

    def test_code_in_the_fences_of_a_text_does_not_make_it_code(self) -> None:
        self.assertIs(detect_kind(f"This is it:\n\n```python\n{PYTHON_MODULE}```\n"), ContentKind.PROSE)

    def test_the_time_does_not_grow_with_the_text(self) -> None:
        units = (
            "x",
            " ",
            "\n",
            '"',
            "[",
            "{",
            "a/",
            "public ",
            "a: ",
            "**a",
            "| ",
            "- ",
            "```\n",
            "=",
            "漢",
            "\ud800",
            "\0",
            "a (",
        )
        for unit in units:
            with self.subTest(unit=unit):
                start = time.perf_counter()
                detect_kind(unit * 2_000_000)
                self.assertLess(time.perf_counter() - start, 2)

    def test_any_text_has_a_kind(self) -> None:
        chance = random.Random(SEED)
        pieces = [
            *'[]{}":,|<>#-+@=*`~$\\/. \t\r\n\0',
            "def f(",
            "error",
            "1",
            "word",
            "\ud800",
            "漢",
            "--- ",
            "+++ ",
            "@@ -1 +1 @@",
        ]
        for case in range(2000):
            text = "".join(chance.choices(pieces, k=chance.randrange(60)))
            with self.subTest(seed=SEED, case=case, text=text):
                self.assertIsInstance(detect_kind(text), ContentKind)


class LineTests(unittest.TestCase):
    def test_definitions_of_common_languages_are_seen(self) -> None:
        for line in (
            "def run(self) -> None:",
            "    async def run(self):",
            "class Page:",
            "export default class Page extends Base {",
            "export async function load(path: string) {",
            "export const parse = (text: string): Page => {",
            "interface Page {",
            "type Page = {",
            "type Page struct {",
            "func (s *Store) Claim(id string) (*State, error) {",
            "pub fn expand(path: &str) -> PathBuf {",
            "impl Display for Page {",
            "public static void main(String[] args) {",
            "int main(int argc, char **argv) {",
            "#define LIMIT 10",
            "CREATE TABLE pages (",
            "deploy() {",
            "   12→def run(self):",
            "12:def run(self):",
        ):
            with self.subTest(line):
                self.assertTrue(definition_in(line))

    def test_a_line_is_looked_at_only_as_far_as_its_bound(self) -> None:
        self.assertTrue(definition_in(" " * 200 + "def run():"))
        self.assertFalse(definition_in(" " * 240 + "def run():"))

    def test_uses_and_prose_are_no_definitions(self) -> None:
        for line in (
            "run(self)",
            "return parse(text)",
            "if ready(state) {",
            "for (int i = 0; i < n; i++) {",
            "The class of the page is known.",
            "definition of done",
            "const limit = 3;",
            "x = define(page)",
            "",
        ):
            with self.subTest(line):
                self.assertFalse(definition_in(line))

    def test_failures_are_ranked_by_how_sure_they_are(self) -> None:
        expected = {
            "E       ValueError: no": 2,
            "FAILED tests/test_a.py::test_b - ValueError": 2,
            "ValueError: invalid literal": 2,
            "java.lang.NullPointerException: x": 2,
            "src/a.c:3: error: expected": 2,
            "error[E0382]: use of moved value": 2,
            "Process exited with code 1": 2,
            "exit status 127": 2,
            "1 failed, 13 passed in 0.31s": 2,
            "thread 'main' panicked at src/main.rs:3": 2,
            "npm ERR! missing script": 2,
            "  ✗ parses the file": 2,
            "the connection was refused": 1,
            "0 errors": 0,
            "no failures, 12 passed": 0,
            "0 errors, 2 failed": 2,
            "Process exited with code 0": 0,
            "the exit is on the left": 0,
            "all good": 0,
        }
        self.assertEqual(dict(zip(expected, failure_ranks(list(expected)))), expected)

    def test_a_rank_does_not_depend_on_the_lines_around(self) -> None:
        chance = random.Random(SEED)
        lines = [*PYTEST_LOG.splitlines(), *AGENTS_MD.splitlines(), "exit code 3", "  ✗ no", "0 errors"]
        for case in range(50):
            chosen = chance.sample(lines, 10)
            with self.subTest(seed=SEED, case=case):
                self.assertEqual(failure_ranks(chosen), [failure_ranks([line])[0] for line in chosen])

    def test_headings_have_a_depth(self) -> None:
        lines = ("# A", "### B", "####### C", "#tag", "text", "   ## D", "    # code")
        self.assertEqual([heading_depth(line) for line in lines], [1, 3, 0, 0, 0, 2, 0])

    def test_list_items_are_bullets_numbers_and_check_marks(self) -> None:
        for line in ("- a", "* a", "  + a", "12. a", "3) a", "a) b", "• a", "☐ a", "✅ a"):
            self.assertTrue(is_list_item(line), line)
        for line in ("-a", "12", "text - more", "2026.01.02", "--- a"):
            self.assertFalse(is_list_item(line), line)

    def test_key_values_have_a_short_key(self) -> None:
        for line in (
            "name: billing",
            "line-length = 110",
            '"a": 1',
            "key=value",
            "- editor: vim",
            "empty:",
            "a := 3",
        ):
            self.assertTrue(is_key_value(line), line)
        for line in ("no value here", "https://example.org/a", "a" * 60 + ": x", ": x"):
            self.assertFalse(is_key_value(line), line)

    def test_lines_of_listings_name_their_path(self) -> None:
        expected = {
            "src/app.py:12:def run():": "src/app.py",
            "src/app.py-13-    pass": "src/app.py",
            "Makefile:3:test:": "Makefile",
            "C:\\src\\app.cs:9:x": "C:\\src\\app.cs",
            "./src/app.py": "./src/app.py",
            "docs/guide.md: see below": "docs/guide.md",
            "-rw-r--r--  1 dev dev 311 Mar  1 09:00 README.md": "README.md",
            "│   ├── app.py": "app.py",
            "M  src/app.py": "src/app.py",
            "?? notes.txt": "notes.txt",
            ".gitignore": ".gitignore",
            "build/": "build/",
        }
        self.assertEqual({line: matched_path(line) for line in expected}, expected)

    def test_times_and_sentences_name_no_path(self) -> None:
        for line in (
            "12:30:45 started",
            "2026-01-02 started",
            "Meeting at 10:30",
            "The file is here.",
            "x = 1",
            "",
        ):
            with self.subTest(line):
                self.assertIsNone(matched_path(line))


if __name__ == "__main__":
    unittest.main()

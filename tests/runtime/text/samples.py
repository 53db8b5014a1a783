"""Texts of every kind of content, as agents meet them, and the functions under test applied to a text."""

import random
import re

from clawvm_runtime.text import extract
from clawvm_runtime.text.kinds import ContentKind, detect_kind, lines_of
from clawvm_runtime.vocabulary import PageType, Scope

GAP = re.compile(r"\[\.\.\. (\d+) lines? left out \.\.\.\]")

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


def numbered(text: str, separator: str) -> str:
    """Return *text* as a file viewer shows it."""
    return "\n".join(f"{number:6}{separator}{line}" for number, line in enumerate(text.splitlines(), 1))


def compressed(text: str, kind: ContentKind) -> str:
    return extract.compressed(lines_of(text), kind)


def structured(text: str, page_type: PageType, kind: ContentKind | None = None, scope: Scope = Scope.PROJECT) -> str:
    """Return the structured form of *text*, by its own kind unless another is given."""
    return extract.structured(lines_of(text), detect_kind(text) if kind is None else kind, page_type, scope)


FILLER = [
    *("plain words without weight", "", "    indented words", "x" * 900, "a, b, c", "the end of it", "\ttabs"),
    *("# Heading", "## Second", "- item", "1. first", "Never do this.", "ValueError: bad", "key: value", "1234 5678"),
    *("src/app.py:12:text", "@@ -1,2 +1,2 @@ def run", "+added", "-removed", '  "a": 1,', "{", "}", "def run(self):"),
    *("```", "~~~", "- [ ] open", "- [x] done", "Goal: win", "\x00\x1b[31m", "\ud800", "漢字かな", "user: hello"),
    *("[section]", "| a | b |", "🦀 " * 40),
]


def random_text(rng: random.Random, most: int = 120) -> str:
    """Return lines of every kind in any order, with any line end."""
    lines = rng.choices(FILLER, k=rng.randrange(most))
    return rng.choice(["\n", "\r\n"]).join(lines) + rng.choice(["", "\n"])

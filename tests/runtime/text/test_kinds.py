"""Behaviour of the detection of content kinds and of the judgements on single lines."""

import random
import re
import time
import unittest

from clawvm_runtime.text import kinds
from clawvm_runtime.text.kinds import ContentKind, Lines, detect_kind, failure_ranks
from tests.runtime.text.samples import AGENTS_MD, GIT_DIFF, PYTEST_LOG, PYTHON_MODULE, SAMPLES, numbered

SEED = 20262


class DetectionTests(unittest.TestCase):
    def assert_kind(self, kind: ContentKind, *texts: str) -> None:
        for text in texts:
            with self.subTest(text=text[:80]):
                self.assertIs(detect_kind(text), kind)

    def test_realistic_texts_are_recognized_whatever_surrounds_them(self) -> None:
        head = "Chunk ID: 5ecb33\nWall time: 0.0000 seconds\nProcess exited with code 0\nOutput:\n"
        for text, kind in SAMPLES.values():
            self.assert_kind(kind, text, "\ufeff" + text.replace("\n", "\r\n"), head + text)
        self.assert_kind(ContentKind.LOG, "Wall time: 0.1 seconds\nProcess exited with code 1\nOutput:\n")

    def test_line_numbers_of_a_file_viewer_are_ignored(self) -> None:
        views = [numbered(PYTHON_MODULE, separator) for separator in ("→", "\t", ":", " | ")]
        self.assert_kind(ContentKind.SOURCE_CODE, *views)

    def test_only_an_opening_of_json_is_json(self) -> None:
        self.assert_kind(
            ContentKind.JSON, '{"a": 1}\n{"a": 2}\n', '[{"id": 1}]', "[1, 2, 3]", "[[1, 2], [3]]", "[]", "{}"
        )
        self.assert_kind(ContentKind.JSON, '  ["a"]', "[\n  12\n]")
        for text in (
            *("[2026-01-02 10:00:00] started", "[INFO] started", "[1] 4242", "[section]\nkey = 1", "[link](a.md)"),
        ):
            self.assertIsNot(detect_kind(text), ContentKind.JSON, text)

    def test_a_script_and_markup_are_source_code(self) -> None:
        markup = ("<!DOCTYPE html>\n<p>hi</p>", "<?xml version='1.0'?><a/>")
        self.assert_kind(ContentKind.SOURCE_CODE, "#!/bin/sh\necho hi\n", "<?php echo 1;", *markup)

    def test_logs_of_many_tools_are_logs(self) -> None:
        self.assert_kind(
            ContentKind.LOG,
            "2026-01-02T10:00:00Z started\n2026-01-02T10:00:01Z ready\n",
            'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\nValueError: no\n',
            "ok  \tacme.io/cli\t1.9s\nok  \tacme.io/core\t0.2s\n",
            "npm ERR! code ELIFECYCLE\nnpm ERR! errno 1\n",
            "   Compiling serde v1.0\n   Compiling app v0.1\n    Finished dev in 3s\n",
            "src/a.c:3:5: error: expected ';'\nsrc/b.c:9:1: error: unknown type\n",
            "tests.test_a.test_b (x) PASSED\n" + "some words of a line\n" * 9,
        )

    def test_a_diff_quoted_in_a_text_does_not_make_it_a_diff(self) -> None:
        quoted = "\n".join(GIT_DIFF.splitlines()[:8])
        text = f"The fix is small.\n\n{quoted}\n" + "It was reviewed by two people.\n" * 20
        self.assertIsNot(detect_kind(text), ContentKind.DIFF)
        self.assertIsNot(detect_kind("--- a note\nwithout any hunk\n"), ContentKind.DIFF)

    def test_what_has_no_other_kind_is_prose(self) -> None:
        fenced = f"This is it:\n\n```python\n{PYTHON_MODULE}```\n"
        self.assert_kind(ContentKind.PROSE, "", " ", "\n\t\r\n", "\ufeff", "```\nx = 1\n```", fenced)
        self.assert_kind(
            ContentKind.PROSE, "Key: a sentence.\nOther: the second one.\n", "1→ \n2→ \n", "one\ntwo\nthree"
        )

    def test_only_the_beginning_decides(self) -> None:
        self.assert_kind(ContentKind.SOURCE_CODE, PYTHON_MODULE * 10 + AGENTS_MD * 1000)
        self.assert_kind(ContentKind.PROSE, "many words " * 1000 + "\n" + PYTHON_MODULE)

    def test_any_text_has_a_kind_in_time(self) -> None:
        for unit in (
            *("x", " ", "\n", '"', "[", "a/", "public ", "a: ", "**a", "| ", "```\n", "=", "漢", "\ud800", "a ("),
        ):
            start = time.process_time()
            detect_kind(unit * 200_000)
            self.assertLess(time.process_time() - start, 2, unit)
        rng = random.Random(SEED)
        words = ("def f(", "error", "1", "word", "\ud800", "漢", "--- ", "+++ ", "@@ -1 +1 @@")
        pieces = [*'[]{}":,|<>#-+@=*`~$\\/. \t\r\n\0', *words]
        for case in range(500):
            text = "".join(rng.choices(pieces, k=rng.randrange(60)))
            with self.subTest(seed=SEED, case=case, text=text):
                self.assertIsInstance(detect_kind(text), ContentKind)


class LineTests(unittest.TestCase):
    def assert_lines(self, judge: object, held: list[str], refused: list[str]) -> None:
        """Assert that *judge* returns the numbers of the lines *held* only."""
        self.assertEqual(judge([*held, *refused]), list(range(len(held))))  # type: ignore[operator]

    def test_definitions_of_common_languages_are_seen(self) -> None:
        held = [
            *("def run(self) -> None:", "    async def run(self):", "class Page:", "interface Page {"),
            "type Page = {",
        ]
        held += ["export default class Page extends Base {", "export async function load(path: string) {"]
        held += ["export const parse = (text: string): Page => {", "type Page struct {", "impl Display for Page {"]
        held += ["func (s *Store) Claim(id string) (*State, error) {", "pub fn expand(path: &str) -> PathBuf {"]
        held += ["public static void main(String[] args) {", "int main(int argc, char **argv) {", "#define LIMIT 10"]
        held += [
            *("CREATE TABLE pages (", "deploy() {", "   12→def run(self):", "12:def run(self):"),
            " " * 200 + "def run():",
        ]
        refused = ["run(self)", "return parse(text)", "if ready(state) {", "for (int i = 0; i < n; i++) {", ""]
        refused += ["The class of the page is known.", "definition of done", "const limit = 3;", "x = define(page)"]
        refused += [" " * 240 + "def run():"]  # A line is read only up to its bound.
        self.assert_lines(kinds.definitions, held, refused)

    def test_failures_are_ranked_by_how_sure_they_are(self) -> None:
        sure = ["E       ValueError: no", "FAILED tests/test_a.py::test_b - ValueError", "ValueError: invalid literal"]
        sure += ["java.lang.NullPointerException: x", "src/a.c:3: error: expected", "error[E0382]: use of moved value"]
        sure += [
            "Process exited with code 1",
            "exit status 127",
            "1 failed, 13 passed in 0.31s",
            "npm ERR! missing script",
        ]
        sure += ["thread 'main' panicked at src/main.rs:3", "  ✗ parses the file", "0 errors, 2 failed", "E  no"]
        sure += ["E missing", "cannot ex\u0131t 3", "cannot return 1"]
        likely = ["the connection was refused"]
        none = [
            *("0 errors", "no failures, 12 passed", "Process exited with code 0", "the exit is on the left"),
            "all good",
        ]
        none += ["E\tno", "E x", "ex\u0131t 3", "return 1"]  # The forms of a failure without a word of failures.
        expected = dict.fromkeys(sure, 2) | dict.fromkeys(likely, 1) | dict.fromkeys(none, 0)
        self.assertEqual(dict(zip(expected, failure_ranks(list(expected)))), expected)
        self.assertEqual(kinds.sure_failures(list(expected)), list(range(len(sure))))

    def test_a_rank_does_not_depend_on_the_lines_around(self) -> None:
        rng = random.Random(SEED)
        lines = [*PYTEST_LOG.splitlines(), *AGENTS_MD.splitlines(), "exit code 3", "  ✗ no", "0 errors"]
        for case in range(50):
            chosen = rng.sample(lines, 10)
            with self.subTest(seed=SEED, case=case):
                self.assertEqual(failure_ranks(chosen), [failure_ranks([line])[0] for line in chosen])

    def test_headings_have_a_depth(self) -> None:
        lines = ["# A", "### B", "####### C", "#tag", "text", "   ## D", "    # code"]
        self.assertEqual([kinds.heading_depth(line) for line in lines], [1, 3, 0, 0, 0, 2, 0])
        self.assertEqual(kinds.headings(lines), [0, 1, 5])

    def test_list_items_are_bullets_numbers_and_check_marks(self) -> None:
        held = ["- a", "* a", "  + a", "12. a", "3) a", "a) b", "• a", "☐ a", "✅ a"]
        self.assert_lines(kinds.list_items, held, ["-a", "12", "text - more", "2026.01.02", "--- a"])

    def test_key_values_have_a_short_key(self) -> None:
        held = ["name: billing", "line-length = 110", '"a": 1', "key=value", "- editor: vim", "empty:", "a := 3"]
        refused = ["no value here", "https://example.org/a", "a" * 60 + ": x", ": x"]
        self.assert_lines(kinds.key_values, held, refused)
        self.assertEqual([kinds.is_key_value(line) for line in (*held, *refused)], [True] * 7 + [False] * 4)

    def test_lines_of_listings_name_their_path(self) -> None:
        expected = {"src/app.py:12:def run():": "src/app.py", "src/app.py-13-    pass": "src/app.py"}
        expected |= {"Makefile:3:test:": "Makefile", "C:\\src\\app.cs:9:x": "C:\\src\\app.cs", "build/": "build/"}
        expected |= {"-rw-r--r--  1 dev dev 311 Mar  1 09:00 README.md": "README.md", "│   ├── app.py": "app.py"}
        expected |= {"M  src/app.py": "src/app.py", "?? notes.txt": "notes.txt", ".gitignore": ".gitignore"}
        expected |= {"./src/app.py": "./src/app.py", "docs/guide.md: see below": "docs/guide.md"}
        others = ["12:30:45 started", "2026-01-02 started", "Meeting at 10:30", "The file is here.", "x = 1", ""]
        self.assertEqual(kinds.matched_paths([*expected, *others]), [*expected.values(), *[None] * len(others)])

    def test_a_summary_is_seen_in_what_an_item_shows_of_a_line(self) -> None:
        self.assertEqual(kinds.summaries(["x", "=== 3 passed ===", "Ran 3 tests", "x" * 300 + " Ran 3 tests"]), [1, 2])


class SearchTests(unittest.TestCase):
    def test_lines_with_a_word_are_those_that_have_it(self) -> None:
        words = ("a", "b c", "xx")
        rng = random.Random(SEED)
        for case in range(300):
            lines = ["".join(rng.choices(["a", "b ", "c", "x", ""], k=4)) for _ in range(rng.randrange(1, 9))]
            expected = [number for number, line in enumerate(lines) if any(word in line for word in words)]
            with self.subTest(seed=SEED, case=case, lines=lines):
                self.assertEqual(kinds.lines_with("\n".join(lines), words), expected)

    def test_lines_are_matched_at_their_beginning_and_cut_to_a_length(self) -> None:
        self.assertEqual(kinds.matching(re.compile("a"), ["a", "ba", "ab", ""]), [0, 2])
        self.assertEqual(list(kinds.clipped(["abc", "", "ab"], 2)), ["ab", "", "ab"])
        self.assertEqual(list(kinds.clipped([], 2)), [])

    def test_a_judgement_is_made_once(self) -> None:
        asked: list[object] = []
        lines = Lines("a\nb", ["a", "b"])
        self.assertEqual([lines.judged(asked.append) for _ in range(2)], [None, None])
        self.assertEqual(asked, [["a", "b"]])

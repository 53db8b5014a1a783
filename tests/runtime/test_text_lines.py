"""Behaviour of the lines that are looked at: how they are searched, judged once, and shared by two levels."""

import random
import re
import unittest

from clawvm_runtime.text.extract import compressed, fields
from clawvm_runtime.text.kinds import (
    Lines,
    clipped,
    definition_in,
    definitions,
    failure_ranks,
    heading_depth,
    headings,
    is_key_value,
    is_list_item,
    key_values,
    lines_of,
    lines_with,
    list_items,
    matched_path,
    matched_paths,
    matching,
    summaries,
    sure_failures,
)
from clawvm_runtime.vocabulary import PageType
from tests.runtime.test_content_kinds import SAMPLES

SEED = 20263
LINES = (
    *("", "   ", "# A", "text #1", "- item", "1. one", "key: value", "a = b", "src/a.py:3: x", "src/a.py"),
    *("def run(x):", "    12\tclass A:", "E  no", "E\tno", "E x", "E missing", "ValueError: no", "0 errors", "exit 3"),
    *(
        "cannot ex\u0131t 3",
        "ex\u0131t 3",
        "not \u0130 ERROR: x",
        "return 1",
        "cannot return 1",
        "x" * 300 + " error: y",
    ),
    *("=== 3 passed ===", "Ran 3 tests", "x" * 300 + " Ran 3 tests", "\u2717 no", "no \u00d7 failures", "not ok 3"),
)


def some_lines(chance: random.Random) -> list[str]:
    return [" ".join(chance.choices(LINES, k=chance.choice((1, 1, 2)))) for _ in range(chance.randrange(1, 30))]


class SearchTests(unittest.TestCase):
    def test_lines_with_a_word_are_those_that_have_it(self) -> None:
        words = ("a", "b c", "xx")
        chance = random.Random(SEED)
        for case in range(500):
            lines = ["".join(chance.choices(["a", "b ", "c", "x", ""], k=4)) for _ in range(chance.randrange(1, 9))]
            expected = [number for number, line in enumerate(lines) if any(word in line for word in words)]
            with self.subTest(seed=SEED, case=case, lines=lines):
                self.assertEqual(lines_with("\n".join(lines), words), expected)

    def test_nothing_is_found_in_no_text_and_by_no_word(self) -> None:
        self.assertEqual(lines_with("", ("a",)), [])
        self.assertEqual(lines_with("a\nb", ()), [])

    def test_a_pattern_matches_at_the_beginning_of_a_line(self) -> None:
        self.assertEqual(matching(re.compile("a"), ["a", "ba", "ab", ""]), [0, 2])

    def test_lines_are_cut_to_a_length(self) -> None:
        self.assertEqual(list(clipped(["abc", "", "ab"], 2)), ["ab", "", "ab"])
        self.assertEqual(list(clipped([], 2)), [])

    def test_a_summary_is_seen_in_what_an_item_shows_of_a_line(self) -> None:
        self.assertEqual(summaries(["x", "=== 3 passed ===", "Ran 3 tests", "x" * 300 + " Ran 3 tests"]), [1, 2])


class JudgementTests(unittest.TestCase):
    def test_a_judgement_is_made_once(self) -> None:
        asked: list[object] = []
        lines = Lines(["a", "b"], 0, 0)
        for _ in range(2):
            self.assertEqual(lines.judged(count), 2)
            self.assertIsNone(lines.judged(asked.append))
        self.assertEqual(asked, [["a", "b"]])

    def test_many_lines_are_judged_as_each_of_them_alone(self) -> None:
        chance = random.Random(SEED)
        for case in range(500):
            lines = some_lines(chance)
            with self.subTest(seed=SEED, case=case, lines=lines):
                for judge, one in (
                    (definitions, definition_in),
                    (headings, heading_depth),
                    (key_values, is_key_value),
                    (list_items, is_list_item),
                ):
                    self.assertEqual(judge(lines), [number for number, line in enumerate(lines) if one(line)])
                self.assertEqual(matched_paths(lines), [matched_path(line) for line in lines])

    def test_sure_failures_are_the_lines_of_the_highest_rank(self) -> None:
        chance = random.Random(SEED)
        for case in range(500):
            lines = some_lines(chance)
            with self.subTest(seed=SEED, case=case, lines=lines):
                expected = [number for number, rank in enumerate(failure_ranks(lines)) if rank == 2]
                self.assertEqual(sure_failures(lines), expected)

    def test_what_only_looks_like_a_failure_needs_a_word_of_failures_too(self) -> None:
        expected = {"E  no": 2, "E\tno": 0, "E x": 0, "E missing": 2, "ex\u0131t 3": 0, "cannot ex\u0131t 3": 2}
        expected |= {"return 1": 0, "cannot return 1": 2, "exit 3": 2}
        self.assertEqual(dict(zip(expected, failure_ranks(list(expected)))), expected)

    def test_two_levels_may_share_the_lines_of_a_text(self) -> None:
        for name, (sample, kind) in SAMPLES.items():
            with self.subTest(name):
                text = sample * 3
                lines = lines_of(text)
                self.assertEqual(compressed(text, kind, lines), compressed(text, kind))
                for page_type in (PageType.EVIDENCE, PageType.CONVERSATION_SEGMENT):
                    self.assertEqual(fields(text, kind, page_type, lines), fields(text, kind, page_type))


def count(lines: object) -> int:
    return len(lines) if isinstance(lines, list) else -1


if __name__ == "__main__":
    unittest.main()

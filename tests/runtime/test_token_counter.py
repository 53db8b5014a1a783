"""Behaviour of the default token estimate: what it counts, what it promises about parts, what it costs."""

import doctest
import random
import re
import time
import unittest
from unittest import mock

from clawvm_runtime.text import tokens as token_counter
from clawvm_runtime.text.tokens import TokenCounter, estimate_tokens

SEED = 20261
PIECES = (
    *(
        "word",
        "Identifier",
        "snake_case_name",
        "camelCaseName",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\n\n    ",
        "\t",
        "0",
        "1234567",
    ),
    *(
        "()",
        "==",
        "...",
        '"',
        "é",
        "Привет",
        "漢字",
        "かな",
        "한국어",
        "🦀",
        "👩‍💻",
        "\ud800",
        "\0",
        "\x1b[31m",
        "\u2028",
        "\xa0",
    ),
)
# The table of the module as a pattern.
PIECE_OF_A_CLASS = re.compile(
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}| {2,16}|[\r\n]{1,4}|\t{1,4}"
    r"|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    r"|[\u0080-\u303f\u3100-\u33ff\u4dc0-\u4dff\ua000-\uabff\ud7b0-\U0010ffff]{1,2}"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


class MeaningTests(unittest.TestCase):
    def test_an_empty_text_has_no_tokens(self) -> None:
        self.assertEqual(estimate_tokens(""), 0)

    def test_a_short_word_is_one_token_and_a_long_one_several(self) -> None:
        self.assertEqual(
            [estimate_tokens(word) for word in ("a", "commit", "commits", "internationalization")],
            [1, 1, 2, 4],
        )

    def test_a_single_space_belongs_to_the_word_after_it(self) -> None:
        self.assertEqual(estimate_tokens("never commit"), estimate_tokens("never") + estimate_tokens("commit"))

    def test_indentation_and_blank_lines_count_as_runs(self) -> None:
        self.assertEqual(estimate_tokens("        "), 1)
        self.assertEqual(estimate_tokens("\n\n"), 1)
        self.assertEqual(estimate_tokens("\t\t"), 1)

    def test_digits_count_in_groups_of_three(self) -> None:
        self.assertEqual([estimate_tokens(number) for number in ("7", "512", "1024", "1234567")], [1, 1, 2, 3])

    def test_chinese_japanese_and_korean_letters_count_one_each(self) -> None:
        for text in ("漢字", "ひらがな", "한국어"):
            self.assertEqual(estimate_tokens(text), len(text))

    def test_every_character_but_a_single_space_is_counted(self) -> None:
        uncounted = [chr(code) for code in range(0x110000) if not estimate_tokens(chr(code))]
        self.assertEqual(uncounted, [" "])

    def test_english_prose_takes_between_three_and_six_characters_a_token(self) -> None:
        prose = "The build writes its report to a file. Never commit it, and run the tests before you push. " * 20
        self.assertTrue(3 <= len(prose) / estimate_tokens(prose) <= 6)

    def test_the_estimate_can_stand_where_a_counter_is_asked_for(self) -> None:
        counter: TokenCounter = estimate_tokens
        self.assertEqual(counter("text"), 1)

    def test_the_examples_in_the_documentation_hold(self) -> None:
        results = doctest.testmod(token_counter)
        self.assertGreater(results.attempted, 0)
        self.assertEqual(results.failed, 0)


class PropertyTests(unittest.TestCase):
    def test_joining_two_texts_costs_at_most_one_token_more_than_both(self) -> None:
        chance = random.Random(SEED)
        for case in range(3000):
            first, second = ("".join(chance.choices(PIECES, k=chance.randrange(12))) for _ in range(2))
            with self.subTest(seed=SEED, case=case, first=first, second=second):
                together = estimate_tokens(first + second)
                self.assertLessEqual(together, estimate_tokens(first) + estimate_tokens(second) + 1)

    def test_a_longer_text_never_costs_less(self) -> None:
        chance = random.Random(SEED)
        for case in range(1000):
            text = "".join(chance.choices(PIECES, k=chance.randrange(1, 20)))
            with self.subTest(seed=SEED, case=case, text=text):
                counts = [estimate_tokens(text[:length]) for length in range(len(text) + 1)]
                self.assertEqual(counts, sorted(counts))

    def test_the_estimate_is_the_number_of_pieces_of_each_class(self) -> None:
        chance = random.Random(SEED)
        for case in range(3000):
            repeats = chance.choice((1, 1, 3, 20))
            text = "".join(piece * chance.randrange(1, repeats + 1) for piece in chance.choices(PIECES, k=20))
            with self.subTest(seed=SEED, case=case, text=text):
                self.assertEqual(estimate_tokens(text), len(PIECE_OF_A_CLASS.findall(text)))

    def test_a_long_text_is_counted_as_a_whole_wherever_it_is_cut(self) -> None:
        chance = random.Random(SEED)
        for size in (7, 50):
            bits = int.from_bytes(bytes([token_counter._SPACE]) * size * 2, "little")
            with (
                mock.patch.object(token_counter, "_PIECE", size),
                mock.patch.object(token_counter, "_ALL_SPACES", bits),
            ):
                for case in range(500):
                    text = "".join(chance.choices(PIECES, k=60))
                    with self.subTest(seed=SEED, size=size, case=case, text=text):
                        self.assertEqual(estimate_tokens(text), len(PIECE_OF_A_CLASS.findall(text)))

    def test_runs_longer_than_the_size_at_which_texts_are_cut_are_counted(self) -> None:
        for unit in ("x", "7", "-", " ", "\n", "é", "漢", "a ", "é漢"):
            for length in (16_383, 16_385, 40_001):
                text = unit * length
                with self.subTest(unit=unit, length=length):
                    self.assertEqual(estimate_tokens(text), len(PIECE_OF_A_CLASS.findall(text)))

    def test_megabytes_of_anything_are_counted_in_seconds(self) -> None:
        for unit in ("x", " ", "\n", '"', "a.", "漢", "\ud800"):
            with self.subTest(unit=unit):
                start = time.perf_counter()
                self.assertGreater(estimate_tokens(unit * 1_000_000), 0)
                self.assertLess(time.perf_counter() - start, 10)


if __name__ == "__main__":
    unittest.main()

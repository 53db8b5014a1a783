"""Behaviour of the default token estimate: what it counts, what it promises about parts, what it costs."""

import random
import re
import time
import unittest

from clawvm_runtime.text.tokens import TokenCounter, estimate_tokens

SEED = 20261
PIECES = (
    *("word", "Identifier", "snake_case_name", "camelCaseName", " ", "  ", "\n", "\r\n", "\n\n    ", "\t", "0"),
    *("1234567", "()", "==", "...", '"', "é", "Привет", "漢字", "かな", "한국어", "🦀", "👩‍💻", "\ud800", "\0"),
    *("\x1b[31m", "\u2028", "\xa0"),
)
# The table of the module as a pattern.
PIECE_OF_A_CLASS = re.compile(
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}| {2,16}|[\r\n]{1,4}|\t{1,4}"
    r"|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    r"|[\u0080-\u303f\u3100-\u33ff\u4dc0-\u4dff\ua000-\uabff\ud7b0-\U0010ffff]{1,2}"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


def random_text(rng: random.Random, most: int) -> str:
    return "".join(piece * rng.choice((1, 1, 1, 20)) for piece in rng.choices(PIECES, k=rng.randrange(most)))


class TokenTests(unittest.TestCase):
    def test_each_class_of_characters_has_its_size(self) -> None:
        expected = {"": 0, "a": 1, "commit": 1, "commits": 2, "internationalization": 4, "never commit": 2, " ": 0}
        expected |= {"7": 1, "512": 1, "1024": 2, "1234567": 3, "        ": 1, "\n\n": 1, "\t\t": 1, " " * 17: 1}
        expected |= {" " * 18: 2, "漢字": 2, "ひらがな": 4, "한국어": 3, "éé": 1, "==": 1, "a  b": 3}
        counter: TokenCounter = estimate_tokens
        self.assertEqual({text: counter(text) for text in expected}, expected)

    def test_every_character_but_a_single_space_is_counted(self) -> None:
        # One character of each first byte in UTF-8, and all below 256.
        codes = {*range(256), *range(0x100, 0x110000, 61)}
        self.assertEqual([chr(code) for code in codes if not estimate_tokens(chr(code))], [" "])

    def test_english_prose_takes_between_three_and_six_characters_a_token(self) -> None:
        prose = "The build writes its report to a file. Never commit it, and run the tests before you push. " * 20
        self.assertTrue(3 <= len(prose) / estimate_tokens(prose) <= 6)

    def test_the_estimate_is_the_number_of_pieces_of_each_class(self) -> None:
        rng = random.Random(SEED)
        texts = [random_text(rng, 20) for _ in range(800)]
        texts += [
            unit * length for unit in ("x", "7", "-", " ", "\n", "é", "漢", "a ", "é漢") for length in (5_000, 5_001)
        ]
        for case, text in enumerate(texts):
            with self.subTest(seed=SEED, case=case, text=text[:80]):
                self.assertEqual(estimate_tokens(text), len(PIECE_OF_A_CLASS.findall(text)))

    def test_joining_costs_at_most_one_token_and_a_longer_text_never_costs_less(self) -> None:
        rng = random.Random(SEED)
        for case in range(300):
            first, second = random_text(rng, 10), random_text(rng, 10)
            with self.subTest(seed=SEED, case=case, first=first, second=second):
                together = estimate_tokens(first + second)
                self.assertLessEqual(together, estimate_tokens(first) + estimate_tokens(second) + 1)
                counts = [estimate_tokens(first[:length]) for length in range(len(first) + 1)]
                self.assertEqual(counts, sorted(counts))

    def test_a_megabyte_of_anything_is_counted_in_seconds(self) -> None:
        for unit in ("x", " ", '"', "漢", "\ud800"):
            start = time.process_time()
            self.assertGreater(estimate_tokens(unit * 300_000), 0)
            self.assertLess(time.process_time() - start, 3, unit)

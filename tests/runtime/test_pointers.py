"""Behaviour of the words that a pointer shows: which of them a text defines."""

import unittest

from clawvm_runtime.pages import Provenance
from clawvm_runtime.text.pointers import pointer
from clawvm_runtime.vocabulary import PageType


def words_of(text: str) -> str:
    line = pointer(text, page_id="p", page_type=PageType.EVIDENCE, provenance=Provenance("tool_call", "call"), tokens=9)
    return line.split(" | ")[2]


class DefinedWordTests(unittest.TestCase):
    def test_a_word_that_is_defined_comes_before_one_that_is_not(self) -> None:
        self.assertEqual(words_of("betas gamma alpha"), "betas, gamma, alpha")
        self.assertEqual(words_of("betas gamma fn alpha"), "alpha, betas, gamma")

    def test_a_keyword_that_is_defined_itself_defines_nothing(self) -> None:
        self.assertEqual(words_of("betas class function alpha"), "betas, alpha")

    def test_a_word_is_counted_whatever_stands_beside_it(self) -> None:
        self.assertEqual(words_of("gamma 12→betas|betas 漢→betas"), "betas, gamma")


if __name__ == "__main__":
    unittest.main()

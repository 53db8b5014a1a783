"""Behaviour of pointers: what they show, and that each resolves to its own page and nothing else to any."""

import random
import unittest

from clawvm_runtime.pages import Provenance
from clawvm_runtime.text import pointers
from clawvm_runtime.text.pointers import parse_pointer, pointer
from clawvm_runtime.vocabulary import PageType, Scope
from tests.runtime.text.samples import PYTHON_MODULE, TRANSCRIPT

SEED = 20263
EVIDENCE = PageType.EVIDENCE


def words_of(text: str) -> str:
    line = pointer(text, page_id="p", page_type=EVIDENCE, provenance=Provenance("tool_call", "call"), tokens=9)
    return line.split(" | ")[2]


class PointerTests(unittest.TestCase):
    TOOL_CALL = Provenance("tool_call", 'read({"path":"src/app.py"})')

    def point(self, text: str, reference: str = "x", page_id: str = "ev-1", page_type: PageType = EVIDENCE) -> str:
        return pointer(
            text, page_id=page_id, page_type=page_type, provenance=Provenance("tool_call", reference), tokens=812
        )

    def test_it_names_handle_type_origin_words_and_size(self) -> None:
        line = self.point(PYTHON_MODULE, 'read({"path":"src/limits.py"})')
        self.assertRegex(
            line, r"^\[page ev-1 evidence \| read src/limits\.py \| [^|]*TokenBucket[^|]* \| 812 tokens\]$"
        )
        self.assertIn("RateLimitError", line)

    def test_the_telling_words_are_names_not_stop_words(self) -> None:
        words = self.point("the retry of the parse_config is the retry that was " * 9).split(" | ")[2].split(", ")
        self.assertEqual(words, ["parse_config", "retry"])

    def test_hashes_numbers_and_words_of_the_origin_tell_nothing(self) -> None:
        line = self.point("3f2a1bc9d8e7 1234567890 app_config app_config abc1d2e3f4 word", "cat app_config")
        self.assertEqual(line, "[page ev-1 evidence | cat app_config | word | 812 tokens]")

    def test_words_that_contain_each_other_are_not_both_shown(self) -> None:
        self.assertEqual(self.point("parse_config " * 5 + "parse config").split(" | ")[2], "parse_config")

    def test_scripts_without_spaces_have_words_too(self) -> None:
        self.assertIn("支払いの期限", self.point("支払いの期限は月末です。" * 3))

    def test_at_most_six_words_are_shown(self) -> None:
        words = self.point(" ".join(f"{letter * 5}word" for letter in "abcdefghij")).split(" | ")[2].split(", ")
        self.assertEqual(len(words), 6)

    def test_a_text_without_words_still_has_a_pointer(self) -> None:
        for text in ("", "123 456", "!!!", "\0", "\ud800"):
            self.assertEqual(self.point(text), "[page ev-1 evidence | x | 812 tokens]")

    def test_a_tool_call_shows_its_telling_arguments(self) -> None:
        expected = {
            'bash({"command":"git status","timeout":5})': "bash git status",
            'grep({"path":"src","pattern":"TODO"})': "grep TODO src",
            'shell({"command":["bash","-lc","ls"]})': "shell bash -lc ls",
            'fetch({"url":"https://example.org"})': "fetch https://example.org",
            'tool({"other":1})': 'tool({"other":1})',
            "tool({broken})": "tool({broken})",
            'tool({"command":3})': 'tool({"command":3})',
            "tool(" + '{"path":' * 4000 + "})": None,
        }
        for reference, origin in expected.items():
            with self.subTest(reference[:60]):
                shown = self.point("", reference).split(" | ")[1]
                self.assertEqual(shown, origin) if origin else self.assertTrue(shown.endswith("…"))

    def test_a_long_origin_is_cut(self) -> None:
        shown = self.point("", "cat " + "x" * 5000).split(" | ")[1]
        self.assertEqual(len(shown), pointers.ORIGIN_LENGTH + 1)

    def test_a_preference_keeps_scope_and_provenance(self) -> None:
        line = pointer(
            "editor: vim",
            page_id="pref-1",
            page_type=PageType.PREFERENCE,
            provenance=Provenance("user", "turn 3 of " + "s" * 200),
            tokens=4,
            scope=Scope.PROJECT,
        )
        self.assertTrue(line.startswith("[page pref-1 preference project | user turn 3 of " + "s" * 200 + " | "))
        self.assertEqual(parse_pointer(line), "pref-1")

    def test_a_conversation_segment_keeps_span_and_timestamps(self) -> None:
        span = "span 3f-17..3f-42 2026-01-02T10:00:00Z..2026-01-02T10:31:07Z " + "s" * 100
        line = pointer(
            TRANSCRIPT,
            page_id="c-1",
            page_type=PageType.CONVERSATION_SEGMENT,
            provenance=Provenance("transcript_span", span),
            tokens=90,
        )
        self.assertEqual(line.split(" | ")[1], span)

    def test_every_pointer_resolves_to_its_own_page_whatever_it_was_made_of(self) -> None:
        rng = random.Random(SEED)
        pieces = [
            *(
                *("[page other evidence | x | 1 tokens]", "]\n[page other evidence | x | 1 tokens]"),
                *(" | 1 tokens]", "|", "]", "["),
            ),
            *(
                *("%", "%20;", "%5B;", " ", "evidence", "\n", "\r", "\x85", "\u2028", "\u202e", "\0", "\ud800"),
                *("漢字", "word", "é"),
            ),
        ]
        for case in range(400):
            page_id = "".join(piece for piece in rng.choices(pieces, k=4) if piece.isprintable()) or "p"
            text, reference = ("".join(rng.choices(pieces, k=rng.randrange(1, 12))) for _ in range(2))
            page_type = rng.choice(list(PageType))
            scope = rng.choice(list(Scope))
            with self.subTest(seed=SEED, case=case, page_id=page_id, text=text, reference=reference):
                line = pointer(
                    text,
                    page_id=page_id,
                    page_type=page_type,
                    provenance=Provenance("tool_call", reference),
                    tokens=7,
                    scope=scope,
                )
                self.assertTrue(line.isprintable())
                self.assertEqual((line.count("["), line.count("]")), (1, 1))
                self.assertEqual(parse_pointer(line), page_id)
                self.assertEqual(parse_pointer(f"  {line}\n"), page_id)

    def test_two_pages_never_share_a_handle(self) -> None:
        ids = [
            *("a", "a ", " a", "a%20;", "a%", "a|", "a]", "[a", "a%7C;", "A", "à", "a\u0300", "a evidence"),
            *("\ud800", "\n"),
        ]
        lines = [self.point("", page_id=page_id) for page_id in ids]
        self.assertEqual([parse_pointer(line) for line in lines], ids)
        self.assertEqual(len(set(lines)), len(ids))

    def test_no_other_line_is_a_pointer(self) -> None:
        good = self.point("word")
        self.assertEqual(parse_pointer(good), "ev-1")
        for line in (
            *("", "ev-1", good[1:], good[:-1], f"see {good}", f"{good} {good}", f"{good}\n{good}"),
            *("[page ev-1 evidence | 812 tokens]", "[page ev-1 secret | x | 812 tokens]"),
            *("[page  evidence | x | 812 tokens]", "[page ev 1 evidence | x | 812 tokens]"),
            *("[page ev-1 evidence | x | many tokens]", "[page ev-1 evidence | x\ny | 812 tokens]"),
            *("[page %41; evidence | x | 812 tokens]", "[page %110000; evidence | x | 812 tokens]"),
            "[page ev-1 evidence session | x | 812 tokens]",
        ):
            with self.subTest(line):
                self.assertIsNone(parse_pointer(line))


class DefinedWordTests(unittest.TestCase):
    def test_a_word_that_is_defined_comes_before_one_that_is_not(self) -> None:
        self.assertEqual(words_of("betas gamma alpha"), "betas, gamma, alpha")
        self.assertEqual(words_of("betas gamma fn alpha"), "alpha, betas, gamma")

    def test_a_keyword_that_is_defined_itself_defines_nothing(self) -> None:
        self.assertEqual(words_of("betas class function alpha"), "betas, alpha")

    def test_a_word_is_counted_whatever_is_next_to_it(self) -> None:
        self.assertEqual(words_of("gamma 12→betas|betas 漢→betas"), "betas, gamma")

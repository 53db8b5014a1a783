"""Names that reveal nothing."""

import unittest

from clawvm_transcripts.pseudonyms import Pseudonyms, digest_of, number_of


class PseudonymsTest(unittest.TestCase):
    def test_the_same_words_get_the_same_name(self) -> None:
        self.assertEqual(Pseudonyms(b"key").name("file", "a.py"), Pseudonyms(b"key").name("file", "a.py"))

    def test_other_words_another_kind_or_another_key_give_another_name(self) -> None:
        names = {
            Pseudonyms(key).name(kind, words).rpartition("-")[2]
            for key in (b"one", b"two")
            for kind in ("file", "step")
            for words in ("a.py", "b.py")
        }
        self.assertEqual(len(names), 8)

    def test_a_name_is_its_kind_and_48_bits(self) -> None:
        self.assertRegex(Pseudonyms(b"key").name("file", "/home/somebody/a.py"), r"^file-[0-9a-f]{12}$")

    def test_with_keep_text_the_words_stand_in_the_name_and_still_tell_names_apart(self) -> None:
        names = Pseudonyms(b"key", keep_text=True)
        name = names.name("file", "a.py\nsecond\x07 line")
        self.assertRegex(name, r"^file a\.py second line #[0-9a-f]{12}$")
        self.assertTrue(name.isprintable())
        one, other = (names.name("command", "x" * 500 + end) for end in "ab")
        self.assertNotEqual(one, other)
        self.assertLess(len(one), 160)

    def test_any_text_has_a_name(self) -> None:
        for words in ("", "\ud800", "\x00", "ünï", "\u2028"):
            self.assertTrue(Pseudonyms(b"key", keep_text=True).name("file", words).isprintable())
            self.assertEqual(len(digest_of(words)), 16)
            self.assertLess(number_of(words), 2**64)

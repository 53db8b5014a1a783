"""No output of a conversion of all fixtures holds a word of theirs."""

import gzip
import tempfile
import unittest
from pathlib import Path

from tests.transcripts import test_privacy
from tests.transcripts.recordings import FIXTURES, content_of


class FixturesTest(unittest.TestCase):
    def test_no_output_of_a_conversion_of_all_fixtures_holds_a_word_of_theirs(self):
        inputs = set()
        for path in FIXTURES.rglob("*"):
            if path.is_file():
                content = content_of(path)
                content = gzip.decompress(content) if path.suffix == ".gz" else content
                inputs |= test_privacy.words_in(content.decode("utf-8", "replace")) | test_privacy.words_in(path.name)
        self.assertGreater(len(inputs), 400)
        private = inputs - test_privacy.vocabulary()
        self.assertGreater(len(private), 250, "the vocabulary hides what there is to find")
        for chain in ("none", "project", "all"):
            with tempfile.TemporaryDirectory() as folder:
                printed = test_privacy.converted(FIXTURES, "--out", folder, "--chain", chain)
                for place, text in test_privacy.outputs(Path(folder), printed):
                    self.assertEqual(test_privacy.words_in(text) & private, set(), (chain, place))

"""The word lists: rules, preferences, rule files, documents of requirements."""

import unittest

from clawvm_transcripts.recorded_pages import (
    LONGEST_SENTENCE,
    MOST_SENTENCES,
    is_requirement_document,
    is_rule_file,
    preferences_in,
    rules_in,
)


class SentencesTest(unittest.TestCase):
    def test_a_sentence_in_which_the_user_sets_a_rule_is_a_rule(self) -> None:
        for sentence in (
            "Always run the tests.",
            "never push to main",
            "You must not touch it!",
            "Do not ask.",
            "don't ask",
            "don\u2019t ask",
            "Make sure that it builds.",
            "Ensure that it builds.",
            "ONLY EVER use tabs",
            "Under no circumstances delete it.",
        ):
            self.assertEqual(rules_in(sentence), (sentence,))

    def test_other_sentences_are_none(self) -> None:
        for sentence in ("Run the tests.", "The mustard is nevertheless fine", "", "sure, make it"):
            self.assertEqual(rules_in(sentence), ())

    def test_only_the_sentence_with_the_rule_counts(self) -> None:
        text = "Look at it. Always use foo.py, not e.g. bar.py! Thanks.\nNever\nstop"
        self.assertEqual(rules_in(text), ("Always use foo.py, not e.g.", "Never"))

    def test_file_names_do_not_end_a_sentence(self) -> None:
        self.assertEqual(rules_in("Never edit config.yaml by hand."), ("Never edit config.yaml by hand.",))

    def test_a_preference_is_no_rule(self) -> None:
        text = "I prefer tabs. I\u2019d like it short. By default use ruff. From now on always commit. Go."
        self.assertEqual(preferences_in(text), ("I prefer tabs.", "I\u2019d like it short.", "By default use ruff."))
        self.assertEqual(rules_in(text), ("From now on always commit.",))

    def test_pasted_text_is_no_list_of_rules(self) -> None:
        self.assertEqual(rules_in("never " * LONGEST_SENTENCE), ())
        self.assertEqual(len(rules_in("Never a.\n" * 100)), MOST_SENTENCES)

    def test_long_texts_take_no_longer_than_they_are_long(self) -> None:
        for text in ("." * 10**5, "a." * 10**5, "?! " * 10**4, "must " * 10**4, " " * 10**5, ". " + " " * 10**5):
            rules_in(text)
            preferences_in(text)


class FilesTest(unittest.TestCase):
    def test_rule_files_are_known_by_their_names_in_any_folder(self) -> None:
        for path in ("AGENTS.md", "a/b/claude.md", "C:\\x\\CLAUDE.local.md", ".cursorrules", "GEMINI.MD"):
            self.assertTrue(is_rule_file(path), path)
        for path in ("agents.md/x.py", "my-agents.md", "README.md", ""):
            self.assertFalse(is_rule_file(path), path)

    def test_documents_of_requirements_are_known_by_their_names(self) -> None:
        for path in ("spec.md", "docs/PRD.md", "user-stories.md", "product_requirements-v2.md", "rfc 12.rst"):
            self.assertTrue(is_requirement_document(path), path)
        for path in ("requirements.txt", "spec.py", "inspector.md", "test_spec.js", "", "spec" * 10**5):
            self.assertFalse(is_requirement_document(path), path[:40])

"""One word per idea: names, messages, docstrings and documents use the words of docs/glossary.md."""

import ast
import functools
import re
import unittest
from collections import defaultdict
from pathlib import Path

from tests.test_import_directions import PACKAGES, ROOT, SCRIPTS, modules, nodes_of

CLASSES = {
    "Chance": "ReuseOpportunity",
    "HeldTurns": "FlushPlacer",
    "Ladder": "LevelCosts",
    "Nature": "WorkloadParameters",
    "Lookup": "RecallQuery",
    "_Book": "ModelState",
    "_Sheet": "FieldWriter",
}
"""Names that nothing has, with the name that it has instead. In lower case some of them are ordinary words."""

PARTS = {
    "comes_out": "reproduced",
    "that_come_out": "reproduced",
    "ladder": "level costs",
    "lookup": "recall",
    "lost_by": "loss_cause",
    "misreport": "fault injection",
    "pass_over": "skip",
    "prelude": "events_before",
    "re_fetch": "refetch",
    "usable_room": "packable tokens",
}
"""Parts that no name has, in snake case, with the word that is used instead."""

PHRASES = {
    r"\bin truth\b": "actually",
    r"\btold apart\b": "distinguished",
    r"\b(?:told|tells)\b": "reports, records",
    r"\blook-ups?\b|\blookup\b": "recall",
    r"\bof the house\b|\bthe house's (?:rooms|rules)\b": "packages, layers",
    r"\b(?:stands|stood) (?:at|in the prompt)\b": "is at, was in the prompt",
    r"\b(?:comes|come|came) out at\b": "is, are",
    r"\b(?:figures?|kinds|predictions?) (?:that )?(?:comes?|came) out\b": "reproduced",
    r"\bwhat it gave\b": "results",
    r"\bre-fetch(?:es|ed)?\b|\bfetch(?:es|ed)? again\b": "refetch",
    r"\busable rooms?\b": "packable tokens",
    r"\bmisreports?\b": "fault injection",
    r"\bthe (?:turn|trace)'s prelude\b|\bin the prelude\b": "events before",
    r"\blost_by\b": "loss_cause",
}
"""Patterns of prose that is not written, with what is."""

PHRASES_ALLOWED = {
    "tells the model": "a prompt does",
    "tells the user": "a message does",
}
"""Exact phrases that may be written although a pattern matches in them, each with its reason."""

OLD_KEY, OLD_KEY_MODULE = "lookups", "replay_py/clawvm_replay/trace_format.py"
"""The key of recalls in traces keeps its name, so that old traces open; one module maps it, no other name has it."""

ANY_PHRASE = re.compile("|".join(PHRASES), re.IGNORECASE)
ANY_PART = re.compile(rf"(?:^|_)(?:{'|'.join(PARTS)})s?(?:_|$)")

SAME_NAME_ALLOWED: dict[str, str] = {}
"""Names that two classes may share, each with its reason."""

OLD_NAMES = {"CHANGELOG.md"}
"""Documents that list old names on purpose."""


def sources():
    """Return every file of code that is shipped, by its path in the repository."""
    return {path.relative_to(ROOT).as_posix(): path for path in [*modules().values(), *SCRIPTS]}


def test_files():
    """Return the text of every test but this one, by its path in the repository."""
    paths = (path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__).resolve())
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def schema_files():
    """Return the text of every schema, by its path in the repository."""
    return {f"schemas/{path.name}": path.read_text(encoding="utf-8") for path in (ROOT / "schemas").glob("*.json")}


def documents():
    """Return every Markdown document, by its path in the repository."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("traces/*.md")]
    return {path.name: path for path in paths if path.name not in OLD_NAMES}


def snake(name):
    """Return an identifier in snake case.

    >>> snake("HeldTurns"), snake("lost_by")
    ('held_turns', 'lost_by')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@functools.cache
def is_banned(name):
    """Return whether a name, or one of its words, is banned: ``with_ladder`` is, ``bladder`` is not."""
    return name in CLASSES or bool(ANY_PART.search(snake(name)))


def banned_phrase(text):
    """Return the first phrase of a text that is not written, with what is, or None."""
    flat = " ".join(text.split())
    for allowed in PHRASES_ALLOWED:
        flat = flat.replace(allowed, "")
    if not ANY_PHRASE.search(flat):
        return None
    for pattern, better in PHRASES.items():
        found = re.search(pattern, flat, re.IGNORECASE)
        if found:
            return f"{found[0]!r} -> {better}"
    return None


def banned_names(text):
    """Return the banned names and keys in a text, in a comment or in prose, too."""
    return {word for word in re.findall(r"[^\W\d]\w*", text) if is_banned(word)} - {OLD_KEY}


def identifiers(nodes):
    """Yield every name that a module defines: classes, functions, arguments, variables, attributes."""
    for node in nodes:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno


def strings(nodes):
    """Yield every text of a module: docstrings, messages, keys of records."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno


class WordsTest(unittest.TestCase):
    def test_names_use_the_words_of_the_glossary(self):
        for name, path in sources().items():
            nodes = nodes_of(path)
            allowed = {OLD_KEY} if name == OLD_KEY_MODULE else set()
            words = [(word, line) for word, line in identifiers(nodes) if word not in allowed]
            found = sorted({f"{name}:{line}: {word}" for word, line in words if is_banned(word)})
            keys = {
                f"{name}:{line}: {text!r}"
                for text, line in strings(nodes)
                if text.isidentifier() and is_banned(text) and text not in allowed
            }
            with self.subTest(module=name):
                self.assertEqual([*found, *sorted(keys)], [])

    def test_docstrings_and_messages_have_no_banned_phrase(self):
        for name, path in sources().items():
            nodes = nodes_of(path)
            found = [f"{name}:{line}: {banned_phrase(text)}" for text, line in strings(nodes) if banned_phrase(text)]
            with self.subTest(module=name):
                self.assertEqual(found, [])

    def test_tests_use_the_words_too(self):
        for name, text in test_files().items():
            with self.subTest(module=name):
                self.assertIsNone(banned_phrase(text))
                if OLD_KEY in text or banned_names(text):  # Only then is it parsed: in prose some words are ordinary.
                    found = {(line, word) for word, line in identifiers(ast.walk(ast.parse(text))) if is_banned(word)}
                    self.assertEqual(sorted(found), [])

    def test_schemas_use_the_words_too(self):
        for name, text in schema_files().items():
            with self.subTest(schema=name):
                self.assertIsNone(banned_phrase(text))
                self.assertEqual(banned_names(text), set())

    def test_documents_and_claims_have_no_banned_phrase(self):
        claims = next(PACKAGES["clawvm_experiments"].rglob("claims.json"))
        for name, path in {**documents(), claims.name: claims}.items():
            with self.subTest(document=name):
                self.assertIsNone(banned_phrase(path.read_text(encoding="utf-8")))

    def test_a_package_is_no_room(self):
        for name, path in documents().items():
            with self.subTest(document=name):
                self.assertIsNone(re.search(r"\b(?:rooms?|house)\b", path.read_text(encoding="utf-8"), re.IGNORECASE))
        for package in PACKAGES.values():
            docstring = ast.get_docstring(nodes_of(package / "__init__.py")[0]) or ""
            with self.subTest(package=package.name):
                self.assertIsNone(re.search(r"\b(?:rooms?|house)\b", docstring, re.IGNORECASE))

    def test_no_two_public_classes_share_a_name(self):
        owners = defaultdict(list)
        for name, path in modules().items():
            for node in nodes_of(path):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):  # Private: seen in one module.
                    owners[node.name].append(name)
        twice = {name: where for name, where in owners.items() if len(where) > 1 and name not in SAME_NAME_ALLOWED}
        self.assertEqual(twice, {}, "one name, one class")


class TheListTest(unittest.TestCase):
    def test_it_finds_what_is_banned(self):
        for word in ("HeldTurns", "Ladder", "prelude", "_Book", "lost_by", "with_ladder", "Chance", "UsableRooms"):
            self.assertTrue(is_banned(word), word)
        for text in (
            "it stood in\nthe prompt",
            "In truth, no.",
            "3 re-fetches",
            "kinds that come out",
            "what it tells",
            "a look-up",
        ):
            self.assertIsNotNone(banned_phrase(text), text)

    def test_it_leaves_ordinary_words_alone(self):
        for word in ("bladder", "signature", "Book", "committed", "room", "nature", "chance", "gone"):
            self.assertFalse(is_banned(word), word)
        for text in (
            "a meeting room",
            "a housing",
            "stands for",
            "comes out of the tool",
            "the prompt passed",
            "this tells the model why",
        ):
            self.assertIsNone(banned_phrase(text), text)

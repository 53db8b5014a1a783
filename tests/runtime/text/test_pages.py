"""Behaviour of pages made from text: which levels they keep, what those cost, how committed fields are shown."""

import random
import subprocess
import sys
import time
import unittest
from itertools import pairwise
from pathlib import Path

from clawvm_runtime.errors import PageError
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.text.kinds import ContentKind
from clawvm_runtime.text.pages import BASE_UTILITY, RECOMPUTE_COST, page_from_text, with_committed_fields
from clawvm_runtime.text.pointers import parse_pointer
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass, Scope
from tests.runtime.text.samples import AGENTS_MD, PYTEST_LOG, PYTHON_MODULE, SAMPLES, TODO_PLAN, TRANSCRIPT, random_text

SEED = 20264
SOURCE = Provenance("tool_call", 'read({"path":"src/limits.py"})')
TYPES = list(PageType)
LEVELS = {page_type: set(rule.levels) for page_type, rule in TYPE_RULES.items()}


def representations() -> str:
    """Return the texts of pages of every type that are made from every sample."""
    pages = (page_from_text("p", kind, text * 9, SOURCE) for text, _ in SAMPLES.values() for kind in TYPES)
    return ascii([sorted(page.texts.items()) for page in pages])


def count_words(text: str) -> int:
    """A counter unlike the default one."""
    return len(text.split())


class LevelTests(unittest.TestCase):
    def test_a_long_text_gets_every_level_of_its_type(self) -> None:
        texts = {
            PageType.BOOTSTRAP_POLICY: AGENTS_MD,
            PageType.CONSTRAINT: AGENTS_MD,
            PageType.PLAN: TODO_PLAN,
            PageType.PREFERENCE: AGENTS_MD * 3,
            PageType.EVIDENCE: PYTHON_MODULE * 3,
            PageType.CONVERSATION_SEGMENT: TRANSCRIPT * 12,
        }
        for page_type, text in texts.items():
            page = page_from_text("p", page_type, text, SOURCE)
            with self.subTest(page_type):
                expected = LEVELS[page_type]
                if page_type is PageType.PREFERENCE:
                    # Its rules are kept word for word, which compressed is shorter than.
                    expected = expected - {Level.STRUCTURED}
                self.assertEqual(set(page.levels), expected)

    def test_full_is_the_text_itself(self) -> None:
        for name, (text, _) in SAMPLES.items():
            with self.subTest(name):
                self.assertEqual(page_from_text("p", PageType.EVIDENCE, text, SOURCE).texts[Level.FULL], text)

    def test_a_tiny_text_is_full_only(self) -> None:
        for page_type in PageType:
            page = page_from_text("p", page_type, "Use tabs.", SOURCE)
            self.assertEqual(page.levels, (Level.FULL,))
            self.assertEqual(page.floor_level, Level.FULL)

    def test_a_text_without_tokens_is_full_only_and_costs_the_least_that_a_page_may(self) -> None:
        for text in ("", " "):
            for page_type in PageType:
                page = page_from_text("p", page_type, text, SOURCE)
                self.assertEqual((page.costs, page.texts), ({Level.FULL: 1}, {Level.FULL: text}))

    def test_white_space_has_no_representation_that_is_white_space(self) -> None:
        for text in (" ", "\n\n\n", "\t \r\n" * 100):
            for page_type in PageType:
                page = page_from_text("p", page_type, text, SOURCE)
                self.assertTrue(all(words.strip() for level, words in page.texts.items() if level is not Level.FULL))

    def test_the_floor_of_a_page_is_never_pushed_out_by_a_level_that_says_less(self) -> None:
        # No definitions: the structured form of this text is one line shorter than any pointer.
        page = page_from_text("p", PageType.EVIDENCE, "x = 1\n" * 200, SOURCE, kind=ContentKind.SOURCE_CODE)
        self.assertEqual(page.levels, (Level.POINTER, Level.COMPRESSED, Level.FULL))
        self.assertEqual(page.floor_level, Level.POINTER)

    def test_an_active_plan_keeps_its_steps_rather_than_a_pointer_that_costs_more(self) -> None:
        text = "- [ ] ship\n" + "- [x] an old step that is done and gone\n" * 4
        page = page_from_text("p", PageType.PLAN, text, SOURCE)
        self.assertEqual(page.levels, (Level.STRUCTURED, Level.FULL))
        done = page_from_text("p", PageType.PLAN, text, SOURCE, active=False)
        self.assertEqual(done.floor_level, Level.POINTER)

    def test_a_plan_that_is_done_keeps_its_pointer(self) -> None:
        page = page_from_text("p", PageType.PLAN, TODO_PLAN, SOURCE, active=False)
        self.assertEqual((page.minimum, page.floor_level), (Level.POINTER, Level.POINTER))

    def test_the_pointer_resolves_to_the_page(self) -> None:
        for page_id in ("ev-12", "a page", "[x] | 3 tokens]", "漢字", "100%"):
            page = page_from_text(page_id, PageType.EVIDENCE, PYTHON_MODULE * 3, SOURCE)
            self.assertEqual(parse_pointer(page.texts[Level.POINTER]), page_id)

    def test_the_pointer_shows_the_cost_of_full(self) -> None:
        page = page_from_text("ev-1", PageType.EVIDENCE, PYTEST_LOG * 3, SOURCE)
        self.assertTrue(page.texts[Level.POINTER].endswith(f"| {page.costs[Level.FULL]} tokens]"))

    def test_the_pointer_of_a_preference_shows_scope_and_provenance(self) -> None:
        page = page_from_text("pref-1", PageType.PREFERENCE, AGENTS_MD, Provenance("user", "turn 3"))
        self.assertTrue(page.texts[Level.POINTER].startswith("[page pref-1 preference project | user turn 3 | "))

    def test_the_kind_can_be_given(self) -> None:
        page = page_from_text("p", PageType.EVIDENCE, PYTEST_LOG * 3, SOURCE, kind=ContentKind.PROSE)
        self.assertTrue(page.texts[Level.STRUCTURED].startswith("prose, "))

    def test_another_counter_counts_every_level(self) -> None:
        page = page_from_text("p", PageType.EVIDENCE, PYTHON_MODULE * 9, SOURCE, token_counter=count_words)
        self.assertEqual(page.costs, {level: count_words(words) for level, words in page.texts.items()})
        self.assertGreater(len(page.levels), 2)

    def test_a_page_without_texts_has_the_costs_of_the_one_with_texts(self) -> None:
        for page_type in PageType:
            for text in ("", "Use tabs.", AGENTS_MD * 3, PYTHON_MODULE * 3):
                page = page_from_text("p", page_type, text, SOURCE)
                with self.subTest(page_type, length=len(text)):
                    without = page_from_text("p", page_type, text, SOURCE, keep_texts=False)
                    self.assertEqual(without, page.changed(texts={}))

    def test_a_size_that_is_given_is_not_counted_again(self) -> None:
        page = page_from_text("p", PageType.EVIDENCE, PYTEST_LOG * 3, SOURCE, tokens=7000)
        self.assertEqual(page.costs[Level.FULL], 7000)
        self.assertTrue(page.texts[Level.POINTER].endswith("| 7000 tokens]"))
        self.assertEqual(page_from_text("p", PageType.EVIDENCE, "", SOURCE, tokens=0).costs, {Level.FULL: 1})


class AttributeTests(unittest.TestCase):
    def test_what_is_not_given_comes_from_the_type(self) -> None:
        for page_type, rule in TYPE_RULES.items():
            page = page_from_text("p", page_type, AGENTS_MD, SOURCE)
            with self.subTest(page_type):
                self.assertEqual((page.scope, page.pin, page.minimum), (rule.scopes[0], rule.pin, rule.floor))
                self.assertEqual(page.base_utility, BASE_UTILITY[page_type])
                self.assertEqual(page.recompute_cost, RECOMPUTE_COST[page_type])
                self.assertEqual((page.version, page.active), (1, True))

    def test_every_type_has_defaults(self) -> None:
        self.assertEqual(set(BASE_UTILITY), set(PageType))
        self.assertEqual(set(RECOMPUTE_COST), set(PageType))
        self.assertEqual((BASE_UTILITY[PageType.EVIDENCE], RECOMPUTE_COST[PageType.EVIDENCE]), (5, 8))
        self.assertEqual(BASE_UTILITY[PageType.CONSTRAINT], 7)

    def test_what_is_given_is_kept(self) -> None:
        page = page_from_text(
            "p",
            PageType.BOOTSTRAP_POLICY,
            AGENTS_MD,
            SOURCE,
            base_utility=0,
            recompute_cost=0,
            scope=Scope.SESSION,
            pin=PinClass.HARD,
            minimum=Level.FULL,
            version=4,
        )
        self.assertEqual((page.base_utility, page.recompute_cost, page.version), (0, 0, 4))
        self.assertEqual((page.scope, page.pin, page.minimum), (Scope.SESSION, PinClass.HARD, Level.FULL))
        self.assertEqual(page.provenance, SOURCE)

    def test_what_a_page_refuses_is_refused_before_any_work(self) -> None:
        for page_id, attributes in (("", {}), ("a\nb", {}), ("p", {"version": 0}), ("p", {"scope": Scope.PROJECT})):
            with self.subTest(page_id=page_id, attributes=attributes), self.assertRaises(PageError):
                page_from_text(page_id, PageType.EVIDENCE, "text", SOURCE, **attributes)

    def test_a_counter_that_counts_below_zero_is_refused(self) -> None:
        with self.assertRaises(PageError):
            page_from_text("p", PageType.EVIDENCE, "text", SOURCE, token_counter=lambda text: -1)


class CommittedFieldTests(unittest.TestCase):
    def test_committed_fields_are_shown_at_every_level_above_pointer(self) -> None:
        page = page_from_text("p", PageType.EVIDENCE, PYTEST_LOG * 3, SOURCE)
        shown = with_committed_fields(page, {"step": ["a"], "note": "keep"})
        self.assertEqual(shown.levels, page.levels)
        for level in page.levels:
            added = "" if level is Level.POINTER else '\n\nCommitted state:\n- note: keep\n- step: ["a"]'
            self.assertEqual(shown.texts[level], page.texts[level] + added)
            self.assertEqual(shown.costs[level], estimate_tokens(shown.texts[level]))

    def test_a_page_without_fields_or_texts_stays_and_a_level_that_saves_nothing_goes(self) -> None:
        page = page_from_text("p", PageType.EVIDENCE, PYTEST_LOG * 3, SOURCE)
        self.assertIs(with_committed_fields(page, {}), page)
        self.assertIs(with_committed_fields(bare := page.changed(texts={}), {"a": 1}), bare)
        counted = with_committed_fields(page, {"a": 1}, lambda text: 7)
        self.assertEqual(counted.levels, (Level.FULL,))


class PropertyTests(unittest.TestCase):
    def check(self, page: Page, text: str) -> None:
        self.assertEqual(page.texts[Level.FULL], text)
        self.assertEqual(page.costs, {level: estimate_tokens(words) or 1 for level, words in page.texts.items()})
        costs = [page.costs[level] for level in page.levels]
        self.assertTrue(all(lower < higher for lower, higher in pairwise(costs)))
        self.assertLessEqual(set(page.levels), LEVELS[page.type])
        if Level.POINTER in page.levels:
            self.assertEqual(parse_pointer(page.texts[Level.POINTER]), page.id)

    def test_any_text_makes_a_page_whose_levels_cost_what_they_say_and_rise(self) -> None:
        rng = random.Random(SEED)
        for case in range(200):
            text = random_text(rng)
            page_type = rng.choice(list(PageType))
            kind = rng.choice([None, *ContentKind])
            active = page_type is not PageType.PLAN or rng.random() < 0.5
            with self.subTest(seed=SEED, case=case, page_type=page_type, kind=kind):
                page = page_from_text("p 1", page_type, text, SOURCE, kind=kind, active=active)
                self.check(page, text)

    def test_hostile_texts_make_pages_of_every_type_in_time(self) -> None:
        units = {"x": 60_000, '{"a":': 12_000, "[": 15_000, "\ud800": 20_000, "\0": 20_000, "a line\r\n": 5_000}
        units |= {" ": 60_000, "\n": 20_000, "```\n": 4_001, '{"a": ' + "9" * 10_000 + "}": 1, "word and ": 60_000}
        for unit, count in units.items():
            for page_type in (PageType.PLAN, PageType.EVIDENCE):
                start = time.process_time()
                page = page_from_text("p", page_type, unit * count, SOURCE)
                self.check(page, unit * count)
                self.assertLess(page.costs.get(Level.COMPRESSED, 0), 50_000)
                self.assertLess(time.process_time() - start, 10, (unit[:10], page_type))

    def test_no_representation_depends_on_the_hash_seed(self) -> None:
        root = Path(__file__).resolve().parents[3]
        command = [sys.executable, "-c", "from tests.runtime.text.test_pages import *\nprint(representations())"]
        environment = {"PYTHONHASHSEED": "4242"}
        other = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
        self.assertEqual(other.stdout.strip(), representations())

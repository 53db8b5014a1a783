"""Behaviour of the page table: one entry per page, recency, residency, and what a reset destroys."""

import random
import unittest

from clawvm_runtime.errors import PageError, UnknownPageError
from clawvm_runtime.page_table import RECENCY_DECAY, RECENCY_FLOOR, PageTable
from clawvm_runtime.pages import Provenance
from clawvm_runtime.vocabulary import Level, PageType, Scope
from tests.runtime.support import make_page, random_page

SEED = 20265


class HoldingTests(unittest.TestCase):
    def test_a_page_is_held_once(self) -> None:
        table = PageTable()
        table.declare(make_page("a"))
        with self.assertRaises(PageError):
            table.declare(make_page("a", PageType.PLAN))
        self.assertEqual((len(table), "a" in table, "b" in table), (1, True, False))

    def test_an_unknown_page_is_an_error_or_none(self) -> None:
        table = PageTable()
        self.assertIsNone(table.find("a"))
        for ask in (
            table.entry,
            lambda page_id: table.replace(make_page(page_id)),
            lambda page_id: table.amend(make_page(page_id)),
        ):
            with self.assertRaises(UnknownPageError) as caught:
                ask("a")
            self.assertEqual(str(caught.exception), "no page 'a' in the page table")

    def test_ordinals_follow_declaration(self) -> None:
        table = PageTable()
        for page_id in ("c", "a", "b"):
            table.declare(make_page(page_id))
        self.assertEqual([(entry.page.id, entry.ordinal) for entry in table], [("c", 0), ("a", 1), ("b", 2)])
        table.replace(make_page("c"))
        self.assertEqual(table.entry("c").ordinal, 0)

    def test_new_content_is_a_new_version_that_nobody_has_seen(self) -> None:
        table = PageTable()
        entry = table.declare(make_page("a", version=4))
        entry.resident, entry.first_turn, entry.durable, entry.destroyed = Level.FULL, 3, True, True
        table.replace(make_page("a"))
        self.assertEqual(
            (entry.page.version, entry.resident, entry.first_turn, entry.durable, entry.destroyed),
            (5, Level.NONE, None, False, False),
        )
        table.replace(make_page("a", version=9, provenance=Provenance("file", "a.py")))
        self.assertEqual((entry.page.version, entry.durable), (9, True))

    def test_a_page_keeps_its_type(self) -> None:
        table = PageTable()
        table.declare(make_page("a"))
        with self.assertRaises(PageError) as caught:
            table.replace(make_page("a", PageType.PLAN))
        self.assertEqual(caught.exception.attribute, "type")

    def test_amending_keeps_the_run_time_state(self) -> None:
        table = PageTable()
        entry = table.declare(make_page("a"))
        entry.resident, entry.first_turn = Level.POINTER, 1
        table.amend(make_page("a", version=2))
        self.assertEqual((entry.page.version, entry.resident, entry.first_turn), (2, Level.POINTER, 1))


class ResidencyTests(unittest.TestCase):
    def test_pages_that_a_prompt_does_not_name_are_at_none(self) -> None:
        table = PageTable()
        for page_id in "ab":
            table.declare(make_page(page_id))
        table.set_residency({"a": Level.FULL})
        self.assertEqual([entry.resident for entry in table], [Level.FULL, Level.NONE])
        table.set_residency({})
        self.assertEqual([entry.resident for entry in table], [Level.NONE, Level.NONE])

    def test_the_check_finds_a_level_that_the_page_does_not_have(self) -> None:
        table = PageTable()
        table.declare(make_page("a", PageType.CONSTRAINT))
        table.set_residency({"a": Level.POINTER})
        with self.assertRaises(AssertionError):
            table._check()


class RecencyTests(unittest.TestCase):
    def test_recency_decays_each_turn_and_each_demand_adds_one_afterwards(self) -> None:
        table = PageTable()
        table.declare(make_page("a"))
        table.age(["a", "a"])
        self.assertEqual(table.recency["a"], 2.0)
        table.age(["a"])
        self.assertAlmostEqual(table.recency["a"], 2.0 * 0.88 + 1.0)

    def test_recency_below_a_ten_thousandth_becomes_zero(self) -> None:
        table = PageTable()
        table.declare(make_page("a"))
        table.age(["a"])
        expected, turns = 1.0, 0
        while "a" in table.recency:
            self.assertGreaterEqual(table.recency["a"], RECENCY_FLOOR)
            table.age([])
            expected *= RECENCY_DECAY
            turns += 1
        self.assertLess(expected, 0.0001)
        self.assertEqual(turns, 73)  # 0.88 ** 72 is above 0.0001, 0.88 ** 73 below


class ResetTests(unittest.TestCase):
    def test_the_end_of_a_session_destroys_uncommitted_session_pages_only(self) -> None:
        table = PageTable()
        table.declare(make_page("session"))
        table.declare(make_page("from_file", provenance=Provenance("file", "a.py")))
        table.declare(make_page("project", PageType.PREFERENCE))
        table.declare(make_page("committed")).durable = True
        self.assertEqual(table.end_session(), ["session"])
        self.assertEqual([page.id for page in table.live_pages()], ["from_file", "project", "committed"])
        self.assertEqual(table.end_session(), [])

    def test_a_writeback_makes_every_live_page_durable_but_brings_none_back(self) -> None:
        table = PageTable()
        table.declare(make_page("early"))
        table.end_session()
        table.declare(make_page("late"))
        table.mark_durable()
        self.assertEqual(table.end_session(), [])
        self.assertEqual([page.id for page in table.live_pages()], ["late"])

    def test_invariants_hold_after_any_sequence_of_operations(self) -> None:
        for seed in range(SEED, SEED + 30):
            rng = random.Random(seed)
            table = PageTable()
            try:
                for number in range(60):
                    action = rng.randrange(7)
                    ids = [entry.page.id for entry in table]
                    if action == 0 or not ids:
                        table.declare(random_page(rng, f"p{number}"))
                    elif action == 1:
                        old = table.entry(rng.choice(ids)).page
                        new = table.replace(old.changed(base_utility=rng.random()))
                        self.assertGreater(new.page.version, old.version)
                    elif action == 2:
                        table.set_residency({page.id: rng.choice(page.levels) for page in table.live_pages()})
                    elif action == 3:
                        table.age(rng.choices(ids, k=rng.randrange(4)))
                    elif action == 4:
                        table.mark_durable()
                    else:
                        table.set_residency({})
                        doomed = [
                            e.page.id
                            for e in table
                            if e.page.scope is Scope.SESSION and not e.durable and not e.destroyed
                        ]
                        self.assertEqual(table.end_session(), doomed)
                    table._check()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error

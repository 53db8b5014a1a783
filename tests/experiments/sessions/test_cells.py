"""Behaviour of the cells of recorded sessions: their budgets, ids, and which of them there are."""

import unittest

from clawvm_experiments.sessions.cells import WINDOW, Budget, Options, session_cells
from clawvm_replay.errors import InputError
from clawvm_runtime.policy import POLICIES


def facts(*, window=90, cuts=None):
    there = {"cut0100": 1000, "whole": 2999} if cuts is None else cuts
    by_cut = {label: {"turns": 100, "working_set": tokens} for label, tokens in there.items()}
    return {"name": "toy", "recorded": {"window": window}, "views": {"resources": by_cut, "signatures": by_cut}}


class BudgetTest(unittest.TestCase):
    def test_share_is_rounded_down_to_whole_tokens_and_at_least_one(self):
        self.assertEqual(Budget(share=0.2).of(2999, None), 599)
        self.assertEqual(Budget(share=0.05).of(3, None), 1)

    def test_rounding_of_doubles_takes_no_token_away(self):
        self.assertEqual(Budget(share=0.29).of(100, None), 29)

    def test_tokens_and_window_do_not_depend_on_the_working_set(self):
        self.assertEqual([Budget(tokens=7).of(1, 90), Budget().of(1, 90), Budget().of(1, None)], [7, 90, None])

    def test_labels_and_codes(self):
        budgets = (Budget(share=0.05), Budget(share=0.125), Budget(share=1.0), Budget(tokens=32000), Budget())
        self.assertEqual([item.label for item in budgets], ["5 %", "12.5 %", "100 %", "32,000 tokens", WINDOW])
        codes = [item.code for item in budgets]
        self.assertEqual(codes, ["share05", "share12p5", "share100", "tokens000032000", "window"])


class SessionCellsTest(unittest.TestCase):
    def test_every_combination_has_one_cell_with_an_id_of_its_own(self):
        cells = list(session_cells(facts(), Options()))
        self.assertEqual(len({cell.id for cell in cells}), len(cells))
        self.assertEqual(len(cells), 2 * 2 * 5 * len(POLICIES))  # Views, cuts that are there, budgets, policies.

    def test_cell_says_all_that_its_replay_depends_on_but_the_root(self):
        options = Options(shares=(0.2,), window=False, cuts=(100,), policies=("clawvm",), views=("resources",))
        (cell,) = session_cells(facts(), options)
        self.assertEqual(cell.id, "toy-resources-cut0100-share20-clawvm")
        self.assertEqual(
            dict(cell.parameters),
            {
                "budget": 200,
                "budget_label": "20 %",
                "cut": 100,
                "policy": "clawvm",
                "session": "toy",
                "view": "resources",
            },
        )

    def test_session_without_a_recorded_window_has_no_cell_there(self):
        labels = {cell.parameters["budget_label"] for cell in session_cells(facts(window=None), Options())}
        self.assertEqual(labels, {"5 %", "10 %", "20 %", "40 %"})

    def test_session_without_a_turn_has_no_cell(self):
        nothing = facts()
        for by_cut in nothing["views"].values():
            for there in by_cut.values():
                there["turns"] = 0
        self.assertEqual(list(session_cells(nothing, Options())), [])

    def test_cells_stand_in_the_order_of_cuts_and_budgets_whatever_order_was_asked_for(self):
        shuffled = Options(shares=(0.4, 0.05), cuts=(None, 100), policies=("lru",), views=("resources",))
        places = [
            (cell.parameters["cut"], cell.parameters["budget_label"]) for cell in session_cells(facts(), shuffled)
        ]
        budgets = ("5 %", "40 %", WINDOW)
        self.assertEqual(places, [(cut, label) for cut in (100, None) for label in budgets])


class OptionsTest(unittest.TestCase):
    def test_unknown_view_is_refused(self):
        with self.assertRaisesRegex(InputError, "unknown view 'paths'"):
            Options(views=("paths",))

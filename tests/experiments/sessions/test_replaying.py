"""Behaviour of one cell of a recorded session, worked out by hand on a session of five turns and two pages."""

import json
import pickle
import unittest
from pathlib import Path

from clawvm_experiments.sessions.cells import Options, lean_select, replay_session
from clawvm_experiments.sessions.data import session_index
from clawvm_experiments.sessions.report import sessions_experiment
from clawvm_replay.errors import InputError
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_runtime.selector import select
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.views import Observed
from tests.experiments.sessions.made_up import RESET, tool, turns, write_session
from tests.support import temporary_folder


class CellTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)

    def experiment(self, options):
        index = {"toy": session_index(self.root, "toy", options.cuts)}
        return sessions_experiment(Path(self.root), ["toy"], index, options)

    def row(self, policy, tokens, cut=None):
        options = Options(
            shares=(), tokens=(tokens,), window=False, cuts=(cut,), policies=(policy,), views=("resources",)
        )
        experiment = self.experiment(options)
        (cell,) = experiment.cells(False)
        return experiment.run_cell(cell)

    def outcomes(self, counts):
        return {name: value["tokens"] for name, value in counts.items() if isinstance(value, dict) and value["calls"]}


class ToyRowTest(CellTest):
    """Both pages fit in 100 tokens, one at a time in 60, none in 20."""

    def setUp(self):
        super().setUp()
        write_session(self.root, "toy")

    def test_clawvm_with_room_for_both_pages_gives_b_from_the_store_and_has_kept_a(self):
        row = self.row("clawvm", 100)
        self.assertEqual((row["explicit_faults"], row["hits"], row["page_ins"], row["page_in_tokens"]), (0, 3, 1, 60))
        refetched = row["refetched"]
        self.assertEqual((refetched["calls"], refetched["tokens"], refetched["page_in_tokens"]), (2, 92, 60))
        self.assertEqual(refetched["paged_in"], {"calls": 1, "tokens": 61})
        self.assertEqual(refetched["resident"], {"calls": 1, "tokens": 31})
        self.assertEqual(row["repeated"]["resident"], {"calls": 1, "tokens": 41})

    def test_clawvm_with_room_for_one_page_gives_each_from_the_store(self):
        row = self.row("clawvm", 60)
        self.assertEqual((row["explicit_faults"], row["page_in_tokens"]), (0, 140))
        self.assertEqual(self.outcomes(row["refetched"]), {"paged_in": 92, "without_pressure": 92})
        self.assertEqual(row["refetched"]["page_in_tokens"], 100)

    def test_what_does_not_fit_is_pressure_and_no_fault_of_a_policy(self):
        row = self.row("clawvm", 20)
        self.assertEqual((row["explicit_faults"], row["pressure_turns"]), (0, 5))
        self.assertEqual(self.outcomes(row["refetched"]), {"left_out": 92})
        self.assertEqual(row["refetched"]["without_pressure"]["calls"], 0)

    def test_retrieval_runs_every_tool_again(self):
        row = self.row("retrieval", 100)
        self.assertEqual((row["explicit_faults"], row["duplicate_tool"]), (3, 3))
        self.assertEqual(self.outcomes(row["refetched"]), {"faulted": 92, "without_pressure": 92})
        self.assertEqual(row["refetched"]["without_pressure"]["served_calls"], 0)

    def test_cut_ends_the_replay_and_what_is_watched(self):
        row = self.row("clawvm", 100, cut=4)
        self.assertEqual((row["turns"], row["compactions"]), (4, 1))
        self.assertEqual((row["refetched"]["calls"], row["repeated"]["calls"]), (1, 1))

    def test_row_says_which_cell_it_is_and_holds_no_path(self):
        row = self.row("lru", 60)
        expected = {"session": "toy", "view": "resources", "cut": None, "budget": 60, "budget_label": "60 tokens"}
        self.assertEqual({name: row[name] for name in expected}, expected)
        self.assertNotIn(str(self.root), json.dumps(row))

    def test_same_cell_gives_the_same_row_when_it_is_sent_away_and_from_another_folder(self):
        options = Options(shares=(0.6,), cuts=(None,))
        experiment = self.experiment(options)
        elsewhere = temporary_folder(self)
        write_session(elsewhere, "toy")
        index = {"toy": session_index(elsewhere, "toy", options.cuts)}
        other = sessions_experiment(Path(elsewhere), ["toy"], index, options)
        cells = experiment.cells(False)
        self.assertEqual([cell.id for cell in other.cells(False)], [cell.id for cell in cells])
        run = pickle.loads(pickle.dumps(experiment.run_cell))
        for cell in cells:
            row = json.dumps(experiment.run_cell(cell))
            self.assertEqual(json.dumps(run(cell)), row)
            self.assertEqual(json.dumps(other.run_cell(cell)), row)

    def test_session_that_was_given_twice_has_its_cells_once(self):
        index = {"toy": session_index(self.root, "toy", (None,))}
        cells = sessions_experiment(Path(self.root), ["toy", "toy"], index, Options(cuts=(None,))).cells(False)
        self.assertEqual(len(cells), 2 * 5 * len(POLICIES))

    def test_selector_without_its_record_changes_no_number(self):
        for policy in PAPER_POLICIES:
            for budget in (20, 60, 100):
                with self.subTest(policy=policy, budget=budget):
                    place = self.root, "toy", "resources", None, policy, budget
                    plain = replay_session(*place, lambda event: None, select)
                    self.assertEqual(replay_session(*place, lambda event: None, lean_select), plain)


class ResetTest(CellTest):
    def setUp(self):
        super().setUp()
        again = Observed(2, ("a",), Novelty.REPEATED, False, 40)
        write_session(
            self.root, "toy", session_turns=turns(([tool("a", 40)], ["a"]), ([RESET], ["a"])), observed=(again,)
        )

    def test_what_a_reset_destroyed_runs_again_without_writeback_and_is_stored_with_it(self):
        self.assertEqual(self.outcomes(self.row("retrieval_cache", 100)["refetched"])["faulted"], 40)
        self.assertEqual(self.outcomes(self.row("clawvm", 100)["refetched"])["paged_in"], 40)


class ForeignObservationsTest(CellTest):
    def test_observations_of_another_trace_are_refused(self):
        write_session(self.root, "toy", observed=(Observed(1, ("b",), Novelty.REPEATED, True, 1),))
        with self.assertRaisesRegex(InputError, "turn 1"):
            self.row("clawvm", 100)

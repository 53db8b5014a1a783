"""Behaviour of the quality experiment: the paired comparison, its answer in words, the look at held-out workloads."""

import dataclasses
import unittest

from clawvm_experiments.experiment import QUALITY
from clawvm_experiments.quality import EXPERIMENT, EXPLORATORY, SCORES
from clawvm_replay.document import markdown
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES


def rows(change=None, budgets=PAPER_BUDGETS):
    """Return rows in which all scores are alike; *change* (score, workload, budget) gives what differs."""
    result = []
    for score in SCORES:
        for workload in PAPER_FAMILIES:
            for budget in budgets:
                values = {"explicit_faults": 0, **dict.fromkeys(QUALITY, 0.5), "page_in_tokens": 100}
                values.update(change(score, workload, budget) or {} if change else {})
                result.append({"score": score, "workload": workload, "budget": budget, **values})
    return result


def summarize(change=None, **options):
    return EXPERIMENT.summarize(rows(change, **options))


def answer(results):
    return EXPERIMENT.report(results)[1].text


class PairedTest(unittest.TestCase):
    def test_fewer_page_in_tokens_are_better(self):
        def change(score, workload, budget):
            if score == "lru" and budget == 120:
                return {"page_in_tokens": 90}
            if score == "lru" and (workload, budget) == ("long_horizon", 500):
                return {"page_in_tokens": 105}
            return None

        results = summarize(change)
        expected = {"better": 4, "equal": 19, "worse": 1, "difference": -35}
        self.assertEqual(results["paired"]["page_in_tokens"], expected)
        self.assertEqual(results["findings"]["lru_worse_page_in_tokens_cells"], 1)
        long_horizon = results["page_in_tokens_by_workload"]["long_horizon"]
        self.assertEqual(long_horizon, {"better": 1, "equal": 4, "worse": 1, "difference": -5})
        words = "fewer page-in tokens than utility scoring in 4 of 24 cells, as many in 19 and more in 1"
        self.assertIn(words, answer(results))

    def test_more_is_better_where_the_metric_says_so(self):
        def change(score, workload, budget):
            return {"prefix_reuse": 0.6, "prompt_cost": 0.6} if score == "lru" else None

        paired = summarize(change)["paired"]
        self.assertEqual((paired["prefix_reuse"]["better"], paired["prefix_reuse"]["difference"]), (24, 0.1))
        self.assertEqual((paired["prompt_cost"]["worse"], paired["prompt_cost"]["difference"]), (24, 2.4))


class AnswerTest(unittest.TestCase):
    def test_the_answer_names_what_each_is_ahead_in(self):
        def change(score, workload, budget):
            return {"page_in_tokens": 90, "prefix_reuse": 0.4} if score == "lru" else None

        self.assertIn("LRU is ahead in nothing, and utility in nothing", answer(summarize()))
        self.assertIn("LRU is ahead in page-in tokens, and utility in prefix reuse", answer(summarize(change)))

    def test_share_of_the_oracles_saving_is_counted_from_no_upgrades(self):
        tokens = {"no_upgrades": 100, "lru": 40, "clawvm": 60, "oracle_h3": 20}
        results = summarize(lambda score, workload, budget: {"page_in_tokens": tokens.get(score, 50)})
        self.assertIn("LRU reaches 75 % and utility 50 %", answer(results))


class ExploratoryTest(unittest.TestCase):
    def test_rows_differ_from_clawvm_in_their_score_only(self):
        clawvm = POLICIES["clawvm"]
        for name, score in EXPLORATORY.items():
            with self.subTest(score=name):
                policy = SCORES[name]
                self.assertIs(policy.upgrades, score)
                self.assertEqual(score.horizon, 0)
                self.assertEqual(
                    dataclasses.replace(policy, id=clawvm.id, upgrades=clawvm.upgrades, name=clawvm.name), clawvm
                )

    def test_held_out_choice_never_looks_at_its_own_workload(self):
        lucky, steady = "utility_recency_9_6", "lru_with_utility"

        def change(score, workload, budget):
            if score == lucky and workload == "multi_session":
                return {"page_in_tokens": 1}
            return {"page_in_tokens": 80} if score == steady else None

        held_out = {item["workload"]: item for item in summarize(change)["held_out"]}
        # Only the others know how lucky it was in one workload; that one itself has to choose without knowing.
        self.assertEqual(held_out["multi_session"]["chosen"], steady)
        self.assertEqual(held_out["multi_session"]["page_in_tokens"], 480)
        self.assertEqual(held_out["long_horizon"]["chosen"], lucky)
        self.assertEqual(held_out["long_horizon"]["page_in_tokens"], 600)


class QuickTest(unittest.TestCase):
    def test_a_quick_run_leaves_the_findings_open(self):
        results, complete = summarize(budgets=(120, 300)), summarize()
        self.assertEqual(results.keys(), complete.keys())
        self.assertEqual(results["findings"], dict.fromkeys(complete["findings"]))
        self.assertTrue(markdown(EXPERIMENT.report(results)).startswith("## "))

    def test_quick_cells_are_a_part_of_the_full_ones(self):
        full = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        quick = EXPERIMENT.cells(True)
        self.assertEqual([full[cell.id] for cell in quick], quick)

    def test_a_cell_gives_every_metric(self):
        made = EXPERIMENT.run_cell(EXPERIMENT.cells(True)[0])
        self.assertLessEqual(set(QUALITY), set(made))

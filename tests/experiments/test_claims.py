"""Behaviour of the claims: every row can be judged, and each kind of expectation can fail."""

import dataclasses
import re
import unittest

from clawvm_cli import COMMANDS
from clawvm_experiments import overhead
from clawvm_experiments.claims import (
    KINDS,
    Claim,
    Judged,
    claims_record,
    claims_table,
    command_of,
    judge,
    read_claims,
    read_costs,
    read_mutations,
)
from clawvm_experiments.registry import EXPERIMENTS
from clawvm_experiments.sessions.report import SESSIONS_ID
from clawvm_replay.document import ReportVerdict, markdown
from tests.support import ROOT

HOLDS, FAILS, NOT_RUN = "holds", "fails", "not run"


def claim(**changes):
    values = {
        "id": "T01",
        "statement": "A number is what it is.",
        "source": "ours",
        "kind": "property",
        "experiment": "gates",
        "file": "gates/results.json",
        "field": "findings.number",
        "expected": {"value": 10},
        "must_hold": True,
    }
    return Claim(**{**values, **changes})


def verdict(expected, observed, *, must_hold=True):
    documents = {"gates/results.json": {"findings": {"number": observed}}}
    return judge(claim(expected=expected, must_hold=must_hold), documents).verdict


class JudgingTest(unittest.TestCase):
    def test_each_kind_of_expectation_holds_and_fails(self):
        cases = [
            ({"value": 10}, 10, 11),
            ({"value": 10, "tolerance": 2}, 12, 12.5),
            ({"value": 10, "relative": 0.15}, 11.5, 11.6),
            ({"value": -10, "relative": 0.15}, -8.5, -8.4),
            ({"value": 0, "relative": 0.15}, 0, 0.001),
            ({"value": True}, True, False),
            ({"value": "pass"}, "pass", "fail"),
            ({"at_least": 3}, 3, 2.999),
            ({"at_most": 3}, 3, 3.001),
        ]
        for expected, good, bad in cases:
            with self.subTest(expected):
                self.assertEqual(verdict(expected, good), HOLDS)
                self.assertEqual(verdict(expected, bad), FAILS)

    def test_a_word_is_never_above_or_below_a_number(self):
        for expected in ({"at_least": 3}, {"at_most": 3}, {"value": 3}):
            self.assertEqual(verdict(expected, "undefined"), FAILS)
            self.assertEqual(verdict(expected, True), FAILS)

    def test_a_quick_run_may_have_fewer_of_something(self):
        thousands = claim(expected={"at_least": 5000}, expected_quick={"at_least": 300})
        for quick, observed, expected in (
            (False, 4999, FAILS),
            (False, 5000, HOLDS),
            (True, 299, FAILS),
            (True, 300, HOLDS),
        ):
            documents = {"gates/results.json": {"quick": quick, "findings": {"number": observed}}}
            self.assertEqual(judge(thousands, documents).verdict, expected)

    def test_a_claim_of_the_paper_is_reproduced_or_not(self):
        for observed, expected in ((10, "reproduced"), (11, "not reproduced"), (None, NOT_RUN)):
            documents = {"gates/results.json": {"findings": {"number": observed}}}
            for kind in ("published", "calibrated", "prediction"):
                self.assertEqual(judge(claim(kind=kind, must_hold=False), documents).verdict, expected)

    def test_only_a_claim_that_must_hold_fails_a_run(self):
        documents = {"gates/results.json": {"findings": {"number": 11}}}
        self.assertTrue(judge(claim(), documents).failed)
        self.assertFalse(judge(claim(must_hold=False), documents).failed)

    def test_one_is_not_true_and_true_is_not_one(self):
        self.assertEqual(verdict({"value": True}, 1), FAILS)
        self.assertEqual(verdict({"value": 1}, True), FAILS)

    def test_a_number_that_the_run_lacks_is_not_run_and_fails_nothing(self):
        self.assertEqual(verdict({"value": 1}, None), NOT_RUN)
        self.assertEqual(judge(claim(), {}).verdict, NOT_RUN)
        self.assertFalse(judge(claim(), {}).failed)

    def test_in_a_full_run_a_number_that_is_missing_is_no_reason_to_pass(self):
        for quick, must_hold, expected in ((False, True, FAILS), (True, True, NOT_RUN), (False, False, NOT_RUN)):
            documents = {"gates/results.json": {"quick": quick, "findings": {"number": None}}}
            self.assertEqual(judge(claim(must_hold=must_hold), documents).verdict, expected)

    def test_an_optional_claim_fails_when_its_number_is_wrong_and_not_when_it_is_missing(self):
        for observed, expected in ((None, NOT_RUN), (10, HOLDS), (11, FAILS)):
            documents = {"gates/results.json": {"quick": False, "findings": {"number": observed}}}
            self.assertEqual(judge(claim(optional=True), documents).verdict, expected)

    def test_a_field_that_is_not_there_is_an_error_and_no_verdict(self):
        with self.assertRaises(KeyError):
            judge(claim(field="findings.misspelt"), {"gates/results.json": {"findings": {"number": 10}}})

    def test_the_record_fails_when_a_claim_that_must_hold_does_not(self):
        good = judge(claim(), {"gates/results.json": {"findings": {"number": 10}}})
        bad = judge(claim(), {"gates/results.json": {"findings": {"number": 1}}})
        harmless = judge(claim(must_hold=False), {"gates/results.json": {"findings": {"number": 1}}})
        self.assertEqual(claims_record([good, harmless])["verdict"], "pass")
        self.assertEqual(claims_record([good, bad])["verdict"], "fail")
        self.assertEqual(claims_table([bad]).rows[0][1], ReportVerdict("fails", False))

    def test_expectations_are_words(self):
        words = {
            "10": {"value": 10},
            "10 \u00b1 2": {"value": 10, "tolerance": 2},
            "67.8 \u00b1 15 %": {"value": 67.8, "relative": 0.15},
            "yes": {"value": True},
            "at least 1,000": {"at_least": 1000},
            "at most 0.5": {"at_most": 0.5},
        }
        for text, expected in words.items():
            self.assertEqual(claim(expected=expected).expectation(), text)


class ClaimsTableTest(unittest.TestCase):
    def test_the_verdict_is_the_second_column_and_an_expectation_stays_in_one_piece(self) -> None:
        judged = [Judged(claim(expected={"value": 67.8, "relative": 0.15}), 67.5, True)]
        header, _, row = markdown([claims_table(judged)]).splitlines()
        self.assertTrue(header.startswith("| claim | verdict |"))
        self.assertTrue(row.startswith("| T01 | holds |"))
        self.assertIn("| 67.8\u00a0\u00b1\u00a015\u00a0% |", row)

    def test_what_a_claim_follows_from_is_in_every_table_and_in_the_record(self) -> None:
        item = claim(statement="No cell faults.", follows_from="the sizing")
        self.assertEqual(item.text, "No cell faults (follows from the sizing).")
        self.assertEqual(claim().text, claim().statement)
        noted = claim(statement="No cell faults (of 24).", follows_from="the sizing")
        self.assertEqual(noted.text, "No cell faults (of 24; follows from the sizing).")
        judged = [Judged(item, 10, True)]
        self.assertIn(f"| {item.text} |", markdown([claims_table(judged)]))
        (record,) = claims_record(judged)["claims"]
        self.assertEqual((record["statement"], record["follows_from"]), ("No cell faults.", "the sizing"))


class CommittedClaimsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.claims = read_claims()

    def test_ids_are_unique_and_in_order(self):
        ids = [item.id for item in self.claims]
        self.assertEqual(ids, sorted(set(ids)))

    def test_every_claim_names_a_known_kind_experiment_file_and_command(self):
        for item in self.claims:
            with self.subTest(item.id):
                self.assertIn(item.kind, KINDS)
                self.assertIn(item.experiment, {*EXPERIMENTS, overhead.ID, SESSIONS_ID})
                folder = "timings/" if item.experiment == overhead.ID else f"{item.experiment}/"
                self.assertTrue(item.file.startswith(folder), item.file)
                words = command_of(item.experiment).split()
                self.assertEqual(words[0], "clawvm")
                self.assertIn(words[1], COMMANDS)

    def test_a_statement_is_a_sentence(self):
        for item in self.claims:
            self.assertRegex(item.statement, r"^[A-Z0-9].*[a-z].*[.]$")

    def test_a_cost_is_of_an_experiment_with_claims(self):
        self.assertLessEqual(set(read_costs()), {*EXPERIMENTS, overhead.ID, SESSIONS_ID})
        self.assertLessEqual(set(read_costs()), {item.experiment for item in self.claims})

    def test_only_claims_about_recorded_sessions_may_lack_their_number(self):
        for item in self.claims:
            self.assertLessEqual(item.optional, item.experiment == SESSIONS_ID, item.id)

    def test_only_figures_that_took_part_in_the_choice_of_sizes_are_calibrated(self):
        for item in self.claims:
            if item.kind == "calibrated":
                self.assertIn(item.experiment, {"table4", "ablations", "tasks", "adversarial"}, item.id)
            if item.kind == "prediction" and item.must_hold:
                self.assertTrue(item.follows_from, f"{item.id}: a prediction is shown, whether it is reproduced or not")

    def test_what_a_sizing_was_not_allowed_to_break_is_no_evidence(self):
        conditions = {
            ("table4", "clawvm_total_faults"),
            ("table4", "lru_total_faults"),
            ("table4", "oracle_h3_total_faults"),
            ("table4", "faults_in_published_order"),
            ("table4", "fault_free_thrash_equal_across_budgets"),
            ("ablations", "all_removals_pure_at_180"),
            ("ablations", "without_upgrade_scoring_total_at_180"),
            ("ablations", "without_prefetch_total_at_180"),
        }
        found = {(item.experiment, item.field.removeprefix("findings.")): item.kind for item in self.claims}
        for condition in conditions:
            self.assertEqual(found[condition], "calibrated", condition)

    def test_what_a_claim_follows_from_is_beside_it_and_not_in_its_statement(self):
        ids = {item.id for item in self.claims}
        for item in self.claims:
            with self.subTest(item.id):
                self.assertNotRegex(item.statement, r"follows from|by definition|condition of")
                self.assertLessEqual(set(re.findall(r"\bC[0-9]{2}\b", item.follows_from)), ids - {item.id})
                self.assertNotRegex(item.follows_from, r"[.]$")

    def test_what_was_sized_and_how_much_is_tried_is_no_evidence_and_says_so(self):
        for item in self.claims:
            field = item.field.removeprefix("findings.")
            if item.kind == "calibrated" or (item.expected_quick is not None and "at_least" in item.expected):
                self.assertTrue(item.follows_from, item.id)
            if field.startswith("adversarial_") and item.id != "C46" and not field.startswith("adversarial_controls"):
                self.assertRegex(item.follows_from, "C46|C51", item.id)

    def test_every_claim_that_must_hold_and_no_other_has_a_mutation(self):
        known = read_mutations()
        for item in self.claims:
            self.assertEqual(item.mutation in known, item.must_hold, item.id)
        self.assertEqual({item.mutation for item in self.claims} - {""}, set(known))

    def test_the_text_of_a_mutation_is_in_its_file_exactly_once(self):
        for mutation in read_mutations().values():
            with self.subTest(mutation.id):
                self.assertNotEqual(mutation.new, mutation.old)
                self.assertEqual((ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old), 1)
                self.assertRegex(mutation.change, r"^[A-Z].*[.]$")

    def test_a_mutation_is_not_in_the_experiment_that_judges_except_for_claims_about_its_size(self):
        mutations = read_mutations()
        for item in self.claims:
            if item.must_hold and mutations[item.mutation].file.startswith("workloads/clawvm_experiments/"):
                self.assertEqual(item.follows_from, "the size of the experiment", item.id)

    def test_every_claim_could_fail(self):
        """Whatever is observed, some other value of the same type gets another verdict."""
        for item in self.claims:
            strict = dataclasses.replace(item, must_hold=True)
            if "value" in item.expected:
                value = item.expected["value"]
                other = (
                    not value if isinstance(value, bool) else f"{value}?" if isinstance(value, str) else value * 2 + 9
                )
            else:
                other = item.expected["at_least"] - 1 if "at_least" in item.expected else item.expected["at_most"] + 1
            self.assertFalse(strict.accepts(other), item.id)

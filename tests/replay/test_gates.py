"""Behaviour of the lifecycle gates: they pass for whoever has the protections, and each of them can fail."""

import dataclasses
import json
import unittest

from clawvm_replay.gates import GATES, Expectation, Observation, report_record, run_gate, run_gates
from clawvm_runtime.policy import POLICIES

PROTECTED = ("clawvm", "lru", "oracle_h3")
CLAWVM = POLICIES["clawvm"]


def toothless(gate):
    return dataclasses.replace(gate, removal={})


class GatesTest(unittest.TestCase):
    def test_there_are_six_gates_with_different_ids(self):
        self.assertEqual(len({gate.id for gate in GATES}), 6)
        self.assertEqual(len(GATES), 6)

    def test_every_gate_passes_for_every_policy_with_the_protections(self):
        for policy_id in PROTECTED:
            for report in run_gates(GATES, POLICIES[policy_id]):
                with self.subTest(policy=policy_id, gate=report.gate.id):
                    self.assertEqual([half.failures for half in report.halves], [(), ()])
                    self.assertTrue(report.passed)

    def test_every_gate_fails_when_the_protected_policy_lacks_its_protection(self):
        for policy_id in PROTECTED:
            for gate in GATES:
                with self.subTest(policy=policy_id, gate=gate.id):
                    lacking = dataclasses.replace(POLICIES[policy_id], id="lacking", **gate.removal)
                    off, on = run_gate(gate, lacking).halves
                    self.assertFalse(off.failures)
                    self.assertTrue(on.failures)

    def test_every_gate_fails_when_the_unprotected_half_keeps_the_protection(self):
        for gate in GATES:
            with self.subTest(gate=gate.id):
                report = run_gate(toothless(gate), CLAWVM)
                off, on = report.halves
                self.assertTrue(off.failures)
                self.assertFalse(on.failures)
                self.assertFalse(report.passed)

    def test_every_half_quotes_evidence(self):
        for report in run_gates(GATES, CLAWVM):
            for half in report.halves:
                with self.subTest(gate=report.gate.id, half=half.half):
                    self.assertTrue(half.evidence)
                    self.assertLessEqual({event["event"] for event in half.evidence}, set(report.gate.evidence))

    def test_weak_policies_fail_gates(self):
        for policy_id in ("retrieval", "retrieval_cache", "compaction_hybrid"):
            with self.subTest(policy=policy_id):
                self.assertFalse(all(report.passed for report in run_gates(GATES, POLICIES[policy_id])))


class ReportTest(unittest.TestCase):
    def test_report_counts_passed_gates(self):
        record = report_record(run_gates(GATES, CLAWVM))
        self.assertEqual((record["passed"], record["failed"], record["verdict"]), (6, 0, "pass"))
        self.assertEqual([gate["verdict"] for gate in record["gates"]], ["pass"] * 6)

    def test_one_failed_gate_fails_the_report(self):
        record = report_record(run_gates((toothless(GATES[0]), *GATES[1:]), CLAWVM))
        self.assertEqual((record["passed"], record["failed"], record["verdict"]), (5, 1, "fail"))
        first = record["gates"][0]
        self.assertEqual([half["verdict"] for half in first["halves"]], ["fail", "pass"])
        self.assertTrue(first["halves"][0]["failures"])

    def test_report_is_plain_json_and_the_same_every_time(self):
        first, second = (json.dumps(report_record(run_gates(GATES, CLAWVM)), allow_nan=False) for _ in range(2))
        self.assertEqual(first, second)


class ExpectationTest(unittest.TestCase):
    SEEN = Observation(
        faults={"refetch": 1},
        alerts=2,
        committed=3,
        lost=0,
        rejected=("SCHEMA_INVALID",),
        overwritten=0,
        pressure_turns=0,
        reasons=("ok",),
    )

    def test_exactly_what_was_seen_is_no_failure(self):
        expectation = Expectation("", {"refetch": 1}, 3, 0, ("SCHEMA_INVALID",), 0, ("ok",), least_alerts=2)
        self.assertEqual(expectation.failures(self.SEEN), [])

    def test_every_value_that_differs_is_named(self):
        for name, value in (
            ("faults", {}),
            ("faults", {"refetch": 2}),
            ("faults", {"flush_miss": 1}),
            ("committed", 2),
            ("lost", 1),
            ("rejected", ()),
            ("overwritten", 1),
            ("reasons", ()),
        ):
            with self.subTest(name=name, value=value):
                expectation = dataclasses.replace(Expectation("", {"refetch": 1}), **{name: value})
                failures = expectation.failures(self.SEEN)
                self.assertEqual(len(failures), 1)
                self.assertTrue(failures[0].startswith(name))

    def test_too_few_alerts_fail(self):
        failures = Expectation("", {"refetch": 1}, least_alerts=3).failures(self.SEEN)
        self.assertEqual(len(failures), 1)

    def test_pressure_is_a_failure_of_the_scenario(self):
        seen = dataclasses.replace(self.SEEN, pressure_turns=1)
        self.assertEqual(len(Expectation("", {"refetch": 1}).failures(seen)), 1)

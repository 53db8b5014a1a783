"""Behaviour of the property: seeds pass, what is taken away is caught and shrunk, the results say what was tried."""

import dataclasses
import io
import itertools
import json
import unittest
from collections import Counter
from unittest import mock

from clawvm_experiments import property as property_experiment
from clawvm_experiments.experiment import Cell
from clawvm_experiments.property import BROKEN_SELECTORS, EXPERIMENT, NO_PROTECTIONS, TraceSize, check_trace
from clawvm_experiments.property_statements import Property, coverage_of, uncovered
from clawvm_replay.trace_format import Trace, read_trace
from clawvm_runtime import engine, faults
from clawvm_runtime.policy import FEATURES, POLICIES, policy_named
from clawvm_runtime.selector import minimum_set, select
from clawvm_workloads.generated import generate

CLAWVM = POLICIES["clawvm"]


def broken_by(policy, make_selector, seeds):
    """Return the statements that the first failing seed breaks."""
    for seed in range(seeds):
        violations = check_trace(generate(seed), policy, make_selector).violations
        if violations:
            return {violation.property for violation in violations}
    return set()


def seeds_cell(first_seed, seeds):
    return Cell("seeds", {"part": "seeds", "first_seed": first_seed, "seeds": seeds})


class SeedsTest(unittest.TestCase):
    def test_seeds_pass(self):
        for seed in range(1_000_000, 1_000_060):
            self.assertEqual(check_trace(generate(seed), CLAWVM).violations, (), f"seed {seed}")

    def test_policies_with_the_same_structure_pass(self):
        for policy in ("lru", "oracle_h3"):
            for seed in range(30):
                self.assertEqual(check_trace(generate(seed), POLICIES[policy]).violations, (), f"{policy}, seed {seed}")

    def test_everything_that_has_to_occur_occurs(self):
        counts = Counter()
        for seed in range(150):
            trace = generate(seed)
            verdict = check_trace(trace, CLAWVM)
            counts.update(coverage_of(trace, verdict.expected, verdict.run))
        self.assertEqual(uncovered(counts), [])
        self.assertGreater(counts["workloads with several resets"], 10)
        self.assertGreater(counts["tool call/displaced result"], 25)
        self.assertTrue(0.35 < counts["workloads that fit"] / counts["workloads"] < 0.65, counts["workloads that fit"])

    def test_what_never_occurred_is_named(self):
        self.assertIn("page type/plan", uncovered({}))


class RedTest(unittest.TestCase):
    """Without a protection, with a broken selector or a broken engine, the check fails."""

    def test_every_protection_is_needed(self):
        for name in FEATURES:
            with self.subTest(feature=name):
                broken = broken_by(policy_named(f"clawvm_without_{name}"), lambda: select, 25)
                self.assertEqual(bool(broken), name not in NO_PROTECTIONS)

    def test_validated_writeback_is_missed_by_what_gets_committed(self):
        broken = broken_by(policy_named("clawvm_without_validated_writeback"), lambda: select, 25)
        self.assertIn(Property.NOTHING_LOST, broken)

    def test_every_broken_selector_is_caught_for_what_it_does(self):
        wrong = {
            "overshoots": Property.WITHIN_BUDGET,
            "drops_a_hard_page": Property.ZERO_FAULTS,
            "forgets_a_demand": Property.ZERO_FAULTS,
            "serves_demands_first": Property.ZERO_FAULTS,
            "misstates_its_tokens": Property.WITHIN_BUDGET,
            "counts_its_calls": Property.SAME_BYTES,
        }
        self.assertEqual(wrong.keys(), BROKEN_SELECTORS.keys())
        for name, statement in wrong.items():
            with self.subTest(selector=name):
                self.assertIn(statement, broken_by(CLAWVM, BROKEN_SELECTORS[name], 25))

    def test_a_minimum_set_that_is_one_token_off_is_caught(self):
        def one_less(*arguments):
            return max(0, minimum_set(*arguments) - 1)

        with mock.patch.object(engine, "minimum_set", one_less):
            self.assertIn(Property.PRESSURE_REPORTED, broken_by(CLAWVM, lambda: select, 25))

    def test_a_repeated_call_that_is_served_another_calls_result_is_caught(self):
        class NothingIsDisplaced(set):
            def __contains__(self, _):
                return False

        build = engine.Engine.__init__

        def forgetful(self, *arguments, **named):
            build(self, *arguments, **named)
            self._superseded = NothingIsDisplaced()

        with mock.patch.object(engine.Engine, "__init__", forgetful):
            broken = broken_by(CLAWVM, lambda: select, 25)
        self.assertIn(Property.RIGHT_VERDICTS, broken)

    def test_an_observer_that_looks_away_is_caught(self):
        with mock.patch.object(faults.FaultObserver, "_check_floors", lambda *_, **__: None):
            self.assertIn(Property.PRESSURE_REPORTED, broken_by(CLAWVM, lambda: select, 25))

    def test_an_order_of_blocks_that_changes_from_replay_to_replay_is_caught(self):
        build = engine.Engine._prompt
        calls = itertools.count()

        def sometimes_reversed(self, *arguments):
            prompt = build(self, *arguments)
            return dataclasses.replace(prompt, blocks=prompt.blocks[:: -1 if next(calls) % 3 else 1])

        with mock.patch.object(engine.Engine, "_prompt", sometimes_reversed):
            self.assertEqual(broken_by(CLAWVM, lambda: select, 25), {Property.SAME_BYTES})

    def test_an_invariant_that_breaks_is_a_violation(self):
        def broken(self):
            raise AssertionError("the books do not add up")

        with mock.patch.object(engine.Engine, "_check", broken):
            (violation,) = check_trace(generate(0), CLAWVM).violations
        self.assertIs(violation.property, Property.INVARIANTS_HOLD)
        self.assertIn("the books do not add up", violation.detail)


class ExperimentTest(unittest.TestCase):
    def test_cells_are_chunks_of_different_seeds_and_one_for_each_proof(self):
        for quick, seeds in ((True, 300), (False, 6_000)):
            cells = EXPERIMENT.cells(quick)
            self.assertEqual(len({cell.id for cell in cells}), len(cells))
            chunks = [cell.parameters for cell in cells if cell.parameters["part"] == "seeds"]
            tried = [seed for row in chunks for seed in range(row["first_seed"], row["first_seed"] + row["seeds"])]
            self.assertEqual(tried, list(range(seeds)))
            self.assertEqual(len(cells) - len(chunks), len(FEATURES) + len(BROKEN_SELECTORS))

    def test_rows_are_plain_data_and_the_same_every_time(self):
        for cell in (seeds_cell(5, 4), Cell("x", {"part": "feature", "name": "auto_pin", "seeds": 8})):
            row = EXPERIMENT.run_cell(cell)
            self.assertEqual(json.loads(json.dumps(row)), row)
            self.assertEqual(EXPERIMENT.run_cell(cell), row)

    def test_a_counterexample_is_a_small_valid_trace_that_still_fails(self):
        row = EXPERIMENT.run_cell(Cell("x", {"part": "feature", "name": "writeback_at_reset", "seeds": 8}))
        lines = row["counterexample"]
        stream = io.BytesIO("".join(line + "\n" for line in lines).encode("ascii"))
        header, turns = read_trace(stream, "counterexample")
        trace = Trace(header, tuple(turns))
        self.assertEqual(TraceSize.of(trace).to_record(), row["size_after"])
        self.assertLessEqual(row["size_after"]["turns"], 3)
        self.assertGreater(row["size_before"]["items"], row["size_after"]["items"])
        broken = check_trace(trace, policy_named("clawvm_without_writeback_at_reset")).violations
        self.assertIn(row["property"], {violation.property.value for violation in broken})
        self.assertEqual(check_trace(trace, CLAWVM).violations, ())

    def test_a_seed_that_fails_under_clawvm_is_listed_with_its_counterexample(self):
        with mock.patch.object(property_experiment, "CLAWVM", policy_named("clawvm_without_auto_pin")):
            row = EXPERIMENT.run_cell(seeds_cell(0, 15))
        self.assertGreater(len(row["violations"]), property_experiment.MOST_COUNTEREXAMPLES)
        shrunk = [violation for violation in row["violations"] if "counterexample" in violation]
        self.assertEqual(len(shrunk), property_experiment.MOST_COUNTEREXAMPLES)
        results = EXPERIMENT.summarize([row])
        self.assertEqual(results["findings"]["violations"], len(row["violations"]))
        self.assertIn("zero_faults", EXPERIMENT.report(results))
        written = EXPERIMENT.attachments(results)
        self.assertEqual(list(written), [f"counterexample-{item['seed']:06d}.trace.jsonl" for item in shrunk])
        for item, text in zip(shrunk, written.values()):
            header, turns = read_trace(io.BytesIO(text.encode("ascii")), "counterexample")
            self.assertEqual(TraceSize.of(Trace(header, tuple(turns))).to_record(), item["size_after"])

    def test_findings_and_report(self):
        cells = [
            seeds_cell(0, 10),
            seeds_cell(10, 10),
            *(Cell(name, {"part": "feature", "name": name, "seeds": 10}) for name in ("auto_pin", "prefetch")),
            Cell("selector", {"part": "selector", "name": "forgets_a_demand", "seeds": 10}),
        ]
        rows = [EXPERIMENT.run_cell(cell) for cell in cells]
        results = EXPERIMENT.summarize(rows)
        self.assertEqual(json.loads(json.dumps(results)), results)
        findings = results["findings"]
        self.assertEqual(findings["workloads_tried"], 20)
        self.assertEqual(findings["turns_tried"], sum(len(generate(seed).turns) for seed in range(20)))
        self.assertEqual(findings["violations"], 0)
        turns = [turn for seed in range(20) for turn in generate(seed).turns]
        self.assertEqual(findings["demands_tried"], sum(len(turn.demands) for turn in turns))
        self.assertEqual(findings["tool_calls_tried"], sum(len(turn.calls) for turn in turns))
        without_result = findings["demands_tried"] + findings["tool_calls_tried"] - findings["accesses_tried"]
        self.assertTrue(0 < without_result < findings["tool_calls_tried"])
        self.assertEqual((findings["protections"], findings["protections_caught"]), (1, 1))
        self.assertEqual((findings["harmless_features"], findings["harmless_features_quiet"]), (1, 1))
        self.assertEqual((findings["broken_selectors"], findings["broken_selectors_caught"]), (1, 1))
        report = EXPERIMENT.report(results)
        self.assertTrue(report.startswith("## "))
        self.assertIn("Workloads that break a statement: 0", report)
        self.assertIn(f"{findings['demands_tried']} demands, {findings['tool_calls_tried']} tool calls", report)
        self.assertEqual(
            set(EXPERIMENT.attachments(results)),
            {"without-auto-pin.trace.jsonl", "selector-forgets-a-demand.trace.jsonl"},
        )

    def test_a_statement_that_no_proof_breaks_is_seen(self):
        rows = [EXPERIMENT.run_cell(seeds_cell(0, 1))]
        rows += [EXPERIMENT.run_cell(Cell("x", {"part": "selector", "name": "overshoots", "seeds": 6}))]
        broken = rows[-1]["failing_seeds_by_property"]
        results = EXPERIMENT.summarize(rows)
        unbroken = [kind.value for kind in Property if not broken[kind.value]]
        self.assertEqual(results["statements_no_proof_breaks"], unbroken)
        self.assertEqual(results["findings"]["statements_no_proof_breaks"], len(unbroken))
        self.assertIn("nothing_lost", unbroken)
        self.assertNotIn("within_budget", unbroken)
        report = EXPERIMENT.report(results)
        self.assertIn("| overshoots | " + " | ".join(str(broken[kind.value]) for kind in Property) + " |", report)
        self.assertIn(f"none of these breaks: {', '.join(f'`{name}`' for name in unbroken)}.", report)

    def test_the_digest_follows_the_decisions(self):
        first, second = EXPERIMENT.run_cell(seeds_cell(0, 2)), EXPERIMENT.run_cell(seeds_cell(1, 2))
        self.assertNotEqual(first["digest"], second["digest"])


if __name__ == "__main__":
    unittest.main()

"""Behaviour of the property: seeds pass, what is taken away is noticed, a counterexample can be replayed."""

import dataclasses
import io
import itertools
import json
import unittest
from unittest import mock

from clawvm_experiments import property as property_experiment
from clawvm_experiments.experiment import Cell
from clawvm_experiments.property import EXPERIMENT, NO_PROTECTIONS, Property, check_trace, read_back
from clawvm_replay.document import markdown
from clawvm_replay.trace_format import Trace, read_trace, write_trace
from clawvm_runtime import engine, faults
from clawvm_runtime.policy import FEATURES, POLICIES, policy_named
from clawvm_runtime.selector import minimum_set, select
from clawvm_workloads.generated import generate

CLAWVM = POLICIES["clawvm"]


def broken_by(policy=CLAWVM, selector=select, seeds=range(8)):
    """Return the statements that the first failing seed breaks."""
    for seed in seeds:
        violations = check_trace(generate(seed), policy, selector).violations
        if violations:
            return {violation.property for violation in violations}
    return set()


def seeds_cell(first_seed, seeds):
    return Cell("seeds", {"part": "seeds", "first_seed": first_seed, "seeds": seeds})


class SeedsTest(unittest.TestCase):
    def test_policies_with_clawvms_structure_pass(self):
        for policy, first in (("clawvm", 1_000_000), ("lru", 0), ("oracle_h3", 0)):
            for seed in range(first, first + 2):
                self.assertEqual(check_trace(generate(seed), POLICIES[policy]).violations, (), f"{policy}, seed {seed}")


# Selectors that are broken on purpose, each in one way.


def overshoots(request):
    return select(dataclasses.replace(request, budget=request.budget + 1))


def drops_a_hard_page(request):
    selection = select(request)
    levels = dict(selection.levels)
    for page in reversed(request.pages):
        if page.is_hard and page.id in levels:
            tokens = selection.tokens - page.costs[levels.pop(page.id)]
            return dataclasses.replace(selection, levels=levels, tokens=tokens)
    return selection


def forgets_a_demand(request):
    return select(dataclasses.replace(request, demands=dict(list(request.demands.items())[:-1])))


def misstates_its_tokens(request):
    selection = select(request)
    return dataclasses.replace(selection, tokens=max(0, selection.tokens - 1))


def counts_its_calls():
    """Return a selector without upgrades in every third call, so that a second replay differs."""
    calls = itertools.count()

    def selector(request):
        if next(calls) % 3:
            return select(request)
        return select(dataclasses.replace(request, policy=dataclasses.replace(request.policy, upgrades=None)))

    return selector


class RedTest(unittest.TestCase):
    """Without a protection, with a broken selector or a broken engine, the check fails."""

    def test_every_protection_is_needed(self):
        for name in FEATURES:
            with self.subTest(feature=name):
                broken = broken_by(policy_named(f"clawvm_without_{name}"), seeds=(3, 0))
                self.assertEqual(bool(broken), name not in NO_PROTECTIONS)

    def test_validated_writeback_is_missed_by_what_gets_committed(self):
        self.assertIn(Property.NOTHING_LOST, broken_by(policy_named("clawvm_without_validated_writeback")))

    def test_every_broken_selector_is_noticed_for_what_it_does(self):
        for selector, statement in (
            (overshoots, Property.WITHIN_BUDGET),
            (drops_a_hard_page, Property.ZERO_FAULTS),
            (forgets_a_demand, Property.ZERO_FAULTS),
            (misstates_its_tokens, Property.WITHIN_BUDGET),
            (counts_its_calls(), Property.SAME_BYTES),
        ):
            with self.subTest(selector=selector.__name__):
                self.assertIn(statement, broken_by(selector=selector))

    def test_a_minimum_set_that_is_one_token_off_is_noticed(self):
        def one_less(*arguments):
            return max(0, minimum_set(*arguments) - 1)

        with mock.patch.object(engine, "minimum_set", one_less):
            self.assertIn(Property.PRESSURE_REPORTED, broken_by())

    def test_a_repeated_call_that_is_served_another_calls_result_is_noticed(self):
        class NothingIsDisplaced(set):
            def __contains__(self, _):
                return False

        build = engine.Engine.__init__

        def forgetful(self, *arguments, **named):
            build(self, *arguments, **named)
            self._superseded = NothingIsDisplaced()

        with mock.patch.object(engine.Engine, "__init__", forgetful):
            self.assertIn(Property.RIGHT_VERDICTS, broken_by(seeds=[17]))

    def test_an_observer_that_looks_away_is_noticed(self):
        with mock.patch.object(faults.FaultObserver, "_check_floors", lambda *_, **__: None):
            self.assertIn(Property.PRESSURE_REPORTED, broken_by(seeds=[8]))

    def test_an_order_of_blocks_that_changes_from_replay_to_replay_is_noticed(self):
        build = engine.Engine._prompt
        calls = itertools.count()

        def sometimes_reversed(self, *arguments):
            prompt = build(self, *arguments)
            return dataclasses.replace(prompt, blocks=prompt.blocks[:: -1 if next(calls) % 3 else 1])

        with mock.patch.object(engine.Engine, "_prompt", sometimes_reversed):
            self.assertEqual(broken_by(), {Property.SAME_BYTES})

    def test_an_invariant_that_breaks_is_a_violation(self):
        def broken(self):
            raise AssertionError("the books do not add up")

        with mock.patch.object(engine.Engine, "_check", broken):
            (violation,) = check_trace(generate(0), CLAWVM).violations
        self.assertIs(violation.property, Property.INVARIANTS_HOLD)
        self.assertIn("the books do not add up", violation.detail)


class ExperimentTest(unittest.TestCase):
    def test_cells_are_chunks_of_different_seeds_and_one_for_each_feature(self):
        for quick, seeds in ((True, 300), (False, 6_000)):
            cells = EXPERIMENT.cells(quick)
            self.assertEqual(len({cell.id for cell in cells}), len(cells))
            chunks = [cell.parameters for cell in cells if cell.parameters["part"] == "seeds"]
            tried = [seed for row in chunks for seed in range(row["first_seed"], row["first_seed"] + row["seeds"])]
            self.assertEqual(tried, list(range(seeds)))
            self.assertEqual(len(cells) - len(chunks), len(FEATURES))

    def test_a_seed_that_fails_is_written_as_a_trace_that_still_fails(self):
        weakened = policy_named("clawvm_without_auto_pin")
        with (
            mock.patch.object(property_experiment, "CLAWVM", weakened),
            mock.patch.object(property_experiment, "MOST_COUNTEREXAMPLES", 1),
        ):
            row = EXPERIMENT.run_cell(seeds_cell(3, 2))
        self.assertGreater(len(row["violations"]), 1)
        results = EXPERIMENT.summarize([row])
        self.assertEqual(results["findings"]["violations"], len(row["violations"]))
        self.assertIn("`zero_faults`: counted", markdown(EXPERIMENT.report(results)))
        ((name, text),) = EXPERIMENT.attachments(results).items()
        seed = row["violations"][0]["seed"]
        self.assertEqual(name, f"counterexample-{seed:06d}.trace.jsonl")
        header, turns = read_trace(io.BytesIO(text.encode("ascii")), "counterexample")
        written = Trace(header, tuple(turns))
        self.assertIn(Property.ZERO_FAULTS, {item.property for item in check_trace(written, weakened).violations})
        self.assertEqual(check_trace(written).violations, ())

    def test_findings_and_report(self):
        cells = [
            seeds_cell(0, 2),
            seeds_cell(2, 2),
            *(Cell(name, {"part": "feature", "name": name, "seeds": 4}) for name in ("auto_pin", "prefetch")),
        ]
        rows = [EXPERIMENT.run_cell(cell) for cell in cells]
        self.assertEqual(json.loads(json.dumps(rows)), rows)
        self.assertEqual(EXPERIMENT.run_cell(cells[0]), rows[0])
        self.assertNotEqual(rows[0]["digest"], rows[1]["digest"])
        results = EXPERIMENT.summarize(rows)
        findings = results["findings"]
        turns = [turn for seed in range(4) for turn in generate(seed).turns]
        self.assertEqual((findings["workloads_tried"], findings["seeds_tried"], findings["violations"]), (4, 4, 0))
        self.assertEqual(findings["turns_tried"], len(turns))
        self.assertEqual(findings["demands_tried"], sum(len(turn.demands) for turn in turns))
        self.assertEqual(findings["tool_calls_tried"], sum(len(turn.calls) for turn in turns))
        without_result = findings["demands_tried"] + findings["tool_calls_tried"] - findings["accesses_tried"]
        self.assertTrue(0 < without_result < findings["tool_calls_tried"])
        self.assertEqual((findings["protections"], findings["protections_caught"]), (1, 1))
        self.assertEqual((findings["harmless_features"], findings["harmless_features_quiet"]), (1, 1))
        report = markdown(EXPERIMENT.report(results))
        self.assertTrue(report.startswith("## "))
        self.assertIn("0 of 4 generated workloads break a statement", report)
        self.assertIn("Removing these breaks none, so they change no fault count: prefetch.", report)
        self.assertEqual(EXPERIMENT.attachments(results), {})

    def test_a_trace_is_read_back_as_it_was_written(self):
        trace = generate(2)
        again = read_back(trace)
        self.assertEqual(*(list(write_trace(item.header, item.turns)) for item in (again, trace)))

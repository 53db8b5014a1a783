"""No check shares its predicate with what it checks."""

import ast
import unittest

from tests.test_import_directions import imports, modules, nodes_of

CHECKING = (
    "clawvm_oracle.bounds",
    "clawvm_oracle.demand_sequence",
    "clawvm_oracle.intervals",
    "clawvm_oracle.small_cases",
    "clawvm_replay.commits",
    "clawvm_replay.gates",
    "clawvm_workloads.adversarial.reported_sizes",
    "clawvm_workloads.adversarial.scenario",
    "clawvm_workloads.adversarial.scripts",
    "clawvm_workloads.adversarial.stale_storm",
    "clawvm_workloads.adversarial.traces",
    "clawvm_workloads.reference_model",
    "clawvm_experiments.adversarial",
    "clawvm_experiments.bounds",
    "clawvm_experiments.counting_rules",
    "clawvm_experiments.gates",
    "clawvm_experiments.property",
    "clawvm_experiments.sensitivity",
    "clawvm_experiments.sensitivity_conclusions",
)
"""The modules that decide whether the engine did what it must."""

DECIDES = {
    "clawvm_runtime.faults": {"judge", "thrash_index"},
    "clawvm_runtime.page_table": {"PageTable"},
    "clawvm_runtime.selector": {"install_order", "minimum_set"},
    "clawvm_runtime.updates": {"changed_page", "check_update", "destroys", "merged"},
}
"""Functions of the runtime by which it decides what a check is about."""

DRIVEN = {"clawvm_workloads.adversarial.stale_storm": {"clawvm_runtime.updates.check_update"}}
"""What a scenario drives without an engine; what must result is known without it."""

OWN_ANSWERS = {"level_at_least", "floor_level", "floor_cost", "is_hard", "is_bootstrap"}
"""What a page answers to the engine that is checked."""


def own_answers(path):
    return {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)} & OWN_ANSWERS


class IndependentChecksTest(unittest.TestCase):
    def test_no_check_uses_the_function_by_which_the_runtime_decides(self):
        deciding = {f"{module}.{name}" for module, names in DECIDES.items() for name in names}
        for name in CHECKING:
            with self.subTest(name):
                self.assertEqual(imports(modules()[name]) & deciding, DRIVEN.get(name, set()))

    def test_the_functions_by_which_the_runtime_decides_are_there(self):
        for module, names in DECIDES.items():
            defined = {getattr(node, "name", "") for node in nodes_of(modules()[module])}
            self.assertLessEqual(names, defined, module)

    def test_no_check_asks_a_page_what_it_answers_the_engine(self):
        asking = {name: found for name in CHECKING if (found := own_answers(modules()[name]))}
        self.assertEqual(asking, {})

    def test_only_the_property_check_reads_what_the_journal_reports_as_overwritten_and_compares_it(self):
        reading = {
            name
            for name in CHECKING
            if any(isinstance(node, ast.Constant) and node.value == "overwrote" for node in nodes_of(modules()[name]))
        }
        self.assertEqual(reading, {"clawvm_experiments.property"})

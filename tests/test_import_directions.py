"""Rooms of the house import only what lies below them, and what a user runs needs nothing installed."""

import ast
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "clawvm_runtime"
REPLAY = ROOT / "replay_py"
WORKLOADS = ROOT / "workloads"
BESIDE_REPLAY = ("clawvm_oracle", "clawvm_pictures")
BESIDE_WORKLOADS = ("clawvm_transcripts", "clawvm_workloads")
OURS = {"clawvm_runtime", "clawvm_replay", *BESIDE_REPLAY, *BESIDE_WORKLOADS, "clawvm_experiments"}


def imports(path):
    """Yield the full name of every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
            else:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(folder):
    return sorted(folder.rglob("*.py"))


def packages(path):
    return {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)


def runtime_modules(path):
    """Return the runtime's own modules that one of its files imports."""
    known = {module.stem for module in files(RUNTIME)}
    return {name.split(".")[1] for name in imports(path) if name.startswith("clawvm_runtime.")} & known


class ImportDirectionsTest(unittest.TestCase):
    def assert_only(self, folder, allowed):
        paths = files(folder)
        self.assertTrue(paths, f"no modules in {folder}")
        for path in paths:
            with self.subTest(path=str(path.relative_to(ROOT))):
                self.assertLessEqual(packages(path), allowed)

    def test_runtime_imports_only_itself(self):
        self.assert_only(RUNTIME, {"clawvm_runtime"})

    def test_replay_imports_only_runtime_and_itself(self):
        self.assert_only(REPLAY / "clawvm_replay", {"clawvm_runtime", "clawvm_replay"})

    def test_oracle_and_pictures_import_only_runtime_replay_and_themselves(self):
        for room in BESIDE_REPLAY:
            self.assert_only(REPLAY / room, {"clawvm_runtime", "clawvm_replay", room})

    def test_families_and_transcripts_import_no_experiment_and_experiments_no_command_line(self):
        for room in BESIDE_WORKLOADS:
            self.assert_only(WORKLOADS / room, {"clawvm_runtime", "clawvm_replay", room})
        self.assert_only(WORKLOADS / "clawvm_experiments", OURS)

    def test_nothing_but_the_registry_of_experiments_knows_all_of_them(self):
        for path in files(WORKLOADS / "clawvm_experiments"):
            with self.subTest(path=path.name):
                self.assertNotIn("clawvm_experiments.registry", set(imports(path)))

    def test_no_format_of_recorded_sessions_knows_what_is_made_of_its_events(self):
        made = {"conversion", "converting", "counts", "evidence", "jobs", "registry", "steps", "views"}
        for path in files(WORKLOADS / "clawvm_transcripts" / "formats"):
            with self.subTest(path=path.name):
                self.assertFalse({f"clawvm_transcripts.{name}" for name in made} & set(imports(path)))

    def test_families_do_not_import_the_engine(self):
        for path in files(WORKLOADS / "clawvm_workloads"):
            if path.stem in ("daily_assistant", "evidence_heavy", "long_horizon", "multi_session", "families"):
                with self.subTest(path=path.name):
                    self.assertNotIn("clawvm_runtime.engine", set(imports(path)))

    def test_what_a_user_runs_needs_nothing_installed(self):
        for folder in (RUNTIME, REPLAY, WORKLOADS):
            local = {path.stem for path in folder.glob("*.py")} | {
                path.name for path in folder.iterdir() if (path / "__init__.py").exists()
            }
            self.assert_only(folder, OURS | local | {"clawvm_cli"})


class RuntimeLayersTest(unittest.TestCase):
    def test_lowest_modules_import_nothing_above_them(self):
        self.assertEqual(runtime_modules(RUNTIME / "vocabulary.py"), set())
        self.assertEqual(runtime_modules(RUNTIME / "errors.py"), set())
        self.assertEqual(runtime_modules(RUNTIME / "canonical.py"), set())

    def test_no_runtime_module_imports_the_engine(self):
        for path in files(RUNTIME):
            if path.stem not in ("engine", "__init__"):
                with self.subTest(path=path.name):
                    self.assertNotIn("engine", runtime_modules(path))

    def test_modules_form_no_circle(self):
        below = {path.stem: runtime_modules(path) - {path.stem} for path in files(RUNTIME) if path.stem != "__init__"}
        while below:
            free = [name for name, needed in below.items() if not needed & below.keys()]
            self.assertTrue(free, f"these import each other in a circle: {sorted(below)}")
            for name in free:
                del below[name]

    def test_absolute_imports_only(self):
        for folder in (RUNTIME, REPLAY, WORKLOADS):
            for path in files(folder):
                with self.subTest(path=str(path.relative_to(ROOT))):
                    self.assertFalse([name for name in imports(path) if name.startswith(".")])


if __name__ == "__main__":
    unittest.main()

"""Packages import only what is below them, without a circle, and what a user runs needs nothing installed."""

import ast
import functools
import gc
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LAYERS = {
    "clawvm_runtime": set(),
    "clawvm_replay": {"clawvm_runtime"},
    "clawvm_oracle": {"clawvm_runtime", "clawvm_replay"},
    "clawvm_pictures": {"clawvm_runtime", "clawvm_replay"},
    "clawvm_workloads": {"clawvm_runtime", "clawvm_replay"},
    "clawvm_transcripts": {"clawvm_runtime", "clawvm_replay"},
}
LAYERS["clawvm_experiments"] = set(LAYERS)
LAYERS["clawvm_cli"] = set(LAYERS)
"""Each package with the packages that it may import."""

OPTIONAL = {"distributed", "backports"}
"""Extras: Dask, and Zstandard before Python 3.14; every import of them is guarded."""

PACKAGES = {path.name: path for folder in (".", "replay_py", "workloads") for path in (ROOT / folder).glob("clawvm_*/")}
SCRIPTS = [path for folder in ("replay_py", "workloads") for path in (ROOT / folder).glob("*.py")]


@functools.cache
def nodes_of(path):
    """Return every node of a file's syntax tree; all tests of the sources share it."""
    gc.disable()  # It would go through all these nodes again and again.
    try:
        return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))
    finally:
        gc.enable()


@functools.cache
def imports(path):
    """Return every module that a file imports, wherever in the file, with what it takes from it; dots stay."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def modules():
    """Return the path of every module of ours by its name."""
    found = {}
    for package in PACKAGES.values():
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def packages_in(path):
    return {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - OPTIONAL


class ImportDirectionsTest(unittest.TestCase):
    def test_every_package_has_its_layer_and_is_typed(self):
        self.assertEqual(PACKAGES.keys(), LAYERS.keys())
        for path in PACKAGES.values():
            self.assertTrue((path / "py.typed").is_file(), path.name)

    def test_packages_import_only_what_is_below_them(self):
        for name, path in modules().items():
            package = name.partition(".")[0]
            with self.subTest(module=name):
                self.assertLessEqual(packages_in(path), {package} | LAYERS[package])

    def test_scripts_import_nothing_but_packages(self):
        self.assertTrue(SCRIPTS)
        for path in SCRIPTS:
            with self.subTest(script=path.name):
                self.assertLessEqual(packages_in(path), set(PACKAGES))

    def test_imports_are_absolute(self):
        for name, path in modules().items():
            with self.subTest(module=name):
                self.assertFalse([module for module in imports(path) if module.startswith(".")])

    def test_no_modules_import_each_other_in_a_circle(self):
        known = modules()
        below = {name: imports(path) & known.keys() - {name} for name, path in known.items()}
        while below:
            free = [name for name, needed in below.items() if not needed & below.keys()]
            self.assertTrue(free, f"these import each other in a circle: {sorted(below)}")
            for name in free:
                del below[name]

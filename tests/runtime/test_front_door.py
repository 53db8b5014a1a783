"""Behaviour of ``import clawvm_runtime``: its names, its cost, its version, and the examples of all its modules."""

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import clawvm_runtime

INIT = Path(clawvm_runtime.__file__)
ROOT = INIT.parent.parent


class FrontDoorTests(unittest.TestCase):
    def test_every_name_is_the_one_of_its_module_and_is_listed(self) -> None:
        self.assertEqual(sorted(clawvm_runtime.__all__), sorted(clawvm_runtime._MODULE_OF))
        self.assertLessEqual(set(clawvm_runtime.__all__), set(dir(clawvm_runtime)))
        for name, module in clawvm_runtime._MODULE_OF.items():
            self.assertIs(
                getattr(clawvm_runtime, name), getattr(importlib.import_module(f"clawvm_runtime.{module}"), name)
            )

    def test_every_error_is_offered(self) -> None:
        errors = importlib.import_module("clawvm_runtime.errors")
        self.assertLessEqual({name for name in vars(errors) if name.endswith("Error")}, set(clawvm_runtime.__all__))

    def test_type_checkers_see_the_same_names(self) -> None:
        imported = {
            alias.name: node.module
            for node in ast.walk(ast.parse(INIT.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        expected = {name: f"clawvm_runtime.{module}" for name, module in clawvm_runtime._MODULE_OF.items()}
        self.assertEqual(imported, expected)

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with self.assertRaisesRegex(AttributeError, "Motor"):
            clawvm_runtime.Motor  # noqa: B018
        with self.assertRaises(ImportError):
            exec("from clawvm_runtime import Motor")

    def test_importing_the_package_imports_none_of_its_modules(self) -> None:
        script = (
            "import sys, clawvm_runtime; print([name for name in sys.modules if name.startswith('clawvm_runtime.')])"
        )
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.strip(), "[]")

    def test_an_older_python_gets_one_clear_line(self) -> None:
        source = INIT.read_text(encoding="utf-8")
        tree = ast.parse(source, feature_version=(3, 7))
        with (
            mock.patch.object(sys, "version_info", (3, 9, 18)),
            self.assertRaisesRegex(ImportError, r"^ClawVM needs Python 3\.10 or newer; this is Python 3\.9$"),
        ):
            exec(compile(tree, str(INIT), "exec"), {"__name__": "clawvm_runtime"})

    def test_the_version_is_readable_without_importing(self) -> None:
        found = re.search(r'^__version__ = "(.*)"$', INIT.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(found and found.group(1), clawvm_runtime.__version__)


class ExampleTests(unittest.TestCase):
    def test_the_examples_of_every_module_hold(self) -> None:
        attempted = 0
        for module in pkgutil.walk_packages(clawvm_runtime.__path__, "clawvm_runtime."):
            with self.subTest(module.name):
                result = doctest.testmod(importlib.import_module(module.name))
                self.assertEqual(result.failed, 0)
                attempted += result.attempted
        self.assertGreater(attempted, 50)

    def test_every_public_class_of_the_core_has_an_example(self) -> None:
        names = ("Engine", "Page", "Policy", "Journal", "FileJournalStorage", "MemoryJournalStorage", "Update")
        for name in (*names, "DecisionTrace", "Tally", "Level"):
            self.assertIn(">>>", getattr(clawvm_runtime, name).__doc__, name)

"""The documents cannot drift: their commands and options exist, their examples run, their links lead somewhere."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from typing import ClassVar

from clawvm_cli import COMMANDS, main
from tests.test_import_directions import ROOT, SCRIPTS, modules

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("traces/*.md")])
TEXTS = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
COMMAND = re.compile(r"^(?: {4}|.*?`)((?:python3|clawvm|make) [^`\n#]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
NAME = re.compile(r"(?<!`)`([\w./-]*\w)`(?!`)")
DATA = (".json", ".jsonl", ".md", ".html")

MAIN_OF_SCRIPT = {
    "run_preliminary_suite.py": "suite",
    "run_tier1_gates.py": "gates",
    "run_all_experiments.py": "experiments",
    "run_experiment.py": "experiment",
    "run_sessions.py": "sessions",
    "convert_transcripts.py": "convert",
}
"""The command that a script runs; the help of the others comes from a process of their own."""


def output_of(arguments):
    """Return what a command prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main(arguments)
    return text.getvalue()


def run_python(code, folder):
    """Return what *code* prints in *folder*, with the checkout's packages on the import path and nothing else."""
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "replay_py", ROOT / "workloads"))
    environment = {"PYTHONPATH": paths, "PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout


def anchors(text):
    """Return the anchors of a document's headings, as they are made on the hosting site."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


class CommandsTest(unittest.TestCase):
    helps: ClassVar[dict[str, str]] = {}

    def help_of(self, words):
        """Return the help for the words of a command, or fail if there is no such script, command or target."""
        if words[0] == "make":
            targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            self.assertIn(words[1], targets)
            return ""
        if words[0] == "python3":
            self.assertTrue((ROOT / words[1]).is_file(), words[1])
            name = words[1].rpartition("/")[2]
            words = ["clawvm", MAIN_OF_SCRIPT.get(name, name)] if name != "clawvm.py" else ["clawvm", *words[2:]]
        name = words[1] if len(words) > 1 else "--help"
        if name in ("COMMAND", "--help", "--version"):
            return "--help --version"
        if name not in self.helps:
            if name.endswith(".py"):
                script = next(path for path in SCRIPTS if path.name == name)
                self.helps[name] = subprocess.run(
                    [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True
                ).stdout
            else:
                self.assertIn(name, COMMANDS)
                self.helps[name] = output_of([name, "--help"])
        return self.helps[name]

    def test_every_command_exists_and_knows_its_options(self):
        texts = (text for path, text in TEXTS.items() if path.name != "CHANGELOG.md")  # It lists removed commands.
        found = {match.strip() for text in texts for match in COMMAND.findall(text)}
        self.assertGreater(len(found), 20)
        for command in sorted(found):
            words = command.split()
            if words[1] == "-m":
                continue
            with self.subTest(command=command):
                text = self.help_of(words)
                for option in re.findall(r"(?<!\S)--[\w-]+", command):
                    self.assertIn(option, text)

    def test_the_guide_has_the_claims_as_the_command_prints_them(self):
        guide = TEXTS[ROOT / "EXPERIMENTS.md"]
        table = guide.split("<!-- claims: begin -->\n")[1].split("<!-- claims: end -->")[0]
        printed = output_of(["claims"]).splitlines()
        # An experiment that was added and whose cost is not known may have no row yet.
        kept = [line for line in printed if line in table.splitlines() or not line.endswith("| - | - |")]
        self.assertEqual(table.splitlines(), kept, "run make claims")

    def test_what_a_zero_does_not_show_is_what_the_committed_run_shows(self):
        summary = json.loads((ROOT / "reference/tier2/results/tier2.summary.json").read_text(encoding="utf-8"))
        columns = ("successful_cells", "served_cells", "below_floor_turns", "plan_below_floor_turns")
        for row in summary["aggregates"]:
            values = " | ".join(f"{row[column]:,}" for column in columns)
            with self.subTest(policy=row["name"]):
                pattern = rf"^\| [^|]*{re.escape(row['name'])}(?:,[^|]*)? \| {re.escape(values)} \|$"
                self.assertRegex(TEXTS[ROOT / "EXPERIMENTS.md"], re.compile(pattern, re.MULTILINE))


class ExamplesTest(unittest.TestCase):
    def test_the_embedding_example_runs_and_its_state_survives(self):
        example = EXAMPLE.findall(TEXTS[ROOT / "README.md"])[0]
        self.assertLessEqual(len(re.findall(r"^(?:from|import) ", example, re.MULTILINE)), 3)
        with tempfile.TemporaryDirectory() as folder:
            first, second = run_python(example, folder), run_python(example, folder)
        before, _, after = first.partition("def login(user): ...")
        self.assertNotIn("step-1", before)
        self.assertIn("Never push to main", after)
        self.assertIn("step-1: done", after)
        self.assertIn("step-1: done", second.partition("def login(user): ...")[0])

    def test_every_other_example_runs(self):
        examples = [(path.name, code) for path, text in TEXTS.items() for code in EXAMPLE.findall(text)]
        self.assertGreaterEqual(len(examples), 5)
        with tempfile.TemporaryDirectory() as folder:
            for name, code in examples:
                if name != "README.md":
                    with self.subTest(document=name, begins=code[:60]):
                        run_python(code, folder)


class NamesTest(unittest.TestCase):
    """What the documents call by a name exists. The changelog is left out: it lists old names."""

    def names(self):
        for path, text in TEXTS.items():
            if path.name != "CHANGELOG.md":
                for name in sorted(set(NAME.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)))):
                    yield path.name, name

    def test_every_file_of_code_exists(self):
        files = [path.as_posix() for path in [*modules().values(), *SCRIPTS, *ROOT.glob("tests/**/*.py")]]
        for document, name in self.names():
            if name.endswith(".py"):
                with self.subTest(document=document, name=name):
                    self.assertTrue(any(file.endswith(f"/{name}") for file in files))

    def test_every_name_occurs_in_the_code_and_in_the_module_that_it_gives(self):
        words = {name: set(re.findall(r"\w+", path.read_text(encoding="utf-8"))) for name, path in modules().items()}
        known = set().union(*words.values(), *(name.split(".") for name in words))
        for path in [*SCRIPTS, *ROOT.glob("schemas/*.json"), *ROOT.glob("workloads/*/claims.json")]:
            known |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
        words |= {name.rpartition(".")[2]: found for name, found in words.items()}
        for document, name in self.names():
            if re.fullmatch(r"\w+(\.\w+)*", name) and name not in words and not name.endswith((".py", *DATA)):
                module, _, attribute = name.rpartition(".")
                with self.subTest(document=document, name=name):
                    self.assertLessEqual(set(module.split(".")) - {""}, known)
                    self.assertIn(attribute, words.get(module, known))


class LinksTest(unittest.TestCase):
    def test_every_relative_link_leads_to_a_file_and_a_heading(self):
        for path, text in TEXTS.items():
            for target, anchor in LINK.findall(CODE.sub("", text)):
                with self.subTest(document=path.name, target=target, anchor=anchor):
                    file = path.parent / target if target else path
                    self.assertTrue(file.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(file.read_text(encoding="utf-8")))

    def test_every_document_that_the_code_names_exists(self):
        for name, path in modules().items():
            for document in set(re.findall(r"docs/[\w-]+\.md", path.read_text(encoding="utf-8"))):
                with self.subTest(module=name, document=document):
                    # An example in a family may name a document of its own.
                    self.assertTrue((ROOT / document).is_file() or name == "clawvm_workloads.families")

    def test_nothing_points_outside_the_repository(self):
        for path, text in TEXTS.items():
            self.assertNotIn("../shared", text, path.name)
            self.assertIsNone(re.search(r"(?<![\w.])/(?:home|root|work|tmp)/", text), path.name)

"""The docs cannot drift: their commands run, their links lead somewhere, the README's embedding example works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest

from tests.cli.support import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("traces/*.md")])
COMMAND = re.compile(r"^(?: {4}|.*`)(python3 [^`\n]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def commands() -> set[str]:
    return {match.strip() for path in DOCUMENTS for match in COMMAND.findall(path.read_text(encoding="utf-8"))}


class DocumentsTest(unittest.TestCase):
    def test_every_script_that_a_command_names_exists_and_knows_its_options(self) -> None:
        helps: dict[str, str] = {}
        for command in sorted(commands()):
            words = command.split()
            if words[1] == "-m":
                continue
            script = words[1]
            with self.subTest(command=command):
                self.assertTrue((ROOT / script).is_file(), script)
                if script not in helps:
                    result = subprocess.run(
                        [sys.executable, str(ROOT / script), "--help"], capture_output=True, text=True, check=True
                    )
                    helps[script] = result.stdout
                for word in words[2:]:
                    if word.startswith("--"):
                        self.assertIn(word, helps[script])

    def test_every_script_and_subcommand_stands_in_the_readme(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        for script in sorted([*ROOT.glob("replay_py/*.py"), *ROOT.glob("workloads/*.py")]):
            self.assertIn(f"`{script.relative_to(ROOT).as_posix()}`", readme)
        from clawvm_cli import COMMANDS

        for name in COMMANDS:
            self.assertIn(f"`clawvm {name}`", readme)

    def test_the_execution_guide_has_a_row_for_every_experiment_and_claim(self) -> None:
        from clawvm_experiments.registry import claims_guide
        from clawvm_replay.document import markdown

        guide = (ROOT / "EXPERIMENTS.md").read_text(encoding="utf-8")
        rows = guide.split("<!-- claims: begin -->\n")[1].split("<!-- claims: end -->")[0]
        self.assertEqual(rows, markdown(claims_guide()), "replace this part by the output of clawvm claims")

    def test_every_relative_link_leads_to_a_file(self) -> None:
        for path in DOCUMENTS:
            for target in LINK.findall(path.read_text(encoding="utf-8")):
                with self.subTest(document=path.name, target=target):
                    self.assertTrue((path.parent / target).exists())

    def test_the_embedding_example_runs_and_its_state_survives(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        example = readme.split("```python\n")[1].split("```")[0]
        with tempfile.TemporaryDirectory() as folder:
            outputs = [
                subprocess.run(
                    [sys.executable, "-c", example],
                    cwd=folder,
                    env={"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")},
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                for _ in range(2)
            ]
        before, _, after = outputs[0].partition("def login(user): ...")
        self.assertNotIn("step-1", before)
        self.assertIn("Never push to main", after)
        self.assertIn("step-1: done", after)
        self.assertIn("step-1: done", outputs[1].partition("def login(user): ...")[0])

    def test_nothing_in_the_documents_points_outside_the_repository(self) -> None:
        for path in DOCUMENTS:
            text = path.read_text(encoding="utf-8")
            self.assertNotIn("../shared", text, path.name)
            self.assertIsNone(re.search(r"(?<![\w.])/(?:home|root|work|tmp)/", text), path.name)


if __name__ == "__main__":
    unittest.main()

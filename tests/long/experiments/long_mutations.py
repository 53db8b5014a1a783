"""Every claim that must hold fails under its mutation, and holds without it.

Each mutation is made in a copy of the code, in which the experiments of its claims run as a user would run them. A run
that ends without a verdict on a claim shows nothing about it, and fails the test.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clawvm_experiments.claims import read_claims, read_mutations
from clawvm_experiments.sessions.report import SESSIONS_ID
from tests.support import ROOT, temporary_folder

CODE = ("clawvm_runtime", "replay_py", "workloads", "schemas")
"""What a run needs of a checkout."""

RECORDINGS = ROOT / "tests/transcripts/fixtures"

QUICK = ("sensitivity", "property", "bounds", "adversarial")
"""Experiments whose quick run judges every claim that must hold, the longest first; the others take a few seconds."""

SESSIONS = ("--cuts", "whole", "--budgets", "20%,40%", "--views", "resources")

GREEN, RED = ("holds", "reproduced"), ("fails", "not reproduced")

CLAIMS = [claim for claim in read_claims() if claim.must_hold]
MUTATIONS = read_mutations()


def jobs():
    """Return (mutation, kind of run, experiments) of every run that is needed, those that take longest first.

    A mutation of "" is the code as it is.
    """
    needed = defaultdict(set)
    for claim in CLAIMS:
        kind = claim.experiment if claim.experiment == SESSIONS_ID else "quick" if claim.experiment in QUICK else "full"
        for mutation in ("", claim.mutation):
            needed[mutation, kind].add(claim.experiment)
    rank = {name: number for number, name in enumerate(QUICK)}
    keys = sorted(needed, key=lambda key: (min(rank.get(name, len(rank)) for name in needed[key]), key))
    return [(*key, tuple(sorted(needed[key]))) for key in keys]


def copy_with(mutation, folder):
    """Copy the code to *folder* and make a mutation in it; raises AssertionError where its text is not there once."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation:
        path = folder / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise AssertionError(f"{mutation.id}: {mutation.old!r} is {text.count(mutation.old)} times in {path}")
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def verdicts(root, kind, experiments):
    """Run experiments with the code in *root*; return (verdict, observed) of each claim by its id."""
    out = root / "out"
    options = ["--out-root", str(out), "--jobs", "1"]
    if kind == SESSIONS_ID:
        command = ["workloads/run_sessions.py", str(RECORDINGS), *SESSIONS]
    else:
        command = ["workloads/run_all_experiments.py", "--experiments", ",".join(experiments)]
        command += ["--quick"] if kind == "quick" else []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *command, *options],
        cwd=root,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    # The exit code is 1 both for a claim that fails and for a crash; only the former leaves a report.
    if done.returncode not in (0, 1) or not (out / "claims.json").exists():
        raise AssertionError(f"{kind} {experiments}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    judged = json.loads((out / "claims.json").read_bytes())["claims"]
    return {item["id"]: (item["verdict"], item["observed"]) for item in judged}


class MutationsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = temporary_folder(cls)

        def run(job):
            mutation, kind, experiments = job
            root = Path(folder, f"{mutation or 'unchanged'}-{kind}")
            try:
                copy_with(MUTATIONS.get(mutation), root)
                return verdicts(root, kind, experiments)
            except AssertionError as error:
                return str(error)
            finally:
                shutil.rmtree(root, ignore_errors=True)

        work = jobs()
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            outcomes = list(pool.map(run, work))
        cls.errors = [
            f"{job[0] or 'unchanged'}: {found}" for job, found in zip(work, outcomes) if isinstance(found, str)
        ]
        cls.judged = defaultdict(dict)
        for (mutation, _, _), found in zip(work, outcomes):
            cls.judged[mutation].update({} if isinstance(found, str) else found)

    def test_every_run_ends_with_verdicts(self):
        self.assertEqual(self.errors, [])

    def test_every_claim_holds_without_a_mutation(self):
        for claim in CLAIMS:
            with self.subTest(claim.id):
                self.assertIn(self.judged[""].get(claim.id, ("not judged", None))[0], GREEN)

    def test_every_claim_is_judged_and_fails_under_its_mutation(self):
        for claim in CLAIMS:
            with self.subTest(claim.id, mutation=claim.mutation):
                verdict, observed = self.judged[claim.mutation].get(claim.id, ("not judged", None))
                self.assertIn(verdict, RED)
                self.assertIsNotNone(observed)

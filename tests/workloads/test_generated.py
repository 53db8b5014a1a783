"""Behaviour of the generator: one seed, the same bytes everywhere; valid traces; everything that it should produce."""

import hashlib
import os
import random
import subprocess
import sys
import unittest

from clawvm_experiments.property import check_trace, read_back
from clawvm_replay.trace_format import write_trace
from clawvm_workloads import generated
from clawvm_workloads.generated import chance, count, generate, one_of
from tests.support import ROOT

DIGEST = """
import sys
sys.path[:0] = {paths!r}
from tests.workloads.test_generated import digest_of_decisions
print(digest_of_decisions())
""".format(paths=[str(ROOT / "workloads"), str(ROOT / "replay_py"), str(ROOT)])


def digest_of_decisions():
    digest = hashlib.sha256()
    for seed in range(2):
        trace = generate(seed)
        digest.update(bytes_of(trace))
        digest.update(check_trace(trace).run.decisions)
    return digest.hexdigest()


def bytes_of(trace):
    return "".join(write_trace(trace.header, trace.turns)).encode("ascii")


class OnlyWhatIsStable(random.Random):
    """Refuses every draw that has changed between Python versions, or might."""

    def _refuse(self, *_, **__):
        raise AssertionError("only random() and randrange() give the same on every Python version")

    choice = choices = sample = shuffle = uniform = triangular = gauss = randint = expovariate = randbytes = _refuse


class GeneratedTest(unittest.TestCase):
    def test_one_seed_gives_the_same_bytes(self):
        for seed in range(5):
            self.assertEqual(bytes_of(generate(seed)), bytes_of(generate(seed)), f"seed {seed}")

    def test_traces_and_decisions_do_not_depend_on_the_hash_seed(self):
        found = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": "4711"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertEqual(found.strip(), digest_of_decisions())

    def test_only_stable_draws_are_used(self):
        for seed in range(15):
            generated._Story(OnlyWhatIsStable(seed)).trace("generated")

    def test_seeds_give_different_traces(self):
        digests = {hashlib.sha256(bytes_of(generate(seed))[200:]).digest() for seed in range(20)}
        self.assertEqual(len(digests), 20)

    def test_every_trace_is_valid(self):
        for seed in range(8):
            trace = generate(seed)
            self.assertEqual(bytes_of(read_back(trace)), bytes_of(trace), f"seed {seed}")

    def test_the_name_holds_the_seed(self):
        self.assertEqual(generate(42).header.workload, "generated-000042")

    def test_lengths_are_mixed(self):
        turns = [len(generate(seed).turns) for seed in range(60)]
        self.assertTrue(any(number <= 3 for number in turns))
        self.assertTrue(any(number >= 50 for number in turns))
        self.assertLess(sum(turns) / len(turns), 30)


class DrawsTest(unittest.TestCase):
    def test_chance_knows_never_and_always(self):
        rng = random.Random(1)
        self.assertFalse(any(chance(rng, 0.0) for _ in range(100)))
        self.assertTrue(all(chance(rng, 1.0) for _ in range(100)))

    def test_count_has_its_mean(self):
        rng = random.Random(2)
        self.assertEqual({count(rng, 0.0) for _ in range(100)}, {0})
        numbers = [count(rng, 1.5) for _ in range(4_000)]
        self.assertAlmostEqual(sum(numbers) / len(numbers), 1.5, delta=0.15)

    def test_one_of_reaches_every_item_and_needs_one(self):
        rng = random.Random(3)
        self.assertEqual({one_of(rng, "abc") for _ in range(100)}, set("abc"))
        with self.assertRaises(ValueError):
            one_of(rng, ())

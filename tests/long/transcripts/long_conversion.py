"""Random sessions: every one becomes a trace that every policy replays, with its flushes where they belong."""

import random
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, TraceHeader, Turn, read_trace, write_trace
from clawvm_runtime.policy import PAPER_POLICIES
from clawvm_runtime.vocabulary import Boundary
from clawvm_transcripts.conversion import FLUSH_BEFORE_COMPACTION
from clawvm_transcripts.events import RecordedCall
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.views import View
from tests.transcripts.hand_made import (
    LARGE,
    Converted,
    Done,
    Hand,
    converted,
    edit,
    plan,
    poll,
    read,
    replayed,
    run,
    search,
)


def random_session(source: random.Random, prefix: str) -> Hand:
    """Return a session in which anything may follow anything."""
    session = Hand(messages=source.random() < 0.5, prefix=prefix)
    for _ in range(source.randrange(60)):
        choice = source.randrange(17)
        if choice < 9:
            session.reply(*(random_call(source) for _ in range(source.randrange(4))))
        elif choice == 9:
            session.prompt(source.choice(("go on", "Never do that.", "I prefer this. Always do that.", "")))
        elif choice == 10:
            session.compaction(source.choice(("auto", "manual")), source.choice((None, 0, 5, 90_000)))
            session.summary(source.choice(("", "so far")))
        elif choice == 11:
            session.reset(source.choice(("start:clear", "start:fork", "other_session", "handoff", "reset")))
        elif choice == 12:
            session.rewind(*some_calls(source, session), restored=some_calls(source, session))
        elif choice == 13:
            session.resume()
        elif choice == 14:
            session.compaction(kept=some_calls(source, session))
        elif choice == 15:
            source.choice((session.forgetting, session.cleared))(*some_calls(source, session))
        else:
            session.instruction(source.choice(("system", "rules", "memory")), source.choice(("a", "b", "c " * 300)))
    if source.random() < 0.5:
        source.shuffle(session.events)
    return session


def some_calls(source: random.Random, session: Hand) -> list[int]:
    """Return the numbers of a few calls of the session so far."""
    number = sum(isinstance(event, RecordedCall) for event in session.events)
    return [call for call in range(1, number + 1) if source.random() < 0.3]


def random_call(source: random.Random) -> Done:
    text = source.choice((None, "", "one", "two", "three " * source.randrange(1, 900)))
    failed = source.random() < 0.1
    path = source.choice(("a.py", "b.py", "AGENTS.md", "spec.md"))
    first = source.randrange(1, 40)
    steps = [(f"step {number}", source.choice(("pending", "completed", "?"))) for number in range(source.randrange(4))]
    return source.choice(
        (
            read(path, text, failed=failed),
            read(path, text, first, first + source.randrange(40), failed=failed),
            read(path, text, first, None, failed=failed),
            Done("read_many_files", {"paths": ["a.py", "b.py"]}, text, failed),
            edit(path, text, failed=failed),
            edit(None, text, failed=failed),
            run(source.choice(("env", "pytest", f"tail -n 3 {path}", f"sed -i s/a/b/ {path}")), text, failed=failed),
            search(source.choice("xyz"), text),
            poll(text),
            plan(*steps, failed=failed),
            Done("taskcreate", {"subject": source.choice("pqr")}, text, failed),
            Done("taskupdate", {"taskId": source.choice("123"), "status": "completed"}, text, failed),
            Done("mystery", source.choice((None, [], "text", {"a": {}})), text, failed),
        )
    )


def lines_of(found: Converted, view: View) -> list[bytes]:
    return [line.encode("ascii") for line in write_trace(TraceHeader("random", LARGE), found.turns[view])]


class PropertyTest(unittest.TestCase):
    SEEDS = range(40)

    def test_whatever_happens_becomes_a_trace_that_every_policy_replays(self) -> None:
        for seed in self.SEEDS:
            source = random.Random(seed)
            sessions = [random_session(source, prefix) for prefix in "cde"[: source.randrange(1, 4)]]
            found = converted(*sessions, names=Pseudonyms(b"key") if seed % 2 else None)
            with self.subTest(seed=seed):
                self.assertEqual(*({len(turns)} for turns in found.turns.values()))
                for view in View:
                    self.check(found, view, seed)

    def check(self, found: Converted, view: View, seed: int) -> None:
        lines = iter(lines_of(found, view))
        stream: Any = type("Stream", (), {"readline": lambda self, size: next(lines, b"")})()
        _, turns = read_trace(stream, "random")
        self.assertEqual(len(list(turns)), found.converter.turns)
        pages = {name for turn in found.turns[view] for name, _ in turn.demands}
        for item in found.observations[view]:
            self.assertTrue(1 <= item.turn <= found.converter.turns)
            self.assertTrue(pages or item.pages)
        budget = max(1, int(found.converter.working_set[view.value] * random.Random(seed).random()))
        for policy in PAPER_POLICIES:
            replayed(found, policy, view, budget)
            plenty = replayed(found, policy, view)
            self.assertEqual(plenty.pressure_turns, 0)
            if policy == "clawvm":
                self.assertEqual(plenty.explicit_faults, 0)
        tight = replayed(found, "clawvm", view, budget)
        self.assertEqual(tight.explicit_faults, 0, "what is missing under pressure is no fault of the policy")

    def test_the_same_events_give_the_same_turns_whatever_the_hash_seed(self) -> None:
        root = Path(__file__).resolve().parents[3]
        program = (
            "import hashlib, random, sys; sys.path[:0] = [{!r}, {!r}, {!r}]\n"
            "from tests.long.transcripts.long_conversion import *\n"
            "digest = hashlib.sha256()\n"
            "for seed in range(10):\n"
            "    found = converted(random_session(random.Random(seed), 'c'), names=Pseudonyms(b'key'))\n"
            "    for view in View:\n"
            "        digest.update(b''.join(lines_of(found, view)) + repr(found.observed(view)).encode())\n"
            "print(digest.hexdigest())"
        ).format(str(root), str(root / "replay_py"), str(root / "workloads"))
        answers = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("0", "1", "77")
        }
        self.assertEqual(len(answers), 1)


class FlushTest(unittest.TestCase):
    SEEDS = range(30)

    def session(self, seed: int) -> Converted:
        source = random.Random(seed)
        session = Hand()
        for number in range(40):
            size = source.choice((0, 10, 700, 1500, 6000))
            session.reply(run(f"c{number}", "word " * size if size else None))
            between = source.random()
            if between < 0.2:
                session.compaction()
            elif between < 0.27:
                source.choice((session.resume, lambda: session.reset("start:clear")))()
        return converted(session)

    def expected(self, turns: list[Turn]) -> list[int]:
        """Return the places of the flushes, found by looking back from every compaction that ends a cycle."""
        places = []
        begin, first = [0], 0
        for at, turn in enumerate(turns):
            boundaries = [item for item in turn.events_before if isinstance(item, BoundaryEvent)]
            if boundaries and boundaries[0].boundary is Boundary.COMPACTION and at > first:
                within = [place for place in range(first, at) if begin[at] - begin[place] <= FLUSH_BEFORE_COMPACTION]
                places.append(within[0] if within else at - 1)
            first = at if boundaries else first
            begin.append(begin[at] + turn.transcript_tokens)
        return places

    def test_flushes_stand_where_looking_back_puts_them_in_both_views(self) -> None:
        for seed in self.SEEDS:
            found = self.session(seed)
            for view in View:
                turns = found.turns[view]
                places = [
                    at for at, turn in enumerate(turns) for item in turn.events_before if isinstance(item, FlushEvent)
                ]
                self.assertEqual(places, self.expected(turns), f"seed {seed}, {view.value}")
                self.assertEqual(replayed(found, "compaction_hybrid", view).flushes, len(places), f"seed {seed}")

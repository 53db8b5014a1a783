"""Where the best-effort flush before a recorded compaction is inserted, and that only the last turns wait for it."""

import unittest

from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, Turn
from clawvm_runtime.vocabulary import Boundary
from clawvm_transcripts.conversion import MOST_HELD, FlushPlacer
from clawvm_transcripts.views import View
from tests.transcripts.hand_made import RESOURCES, SIGNATURES, Hand, converted, plan, replayed, run

COMPACTION = BoundaryEvent(Boundary.COMPACTION)


def held(*happened: int | str) -> list[list[str]]:
    """Return what precedes each turn: numbers are turns with their tokens, words are what comes between them."""
    out: list[Turn] = []
    holder = FlushPlacer(lambda view, turn: out.append(turn))
    number = 0
    events_before: list[BoundaryEvent] = []
    for item in happened:
        if isinstance(item, int):
            number += 1
            holder.add({SIGNATURES: Turn(number, item, tuple(events_before))}, item)
            events_before = []
        else:
            (holder.compaction if item == "compaction" else holder.release)()
            events_before.append(COMPACTION)
    holder.release()
    assert [turn.number for turn in out] == list(range(1, number + 1))
    return [["flush" if isinstance(item, FlushEvent) else "boundary" for item in turn.events_before] for turn in out]


def flushed(*happened: int | str) -> list[int]:
    """Return the numbers of the turns that a flush precedes."""
    return [number for number, events_before in enumerate(held(*happened), start=1) if "flush" in events_before]


class PlaceTest(unittest.TestCase):
    def test_it_comes_before_the_first_turn_that_begins_within_the_last_tokens(self) -> None:
        self.assertEqual(flushed(9000, 2000, 2000, 2000, "compaction", 1), [3])
        self.assertEqual(flushed(9000, 2000, 1999, 2001, "compaction", 1), [3])
        self.assertEqual(flushed(9000, 2000, 2000, 2001, "compaction", 1), [4])
        self.assertEqual(flushed(9000, 0, 0, 4000, "compaction", 1), [2])

    def test_every_compaction_has_its_own(self) -> None:
        self.assertEqual(flushed(5000, 3000, "compaction", 50_000, 3000, 3000, "compaction", 1), [2, 5])

    def test_in_a_short_cycle_it_comes_before_its_first_turn_behind_the_boundary(self) -> None:
        self.assertEqual(
            held(5000, "compaction", 10, 10, "compaction", 10), [["flush"], ["boundary", "flush"], [], ["boundary"]]
        )

    def test_before_a_jump_it_comes_before_the_turn_that_jumps(self) -> None:
        self.assertEqual(flushed(100, 100, 9000, "compaction", 1), [3])

    def test_resets_and_rewinds_have_none_and_begin_a_new_cycle(self) -> None:
        self.assertEqual(flushed(100, 100, "release", 100), [])
        self.assertEqual(flushed(100, "release", 100, 100, "compaction", 1), [2])

    def test_compaction_of_nothing_has_none(self) -> None:
        self.assertEqual(flushed("compaction", 1), [])
        self.assertEqual(flushed(10, "release", "compaction", 1), [])
        self.assertEqual(flushed(10, "compaction", "compaction", 1), [1])

    def test_it_comes_before_what_else_precedes_the_turn(self) -> None:
        session = Hand().reply(run("a", "word " * 9000)).prompt("go on").reply().compaction().reply()
        self.assertEqual(converted(session).events_before()[1], ["flush", "page prompt 1 go on"])

    def test_few_turns_wait(self) -> None:
        out: list[int] = []
        holder = FlushPlacer(lambda view, turn: out.append(turn.number))
        for number in range(1, 101):
            holder.add({SIGNATURES: Turn(number)}, 1000)
            self.assertEqual(number - len(out), min(number, 4))
        holder = FlushPlacer(lambda view, turn: out.append(turn.number))
        for number in range(2 * MOST_HELD):
            holder.add({SIGNATURES: Turn(number)}, 0)
        self.assertEqual(len(out), 96 + MOST_HELD, "turns that hardly grow the transcript are no exception")

    def test_turns_that_nobody_asked_to_wait_for_keep_their_order_by_view(self) -> None:
        out: list[tuple[View, int]] = []
        holder = FlushPlacer(lambda view, turn: out.append((view, turn.number)))
        for number in (1, 2):
            holder.add({view: Turn(number) for view in View}, 5000)
        holder.release()
        self.assertEqual(out, [(SIGNATURES, 1), (RESOURCES, 1), (SIGNATURES, 2), (RESOURCES, 2)])


class ConversionTest(unittest.TestCase):
    def test_compactions_are_followed_by_their_flush_and_resets_and_rewinds_are_not(self) -> None:
        session = Hand().reply(run("a", "word")).reply().compaction().reply(run("b", "word")).reset("start:fork")
        session.reply(run("c", "word")).rewind().reply(run("d", "word")).compaction().reply()
        self.assertEqual(
            [
                [item for item in events_before if not item.startswith("tool")]
                for events_before in converted(session).events_before()
            ],
            [["flush"], [], ["compaction"], ["reset session-2"], ["compaction", "flush"], ["compaction"]],
        )

    def test_compaction_behind_the_last_turn_has_none(self) -> None:
        self.assertEqual(converted(Hand().reply().compaction()).events_before(), [[]])

    def test_cycle_that_a_fork_began_is_flushed_by_its_own_measure(self) -> None:
        steps = plan(("a", "pending"))
        session = Hand().reply(run("x", "word " * 9000)).compaction().reply().reset("start:fork")
        session.reply(run("y", "word " * 20_000)).reply(steps).reply(run("z", "word " * 4200)).compaction().reply()
        metrics = replayed(converted(session), "compaction_hybrid")
        self.assertEqual((metrics.flush_miss, metrics.committed_updates), (0, 1))

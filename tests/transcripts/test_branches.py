"""The tree of a conversation: what a move leaves behind and brings back is what walking up by hand finds."""

from __future__ import annotations

import random
import unittest

from clawvm_transcripts.events import Rewind
from clawvm_transcripts.formats.branches import ROOT, Branches


class ByHand:
    """The same as Branches, from nothing but the list of everything that was made."""

    def __init__(self) -> None:
        self.parents = {ROOT: ROOT}
        self.weights = {ROOT: 0}
        self.results: dict[int, list[str]] = {}
        self.kept: dict[int, list[str]] = {}

    def way_up(self, place: int) -> list[int]:
        """Return the places from *place* to the root, both included."""
        way = [place]
        while place != ROOT:
            place = self.parents[place]
            way.append(place)
        return way

    def context(self, place: int) -> set[str]:
        """Return what is in the context, by going down from the root."""
        present: set[str] = set()
        for each in reversed(self.way_up(place)):
            if each in self.kept:
                present &= set(self.kept[each])
            present |= set(self.results.get(each, ()))
        return present

    def left(self, here: int, place: int) -> list[int]:
        there = set(self.way_up(place))
        return [each for each in self.way_up(here) if each not in there]


class PropertyTest(unittest.TestCase):
    SEEDS = range(60)

    def test_moves_lose_and_bring_back_what_walking_up_finds(self) -> None:
        for seed in self.SEEDS:
            with self.subTest(seed=seed):
                self.check(random.Random(seed), f"seed {seed}")

    def check(self, draw: random.Random, seed: str) -> None:
        branches, hand = Branches(), ByHand()
        number, names = 0, iter(range(10**6))
        present: set[str] = set()  # What somebody has who follows the events alone.
        for step in range(80):
            hint, choice = f"{seed}, step {step}", draw.random()
            if choice < 0.35:
                target = draw.randint(0, number)
                present = self.move(branches, hand, target, present, hint)
            elif choice < 0.7:
                parent = None if draw.random() < 0.8 else draw.randint(0, number)
                weight = draw.choice((0, 1, 1, 2))
                here = branches.here
                if parent is not None:  # An append elsewhere is a move first.
                    present = self.move(branches, hand, parent, present, hint)
                    here = parent
                number = branches.append(parent, weight=weight)
                hand.parents[number], hand.weights[number] = here, weight
                self.assertEqual(branches.here, number, hint)
            elif choice < 0.9:
                call = f"call {next(names)}"
                branches.add_result(call)
                hand.results.setdefault(branches.here, []).append(call)
                present.add(call)
            else:
                here, number = branches.here, branches.append(weight=0)
                kept = [call for call in sorted(present) if draw.random() < 0.4]
                branches.compacted(kept)
                hand.parents[number], hand.weights[number], hand.kept[number] = here, 0, kept
                present &= set(kept)
            self.assertEqual(present, hand.context(branches.here), hint)
            self.assertEqual(set(branches.context()), present, hint)

    def move(self, branches: Branches, hand: ByHand, target: int, present: set[str], hint: str) -> set[str]:
        left = hand.left(branches.here, target)
        weight = sum(hand.weights[place] for place in left)
        lost = {call for place in left for call in hand.results.get(place, ())}
        lost |= hand.context(branches.here) - hand.context(target)  # It may go behind a compaction.
        self.assertEqual(branches.weight_to(target), weight, hint)
        rewind = branches.go_to(target)
        self.assertEqual(branches.here, target, hint)
        self.assertEqual(rewind.dropped, weight, hint)
        self.assertEqual(sorted(rewind.lost), sorted(lost), hint)
        return (present - set(rewind.lost)) | set(rewind.restored)

    def test_results_since_a_place_are_those_of_the_context_that_are_no_older(self) -> None:
        for seed in self.SEEDS:
            draw = random.Random(seed)
            branches, hand = Branches(), ByHand()
            for number in range(1, 30):
                parent = branches.here if draw.random() < 0.8 else draw.randrange(number)
                branches.append(parent)
                hand.parents[number] = parent
                if draw.random() < 0.15:
                    kept = [call for call in sorted(hand.context(parent)) if draw.random() < 0.6]
                    branches.compacted(kept)
                    hand.kept[number] = kept
                else:
                    branches.add_result(str(number))
                    hand.results[number] = [str(number)]
                first = draw.randint(0, number)
                expected = {call for call in hand.context(number) if int(call) >= first}
                self.assertEqual(set(branches.results_since(first)), expected, f"seed {seed}, place {number}")

    def test_so_many_of_the_newest_are_gone(self) -> None:
        for seed in self.SEEDS:
            draw = random.Random(seed)
            branches, weights = Branches(), [0]
            for _ in range(20):
                weights.append(draw.choice((0, 1)))
                branches.append(weight=weights[-1])
            for weight in range(sum(weights) + 3):
                place = branches.place_above(weight)
                gone = sum(weights[place + 1 :])
                self.assertEqual(gone, min(weight, sum(weights)), f"seed {seed}, weight {weight}")
                if weight:
                    self.assertTrue(place == ROOT or (gone == weight and weights[place + 1]), f"seed {seed}")
                else:
                    self.assertEqual(place, branches.here, "nothing is gone")


class MoveTest(unittest.TestCase):
    def setUp(self) -> None:
        self.branches = Branches()

    def grown(self, *calls: str) -> list[int]:
        """Add a place for each of *calls*, and return them."""
        places = []
        for call in calls:
            places.append(self.branches.append())
            self.branches.add_result(call)
        return places

    def test_who_stays_or_goes_on_below_loses_nothing(self) -> None:
        first, second = self.grown("a", "b")
        self.assertEqual(self.branches.go_to(second), Rewind())
        self.branches.go_to(first)
        self.assertEqual(self.branches.weight_to(second), 0)
        self.assertEqual(self.branches.go_to(second).dropped, 0)

    def test_what_comes_late_to_an_earlier_place_is_lost_with_that_place(self) -> None:
        first, second, third = self.grown("a", "b", "c")
        self.branches.add_result("late", second)
        self.assertEqual(set(self.branches.go_to(first).lost), {"b", "late", "c"})
        self.assertEqual(self.branches.go_to(third).restored, ("c", "b", "late"))

    def test_without_a_compaction_on_the_way_nothing_has_to_come_back(self) -> None:
        first, _ = self.grown("a", "b")
        self.assertEqual(self.branches.go_to(first), Rewind(1, ("b",)))

    def test_what_a_compaction_took_is_back_before_it(self) -> None:
        _, second = self.grown("a", "b")
        self.branches.append(weight=0)
        self.branches.compacted(["a"])
        self.grown("c")
        self.assertEqual(self.branches.go_to(second), Rewind(1, ("c",), ("b", "a")))

    def test_a_compaction_behind_the_fork_takes_nothing_from_the_other_branch(self) -> None:
        (first,) = self.grown("a")
        self.branches.append(weight=0)
        self.branches.compacted()
        self.branches.go_to(first)
        self.grown("b")
        self.assertEqual(list(self.branches.context()), ["b", "a"])

    def test_going_behind_a_compaction_again_loses_what_it_took(self) -> None:
        (first,) = self.grown("a")
        compaction = self.branches.append(weight=0)
        self.branches.compacted()
        self.branches.go_to(first)
        (beside,) = self.grown("b")
        self.assertEqual(self.branches.go_to(compaction), Rewind(1, ("b", "a")))
        self.assertEqual(self.branches.go_to(beside), Rewind(0, (), ("b", "a")))

    def test_nothing_before_the_barrier_or_beside_it_is_open(self) -> None:
        first, second = self.grown("a", "b")
        self.branches.go_to(first)
        (beside,) = self.grown("c")
        self.branches.go_to(second)
        self.branches.set_barrier()
        (behind,) = self.grown("d")
        opened = {place: self.branches.is_open(place) for place in (ROOT, first, beside, second, behind)}
        self.assertEqual(opened, {ROOT: False, first: False, beside: False, second: True, behind: True})

    def test_without_a_barrier_everything_is_open(self) -> None:
        first, second = self.grown("a", "b")
        self.assertTrue(all(map(self.branches.is_open, (ROOT, first, second))))

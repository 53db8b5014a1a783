"""Behaviour of selection: the required set, pointer prefetch, upgrades; and what holds for every input."""

import dataclasses
import random
import unittest
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from clawvm_runtime.pages import Page
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, LinearScore, Policy, policy_named
from clawvm_runtime.selector import Reason, Selection, SelectionRequest, StepOutcome, install_order, minimum_set, select
from clawvm_runtime.vocabulary import Level, PageType, PinClass
from tests.runtime.support import make_page, random_page

SEED = 20266
CASES = 150
POINTER, STRUCTURED, COMPRESSED, FULL = Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL
CLAWVM = POLICIES["clawvm"]
BARE = dataclasses.replace(POLICIES["retrieval"], id="bare")
PINNED = dataclasses.replace(BARE, auto_pin=True)
PREFETCHING = dataclasses.replace(BARE, prefetch=True)
FLAT = dataclasses.replace(BARE, upgrades=LinearScore("flat"))  # Score = base utility.


def chosen(pages: list[Page], budget: int, policy: Policy = CLAWVM, **rest: Any) -> Selection:
    """Return the selection for these pages."""
    return select(SelectionRequest(pages=pages, budget=budget, policy=policy, **{"demands": {}, **rest}))


class RequiredSetTests(unittest.TestCase):
    def test_install_order_is_pin_then_type_then_base_utility_then_id(self) -> None:
        order = [
            make_page("h", PageType.BOOTSTRAP_POLICY, base_utility=0.0),
            make_page("g", PageType.CONSTRAINT, base_utility=0.0),
            make_page("f", PageType.EVIDENCE, pin=PinClass.HARD, base_utility=9.0),
            make_page("e", PageType.CONSTRAINT, pin=PinClass.SOFT, base_utility=0.0),
            make_page("d", PageType.EVIDENCE, base_utility=2.0),
            make_page("z", PageType.PLAN, base_utility=1.0),
            make_page("c", PageType.EVIDENCE, base_utility=1.0),
            make_page("b", PageType.CONVERSATION_SEGMENT, base_utility=9.0),
        ]
        shuffled = order[::-1]
        self.assertEqual(sorted(shuffled, key=install_order, reverse=True), order)
        required = chosen(order[::-1], 10_000, BARE, demands={page.id: POINTER for page in order}).required
        self.assertEqual([item.page_id for item in required], [page.id for page in order])

    def test_a_demand_is_installed_at_the_higher_of_the_demanded_level_and_the_minimum(self) -> None:
        pages = [make_page("a", minimum=COMPRESSED), make_page("b"), make_page("c", PageType.CONSTRAINT)]
        levels = chosen(pages, 999, BARE, demands={"a": POINTER, "b": STRUCTURED, "c": POINTER}).levels
        self.assertEqual(levels, {"a": COMPRESSED, "b": STRUCTURED, "c": STRUCTURED})

    def test_one_that_does_not_fit_is_unmet_and_the_next_is_tried(self) -> None:
        pages = [make_page("big", base_utility=5.0), make_page("small", base_utility=1.0)]
        selection = chosen(pages, 12, BARE, demands={"big": FULL, "small": STRUCTURED})
        self.assertEqual(
            [(item.page_id, item.fitted) for item in selection.required], [("big", False), ("small", True)]
        )
        self.assertEqual((selection.levels, selection.tokens), ({"small": STRUCTURED}, 10))

    def test_under_pressure_every_floor_comes_before_any_demand(self) -> None:
        first, second = (
            make_page(name, PageType.CONSTRAINT, base_utility=utility) for name, utility in (("a", 9.0), ("b", 1.0))
        )
        selection = chosen([first, second], 65, PINNED, demands={"a": FULL})
        self.assertEqual(selection.levels, {"a": STRUCTURED, "b": STRUCTURED})
        self.assertEqual([item.reason for item in selection.required], [Reason.FLOOR, Reason.FLOOR, Reason.DEMAND])
        self.assertFalse(selection.required[-1].fitted)

    def test_only_auto_pin_installs_hard_pages_that_nobody_demands(self) -> None:
        pages = [make_page("hard", PageType.CONSTRAINT), make_page("soft"), make_page("loose", PageType.PREFERENCE)]
        self.assertEqual(chosen(pages, 999, PINNED).levels, {"hard": STRUCTURED})
        self.assertEqual(chosen(pages, 999, BARE).levels, {})

    def test_injected_pages_are_kept_at_their_floor_by_every_policy(self) -> None:
        page = make_page("boot", PageType.BOOTSTRAP_POLICY)
        for policy in (BARE, PINNED):
            selection = chosen([page], 10, policy, injected={"boot"})
            self.assertEqual(selection.levels, {"boot": STRUCTURED})
            self.assertEqual([item.reason for item in selection.required], [Reason.INJECTED])

    def test_a_floor_that_is_demanded_too_is_paid_once(self) -> None:
        selection = chosen([make_page("a", PageType.CONSTRAINT)], 60, PINNED, demands={"a": FULL})
        self.assertEqual((selection.levels, selection.tokens), ({"a": FULL}, 60))

    def test_the_minimum_set_is_floors_and_demands_whatever_the_policy(self) -> None:
        pages = [
            make_page("hard", PageType.CONSTRAINT),
            make_page("asked"),
            make_page("other"),
            make_page("boot", pin=PinClass.NONE),
        ]
        self.assertEqual(minimum_set(pages, {}), 10)
        self.assertEqual(minimum_set(pages, {"asked": FULL, "hard": POINTER}, {"boot"}), 10 + 60 + 2)


class PrefetchTests(unittest.TestCase):
    def test_pointers_go_by_recompute_cost_then_base_utility_then_id_descending(self) -> None:
        pages = [
            make_page("a", recompute_cost=1.0, base_utility=1.0),
            make_page("b", recompute_cost=1.0, base_utility=1.0),
            make_page("c", recompute_cost=1.0, base_utility=2.0),
            make_page("d", recompute_cost=2.0, base_utility=0.0),
        ]
        selection = chosen(pages, 7, PREFETCHING)
        self.assertEqual((selection.prefetched, selection.prefetch_refused), (["d", "c", "b"], ["a"]))
        self.assertEqual((selection.levels, selection.tokens), (dict.fromkeys("dcb", POINTER), 6))

    def test_a_refused_pointer_does_not_stop_a_cheaper_one(self) -> None:
        pages = [make_page("dear", recompute_cost=9.0, costs={POINTER: 50, FULL: 60}), make_page("cheap")]
        self.assertEqual(chosen(pages, 10, PREFETCHING).levels, {"cheap": POINTER})

    def test_only_pages_still_at_none_that_may_be_pointers_are_prefetched(self) -> None:
        pages = [make_page("rule", PageType.CONSTRAINT), make_page("asked"), make_page("idle", PageType.PLAN)]
        selection = chosen(pages, 999, PREFETCHING, demands={"asked": FULL})
        self.assertEqual(selection.prefetched, ["idle"])


class UpgradeTests(unittest.TestCase):
    def steps(self, selection: Selection) -> list[tuple[str, Level, StepOutcome]]:
        """Return what was tried, without numbers."""
        return [(step.page_id, step.level, step.outcome) for step in selection.steps]

    def test_the_step_with_the_highest_score_per_token_comes_first(self) -> None:
        pages = [make_page("a", costs={FULL: 10}, base_utility=5.0), make_page("b", costs={FULL: 5}, base_utility=4.0)]
        selection = chosen(pages, 12, FLAT)
        self.assertEqual(
            self.steps(selection), [("b", FULL, StepOutcome.APPLIED), ("a", FULL, StepOutcome.DID_NOT_FIT)]
        )
        self.assertEqual([step.key for step in selection.steps], [0.8, 0.5])

    def test_equal_keys_go_by_page_id_then_level_descending(self) -> None:
        pages = [make_page(name, costs={POINTER: 5, FULL: 10}, base_utility=1.0) for name in "abc"]
        tried = [(name, level) for name, level, _ in self.steps(chosen(pages, 99, FLAT))]
        self.assertEqual(tried, [(name, level) for name in "cba" for level in (FULL, POINTER)])

    def test_one_pass_leaves_out_a_step_whose_page_does_not_stand_below_it(self) -> None:
        page = make_page("a", costs={POINTER: 8, FULL: 10})
        selection = chosen([page], 99, FLAT)
        self.assertEqual(
            self.steps(selection), [("a", FULL, StepOutcome.NOT_NEXT), ("a", POINTER, StepOutcome.APPLIED)]
        )
        self.assertEqual(selection.levels, {"a": POINTER})

    def test_upgrades_start_at_the_current_level(self) -> None:
        selection = chosen([make_page("a")], 999, FLAT, demands={"a": STRUCTURED})
        self.assertEqual([step.level for step in selection.steps], [COMPRESSED, FULL])
        self.assertEqual([step.delta for step in selection.steps], [15, 35])
        self.assertEqual(selection.levels, {"a": FULL})

    def test_a_step_may_use_the_last_token_and_not_one_more(self) -> None:
        page = make_page("a", costs={FULL: 10})
        self.assertEqual(chosen([page], 10, FLAT).levels, {"a": FULL})
        self.assertEqual(chosen([page], 9, FLAT).levels, {})

    def test_recency_and_the_future_move_a_page_forward(self) -> None:
        pages = [make_page("a", costs={FULL: 10}), make_page("b", costs={FULL: 10})]
        online, oracle = (dataclasses.replace(POLICIES[name], prefetch=False) for name in ("clawvm", "oracle_h3"))
        self.assertEqual(chosen(pages, 10, online).levels, {"b": FULL})
        self.assertEqual(chosen(pages, 10, online, recency={"a": 0.1}).levels, {"a": FULL})
        self.assertEqual(chosen(pages, 10, oracle, future_demands={"a": 1}).levels, {"a": FULL})
        self.assertEqual(chosen(pages, 10, online, future_demands={"a": 1}).levels, {"b": FULL})

    def test_without_upgrades_no_step_is_tried(self) -> None:
        self.assertEqual(chosen([make_page("a")], 999, BARE).steps, [])


def random_request(seed: int) -> SelectionRequest:
    """Return a random request: few distinct numbers, so that exact ties are many."""
    rng = random.Random(seed)
    pages = [random_page(rng, f"p{number:02}", top=rng.choice([8, 60])) for number in range(rng.randrange(1, 14))]
    ids = [page.id for page in pages]
    demands = {page_id: rng.choice(list(Level)) for page_id in ids if rng.random() < 0.25}
    return SelectionRequest(
        pages=pages,
        budget=rng.randrange(1, 1 + max(2, sum(page.costs[FULL] for page in pages))),
        policy=rng.choice([*map(policy_named, PAPER_POLICIES), CLAWVM, PINNED, PREFETCHING, FLAT]),
        demands=demands,
        injected={page.id for page in pages if page.is_bootstrap and rng.random() < 0.5},
        recency={page_id: rng.choice([0.5, 1.0]) for page_id in ids if rng.random() < 0.4},
        future_demands={page_id: 1 for page_id in ids if rng.random() < 0.3},
    )


def by_the_book(request: SelectionRequest) -> Mapping[str, Level]:
    """Return the levels that section 3 of the specification asks for, written as slowly and plainly as possible."""
    policy, book = request.policy, {page.id: page for page in request.pages}
    levels = dict.fromkeys(book, Level.NONE)

    def cost(page_id: str, level: Level) -> int:
        return book[page_id].costs[level] if level else 0

    def try_level(page_id: str, level: Level) -> None:
        if level > levels[page_id]:
            others = sum(cost(other, levels[other]) for other in book if other != page_id)
            if others + cost(page_id, level) <= request.budget:
                levels[page_id] = level

    def at_least(page: Page, wanted: Level) -> Level:
        return min(level for level in page.costs if level >= wanted)

    pin_rank = {PinClass.HARD: 2, PinClass.SOFT: 1, PinClass.NONE: 0}
    type_rank = {PageType.BOOTSTRAP_POLICY: 2, PageType.CONSTRAINT: 1}
    queue = sorted(
        book.values(), key=lambda p: (pin_rank[p.pin], type_rank.get(p.type, 0), p.base_utility, p.id), reverse=True
    )
    for page in queue:
        if page.id in request.injected or (policy.auto_pin and page.pin is PinClass.HARD):
            try_level(page.id, at_least(page, page.minimum))
    for page in queue:
        if page.id in request.demands:
            try_level(page.id, at_least(page, max(request.demands[page.id], page.minimum)))
    if policy.prefetch:
        for page in sorted(book.values(), key=lambda p: (p.recompute_cost, p.base_utility, p.id), reverse=True):
            if levels[page.id] is Level.NONE and Level.POINTER in page.costs:
                try_level(page.id, Level.POINTER)
    if policy.upgrades is not None:
        steps = []
        for page in book.values():
            available = [Level.NONE, *sorted(page.costs)]
            for below, level in pairwise(available):
                if below >= levels[page.id]:
                    score = policy.upgrades(
                        page, request.recency.get(page.id, 0.0), request.future_demands.get(page.id, 0)
                    )
                    steps.append((score / (cost(page.id, level) - cost(page.id, below)), page.id, level, below))
        for _key, page_id, level, below in sorted(steps, reverse=True):
            if levels[page_id] == below:
                try_level(page_id, level)
    return {page_id: level for page_id, level in levels.items() if level}


class PropertyTests(unittest.TestCase):
    def cases(self) -> Iterator[tuple[int, SelectionRequest, Selection, dict[str, Page]]]:
        """Yield seed, request, selection and pages by id."""
        for seed in range(SEED, SEED + CASES):
            request = random_request(seed)
            yield seed, request, select(request), {page.id: page for page in request.pages}

    def test_tokens_add_up_and_never_exceed_the_budget(self) -> None:
        for seed, request, selection, pages in self.cases():
            tokens = sum(pages[page_id].costs[level] for page_id, level in selection.levels.items())
            self.assertEqual(selection.tokens, tokens, f"seed {seed}")
            self.assertLessEqual(tokens, request.budget, f"seed {seed}")

    def test_no_floor_that_fits_is_broken(self) -> None:
        for seed, request, selection, pages in self.cases():
            held = [p for p in pages.values() if p.id in request.injected or (request.policy.auto_pin and p.is_hard)]
            if sum(page.floor_cost for page in held) <= request.budget:
                for page in held:
                    self.assertGreaterEqual(selection.levels.get(page.id, Level.NONE), page.minimum, f"seed {seed}")

    def test_all_demands_are_met_when_the_minimum_set_fits(self) -> None:
        fitting = 0
        for seed, request, selection, pages in self.cases():
            if minimum_set(request.pages, request.demands, request.injected) <= request.budget:
                fitting += 1
                for page_id, level in request.demands.items():
                    wanted = max(level, pages[page_id].minimum)
                    self.assertGreaterEqual(selection.levels.get(page_id, Level.NONE), wanted, f"seed {seed}")
                self.assertTrue(all(item.fitted for item in selection.required), f"seed {seed}")
        self.assertGreater(fitting, CASES // 4)

    def test_an_unmet_page_would_not_have_fitted(self) -> None:
        unmet = 0
        for seed, request, selection, pages in self.cases():
            for item in selection.required:
                if not item.fitted:
                    unmet += 1
                    have = selection.levels.get(item.page_id)
                    delta = pages[item.page_id].costs[item.level] - (pages[item.page_id].costs[have] if have else 0)
                    if have is None or have < item.level:
                        self.assertGreater(delta, request.budget - selection.tokens, f"seed {seed}")
        self.assertGreater(unmet, 20)

    def test_the_order_of_the_input_changes_nothing(self) -> None:
        for seed, request, selection, _pages in self.cases():
            rng = random.Random(-seed)
            pages = list(request.pages)
            rng.shuffle(pages)

            def turned(mapping: Mapping[str, Any], rng: random.Random = rng) -> dict[str, Any]:
                return dict(rng.sample(list(mapping.items()), len(mapping)))

            again = select(
                dataclasses.replace(
                    request,
                    pages=pages,
                    demands=turned(request.demands),
                    injected=rng.sample(sorted(request.injected), len(request.injected)),
                    recency=turned(request.recency),
                    future_demands=turned(request.future_demands),
                )
            )
            self.assertEqual(again, selection, f"seed {seed}")
            self.assertEqual(list(again.levels), list(selection.levels), f"seed {seed}")

    def test_pages_that_tie_in_everything_but_their_id_are_chosen_by_id(self) -> None:
        for seed in range(SEED, SEED + 60):
            rng = random.Random(seed)
            pages = [make_page(f"p{number:02}") for number in range(12)]
            rng.shuffle(pages)
            budget = rng.randrange(1, 12 * 60)
            selection = chosen(pages, budget)
            by_id = [selection.levels.get(f"p{number:02}", Level.NONE) for number in range(12)]
            self.assertEqual(by_id, sorted(by_id), f"seed {seed}, budget {budget}")

    def test_the_levels_are_those_of_the_specification_written_naively(self) -> None:
        for seed, request, selection, _pages in self.cases():
            self.assertEqual(selection.levels, by_the_book(request), f"seed {seed}")

"""Behaviour of pages at the door: what each type may be, what it must not be, and that records lose nothing."""

import dataclasses
import pickle
import random
import unittest
from itertools import combinations, pairwise
from typing import Any

from clawvm_runtime.errors import ClawVMError, PageError
from clawvm_runtime.pages import Page, Provenance, Step
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass, Scope, level_from_name
from tests.runtime.support import COSTS, TOOL, make_page, random_page

SEED = 20261
POINTER, STRUCTURED, COMPRESSED, FULL = Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL

# The table of the specification, written out a second time on purpose: levels, floor, scopes, pin.
EXPECTED = {
    PageType.BOOTSTRAP_POLICY: ({STRUCTURED, FULL}, STRUCTURED, {Scope.PROJECT, Scope.SESSION}, PinClass.HARD),
    PageType.CONSTRAINT: ({STRUCTURED, FULL}, STRUCTURED, {Scope.SESSION}, PinClass.HARD),
    PageType.PLAN: ({POINTER, STRUCTURED, FULL}, STRUCTURED, {Scope.SESSION}, PinClass.SOFT),
    PageType.PREFERENCE: (set(COSTS), POINTER, {Scope.PROJECT}, PinClass.NONE),
    PageType.EVIDENCE: (set(COSTS), POINTER, {Scope.SESSION}, PinClass.SOFT),
    PageType.CONVERSATION_SEGMENT: (set(COSTS), POINTER, {Scope.SESSION}, PinClass.NONE),
}


class TypeRuleTests(unittest.TestCase):
    def test_the_rules_are_the_table_of_the_specification(self) -> None:
        self.assertEqual(set(TYPE_RULES), set(EXPECTED))
        for page_type, (levels, floor, scopes, pin) in EXPECTED.items():
            with self.subTest(page_type.value):
                rule = TYPE_RULES[page_type]
                self.assertEqual(
                    (set(rule.levels), rule.floor, set(rule.scopes), rule.pin), (levels, floor, scopes, pin)
                )

    def test_levels_are_ordered_from_none_to_full(self) -> None:
        self.assertEqual(
            [level.label for level in sorted(Level)], ["none", "pointer", "structured", "compressed", "full"]
        )

    def test_a_level_is_found_by_its_name_and_an_unknown_name_lists_the_known(self) -> None:
        for level in Level:
            self.assertIs(level_from_name(level.label), level)
        with self.assertRaisesRegex(ValueError, "none, pointer, structured, compressed, full"):
            level_from_name("FULL")
        with self.assertRaises(ValueError):
            level_from_name([])  # type: ignore[arg-type]

    def test_every_set_of_levels_is_accepted_exactly_when_its_type_allows_it_and_full_is_in_it(self) -> None:
        every = list(Level)
        for page_type, (allowed, *_rest) in EXPECTED.items():
            for size in range(len(every) + 1):
                for levels in combinations(every, size):
                    costs = {level: 1 + 5 * level for level in levels}
                    with self.subTest(type=page_type.value, levels=[level.label for level in levels]):
                        if FULL in levels and set(levels) <= allowed:
                            page = make_page(page_type=page_type, costs=costs)
                            self.assertEqual(page.levels, tuple(sorted(levels)))
                        else:
                            with self.assertRaises(PageError) as caught:
                                make_page(page_type=page_type, costs=costs)
                            self.assertEqual(caught.exception.attribute, "costs")

    def test_a_minimum_below_the_floor_or_not_a_level_of_the_type_is_refused(self) -> None:
        for page_type, (allowed, floor, *_rest) in EXPECTED.items():
            for minimum in Level:
                with self.subTest(type=page_type.value, minimum=minimum.label):
                    if minimum >= floor and minimum in allowed:
                        self.assertIs(make_page(page_type=page_type, minimum=minimum).minimum, minimum)
                    else:
                        with self.assertRaises(PageError) as caught:
                            make_page(page_type=page_type, minimum=minimum)
                        self.assertEqual(caught.exception.attribute, "minimum")

    def test_scope_and_pin_and_minimum_come_from_the_type_unless_given(self) -> None:
        for page_type, (_levels, floor, scopes, pin) in EXPECTED.items():
            page = make_page(page_type=page_type)
            self.assertEqual((page.minimum, page.pin), (floor, pin))
            self.assertIn(page.scope, scopes)
            for scope in Scope:
                with self.subTest(type=page_type.value, scope=scope.value):
                    if scope in scopes:
                        self.assertIs(make_page(page_type=page_type, scope=scope).scope, scope)
                    else:
                        with self.assertRaises(PageError) as caught:
                            make_page(page_type=page_type, scope=scope)
                        self.assertEqual(caught.exception.attribute, "scope")

    def test_any_pin_class_may_be_given_but_nothing_else(self) -> None:
        for pin in PinClass:
            self.assertIs(make_page(pin=pin).pin, pin)
            self.assertEqual(make_page(pin=pin).is_hard, pin is PinClass.HARD)
        with self.assertRaises(PageError) as caught:
            make_page(pin="very hard")
        self.assertEqual(caught.exception.attribute, "pin")
        with self.assertRaises(PageError) as caught:
            make_page(page_type=PageType.BOOTSTRAP_POLICY, pin=PinClass.SOFT)
        self.assertEqual(caught.exception.attribute, "pin")

    def test_only_a_plan_can_be_done_and_then_a_pointer_is_enough(self) -> None:
        self.assertIs(make_page(page_type=PageType.PLAN, active=False).minimum, POINTER)
        self.assertIs(make_page(page_type=PageType.PLAN, active=True).minimum, STRUCTURED)
        for page_type in set(PageType) - {PageType.PLAN}:
            with self.subTest(page_type.value), self.assertRaises(PageError) as caught:
                make_page(page_type=page_type, active=False)
            self.assertEqual(caught.exception.attribute, "active")


class CostTests(unittest.TestCase):
    def test_costs_must_rise_strictly_with_the_level(self) -> None:
        for lower, higher in pairwise(COSTS):
            for cost in (COSTS[higher], COSTS[higher] + 1):
                with self.subTest(lower=lower.label, cost=cost), self.assertRaises(PageError) as caught:
                    make_page(costs={**COSTS, lower: cost})
                self.assertEqual(caught.exception.attribute, "costs")

    def test_a_cost_is_a_whole_number_of_at_least_one_token(self) -> None:
        for cost in (0, -1, 1.0, True, "3", None):
            with self.subTest(cost=cost), self.assertRaises(PageError):
                make_page(costs={FULL: cost})
        self.assertEqual(make_page(costs={FULL: 1}).costs, {FULL: 1})

    def test_a_later_change_of_the_mapping_given_does_not_reach_the_page(self) -> None:
        costs = dict(COSTS)
        page = make_page(costs=costs)
        costs[FULL] = 1
        self.assertEqual(page.costs[FULL], 60)

    def test_steps_climb_one_supported_level_at_a_time_and_add_up_to_full(self) -> None:
        self.assertEqual(
            make_page(page_type=PageType.PLAN).steps,
            (Step(Level.NONE, POINTER, 2), Step(POINTER, STRUCTURED, 8), Step(STRUCTURED, FULL, 50)),
        )
        rng = random.Random(SEED)
        for number in range(300):
            page = random_page(rng, f"p{number}")
            self.assertEqual(sum(step.delta for step in page.steps), page.costs[FULL])
            self.assertTrue(all(step.delta > 0 for step in page.steps))
            self.assertEqual(tuple(step.level for step in page.steps), page.levels)

    def test_the_floor_is_the_lowest_supported_level_that_reaches_the_minimum(self) -> None:
        page = make_page(costs={POINTER: 2, FULL: 60}, minimum=STRUCTURED)
        self.assertEqual((page.floor_level, page.floor_cost), (FULL, 60))
        self.assertIs(page.level_at_least(Level.NONE), POINTER)
        self.assertIs(page.level_at_least(COMPRESSED), FULL)


class IdentityTests(unittest.TestCase):
    def test_identity_and_numbers_that_make_no_sense_are_refused_with_the_attribute_at_fault(self) -> None:
        nan, infinite = float("nan"), float("inf")
        cases: list[tuple[str, Any]] = [("id", bad) for bad in ("", None, 5, "a\nb")]
        cases += [("type", "evidence "), ("type", None), ("active", 1), ("costs", {3: 5}), ("costs", {"full": 5})]
        cases += [("provenance", Provenance("dream", "x")), ("provenance", Provenance("file", ""))]
        cases += [
            (name, bad) for name in ("base_utility", "recompute_cost") for bad in (nan, infinite, -0.1, True, "1")
        ]
        cases += [("version", bad) for bad in (0, -1, True, 1.0, None)]
        for attribute, bad in cases:
            with self.subTest(attribute=attribute, bad=bad), self.assertRaises(PageError) as caught:
                arguments = {"id": "p", "type": PageType.EVIDENCE, "costs": COSTS, "provenance": TOOL, attribute: bad}
                Page(**arguments)
            self.assertEqual(caught.exception.attribute, attribute)
            self.assertIsInstance(caught.exception, ClawVMError)
            self.assertIsInstance(caught.exception, ValueError)

    def test_the_error_names_page_and_attribute(self) -> None:
        self.assertEqual(str(PageError("p", "costs", "are wrong")), "page 'p': costs: are wrong")
        copy = pickle.loads(pickle.dumps(PageError("p", "costs", "are wrong")))
        self.assertEqual((copy.page_id, copy.attribute, copy.message), ("p", "costs", "are wrong"))

    def test_what_came_from_a_file_or_the_harness_outlives_a_reset(self) -> None:
        durable = {kind for kind in Provenance.KINDS if Provenance(kind, "x").is_durable}
        self.assertEqual(durable, {"file", "harness"})

    def test_texts_are_one_for_each_level_that_has_a_cost(self) -> None:
        texts = {level: level.label for level in COSTS}
        self.assertEqual(make_page(texts=texts).texts, texts)
        for wrong in ({FULL: "x"}, {**texts, Level.NONE: ""}):
            with self.assertRaises(PageError) as caught:
                make_page(texts=wrong)
            self.assertEqual(caught.exception.attribute, "texts")


class RecordTests(unittest.TestCase):
    def test_a_record_gives_back_an_equal_page(self) -> None:
        rng = random.Random(SEED)
        for number in range(400):
            page = random_page(rng, f"p{number}")
            copy = Page.from_record(page.to_record())
            self.assertEqual(copy, page, f"seed {SEED}, page {number}")
            self.assertEqual((copy.levels, copy.steps, copy.floor_level), (page.levels, page.steps, page.floor_level))

    def test_a_pickled_page_comes_back_equal_with_what_is_derived(self) -> None:
        rng = random.Random(SEED + 1)
        for number in range(100):
            page = random_page(rng, f"p{number}")
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                copy = pickle.loads(pickle.dumps(page, protocol))
                self.assertEqual(copy, page)
                self.assertEqual((copy.steps, copy.floor_cost), (page.steps, page.floor_cost))

    def test_a_short_record_takes_the_rest_from_the_type(self) -> None:
        record = {"id": "p", "type": "plan", "costs": {"full": 5}, "provenance": {"kind": "user", "reference": "u"}}
        page = Page.from_record(record)
        self.assertEqual(
            (page.pin, page.minimum, page.scope, page.version), (PinClass.SOFT, STRUCTURED, Scope.SESSION, 1)
        )

    def test_a_record_with_an_unknown_word_is_a_page_error(self) -> None:
        good = make_page().to_record()
        for name, bad in (
            ("type", "diary"),
            ("scope", "world"),
            ("pin", "glue"),
            ("minimum", "half"),
            ("costs", {"x": 1}),
        ):
            with self.subTest(name), self.assertRaises(PageError):
                Page.from_record({**good, name: bad})

    def test_a_changed_copy_obeys_the_rules_again(self) -> None:
        page = make_page(page_type=PageType.PLAN)
        done = page.changed(active=False, minimum=POINTER)
        self.assertEqual((done.floor_level, page.floor_level), (POINTER, STRUCTURED))
        with self.assertRaises(PageError):
            page.changed(minimum=POINTER)

    def test_an_attribute_cannot_be_assigned(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            make_page().minimum = FULL  # type: ignore[misc]

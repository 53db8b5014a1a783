"""Behaviour of the changed settings: each changes in a trace or a selection what it says, and nothing else."""

import dataclasses
import random
import unittest
from unittest import mock

from clawvm_experiments import sensitivity_settings as change
from clawvm_experiments.sensitivity import compare_orders
from clawvm_experiments.sensitivity_settings import SETTINGS, select_in_one_order, select_without_injection
from clawvm_replay.replay import Due, TranscriptAccount, replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, BoundaryEvent, Replacement, ToolDeclaration
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import SelectionRequest, minimum_set, select
from clawvm_runtime.vocabulary import Boundary, Level, PageType, PinClass
from clawvm_workloads.families import FAMILIES, PAPER_FAMILIES

CLAWVM = POLICIES["clawvm"]
COSTS = LevelCosts(2, 7, 14, 28)


def family(name="long_horizon", budget=120):
    return FAMILIES[name](budget)


def growth(trace):
    return [turn.transcript_tokens for turn in trace.turns]


def session_totals(trace):
    totals = [0]
    for turn in trace.turns:
        if any(isinstance(item, BoundaryEvent) and item.boundary is Boundary.RESET for item in turn.events_before):
            totals.append(0)
        totals[-1] += turn.transcript_tokens
    return totals


def pages_of(trace):
    for turn in trace.turns:
        for item in turn.events_before:
            if isinstance(item, Page):
                yield item
            elif isinstance(item, Replacement) or (isinstance(item, ToolDeclaration) and item.page is not None):
                yield item.page


class AccountingChangesTest(unittest.TestCase):
    """Changes of the thresholds leave every turn alone."""

    def accounting(self, change_of, trace=None):
        before = family() if trace is None else trace
        after = change_of(before)
        self.assertEqual(after.turns, before.turns)
        self.assertEqual(
            dataclasses.replace(after.header, accounting=None), dataclasses.replace(before.header, accounting=None)
        )
        return before.header.accounting, after.header.accounting

    def test_each_changes_only_its_own_thresholds(self):
        limit, soft, summary = "compaction_limit", "soft_threshold", "summary_tokens"
        expected = {
            change.soft_threshold_scaled(50): {soft: lambda old: old.soft_threshold // 2},
            change.flush_at_once: {soft: lambda old: 0},
            change.flush_never: {soft: lambda old: old.compaction_limit},
            change.limit_scaled(200): {
                limit: lambda old: old.compaction_limit * 2,
                soft: lambda old: old.soft_threshold * 2,
                summary: lambda old: old.summary_tokens * 2,
            },
            change.compaction_never: {limit: lambda old: change.OUT_OF_REACH},
            change.compaction_every_turn: {limit: lambda old: 1, soft: lambda old: 1, summary: lambda old: 1},
            change.flush_gap_scaled(50): {
                soft: lambda old: old.compaction_limit - (old.compaction_limit - old.soft_threshold) // 2
            },
            change.summary_scaled(0): {summary: lambda old: 0},
        }
        for change_of, fields in expected.items():
            old, new = self.accounting(change_of)
            changed = {
                item.name for item in dataclasses.fields(old) if getattr(old, item.name) != getattr(new, item.name)
            }
            self.assertEqual(changed, set(fields))
            for name, value in fields.items():
                self.assertEqual(getattr(new, name), value(old))

    def test_trace_without_accounting_stays_as_it_is(self):
        trace = dataclasses.replace(family(), header=dataclasses.replace(family().header, accounting=None))
        for change_of in (change.flush_never, change.limit_scaled(200), change.summary_scaled(0)):
            self.assertIs(change_of(trace), trace)

    def dues(self, trace):
        account = TranscriptAccount(trace.header.accounting)
        return [account.grow(turn.transcript_tokens) for turn in trace.turns]

    def test_extremes_do_what_their_names_say(self):
        self.assertEqual(set(self.dues(change.compaction_every_turn(family()))), {Due.COMPACTION})
        self.assertNotIn(Due.COMPACTION, self.dues(change.compaction_never(family())))
        self.assertNotIn(Due.FLUSH, self.dues(change.flush_never(family())))
        early = self.dues(change.flush_at_once(family()))
        self.assertEqual(early[0], Due.FLUSH)
        for before, after in zip(early, early[1:]):
            self.assertEqual(after is Due.FLUSH, before is Due.COMPACTION)

    def test_a_scaled_gap_moves_the_flush_and_never_passes_the_limit(self):
        for share in (0, 50, 97, 99):
            accounting = Accounting(compaction_limit=100, soft_threshold=share, summary_tokens=0)
            trace = dataclasses.replace(family(), header=dataclasses.replace(family().header, accounting=accounting))
            later, sooner = (change.flush_gap_scaled(percent)(trace).header.accounting for percent in (50, 200))
            self.assertTrue(share <= later.soft_threshold <= 100)
            self.assertEqual(sooner.soft_threshold, max(0, 100 - 2 * (100 - share)))

    def test_the_later_flush_still_runs(self):
        """It falls due somewhere in the families, nowhere earlier than by default, somewhere later."""
        later = 0
        flushes = 0
        for name in PAPER_FAMILIES:
            for budget in (120, 500):
                usual = self.dues(family(name, budget))
                moved = self.dues(SETTINGS["gap_x0.5"].trace_change(family(name, budget)))
                flushes += moved.count(Due.FLUSH)
                later += usual != moved
                for turn in range(len(usual)):
                    self.assertLessEqual(moved[:turn].count(Due.FLUSH), usual[:turn].count(Due.FLUSH))
        self.assertGreater(flushes, 0)
        self.assertGreater(later, 0)

    def test_every_setting_that_only_moves_flushes_keeps_the_compactions(self):
        for setting in SETTINGS.values():
            if setting.only_flushes:
                for name in PAPER_FAMILIES:
                    with self.subTest(setting=setting.id, family=name):
                        before, after = self.dues(family(name)), self.dues(setting.trace_change(family(name)))
                        self.assertEqual(
                            [due is Due.COMPACTION for due in before], [due is Due.COMPACTION for due in after]
                        )


class GrowthChangesTest(unittest.TestCase):
    def assert_only_growth_changed(self, before, after):
        self.assertEqual(after.header, before.header)
        self.assertEqual(
            [dataclasses.replace(turn, transcript_tokens=0) for turn in after.turns],
            [dataclasses.replace(turn, transcript_tokens=0) for turn in before.turns],
        )

    def test_scaled_growth_is_rounded_down_turn_by_turn(self):
        trace = family()
        after = change.growth_scaled(150)(trace)
        self.assert_only_growth_changed(trace, after)
        self.assertEqual(growth(after), [tokens * 3 // 2 for tokens in growth(trace)])

    def test_gathered_growth_comes_with_the_last_turn_of_each_group(self):
        builder = TraceBuilder("story", 120, "", None)
        for tokens in (1, 2, 4, 8, 16):
            builder.turn(tokens)
        trace = builder.trace()
        after = change.growth_gathered(3)(trace)
        self.assert_only_growth_changed(trace, after)
        self.assertEqual(growth(after), [0, 0, 7, 0, 24])

    def test_what_waits_before_a_reset_comes_before_it(self):
        builder = TraceBuilder("story", 120, "", None)
        for tokens in (1, 2, 4, 8):
            builder.turn(tokens)
        builder.reset("session-2")
        for tokens in (16, 32):
            builder.turn(tokens)
        self.assertEqual(growth(change.growth_gathered(3)(builder.trace())), [0, 0, 7, 8, 0, 48])
        self.assertEqual(growth(change.growth_even(builder.trace())), [4, 4, 4, 3, 24, 24])

    def test_every_session_keeps_its_total(self):
        for name in PAPER_FAMILIES:
            trace = family(name)
            for change_of in (change.growth_gathered(3), change.growth_gathered(6), change.growth_even):
                after = change_of(trace)
                self.assert_only_growth_changed(trace, after)
                self.assertEqual(session_totals(after), session_totals(trace))
        self.assertGreater(len(session_totals(family("multi_session"))), 1)

    def test_even_growth_is_even_in_each_session(self):
        trace = family()
        self.assertEqual(len(session_totals(trace)), 1)
        after = growth(change.growth_even(trace))
        self.assertLessEqual(max(after) - min(after), 1)
        self.assertEqual(after, sorted(after, reverse=True))


class EventsBeforeChangesTest(unittest.TestCase):
    def assert_only_events_before_changed(self, before, after):
        self.assertEqual(after.header, before.header)
        self.assertEqual(
            [dataclasses.replace(turn, events_before=()) for turn in after.turns],
            [dataclasses.replace(turn, events_before=()) for turn in before.turns],
        )

    def test_pin_class_changes_for_one_type_only(self):
        for name in PAPER_FAMILIES:
            for page_type, pin in ((PageType.PLAN, PinClass.HARD), (PageType.PREFERENCE, PinClass.SOFT)):
                before = family(name)
                after = change.pinned_as(page_type, pin)(before)
                self.assert_only_events_before_changed(before, after)
                for old, new in zip(pages_of(before), pages_of(after), strict=True):
                    self.assertEqual(new, old.changed(pin=pin) if old.type is page_type else old)

    def test_replacements_and_tool_results_change_too(self):
        after = change.pinned_as(PageType.EVIDENCE, PinClass.NONE)(family("evidence_heavy"))
        kinds = {type(item) for turn in after.turns for item in turn.events_before}
        self.assertGreaterEqual(kinds, {Page, Replacement, ToolDeclaration})
        self.assertEqual({page.pin for page in pages_of(after) if page.type is PageType.EVIDENCE}, {PinClass.NONE})

    def test_durable_sources_keep_their_references(self):
        before = family("multi_session")
        after = change.durable_sources(before)
        self.assert_only_events_before_changed(before, after)
        for old, new in zip(pages_of(before), pages_of(after), strict=True):
            self.assertEqual(new, old.changed(provenance=Provenance("file", old.provenance.reference)))

    def test_a_page_from_a_durable_source_can_be_resolved_after_a_reset(self):
        trace = uncommitted_result()
        self.assertEqual(replay_trace(trace, POLICIES["retrieval_cache"]).duplicate_tool, 1)
        self.assertEqual(replay_trace(change.durable_sources(trace), POLICIES["retrieval_cache"]).duplicate_tool, 0)

    def test_compaction_first_adds_one_boundary_behind_the_declarations(self):
        before = family()
        after = change.compaction_first(before)
        self.assertEqual(after.turns[1:], before.turns[1:])
        self.assertEqual(
            after.turns[0].events_before, (*before.turns[0].events_before, BoundaryEvent(Boundary.COMPACTION))
        )
        bare = change.summary_scaled(0)(before)  # Without a summary the added compaction hastens no other.
        first, second = (replay_trace(trace, POLICIES["retrieval"]) for trace in (bare, change.compaction_first(bare)))
        self.assertEqual(second.compactions - first.compactions, 1)
        extra = second.post_compaction_bootstrap - first.post_compaction_bootstrap
        self.assertEqual(extra, sum(page.is_bootstrap for page in pages_of(before)))

    def test_in_order_applies_the_first_change_first(self):
        trace = change.in_order(change.limit_scaled(50), change.flush_never)(family())
        self.assertEqual(trace.header.accounting.soft_threshold, trace.header.accounting.compaction_limit)


def uncommitted_result():
    """A result that is not committed, a reset, and the same call again."""
    builder = TraceBuilder("story", 120, "", Accounting(1000, 800, 0))
    call = builder.tool("read", {"path": 1}, "file", COSTS)
    builder.turn(0, calls=[call])
    builder.reset("session-2")
    builder.turn(0)
    builder.turn(0, calls=[call])
    return builder.trace()


class OneOrderTest(unittest.TestCase):
    def test_levels_are_the_same_wherever_everything_required_fits(self):
        for seed in range(100):
            chance = random.Random(seed)
            pages = [generated_page(chance, number) for number in range(chance.randrange(1, 9))]
            demands = {page.id: list(Level)[chance.randrange(1, 5)] for page in pages if chance.random() < 0.5}
            policy = dataclasses.replace(CLAWVM, auto_pin=chance.random() < 0.7)
            injected = {page.id for page in pages if page.is_bootstrap and chance.random() < 0.5}
            needed = minimum_set(pages, demands, injected)
            request = SelectionRequest(pages, needed + chance.randrange(20), policy, demands, injected)
            with self.subTest(seed=seed):
                self.assertEqual(select_in_one_order(request).levels, select(request).levels)

    def test_under_pressure_a_costly_demand_takes_the_room_of_a_floor(self):
        """The demanded rule comes first by utility and takes 28 of 30 tokens, so the other's floor does not fit."""

        def rule(page_id, utility):
            costs = COSTS.costs(PageType.CONSTRAINT)
            return Page(page_id, PageType.CONSTRAINT, costs, Provenance("user", "turn-1"), base_utility=utility)

        pages = [rule("asked", 9.0), rule("other", 1.0)]
        request = SelectionRequest(pages, 30, CLAWVM, {"asked": Level.FULL})
        self.assertEqual(select(request).levels, {"asked": Level.STRUCTURED, "other": Level.STRUCTURED})
        self.assertEqual(select_in_one_order(request).levels, {"asked": Level.FULL})


class OrdersComparedTest(unittest.TestCase):
    def test_a_selector_that_changes_runs_without_pressure_shows(self):
        def without_floors(request):
            policy = dataclasses.replace(request.policy, auto_pin=False)
            return select(dataclasses.replace(request, policy=policy, injected=()))

        with mock.patch("clawvm_experiments.sensitivity.select_in_one_order", without_floors):
            orders = compare_orders(3, [])
        self.assertGreater(orders["generated"]["changed_without"], 0)


def generated_page(chance, number):
    page_type = list(PageType)[chance.randrange(len(PageType))]
    sizes = [chance.randrange(1, 9) for _ in range(4)]
    costs = LevelCosts(*(sum(sizes[: place + 1]) for place in range(4)))
    utility = float(chance.randrange(10))
    source = Provenance("user", "turn-1")
    return Page(f"page-{number}", page_type, costs.costs(page_type), source, base_utility=utility)


class InjectionTest(unittest.TestCase):
    def test_without_injection_a_policy_without_auto_pin_never_has_the_page(self):
        trace = family("long_horizon", 500)
        for selector, kept in ((select, True), (select_without_injection, False)):
            prompts = []
            replay_trace(trace, POLICIES["retrieval"], selector=selector, observe=prompts.append)
            pages = {block.page_id for block in prompts[0].blocks}
            self.assertEqual({page.id for page in pages_of(trace) if page.is_bootstrap} <= pages, kept)

    def test_without_injection_auto_pin_makes_up_for_it(self):
        for name in PAPER_FAMILIES:
            trace = family(name)
            without_injection = replay_trace(trace, CLAWVM, selector=select_without_injection)
            self.assertEqual(without_injection, replay_trace(trace, CLAWVM))

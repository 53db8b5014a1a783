"""Behaviour of the prompt-cache experiment: each cause of a prefix break on a hand-made pair of prompts, and costs."""

import unittest
from itertools import cycle

from clawvm_experiments.experiment import family_trace
from clawvm_experiments.prompt_cache import EXPERIMENT, PRICES
from clawvm_replay.document import markdown
from clawvm_replay.metrics import PromptMeter
from clawvm_replay.prefix_breaks import BLOCK_ORDERS, BreakCause, BreakObserver, ReorderedMeter, TurnFacts, first_break
from clawvm_replay.replay import replay_trace
from clawvm_runtime.engine import AssembledPrompt, Block
from clawvm_runtime.policy import PAPER_POLICIES, policy_named
from clawvm_runtime.selector import Reason, Required, Selection
from clawvm_runtime.vocabulary import Boundary, Level
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES

POINTER, STRUCTURED, COMPRESSED, FULL = Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL
TOKENS = {POINTER: 2, STRUCTURED: 8, COMPRESSED: 14, FULL: 30}

# Places in the prompt: instructions first, then by declaration.
ORDER = {"instructions": (-2, 0), "a": (0, 1), "b": (0, 2), "c": (0, 3), "d": (0, 4)}


def block(page_id, level=FULL, version=1):
    return Block(page_id, version, level, TOKENS[level])


def prompt(*blocks, demanded=(), floors=(), prefetched=()):
    """Return a prompt of blocks; *demanded* and *floors* name (page, level) of the required set."""
    required = [Required(page_id, level, Reason.FLOOR, True) for page_id, level in floors]
    required += [Required(page_id, level, Reason.DEMAND, True) for page_id, level in demanded]
    tokens = sum(item.tokens for item in blocks)
    levels = {item.page_id: item.level for item in blocks}
    selection = Selection(levels, tokens, required, list(prefetched), [], [])
    return AssembledPrompt(1, 500, tokens, blocks, (), 0, selection)


def facts(**changes):
    return TurnFacts(bootstrap={"instructions"}, order=dict(ORDER), **changes)


A, B, C, D, INSTRUCTIONS = block("a"), block("b"), block("c"), block("d"), block("instructions")


class CauseTest(unittest.TestCase):
    def assert_break(self, previous, current, happened, cause, page_id, before, after):
        found = first_break(previous, current, happened)
        self.assertIsNotNone(found)
        self.assertEqual((found.cause, found.page_id), (cause, page_id))
        self.assertEqual((found.before, found.after), (before, after))
        return found

    def test_page_declared_since_the_last_prompt_is_new_whatever_installed_it(self):
        current = prompt(A, B, demanded=[("b", FULL)])
        self.assert_break(prompt(A), current, facts(declared={"b"}), BreakCause.NEW_PAGE, "b", Level.NONE, FULL)

    def test_known_page_enters_by_demand(self):
        current = prompt(A, B, demanded=[("b", FULL)])
        self.assert_break(prompt(A), current, facts(), BreakCause.DEMAND, "b", Level.NONE, FULL)

    def test_page_rises_by_demand(self):
        previous = prompt(block("a", POINTER), B)
        current = prompt(A, B, demanded=[("a", FULL)])
        self.assert_break(previous, current, facts(), BreakCause.DEMAND, "a", POINTER, FULL)

    def test_demand_that_did_not_fit_is_not_the_cause(self):
        current = prompt(block("a", COMPRESSED))
        current.selection.required.append(Required("a", FULL, Reason.DEMAND, False))
        self.assert_break(prompt(block("a", POINTER)), current, facts(), BreakCause.UPGRADE, "a", POINTER, COMPRESSED)

    def test_page_enters_by_prefetch(self):
        current = prompt(A, block("b", POINTER), prefetched=["b"])
        self.assert_break(prompt(A), current, facts(), BreakCause.PREFETCH, "b", Level.NONE, POINTER)

    def test_page_rises_by_an_upgrade(self):
        previous, current = prompt(block("a", STRUCTURED), B), prompt(A, B)
        self.assert_break(previous, current, facts(), BreakCause.UPGRADE, "a", STRUCTURED, FULL)

    def test_upgrade_above_a_demand_that_the_page_met_already_is_an_upgrade(self):
        previous = prompt(block("a", STRUCTURED))
        current = prompt(A, demanded=[("a", STRUCTURED)])
        self.assert_break(previous, current, facts(), BreakCause.UPGRADE, "a", STRUCTURED, FULL)

    def test_demand_below_a_further_upgrade_broke_the_prefix_first(self):
        previous = prompt(block("a", POINTER))
        current = prompt(A, demanded=[("a", STRUCTURED)])
        self.assert_break(previous, current, facts(), BreakCause.DEMAND, "a", POINTER, FULL)

    def test_page_enters_at_its_floor(self):
        current = prompt(block("a", STRUCTURED), B, floors=[("a", STRUCTURED)])
        self.assert_break(prompt(B), current, facts(), BreakCause.FLOOR, "a", Level.NONE, STRUCTURED)

    def test_page_leaves_when_its_demand_is_over(self):
        previous = prompt(A, B, demanded=[("a", FULL)])
        found = self.assert_break(previous, prompt(B), facts(), BreakCause.DEMAND_OVER, "a", FULL, Level.NONE)
        self.assertEqual((found.rewritten_tokens, found.unchanged_tokens), (30, 30))

    def test_page_falls_when_its_demand_is_over(self):
        previous = prompt(block("a", COMPRESSED), B, demanded=[("a", COMPRESSED)])
        current = prompt(block("a", POINTER), B)
        self.assert_break(previous, current, facts(), BreakCause.DEMAND_OVER, "a", COMPRESSED, POINTER)

    def test_page_that_was_above_its_demand_was_displaced(self):
        previous = prompt(A, B, demanded=[("a", STRUCTURED)])
        current = prompt(block("a", STRUCTURED), B)
        self.assert_break(previous, current, facts(), BreakCause.DISPLACED, "a", FULL, STRUCTURED)

    def test_page_falls_because_others_took_its_tokens(self):
        previous, current = prompt(A, block("b", POINTER)), prompt(block("a", COMPRESSED), B)
        self.assert_break(previous, current, facts(), BreakCause.DISPLACED, "a", FULL, COMPRESSED)

    def test_page_is_evicted(self):
        self.assert_break(prompt(A, B), prompt(B), facts(), BreakCause.DISPLACED, "a", FULL, Level.NONE)

    def test_reset_destroyed_a_page(self):
        happened = facts(destroyed={"a"}, boundary=Boundary.RESET)
        previous = prompt(A, B, demanded=[("a", FULL)])
        found = self.assert_break(previous, prompt(B), happened, BreakCause.DESTROYED, "a", FULL, Level.NONE)
        self.assertIs(found.boundary, Boundary.RESET)

    def test_replaced_page_has_new_content(self):
        current = prompt(block("a", version=2), B)
        self.assert_break(prompt(A, B), current, facts(replaced={"a"}), BreakCause.REPLACED, "a", FULL, FULL)

    def test_committed_update_raises_the_version(self):
        current = prompt(block("a", version=2), B)
        happened = facts(boundary=Boundary.COMPACTION)
        found = self.assert_break(prompt(A, B), current, happened, BreakCause.COMMITTED, "a", FULL, FULL)
        self.assertIs(found.boundary, Boundary.COMPACTION)

    def test_new_content_is_the_cause_also_where_the_level_changed(self):
        current = prompt(block("a", STRUCTURED, version=2), B)
        self.assert_break(prompt(A, B), current, facts(replaced={"a"}), BreakCause.REPLACED, "a", FULL, STRUCTURED)

    def test_bootstrap_is_lost_at_a_boundary(self):
        happened = facts(boundary=Boundary.COMPACTION)
        previous, current = prompt(INSTRUCTIONS, A), prompt(A)
        found = self.assert_break(
            previous, current, happened, BreakCause.BOOTSTRAP_LOST, "instructions", FULL, Level.NONE
        )
        self.assertEqual((found.reused_tokens, found.unchanged_tokens), (0, 30))

    def test_bootstrap_that_only_falls_is_not_lost(self):
        previous, current = prompt(INSTRUCTIONS, A), prompt(block("instructions", STRUCTURED), A)
        self.assert_break(previous, current, facts(), BreakCause.DISPLACED, "instructions", FULL, STRUCTURED)

    def test_bootstrap_comes_back(self):
        previous, current = prompt(A), prompt(INSTRUCTIONS, A)
        self.assert_break(previous, current, facts(), BreakCause.BOOTSTRAP_BACK, "instructions", Level.NONE, FULL)


class PlaceTest(unittest.TestCase):
    def test_equal_prompts_have_no_break(self):
        self.assertIsNone(first_break(prompt(A, B), prompt(A, B), facts()))

    def test_prompt_that_only_ends_earlier_has_no_break(self):
        self.assertIsNone(first_break(prompt(A, B), prompt(A), facts()))

    def test_only_the_first_difference_counts(self):
        previous = prompt(A, block("b", STRUCTURED), C)
        found = first_break(previous, prompt(A, B, block("c", version=2)), facts(replaced={"c"}))
        self.assertEqual((found.cause, found.page_id), (BreakCause.UPGRADE, "b"))

    def test_tokens_in_front_behind_and_unchanged(self):
        # In front: a. Behind: b rose (30, changed), c stayed (30), d is new (30).
        found = first_break(prompt(A, block("b", STRUCTURED), C), prompt(A, B, C, D), facts(declared={"d"}))
        self.assertEqual((found.prompt_tokens, found.reused_tokens), (120, 30))
        self.assertEqual((found.rewritten_tokens, found.unchanged_tokens), (90, 30))

    def test_append_at_the_end_rewrites_nothing_old(self):
        found = first_break(prompt(A, B), prompt(A, B, C), facts(declared={"c"}))
        self.assertEqual((found.rewritten_tokens, found.unchanged_tokens), (30, 0))

    def test_where_one_left_and_one_entered_the_earlier_in_the_order_is_named(self):
        # b left, c entered: without c the prefix would have ended there too.
        found = first_break(prompt(A, B, D), prompt(A, C, D, demanded=[("c", FULL)]), facts())
        self.assertEqual((found.cause, found.page_id), (BreakCause.DISPLACED, "b"))
        # The other way round, b is the one that comes first.
        found = first_break(prompt(A, C, D), prompt(A, B, D, demanded=[("b", FULL)]), facts())
        self.assertEqual((found.cause, found.page_id), (BreakCause.DEMAND, "b"))

    def test_bootstrap_lost_is_named_although_a_demanded_page_is_in_its_place(self):
        found = first_break(prompt(INSTRUCTIONS, A), prompt(B, demanded=[("b", FULL)]), facts())
        self.assertEqual((found.cause, found.page_id), (BreakCause.BOOTSTRAP_LOST, "instructions"))

    def test_page_entering_before_one_that_stays_is_named(self):
        found = first_break(prompt(A, C), prompt(A, B, C, demanded=[("b", FULL)]), facts())
        self.assertEqual((found.cause, found.page_id), (BreakCause.DEMAND, "b"))


class ObserverTest(unittest.TestCase):
    def test_every_written_token_is_accounted_for(self):
        for policy, workload in zip(map(policy_named, PAPER_POLICIES), cycle(PAPER_FAMILIES)):
            with self.subTest(policy=policy.id, workload=workload):
                observer = BreakObserver()
                prompts = []

                def observe(item, observer=observer, prompts=prompts):
                    observer.observe(item)
                    prompts.append(item)

                metrics = replay_trace(
                    family_trace(workload, 120), policy, decisions=observer.decisions, observe=observe
                )
                self.assertEqual(observer.rewritten_tokens, metrics.rewritten_tokens)
                self.assertEqual(observer.prompt_tokens, metrics.prompt_tokens)
                unchanged = sum(item.unchanged_tokens for item in observer.breaks)
                self.assertEqual(observer.rewritten_tokens - unchanged, observer.changed_tokens)
                order = observer._facts.order
                for item in prompts:
                    places = [order[block.page_id] for block in item.blocks]
                    self.assertEqual(places, sorted(places))

    def test_facts_belong_to_one_turn_and_the_bootstrap_pages_to_the_run(self):
        observer = BreakObserver()
        emit = observer.decisions.emit
        emit("page", 1, page="instructions", type="bootstrap_policy", cause="declared", version=1)
        emit("page", 1, page="a", type="evidence", cause="declared", version=1)
        observer.observe(prompt(INSTRUCTIONS, A))
        observer.observe(prompt(block("instructions", version=2), A))
        emit("boundary", 3, boundary="reset", writeback=False, dirty=[])
        emit("session_start", 3, session="s", policy="p", budget=1, gone=["a"])
        emit("page", 3, page="b", type="evidence", cause="declared", version=1)
        observer.observe(prompt(block("instructions", version=2), B))
        observer.observe(prompt(B))
        observer.observe(prompt(block("b", version=2)))
        emit("page", 6, page="b", type="evidence", cause="replaced", version=3)
        observer.observe(prompt(block("b", version=3)))
        found = [(item.cause, item.boundary) for item in observer.breaks]
        self.assertEqual(
            found,
            [
                (BreakCause.COMMITTED, None),
                (BreakCause.DESTROYED, Boundary.RESET),
                (BreakCause.BOOTSTRAP_LOST, None),
                (BreakCause.COMMITTED, None),
                (BreakCause.REPLACED, None),
            ],
        )


class ReorderedMeterTest(unittest.TestCase):
    def reused(self, order, *prompts):
        meter = ReorderedMeter(BLOCK_ORDERS[order])
        for item in prompts:
            meter.observe(item)
        return meter.reused_tokens

    def test_recently_changed_last_keeps_what_does_not_change_in_front(self):
        prompts = [prompt(block("a", version=version), B) for version in (1, 2, 3)]
        # The order as it is loses b every time; moved behind it, a costs only itself from the third prompt on.
        self.assertEqual(self.reused("recently_changed_last", *prompts), 30)
        meter = PromptMeter(500)
        for item in prompts:
            meter.observe(item)
        self.assertEqual(meter.reused_tokens, 0)

    def test_fewest_changes_first_counts_changes(self):
        a2, a3 = block("a", version=2), block("a", version=3)
        b2 = block("b", version=2)
        prompts = [prompt(A, B, C), prompt(a2, B, C), prompt(a3, B, C), prompt(a3, b2, C), prompt(a3, b2, C)]
        # Changes: a 1 2 3 3 3, b 1 1 1 2 2, c 1 1 1 1 1. Prompts: abc | bca | bca | cba | cba.
        # Reused: - | nothing | b c | nothing | c b a.
        self.assertEqual(self.reused("fewest_changes_first", *prompts), 60 + 90)

    def test_without_changes_every_order_is_the_engines(self):
        for order in BLOCK_ORDERS:
            self.assertEqual(self.reused(order, prompt(A, B), prompt(A, B)), 60)

    def test_page_that_comes_back_has_changed(self):
        prompts = [prompt(A, B), prompt(B), prompt(A, B)]
        # Prompts: ab | b | ba: only the last one shares anything, its b.
        self.assertEqual(self.reused("recently_changed_last", *prompts), 30)


def rows(change=None, budgets=PAPER_BUDGETS):
    result = []
    for policy in PAPER_POLICIES:
        for workload in PAPER_FAMILIES:
            for budget in budgets:
                values = {
                    "turns": 10,
                    "prompt_tokens": 1000,
                    "reused_tokens": 600,
                    "changed_tokens": 150,
                    "reordered": dict.fromkeys(BLOCK_ORDERS, 700),
                    "breaks": {},
                }
                values.update(change(policy, workload, budget) or {} if change else {})
                result.append({"policy": policy, "workload": workload, "budget": budget, **values})
    return result


class SummaryTest(unittest.TestCase):
    def test_cost_per_turn_under_each_price_model(self):
        item = EXPERIMENT.summarize(rows())["policies"]["clawvm"]
        # 60 reused and 40 written tokens a turn.
        self.assertEqual(item["costs"], {"default": 56.0, "half_price_reads": 70.0, "double_price_writes": 86.0})
        self.assertEqual(item["plain_cost"], 100.0)
        self.assertEqual(item["prefix_reuse"], 0.6)
        self.assertEqual(item["orders"]["recently_changed_last"], {"prefix_reuse": 0.7, "cost": 44.5})
        self.assertEqual(item["orders"]["least_possible_writes"]["prefix_reuse"], 0.85)

    def test_order_of_the_policies_that_depends_on_the_prices_is_seen(self):
        # LRU: long prompts, well reused. Cheap reads favour it, dear reads do not.
        def change(policy, workload, budget):
            return {"prompt_tokens": 1400, "reused_tokens": 1150} if policy == "lru" else None

        results = EXPERIMENT.summarize(rows(change))
        self.assertEqual(results["cheapest_first"]["default"][0], "lru")
        self.assertEqual(results["cheapest_first"]["half_price_reads"][-1], "lru")
        self.assertIn("The order depends on the prices; cheapest first", markdown(EXPERIMENT.report(results)))
        self.assertIn("the order is the same", markdown(EXPERIMENT.report(EXPERIMENT.summarize(rows()))))

    def test_causes_are_summed_and_the_dearest_named(self):
        def counts(breaks, rewritten, unchanged):
            return {
                "breaks": breaks,
                "after_boundary": 1,
                "prompt_tokens": 400,
                "reused_tokens": 400 - rewritten,
                "rewritten_tokens": rewritten,
                "unchanged_tokens": unchanged,
            }

        breaks = {"demand": counts(5, 100, 20), "displaced": counts(2, 200, 150)}
        results = EXPERIMENT.summarize(rows(lambda policy, workload, budget: {"breaks": breaks}))
        causes = results["policies"]["clawvm"]["causes"]
        self.assertEqual(list(causes), ["displaced", "demand", "all breaks"])
        self.assertEqual(causes["all breaks"]["breaks"], 24 * 7)
        self.assertEqual(causes["demand"]["rewritten_tokens"], 2400)
        self.assertEqual(causes["displaced"]["position"], 0.5)

    def test_default_prices_are_those_of_the_sweep(self):
        self.assertEqual(next(iter(PRICES)), "default")
        self.assertEqual(len(PRICES), 3)


class QuickTest(unittest.TestCase):
    def test_a_quick_run_leaves_the_findings_open(self):
        cells = EXPERIMENT.cells(True)
        few = [cell for cell in cells if cell.parameters["workload"] == "daily_assistant"]
        results = EXPERIMENT.summarize([EXPERIMENT.run_cell(cell) for cell in few])
        self.assertEqual(results["findings"], dict.fromkeys(EXPERIMENT.summarize(rows())["findings"]))
        report = markdown(EXPERIMENT.report(results))
        self.assertTrue(report.startswith("## Prompt-cache cost\n\nIn 2 cells ClawVM reuses "))
        self.assertIn("| all breaks |", report)
        self.assertEqual(sorted(EXPERIMENT.figures(results)), ["cost.svg", "prefix_reuse.svg"])
        full = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        self.assertEqual([full[cell.id] for cell in cells], cells)

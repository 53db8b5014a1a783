"""Behaviour of the results over recorded sessions on hand-made rows: quartiles, sums, findings, what stays open."""

import json
import random
import unittest

from clawvm_experiments.sessions.cells import Options, RefetchOutcome, Rerun, rerun_counts
from clawvm_experiments.sessions.data import KINDS
from clawvm_experiments.sessions.summary import by_loss, loss_of, quartiles, ratio, summarize_sessions
from clawvm_replay.metrics import CellMetrics
from clawvm_runtime.policy import PAPER_POLICIES
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.views import Observed
from tests.experiments.sessions.made_up import NO_USAGE, USAGE

OPTIONS = Options(shares=(0.2,), window=False, cuts=(100, None), views=("resources",))
NO_RERUN = rerun_counts([])


def there(turns, **counts):
    kinds = {f"{kind}_{unit}": 0 for kind in KINDS for unit in ("calls", "tokens")}
    boundaries = {"compactions": 0, "resets": 0, "boundary_turns": []}
    return {"turns": turns, "pages": 3, "working_set": 500, **kinds, **boundaries, **counts}


def facts(name, recorded_by="claude-code", *, recorded=USAGE, turns=150, **whole):
    """Return the index of a session."""
    by_cut = {"cut0100": there(100), "whole": there(turns, **whole)}
    return {
        "chain": False,
        "counts": {"compactions": 1, "tool_calls": 9, "turns": 4},
        "cuts_left_out": [],
        "format": recorded_by,
        "name": name,
        "pages": {"evidence": 3},
        "recorded": recorded,
        "recorded_sessions": 1,
        "started": "2026-04-01",
        "unread": {"broken_lines": 0, "damaged_files": 0, "unknown_lines": 0},
        "turns": turns,
        "views": {"resources": by_cut, "signatures": by_cut},
    }


def row(session, policy, faults=0, *, cut=None, label="20 %", refetched=NO_RERUN, **values):
    """Return a row with these explicit faults, all of them flush misses."""
    numbers = {**dict.fromkeys(CellMetrics.__dataclass_fields__, 0), "turns": 100, "flush_miss": faults}
    place = {"session": session, "view": "resources", "cut": cut, "budget": 100, "budget_label": label}
    return {
        **numbers,
        "explicit_faults": faults,
        **values,
        **place,
        "policy": policy,
        "refetched": refetched,
        "repeated": NO_RERUN,
    }


def rerun(outcome, tokens, *, under_pressure=False):
    return Rerun(Observed(1, ("a",), Novelty.REPEATED, False, tokens), outcome, 0, under_pressure)


def every(session, faults, **values):
    """Return a row of each policy; *faults* in the order of ``PAPER_POLICIES``, none for the last three."""
    numbers = [*faults, 0, 0, 0]
    return [row(session, policy, number, **values) for policy, number in zip(PAPER_POLICIES, numbers)]


class QuartilesTest(unittest.TestCase):
    def test_between_two_values_it_is_linear_with_both_ends_included(self):
        self.assertEqual(quartiles([10, 1, 3, 2]), (1.75, 2.5, 4.75))
        self.assertEqual(quartiles([5, 1, 3]), (2, 3, 4))

    def test_one_session_is_its_own_median(self):
        self.assertEqual(quartiles([7]), (7, 7, 7))

    def test_share_of_nothing_is_no_number(self):
        self.assertIsNone(ratio(0, 0))
        self.assertEqual(ratio(1, 3), 0.333333)


class MediansTest(unittest.TestCase):
    def setUp(self):
        self.facts = [facts("s1"), facts("s2"), facts("s3", "codex")]
        rows = every("s1", (9, 5, 1)) + every("s2", (1, 1, 1)) + every("s3", (20, 0, 0))
        rows += every("s1", (4, 2, 1), cut=100) + every("s3", (8, 0, 0), cut=100)
        self.results = summarize_sessions(self.facts, OPTIONS, rows)

    def median(self, **wanted):
        found = [item for item in self.results["faults"] if all(item[name] == wanted[name] for name in wanted)]
        self.assertEqual(len(found), 1, wanted)
        return found[0]

    def test_each_cut_and_format_has_its_own_sessions(self):
        whole = self.median(policy="retrieval", cut="whole", format="all")
        self.assertEqual((whole["sessions"], whole["first_quartile"], whole["median"], whole["most"]), (3, 5, 9, 20))
        short = self.median(policy="retrieval", cut="cut0100", format="claude-code")
        self.assertEqual((short["sessions"], short["median"]), (1, 4))
        self.assertEqual(self.median(policy="retrieval", cut="whole", format="codex")["median"], 20)

    def test_findings_hold_the_medians_of_both_cuts_over_claude_code_and_over_all(self):
        findings = self.results["findings"]
        names = ("retrieval_median_claude_code_cut100", "retrieval_median_all_cut100", "clawvm_median_all_cut100")
        self.assertEqual([findings[name] for name in names], [4, 6, 0])

    def test_median_of_sessions_that_there_are_none_of_is_open(self):
        self.assertIsNone(self.results["findings"]["retrieval_median_claude_code_cut200"])

    def test_totals_are_of_whole_sessions_only_for_cuts_share_their_turns(self):
        totals = {item["policy"]: item for item in self.results["totals"]}
        self.assertEqual((totals["retrieval"]["sessions"], totals["retrieval"]["explicit_faults"]), (3, 30))
        self.assertEqual({item["policy"]: item["flush_miss"] for item in self.results["kinds"]}["retrieval"], 30)

    def test_faults_of_a_policy_are_summed_over_all_cells(self):
        findings = self.results["findings"]
        self.assertEqual((findings["retrieval_explicit_faults"], findings["clawvm_explicit_faults"]), (42, 0))
        self.assertIs(findings["structured_policies_without_faults"], True)
        self.assertEqual((findings["sessions"], findings["cells"], findings["turns"]), (3, 30, 450))

    def test_order_of_medians_holds_only_if_it_holds_in_every_group(self):
        findings = self.results["findings"]
        self.assertIs(findings["retrieval_at_least_hybrid"], True)
        worse = every("s1", (1, 0, 2), cut=100)
        findings = summarize_sessions(self.facts, OPTIONS, every("s1", (9, 5, 1)) + worse)["findings"]
        self.assertIs(findings["retrieval_at_least_hybrid"], False)
        self.assertIs(findings["hybrid_at_least_clawvm"], True)

    def test_order_of_medians_is_that_over_all_sessions(self):
        rows = every("s1", (9, 5, 1)) + every("s2", (9, 5, 1)) + every("s3", (0, 0, 3))
        findings = summarize_sessions(self.facts, OPTIONS, rows)["findings"]
        self.assertIs(findings["retrieval_at_least_hybrid"], True)

    def test_one_fault_of_a_structured_policy_is_seen(self):
        findings = summarize_sessions(self.facts, OPTIONS, [*every("s1", (9, 5, 1)), row("s2", "lru", 1)])["findings"]
        self.assertIs(findings["structured_policies_without_faults"], False)


class RerunsTest(unittest.TestCase):
    def test_kept_share_is_of_what_could_be_judged(self):
        outcomes = {
            RefetchOutcome.RESIDENT: 30,
            RefetchOutcome.PAGED_IN: 50,
            RefetchOutcome.LEFT_OUT: 20,
            RefetchOutcome.NOT_JUDGED: 900,
        }
        reruns = [
            rerun(outcome, tokens, under_pressure=outcome is RefetchOutcome.LEFT_OUT)
            for outcome, tokens in outcomes.items()
        ]
        results = summarize_sessions([facts("s1")], OPTIONS, [row("s1", "clawvm", refetched=rerun_counts(reruns))])
        findings = results["findings"]
        self.assertEqual((findings["clawvm_kept_share"], findings["clawvm_kept_tokens"]), (0.3, 30))
        self.assertEqual((findings["clawvm_served_share"], findings["clawvm_refetches_not_served"]), (1.0, 0))

    def test_refetch_that_is_not_served_without_pressure_is_counted_at_any_cut_and_budget(self):
        lost = rerun_counts([rerun(RefetchOutcome.LEFT_OUT, 5), rerun(RefetchOutcome.PAGED_IN, 15)])
        rows = [row("s1", "clawvm"), row("s1", "clawvm", cut=100, refetched=lost)]
        findings = summarize_sessions([facts("s1")], OPTIONS, rows)["findings"]
        self.assertEqual((findings["clawvm_refetches_not_served"], findings["clawvm_served_share"]), (1, 0.75))

    def test_without_a_refetch_shares_and_what_was_not_served_are_open(self):
        findings = summarize_sessions([facts("s1")], OPTIONS, [row("s1", "clawvm")])["findings"]
        self.assertIsNone(findings["clawvm_kept_share"])
        self.assertIsNone(findings["clawvm_served_share"])
        self.assertIsNone(findings["clawvm_refetches_not_served"])

    def test_policy_that_was_not_run_has_no_number(self):
        findings = summarize_sessions([facts("s1")], OPTIONS, [row("s1", "clawvm")])["findings"]
        self.assertEqual(findings["clawvm_explicit_faults"], 0)
        options = Options(shares=(0.2,), policies=("clawvm",), views=("resources",))
        findings = summarize_sessions([facts("s1")], options, [row("s1", "clawvm")])["findings"]
        self.assertIsNone(findings["lru_explicit_faults"])
        self.assertIsNone(findings["structured_policies_without_faults"])


class RecordedHarnessTest(unittest.TestCase):
    def test_recorded_prompts_are_priced_by_what_was_cached_written_and_neither(self):
        results = summarize_sessions([facts("s1"), facts("s2", "codex", recorded=NO_USAGE)], OPTIONS, [])
        usage = results["recorded"]["all"]["usage"]
        # 800 cached at 0.1, 100 written at 1.25, 100 plain at 1.
        self.assertEqual((usage["cost"], usage["cost_share"], usage["cached_share"]), (305.0, 0.305, 0.8))
        self.assertEqual(usage["sessions"], 1)
        self.assertIsNone(results["recorded"]["codex"]["usage"]["cached_share"])

    def test_losses_are_summed_by_format(self):
        sessions = [
            facts("s1", refetch_calls=2, refetch_tokens=70),
            facts("s2", refetch_calls=1, refetch_tokens=5),
            facts("s3", "codex", repeat_calls=4, repeat_tokens=9),
        ]
        results = summarize_sessions(sessions, OPTIONS, [])
        claude = results["recorded"]["claude-code"]["views"]["resources"]
        self.assertEqual((claude["refetch_calls"], claude["refetch_tokens"]), (3, 75))
        findings = results["findings"]
        names = ("observed_refetches", "observed_refetch_tokens", "observed_repeats", "observed_repeat_tokens")
        self.assertEqual([findings[name] for name in names], [3, 75, 4, 9])
        self.assertEqual(findings["recorded_compactions"], 3)

    def test_reads_after_an_edit_are_distinguished_by_what_the_harness_still_had(self):
        sessions = [
            facts("s1", edited_lost_calls=2, edited_lost_tokens=70, edited_kept_calls=5, edited_kept_tokens=8),
            facts("s2", edited_lost_calls=1, edited_lost_tokens=5),
        ]
        findings = summarize_sessions(sessions, OPTIONS, [])["findings"]
        lost = findings["observed_edited_reads_lost"], findings["observed_edited_read_tokens_lost"]
        kept = findings["observed_edited_reads_kept"], findings["observed_edited_read_tokens_kept"]
        self.assertEqual((lost, kept, findings["observed_reads_after_edit"]), ((3, 75), (5, 8), 8))


class LossTest(unittest.TestCase):
    """What was lost, and the bounds of what that cost: USAGE has 5 requests with 1,000 prompt tokens in all."""

    def test_lost_are_refetches_and_edited_lines_that_were_no_longer_there(self):
        one = facts("s1", refetch_calls=2, refetch_tokens=70, edited_lost_calls=1, edited_lost_tokens=30)
        other = facts("s2", repeat_calls=4, repeat_tokens=900, edited_kept_calls=1, edited_kept_tokens=900)
        loss = loss_of([one, other], {})
        self.assertEqual((loss["calls"], loss["tokens"]), (3, 100))
        self.assertEqual([item["name"] for item in loss["sessions"]], ["s1"])

    def test_at_least_the_tokens_are_written_again_and_at_most_each_call_reads_a_mean_prompt_too(self):
        loss = loss_of([facts("s1", refetch_calls=3, refetch_tokens=100)], {})
        # 100 tokens; 3 prompts of 200 tokens.
        self.assertEqual((loss["share_at_least"], loss["share_at_most"]), (0.1, 0.7))
        self.assertAlmostEqual(loss["usd_at_least"], 100 * 1.25 * 3e-6, places=6)
        self.assertAlmostEqual(loss["usd_at_most"], (100 * 1.25 + 600 * 0.1) * 3e-6, places=6)
        # 800 of the recorded tokens were cached, 100 written, 100 neither.
        self.assertAlmostEqual(loss["with_usage"]["usd"], (80 + 125 + 100) * 3e-6, places=6)

    def test_mean_prompt_is_that_of_the_session_that_lost(self):
        large = {**USAGE, "prompt_tokens": 100_000, "requests": 10}
        loss = loss_of([facts("s1", recorded=large), facts("s2", refetch_calls=1, refetch_tokens=10)], {})
        self.assertEqual(loss["share_at_most"], ratio(210, 101_000))

    def test_without_usage_there_is_neither_a_share_nor_an_upper_bound(self):
        loss = loss_of([facts("s1", recorded=NO_USAGE, refetch_calls=3, refetch_tokens=100)], {})
        self.assertEqual((loss["share_at_least"], loss["share_at_most"], loss["usd_at_most"]), (None, None, None))
        self.assertGreater(loss["usd_at_least"], 0)

    def test_recording_that_was_not_read_whole_makes_a_lower_bound(self):
        self.assertFalse(loss_of([facts("s1")], {"refused_recordings": [], "sessions_left_out": 0})["lower_bound"])
        for name in ("broken_lines", "damaged_files", "unknown_lines"):
            one = facts("s1")
            one["unread"][name] = 1
            self.assertTrue(loss_of([one, facts("s2")], {})["lower_bound"], name)
        for reading in ({"refused_recordings": [{"name": "a", "reason": "b"}]}, {"sessions_left_out": 1}):
            self.assertTrue(loss_of([facts("s1")], reading)["lower_bound"], reading)
        unnamed = facts("s1")
        unnamed["counts"]["unnamed_clearings"] = 1
        self.assertTrue(loss_of([unnamed], {})["lower_bound"])

    def test_what_was_never_written_to_a_cache_has_the_price_of_plain_input(self):
        plain = {**USAGE, "written_tokens": 0}
        loss = loss_of([facts("s1", recorded=plain, refetch_calls=3, refetch_tokens=100)], {})
        self.assertAlmostEqual(loss["usd_at_least"], 100 * 3e-6, places=6)
        self.assertAlmostEqual(loss["usd_at_most"], (100 + 600 * 0.1) * 3e-6, places=6)

    def test_sessions_come_by_what_they_lost_then_by_their_length(self):
        sessions = [
            facts("short", turns=101),
            facts("long", turns=900),
            facts("little", refetch_calls=9, refetch_tokens=5),
            facts("much", turns=101, edited_lost_calls=1, edited_lost_tokens=70),
        ]
        self.assertEqual([one["name"] for one in by_loss(sessions)], ["much", "little", "long", "short"])


class PureTest(unittest.TestCase):
    def test_results_are_plain_data_and_depend_on_the_rows_alone(self):
        seed = 20260401
        generator = random.Random(seed)
        sessions = [facts("s1"), facts("s2", "codex"), facts("s3")]
        rows = [
            row(one["name"], policy, generator.randrange(9), cut=cut)
            for one in sessions
            for policy in PAPER_POLICIES
            for cut in (100, None)
        ]
        first = json.dumps(summarize_sessions(sessions, OPTIONS, rows))
        self.assertEqual(json.dumps(summarize_sessions(sessions, OPTIONS, json.loads(json.dumps(rows)))), first, seed)
        findings = json.loads(first)["findings"]
        for _ in range(20):
            generator.shuffle(rows)
            self.assertEqual(summarize_sessions(sessions, OPTIONS, rows)["findings"], findings, f"seed {seed}")

    def test_names_of_findings_are_always_the_same(self):
        nothing = summarize_sessions([], Options(), [])["findings"]
        something = summarize_sessions([facts("s1")], OPTIONS, every("s1", (9, 5, 1)))["findings"]
        self.assertEqual(list(nothing), list(something))

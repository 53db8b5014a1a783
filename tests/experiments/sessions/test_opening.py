"""Behaviour of the first three sentences: what was lost, in which sessions, and what would have helped."""

import copy
import json
import unittest

from clawvm_experiments.sessions.cells import WINDOW, Options, RefetchOutcome, rerun_counts
from clawvm_experiments.sessions.opening import first_sentences
from clawvm_experiments.sessions.summary import summarize_sessions
from tests.experiments.sessions.made_up import NO_USAGE, USAGE
from tests.experiments.sessions.test_summary import facts, rerun, row

LARGE = {**USAGE, "prompt_tokens": 1_000_000, "cached_tokens": 900_000, "written_tokens": 100_000, "requests": 100}
"""A mean prompt of 10,000 tokens; all together cost 0.645 USD."""

NO_WINDOW = {**LARGE, "window": None, "window_is_recorded": False}

OPTIONS = Options(shares=(0.2,), window=True, cuts=(None,), views=("resources",))


def lost(name, calls, tokens, *, recorded=LARGE, edited=0, **changes):
    """Return the index of a session that lost so much unchanged content, and *edited* tokens in one more call."""
    whole = {"refetch_calls": calls, "refetch_tokens": tokens}
    whole |= {"edited_lost_calls": bool(edited) + 0, "edited_lost_tokens": edited}
    return {**facts(name, recorded=recorded, **whole), **changes}


def outcomes(resident=0, paged_in=0, left_out=0, not_judged=0):
    parts = {
        RefetchOutcome.RESIDENT: resident,
        RefetchOutcome.PAGED_IN: paged_in,
        RefetchOutcome.LEFT_OUT: left_out,
        RefetchOutcome.NOT_JUDGED: not_judged,
    }
    return rerun_counts(rerun(outcome, tokens) for outcome, tokens in parts.items() if tokens)


def replayed(by_policy, label="20 %", session="s1"):
    """Return a row of each policy with these outcomes of refetched tokens."""
    return [row(session, policy, label=label, refetched=found) for policy, found in by_policy.items()]


def sentences(sessions, rows=(), options=OPTIONS, pages=""):
    """Return the three sentences; the results come back from a file before."""
    results = json.loads(json.dumps(summarize_sessions(sessions, options, list(rows))))
    blocks = first_sentences(results, pages)
    texts = [block.text for block in blocks]
    assert len(texts) == 3
    return texts


BOTH = {"lru": outcomes(600, 400), "clawvm": outcomes(100, 900)}


class LostTest(unittest.TestCase):
    def lost(self, *sessions):
        return sentences(sessions)[0]

    def test_nothing_lost_is_one_plain_sentence(self):
        self.assertEqual(
            self.lost(lost("s1", 0, 0), lost("s2", 0, 0)),
            "**Nothing was lost:** in 2 sessions with 2,000,000 prompt tokens, the model never asked again "
            "for content that the harness no longer had.",
        )

    def test_almost_nothing_is_called_so_even_at_the_upper_bound(self):
        # With a mean prompt of 10,000 tokens, three calls that lost nothing else are 3 % of a million.
        for calls, tokens, verdict in (
            (2, 9_900, "Almost nothing was lost"),
            (2, 10_000, "Little was lost"),
            (9, 9_900, "Little was lost"),
            (9, 10_000, "Lost"),
        ):
            self.assertTrue(self.lost(lost("s1", calls, tokens)).startswith(f"**{verdict}:** {tokens:,} tokens in"))

    def test_much_has_its_share_and_its_price_with_both_bounds_and_what_they_assume(self):
        text = self.lost(lost("s1", 4, 10_000), lost("s2", 6, 20_000))
        self.assertEqual(
            text,
            "**Little was lost:** 30,000 tokens in 10 calls that asked for them again, 1.5 % of all 2,000,000 prompt "
            "tokens; 0.11 USD to 0.14 USD of 1.29 USD at list prices of Claude Sonnet 4.5.",
        )

    def test_small_amounts_have_their_digits(self):
        self.assertIn("; 0.00038 USD to 0.0034 USD of", self.lost(lost("s1", 1, 100)))
        self.assertIn("; 0.000004 USD to ", self.lost(lost("s1", 1, 1)))

    def test_without_usage_there_is_a_lower_bound_and_no_share(self):
        text = self.lost(lost("s1", 4, 10_000, recorded=NO_USAGE))
        self.assertIn("for 0.03 USD or more at list prices of", text)
        self.assertIn("no recording has its number of prompt tokens, so there is no share", text)
        self.assertNotIn(" % ", text)

    def test_where_only_some_have_usage_the_share_and_the_upper_bound_are_theirs(self):
        text = self.lost(lost("s1", 1, 1_000), lost("s2", 3, 9_000, recorded=NO_USAGE))
        self.assertIn("**Lost:** 10,000 tokens in 4 calls", text)
        theirs = "in the 1 of 2 sessions that recorded their prompt tokens, 1,000 tokens, 0.1 % of all 1,000,000 prompt"
        self.assertIn(theirs, text)
        self.assertIn(", 0.0037 USD to 0.0067 USD of 0.65 USD", text)

    def test_a_little_in_a_session_without_usage_leaves_the_verdict_as_it_is(self):
        text = self.lost(lost("s1", 1, 9_000), lost("s2", 1, 1, recorded=NO_USAGE))
        self.assertTrue(text.startswith("**Almost nothing was lost:** 9,001 tokens"), text)

    def test_session_without_usage_that_lost_nothing_takes_nothing_away(self):
        whole = self.lost(lost("s1", 4, 10_000), lost("s2", 0, 0, recorded=NO_USAGE))
        self.assertEqual(whole, self.lost(lost("s1", 4, 10_000)))

    def test_what_could_not_be_read_makes_the_count_a_lower_bound(self):
        unread = {"broken_lines": 1, "damaged_files": 0, "unknown_lines": 0}
        text = self.lost(lost("s1", 4, 10_000, unread=unread))
        self.assertTrue(text.startswith("**Little was lost:** at least 10,000 tokens in 4 calls"), text)
        self.assertTrue(text.endswith("; what could not be read, or is not recorded, may hold more."), text)
        nothing = self.lost(lost("s1", 0, 0, unread=unread))
        self.assertTrue(nothing.startswith("**Nothing is known to be lost:**"), nothing)
        self.assertIn("may hold more", nothing)


class WhereTest(unittest.TestCase):
    def test_those_that_lost_most_are_named_with_day_and_tokens_and_the_others_summed(self):
        sessions = [lost(f"s{number}", min(number, 1), 100 * number) for number in range(6)]
        sessions[5]["started"] = ""
        self.assertEqual(
            sentences(sessions)[1],
            "**Where:** in 5 of 6 sessions, most in s5 (500 tokens in 1 call), s4 (2026-04-01, 400 tokens in 1 call) "
            "and s3 (2026-04-01, 300 tokens in 1 call); the other 2 lost 300 tokens.",
        )

    def test_sessions_that_lost_the_same_are_examples(self):
        text = sentences([lost(f"s{number}", 1, 100) for number in range(1, 5)])[1]
        self.assertIn("in 4 of 4 sessions, such as s1 (", text)

    def test_one_other_is_one(self):
        text = sentences([lost(f"s{number}", 1, 100 * number) for number in range(1, 5)])[1]
        self.assertTrue(text.endswith("; the other one lost 100 tokens."), text)

    def test_names_are_links_where_there_are_pages(self):
        text = sentences([lost("s1", 1, 100)], pages="pages")[1]
        self.assertIn("[s1](pages/s1.html) (2026-04-01", text)

    def test_one_session_is_not_counted_among_itself(self):
        self.assertEqual(sentences([lost("s1", 2, 100)])[1], "**Where:** in s1 (2026-04-01, 100 tokens in 2 calls).")

    def test_nothing_lost_says_whether_anything_could_have_been(self):
        calm = lost("s1", 0, 0, counts={"compactions": 0, "resumes": 3})
        self.assertEqual(
            sentences([calm])[1], "**Where:** in no session; none passed a compaction, clear, rewind or reset."
        )
        self.assertEqual(
            sentences([calm, lost("s2", 0, 0)])[1],
            "**Where:** in no session, although 1 of 2 passed a compaction, clear, rewind or reset.",
        )


class HelpedTest(unittest.TestCase):
    def helped(self, sessions, rows, options=OPTIONS):
        return sentences(sessions, rows, options)[2].removeprefix("**What would have helped:** ")

    def test_nothing_lost_needs_no_help(self):
        self.assertEqual(self.helped([lost("s1", 0, 0)], replayed(BOTH)), "nothing, for nothing was lost.")

    def test_policy_that_served_most_comes_first_then_clawvm_at_the_window_and_at_a_share(self):
        rows = [*replayed({"retrieval": outcomes(), "clawvm": outcomes(1000)}, WINDOW), *replayed(BOTH)]
        rows[0] = row("s1", "retrieval", label=WINDOW, refetched=outcomes(left_out=1000))
        self.assertEqual(
            self.helped([lost("s1", 3, 1000)], rows),
            "of the 1,000 tokens of unchanged content, with the model's whole window, ClawVM would have had 100 % in "
            "the prompt and 0 % in the store; with 20 % of the session's content, LRU would have had 60 % and 40 %, "
            "and ClawVM 10 % and 90 %.",
        )

    def test_policies_with_the_same_are_named_together_and_one_that_looks_ahead_is_not(self):
        same = {"lru": outcomes(600, 400), "clawvm": outcomes(600, 400), "oracle_h3": outcomes(1000)}
        text = self.helped([lost("s1", 3, 1000, recorded=NO_WINDOW)], replayed(same))
        self.assertIn("LRU and ClawVM would have had 60 % in the prompt", text)
        self.assertNotIn("Oracle", text)

    def test_window_is_that_of_the_sessions_that_have_one(self):
        sessions = [lost("s1", 3, 600), lost("s2", 3, 400, recorded=NO_WINDOW)]
        rows = [*replayed({"clawvm": outcomes(600)}, WINDOW), *replayed({"clawvm": outcomes(1000)})]
        self.assertIn(
            "with the model's whole window (known for 1 of 2 sessions and 600 of these tokens), ClawVM",
            self.helped(sessions, rows),
        )

    def test_no_recorded_window_is_said(self):
        text = self.helped([lost("s1", 3, 1000, recorded=NO_WINDOW)], replayed(BOTH))
        self.assertTrue(text.endswith("; no recording has the model's window."), text)

    def test_what_no_policy_would_have_had_is_named(self):
        text = self.helped([lost("s1", 3, 1000, edited=50)], replayed({"lru": outcomes(900, not_judged=100)}))
        self.assertIn(
            "no policy would have had the 50 tokens of lines that the agent had edited itself (new content) and 100 "
            "tokens that a replay first met at that call.",
            text,
        )

    def test_edited_lines_alone_are_helped_by_no_policy(self):
        text = self.helped([lost("s1", 0, 0, edited=50)], replayed({"lru": outcomes()}))
        self.assertTrue(text.startswith("no policy, for all of it are lines that the agent had edited itself"), text)

    def test_nothing_served_is_no_help(self):
        text = self.helped([lost("s1", 3, 1000)], replayed({"lru": outcomes(left_out=1000)}))
        self.assertIn("no policy would have had any of it", text)

    def test_without_a_replay_by_resource_it_is_unknown(self):
        self.assertEqual(self.helped([lost("s1", 3, 1000)], []), "unknown, for no policy was replayed by resource.")

    def test_cut_is_named(self):
        options = Options(shares=(0.2,), cuts=(100,), views=("resources",))
        rows = [copy.deepcopy(item) for item in replayed(BOTH)]
        for item in rows:
            item["cut"] = 100
        self.assertIn("(sessions cut at 100 turns)", self.helped([lost("s1", 3, 1000)], rows, options))

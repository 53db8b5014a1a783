"""Behaviour of the simulated harness: what falls due, and when."""

import unittest

from clawvm_replay.replay import Due, TranscriptAccount
from clawvm_replay.trace_format import Accounting

ACCOUNTING = Accounting(compaction_limit=100, soft_threshold=60, summary_tokens=10)


class TranscriptAccountTest(unittest.TestCase):
    def setUp(self):
        self.account = TranscriptAccount(ACCOUNTING)

    def test_flush_is_due_once_per_cycle(self):
        due = [self.account.grow(tokens) for tokens in (50, 11, 1, 38)]
        self.assertEqual(due, [Due.NOTHING, Due.FLUSH, Due.NOTHING, Due.NOTHING])
        self.assertEqual(self.account.tokens, 100)

    def test_reaching_a_threshold_exactly_is_not_passing_it(self):
        self.assertIs(self.account.grow(60), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.FLUSH)
        self.assertIs(self.account.grow(39), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.COMPACTION)

    def test_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        self.account.grow(70)
        self.assertIs(self.account.grow(31), Due.COMPACTION)
        self.assertEqual(self.account.tokens, 10)
        self.assertIs(self.account.grow(51), Due.FLUSH)

    def test_one_large_turn_jumps_past_the_flush(self):
        self.account.grow(60)
        self.assertIs(self.account.grow(41), Due.COMPACTION)
        self.assertEqual(self.account.tokens, 10)

    def test_named_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        self.account.grow(61)
        self.account.compacted()
        self.assertEqual(self.account.tokens, 10)
        self.assertIs(self.account.grow(51), Due.FLUSH)

    def test_reset_empties_the_transcript_and_begins_a_new_cycle(self):
        self.account.grow(61)
        self.account.reset()
        self.assertEqual(self.account.tokens, 0)
        self.assertIs(self.account.grow(60), Due.NOTHING)
        self.assertIs(self.account.grow(1), Due.FLUSH)

    def test_without_accounting_nothing_falls_due(self):
        account = TranscriptAccount(None)
        self.assertEqual({account.grow(10**9) for _ in range(5)}, {Due.NOTHING})
        account.compacted()
        self.assertEqual(account.tokens, 0)


if __name__ == "__main__":
    unittest.main()

"""Behaviour of the bookkeeping of commits: what a writer had seen is known without asking the journal."""

import unittest

from clawvm_replay.commits import committed_entries, lost_entries, replaced_unseen
from clawvm_runtime.updates import Update


def update(operation, value="x", base=None, field="goal"):
    return Update("plan", field, operation, value, "session", "plan", base_version=base)


def replaced(*updates):
    return replaced_unseen(dict(enumerate(updates, start=1)), range(1, len(updates) + 1))


class ReplacedUnseenTest(unittest.TestCase):
    def test_the_first_value_replaces_nothing(self):
        for operation, base in (("set_with_version", 0), ("set_with_version", 7), ("overwrite", None)):
            self.assertEqual(replaced(update(operation, base=base)), ())

    def test_who_names_the_version_that_is_there_has_seen_it(self):
        first = update("append")
        self.assertEqual(replaced(first, update("set_with_version", base=1)), ())
        for base in (None, 0, 2, 9):
            self.assertEqual(replaced(first, update("set_with_version", base=base)), (2,))

    def test_what_adds_to_a_value_replaces_none_and_counts_as_a_version(self):
        self.assertEqual(replaced(update("append"), update("merge"), update("set_with_version", base=2)), ())
        self.assertEqual(replaced(update("append"), update("merge"), update("set_with_version", base=1)), (3,))

    def test_an_operation_that_nobody_knows_replaces_what_is_there(self):
        self.assertEqual(replaced(update("append"), update("overwrite", base=1)), (2,))

    def test_fields_have_versions_of_their_own(self):
        self.assertEqual(replaced(update("append"), update("set_with_version", base=0, field="log")), ())

    def test_the_order_of_the_commits_counts_and_not_that_of_the_proposals(self):
        proposed = {1: update("set_with_version", base=1), 2: update("append")}
        self.assertEqual(replaced_unseen(proposed, [2, 1]), ())
        self.assertEqual(replaced_unseen(proposed, [1, 2]), ())
        self.assertEqual(replaced_unseen({**proposed, 3: update("append")}, [2, 3, 1]), (1,))

    def test_the_order_comes_from_the_commits_of_a_decision_trace(self):
        events = [{"event": "commit", "entries": [2, 1]}, {"event": "lost", "entries": [3]}]
        self.assertEqual(committed_entries([*events, {"event": "commit", "entries": [4]}]), [2, 1, 4])


STAGE, BOUNDARY, PROMPT = {"event": "stage", "entry": 1}, {"event": "boundary"}, {"event": "assemble"}


class LostEntriesTest(unittest.TestCase):
    def test_an_update_without_a_fate_after_a_boundary_is_lost_whether_reported_or_not(self):
        for reported in ([], [{"event": "lost", "entries": [1]}]):
            for end in ([], [PROMPT], [BOUNDARY, PROMPT]):
                self.assertEqual(lost_entries([STAGE, BOUNDARY, *reported, *end]), [1])

    def test_a_fate_between_boundary_and_prompt_saves_it_and_a_later_one_does_not(self):
        for fate in ({"event": "commit", "entries": [1]}, {"event": "reject", "entry": 1}):
            self.assertEqual(lost_entries([STAGE, fate, BOUNDARY, PROMPT]), [])
            self.assertEqual(lost_entries([STAGE, BOUNDARY, fate, PROMPT]), [])
            self.assertEqual(lost_entries([STAGE, BOUNDARY, PROMPT, fate]), [1])

    def test_an_update_waits_as_long_as_no_boundary_comes(self):
        self.assertEqual(lost_entries([STAGE, PROMPT, PROMPT]), [])
        self.assertEqual(lost_entries([BOUNDARY, PROMPT, STAGE]), [])

"""Behaviour of the index of a recorded session: what is known of each cut before anything is replayed."""

import json
import unittest
from pathlib import Path

from clawvm_experiments.sessions.data import cut_label, cut_words, session_index
from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import FlushEvent, Replacement
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.views import Observed
from tests.experiments.sessions.made_up import (
    COMPACTION,
    OBSERVED,
    RESET,
    page,
    tool,
    turns,
    write_session,
)
from tests.support import temporary_folder


class SessionIndexTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)

    def index(self, cuts=(2, 4, None), **session):
        write_session(self.root, "toy", **session)
        return session_index(self.root, "toy", cuts)

    def test_every_cut_has_its_own_turns_working_set_boundaries_and_losses(self):
        by_cut = self.index()["views"]["resources"]
        fields = ("turns", "working_set", "compactions", "boundary_turns", "refetch_calls", "refetch_tokens")
        self.assertEqual(
            {label: tuple(there[name] for name in fields) for label, there in by_cut.items()},
            {"cut0002": (2, 100, 0, [], 0, 0), "cut0004": (4, 100, 1, [4], 1, 61), "whole": (5, 100, 1, [4], 2, 92)},
        )

    def test_what_the_harness_still_had_is_a_repeat_and_what_an_edit_changed_is_neither(self):
        whole = self.index()["views"]["resources"]["whole"]
        self.assertEqual((whole["repeat_calls"], whole["repeat_tokens"]), (1, 41))
        self.assertEqual((whole["edited_lost_calls"], whole["edited_lost_tokens"]), (1, 7))
        self.assertEqual((whole["edited_kept_calls"], whole["edited_kept_tokens"]), (0, 0))

    def test_read_after_an_edit_shows_whether_the_harness_still_had_the_lines(self):
        observed = [Observed(5, ("a",), Novelty.EDITED, kept, tokens) for kept, tokens in ((True, 3), (False, 4))]
        whole = self.index(observed=observed)["views"]["resources"]["whole"]
        fields = ("edited_kept_calls", "edited_kept_tokens", "edited_lost_calls", "edited_lost_tokens")
        self.assertEqual([whole[name] for name in fields], [1, 3, 1, 4])
        self.assertEqual((whole["refetch_calls"], whole["repeat_calls"]), (0, 0))

    def test_views_have_their_own_losses(self):
        views = self.index(signatures=OBSERVED[1:2])["views"]
        self.assertEqual(views["signatures"]["whole"]["refetch_tokens"], 61)
        self.assertEqual(views["signatures"]["whole"]["repeat_calls"], 0)

    def test_page_counts_in_the_working_set_once_at_its_largest(self):
        larger, smaller = Replacement(page("a", 55)), Replacement(page("a", 9))
        steps = turns(([tool("a", 40)], ["a"]), ([larger], ["a"]), ([smaller], []))
        by_cut = self.index((1, 2), session_turns=steps, observed=())["views"]["resources"]
        self.assertEqual([there["working_set"] for there in by_cut.values()], [40, 55, 55])
        self.assertEqual(by_cut["whole"]["pages"], 1)

    def test_turns_of_boundaries_are_known_each_once(self):
        steps = turns(([tool("a", 40)], ["a"]), ([COMPACTION], []), ([RESET, COMPACTION], ["a"]))
        whole = self.index(session_turns=steps, observed=())["views"]["resources"]["whole"]
        self.assertEqual((whole["boundary_turns"], whole["compactions"], whole["resets"]), ([2, 3], 2, 1))

    def test_flush_is_no_boundary_and_no_page(self):
        steps = turns(([tool("a", 40)], ["a"]), ([FlushEvent()], []), ([COMPACTION], ["a"]))
        whole = self.index(session_turns=steps, observed=())["views"]["resources"]["whole"]
        self.assertEqual((whole["compactions"], whole["resets"], whole["pages"], whole["turns"]), (1, 0, 1, 3))

    def test_cut_that_the_session_does_not_outlast_is_left_out_and_said_so(self):
        index = self.index((4, 5, 100, None))
        self.assertEqual(list(index["views"]["resources"]), ["cut0004", "whole"])
        self.assertEqual(index["cuts_left_out"], [5, 100])

    def test_cuts_run_from_short_to_long_whatever_their_digits(self):
        index = self.index((101, None, 99, 20), session_turns=turns(*[([], [])] * 102), observed=())
        self.assertEqual(list(index["views"]["resources"]), ["cut0020", "cut0099", "cut0101", "whole"])

    def test_counts_are_the_whole_numbers_of_each_recorded_session_summed(self):
        sessions = [
            {"turns": 2, "tool_calls": 5, "chain": True, "skipped": {}},
            {"turns": 3, "compactions": 1, "skipped": {"x": 1}},
        ]
        index = self.index(sessions=sessions)
        self.assertEqual(index["counts"], {"compactions": 1, "tool_calls": 5, "turns": 5})
        self.assertEqual(index["recorded_sessions"], 2)

    def test_what_was_not_read_is_known_by_kind(self):
        sessions = [{"bad_lines": 2, "skipped": {"x": 1, "y": 4}}, {"bad_lines": 1, "skipped": {"x": 1}}]
        sources = [{"damage": ""}, {"damage": "the compressed data is cut off"}]
        index = self.index(sessions=sessions, sources=sources)
        self.assertEqual(index["unread"], {"broken_lines": 3, "damaged_files": 1, "unknown_lines": 6})

    def test_day_is_that_of_the_recording_and_may_be_missing(self):
        self.assertEqual(self.index()["started"], "2026-04-01")
        write_session(self.root, "undated", started="")
        self.assertEqual(session_index(self.root, "undated", (None,))["started"], "")

    def test_chain_of_several_harnesses_is_a_group_of_its_own(self):
        self.assertEqual(self.index(harnesses=["claude-code", "codex"])["format"], "claude-code + codex")

    def test_index_is_plain_data_without_the_path(self):
        text = json.dumps(self.index())
        self.assertNotIn(str(self.root), text)

    def test_session_that_is_no_converted_one_is_refused_with_one_line(self):
        write_session(self.root, "old", version=0)
        write_session(self.root, "torn", observed=())
        Path(self.root, "sessions", "torn", "session.json").write_text("{")
        for name in ("old", "torn", "absent"):
            with self.subTest(name), self.assertRaisesRegex(InputError, r"session\.json"):
                session_index(self.root, name, (None,))

    def test_missing_fact_is_named(self):
        write_session(self.root, "toy", recorded=None)
        path = Path(self.root, "sessions", "toy", "session.json")
        record = json.loads(path.read_text())
        del record["recorded"]
        path.write_text(json.dumps(record))
        with self.assertRaisesRegex(InputError, "lacks 'recorded'"):
            session_index(self.root, "toy", (None,))


class CutLabelTest(unittest.TestCase):
    def test_words_say_the_same(self):
        self.assertEqual([cut_words(cut_label(cut)) for cut in (20, None)], ["20 turns", "whole"])

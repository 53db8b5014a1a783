"""Behaviour of what people read on recorded sessions: the report, its figures, and the page of one session."""

import json
import re
import unittest
from pathlib import Path
from unittest import mock

from clawvm_experiments.sessions import session_page as session_page_module
from clawvm_experiments.sessions.cells import Options, replay_session
from clawvm_experiments.sessions.data import session_index
from clawvm_experiments.sessions.report import ROWS_MOST, session_figures, session_report, sessions_experiment
from clawvm_experiments.sessions.session_page import MapEvents, _windows, page_works, session_page
from clawvm_experiments.sessions.summary import summarize_sessions
from clawvm_pictures.pages import report_section
from clawvm_pictures.residency_map import residency_map
from clawvm_replay.document import markdown
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import PAPER_POLICIES
from tests.experiments.sessions.made_up import (
    COMPACTION,
    NO_USAGE,
    OBSERVED,
    USAGE,
    tool,
    turns,
    write_session,
)
from tests.experiments.sessions.test_summary import every, facts
from tests.support import temporary_folder

OPTIONS = Options(shares=(0.2, 0.6), tokens=(100,), cuts=(2, None), policies=PAPER_POLICIES)
FEW = Options(shares=(0.2,), cuts=(2, None), policies=("compaction_hybrid", "clawvm"))


def long_session(count, *compacted_before):
    """Return turns with a page each, in which the page of five turns ago is needed too, and compactions."""
    steps = [
        ([tool(f"p{number}", 40)], [f"p{number}", *([f"p{number - 5}"] if number > 5 else [])])
        for number in range(1, count + 1)
    ]
    for turn in compacted_before:
        events_before, called = steps[turn - 1]
        steps[turn - 1] = ([COMPACTION, *events_before], called)
    return turns(*steps)


def run(root, *names, options=OPTIONS):
    """Return the index, the rows and the results of the sessions *names*, as they come back from a file."""
    index = {name: session_index(root, name, options.cuts) for name in names}
    experiment = sessions_experiment(Path(root), names, index, options)
    rows = [experiment.run_cell(cell) for cell in experiment.cells(False)]
    return index, rows, json.loads(json.dumps(experiment.summarize(rows)))


def report_of(results):
    return markdown(session_report(results))


class ToyReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = str(temporary_folder(cls))
        write_session(cls.root, "toy", signatures=OBSERVED[:1])
        cls.index, cls.rows, cls.results = run(cls.root, "toy")
        cls.report = report_of(cls.results)

    def test_report_begins_with_the_result(self):
        head, _, rest = self.report.partition("### ")
        for text in (
            "## Recorded sessions\n\nReplayed by resource, whole sessions, ClawVM has 0 explicit faults at 20 % of the "
            "working set and 0 explicit faults at the model's window.",
            "it failed to serve 0 refetches in turns without pressure.",
            "1 session (1 claude-code) with 5 turns; in the replay, 1 session passes a compaction or reset (1 in all;",
            "at budgets of 20 %, 60 %, 100 tokens, window (shares are of the working set).",
            "2 refetches (92 tokens) of unchanged content (by exact signature 0, 0 tokens)",
            "and 1 read (7 tokens) of lines that the agent had edited itself",
            "Still in its context: 1 duplicate (41 tokens) and 0 reads (0 tokens) of edited lines.",
            "1,000 prompt tokens in 5 requests, 80 % of them from the provider's cache",
            "they cost 30.5 % of their price without a cache",
            # Whole sessions, by resource, at 20 %: no sum over views, cuts that hold each other, and budgets.
            "summed over sessions (whole sessions, demands by resource), at 20 % of the working set: Retrieval 0, ",
            "(up to 100 % of turns under pressure); at the model's window: Retrieval 3, ",
        ):
            with self.subTest(text):
                self.assertIn(text, head)
        self.assertTrue(rest)
        self.assertNotIn("\n\n\n", self.report)

    def test_tables_show_the_numbers_of_each_budget(self):
        kept = self.report.partition("### Refetched tokens")[2]
        self.assertIn("| 100 tokens | 2 | 92 | 31 | 61 | 0 | 0 | 0 | 60 |", kept)
        self.assertIn("| 60 % | 2 | 92 | 0 | 92 | 0 | 0 | 0 | 100 |", kept)

    def test_table_at_the_reference_budget_has_one_at_the_window_beside_it(self):
        kept = self.report.partition("### Refetched tokens")[2]
        # At 20 % (20 tokens) nothing fits; the window has 90 tokens.
        at_share, _, at_window = kept.partition("Refetches at the model's window, demands by resource")
        self.assertIn("Refetches at 20 % of the working set, demands by resource", at_share)
        self.assertIn("| ClawVM | 2 | 92 | 0 | 0 | 92 | 0 | 0 | 0 |", at_share)
        self.assertIn("| ClawVM | 2 | 92 | 0 | 92 | 0 | 0 | 0 | 100 |", at_window.partition("Refetches")[0])

    def test_losses_of_the_session_are_in_its_row(self):
        self.assertIn("| toy | 2 | 92 | 1 | 41 | 0 | 0 | 1 | 7 | 3 | 4 |", self.report)

    def test_turns_under_pressure_follow_the_faults(self):
        self.assertIn("| all | 20 % | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 100 % |", self.report)
        self.assertIn("| all | 100 tokens | 1 | 3 | 0 | 0 | 0 | 0 | 0 | 0 % |", self.report)

    def test_published_medians_follow_ours_with_what_differs(self):
        self.assertIn("100 turns: Retrieval 51, Compaction-Hybrid 1, ClawVM 0; 200 turns: Retrieval 83", self.report)
        self.assertIn("not public", self.report)

    def test_counts_across_compactions_follow_the_losses(self):
        self.assertEqual(self.report.count("| calls across compactions | paths across compactions |"), 2)
        self.assertIn("whether the content changed or not", self.report)
        self.assertIn("| claude-code | resources | 1 | 2 | 92 | 1 | 41 | 0 | 0 | 1 | 7 | 3 | 4 |", self.report)

    def test_result_comes_before_the_figures(self):
        body = report_section(session_report(self.results), session_figures(self.results)).body
        self.assertLess(body.index("explicit faults"), body.index("<svg"))

    def test_nothing_holds_the_path(self):
        for text in (self.report, *session_figures(self.results).values(), json.dumps(self.results)):
            self.assertNotIn(self.root, text)

    def test_figures_show_faults_and_what_became_of_refetches(self):
        figures = session_figures(self.results)
        names = ["faults", "faults_with_pressure", "refetched", "refetched_window", "refetched_clawvm"]
        self.assertEqual(list(figures), [f"{name}.svg" for name in names])
        self.assertIn("recorded harness", figures["refetched.svg"])

    def test_figure_that_would_show_nothing_is_left_out(self):
        root = temporary_folder(self)
        write_session(root, "calm", observed=())
        options = Options(shares=(), tokens=(100,), window=False, cuts=(None,))
        self.assertEqual(session_figures(run(root, "calm", options=options)[2]), {})

    def test_page_of_the_session_shows_counts_policies_and_the_maps(self):
        (work,) = page_works(["toy"], self.index, self.rows)
        html = session_page(self.root, work)
        self.assertIn("Recorded session toy", html)
        self.assertIn("ClawVM, turns 1 to 5", html)
        self.assertIn("Compaction-Hybrid, turns 1 to 5", html)
        self.assertIn("31 / 61", html)
        self.assertIn("Recorded by claude-code on 2026-04-01: 2 prompts, 5 turns (replies), 5 tool calls.", html)
        self.assertIn("Boundaries: 1 compaction. Window: 90 tokens; the working set is 111.1&#160;% of it.", html)
        self.assertNotIn(self.root, html)


class OtherSessionsTest(unittest.TestCase):
    def test_recording_without_usage_says_so(self):
        root = temporary_folder(self)
        write_session(root, "toy", recorded=NO_USAGE, observed=())
        report = report_of(run(root, "toy", options=FEW)[2])
        self.assertIn("no recording has the usage of prompt tokens", report)

    def test_loss_after_an_edit_alone_is_a_loss(self):
        root = temporary_folder(self)
        write_session(root, "toy", observed=OBSERVED[3:])
        report = report_of(run(root, "toy", options=FEW)[2])
        self.assertIn("0 refetches (0 tokens)", report)
        self.assertIn("1 read (7 tokens) of lines that the agent had edited itself", report)

    def test_budgets_without_shares_say_nothing_of_shares(self):
        root = temporary_folder(self)
        write_session(root, "toy")
        report = report_of(run(root, "toy", options=Options(shares=(), tokens=(100,), window=False))[2])
        self.assertIn("at budgets of 100 tokens.\n", report)

    def test_window_that_is_inferred_is_marked(self):
        root = temporary_folder(self)
        write_session(root, "recorded")
        write_session(root, "inferred", recorded={**USAGE, "window_is_recorded": False})
        report = report_of(run(root, "inferred", "recorded", options=FEW)[2])
        row = "2026-04-01 | 2 | 5 | 5 | 1 | 99 | 100"
        self.assertIn(f"| inferred | {row} | ~90 (111.1 %) |", report)
        self.assertIn(f"| recorded | {row} | 90 (111.1 %) |", report)

    def test_working_set_has_no_share_of_a_window_that_nobody_knows(self):
        root = temporary_folder(self)
        write_session(root, "toy", recorded=NO_USAGE, started="")
        report = report_of(run(root, "toy", options=FEW)[2])
        self.assertIn("| toy | - | 2 | 5 | 5 | 1 | 99 | 100 | - |", report)
        self.assertNotIn("at the model's window", report)

    def test_session_has_its_boundaries_and_its_subagents_and_what_none_has_is_left_out(self):
        one, other = facts("s1"), facts("s2")
        one["counts"] = {"compactions": 2, "cleared_results": 7, "resumes": 14, "resets": 0}
        other["counts"] = {"subagents": 3, "subagent_tool_calls": 40}
        report = report_of(summarize_sessions([one, other], FEW, []))
        self.assertIn("| compactions | cleared results | resumes | lost tokens |", report)
        self.assertRegex(report, r"\| s1 \|.*\| 2 \| 7 \| 14 \| 0 \| 500 \| 90 \(555.6 %\) \| - \|")
        self.assertRegex(report, r"\| s2 \|.*\| 0 \| 0 \| 0 \|.*\| 3 \(40 calls\) \|")
        without = report_of(summarize_sessions([facts("s1")], FEW, []))
        self.assertNotIn("| subagents |", without)

    def test_sessions_that_lost_most_come_first_then_the_longest(self):
        sessions = [facts("a", turns=101), facts("b", turns=900), facts("c", refetch_calls=1, refetch_tokens=5)]
        report = report_of(summarize_sessions(sessions, FEW, []))
        for table in ("### The sessions", "Session by session"):
            found = re.findall(r"^\| ([abc]) \|", report.partition(table)[2].partition("###")[0], re.MULTILINE)
            self.assertEqual(found[:3], ["c", "b", "a"], table)

    def test_many_sessions_are_cut_down_to_those_that_fetched_most_again(self):
        names = [f"s{number:03d}" for number in range(100)]
        sessions = [facts(name, refetch_tokens=int(name[1:])) for name in names]
        rows = [row for name in names for row in every(name, (9, 5, 1))]
        report = report_of(summarize_sessions(sessions, Options(shares=(0.2,), cuts=(None,)), rows))
        self.assertIn(f"Tables show the first {ROWS_MOST} of 100", report)
        for table in ("| s099 | 2026-04-01 |", "| s050 | 2026-04-01 |"):
            self.assertIn(table, report)
        self.assertNotIn("| s049 |", report)
        self.assertLess(len(report.splitlines()), 400)

    def test_report_needs_neither_clawvm_nor_both_views(self):
        root = temporary_folder(self)
        write_session(root, "toy")
        options = Options(policies=("lru", "clawvm_without_prefetch"), views=("signatures",), cuts=(None,))
        results = run(root, "toy", options=options)[2]
        self.assertIn("ClawVM was not replayed by resource", report_of(results))
        session_figures(results)


class SessionPageTest(unittest.TestCase):
    def page(self, count, *compacted_before):
        root = temporary_folder(self)
        write_session(root, "long", session_turns=long_session(count, *compacted_before), observed=())
        index = {"long": session_index(root, "long", (None,))}
        return session_page(root, *page_works(["long"], index, []))

    def test_late_boundary_has_a_window_of_its_own_and_an_early_one_has_none(self):
        with mock.patch.object(session_page_module, "FIRST_TURNS", 40):
            html = self.page(60, 5, 50)
        self.assertEqual(set(re.findall(r"ClawVM, (turns [0-9to ]+)", html)), {"turns 1 to 40", "turns 41 to 60"})

    def test_up_to_three_boundaries_are_drawn_and_no_turn_twice(self):
        whole = {"turns": 700, "boundary_turns": [90, 170, 180, 400, 500, 600]}
        windows = _windows({"views": {"resources": {"whole": whole}}})
        self.assertEqual(windows, [(1, 100), (101, 150), (151, 230), (380, 460)])


class MapEventsTest(unittest.TestCase):
    def test_thinned_events_draw_the_same_maps(self):
        root = temporary_folder(self)
        write_session(root, "long", session_turns=long_session(40, 25), observed=())
        windows = [(1, 10), (25, 30), (33, 34)]
        for policy in ("retrieval", "compaction_hybrid", "clawvm"):
            thin, whole = MapEvents(windows), DecisionTrace()
            replay_session(root, "long", "resources", None, policy, 120, thin.take)
            replay_session(root, "long", "resources", None, policy, 120, whole.events.append)
            for window in windows:
                with self.subTest(policy=policy, window=window):
                    drawn = residency_map(thin.events, turns=window)
                    self.assertEqual(drawn, residency_map(whole.events, turns=window))
            # Outside the windows and the turns before them are only the levels of what the turn demanded.
            levels = {event["turn"]: event["levels"] for event in thin.events if event["event"] == "assemble"}
            self.assertLessEqual({len(levels[turn]) for turn in (15, 36)}, {0, 1, 2})

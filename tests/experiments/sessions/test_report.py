"""Behaviour of what people read on recorded sessions: the report, its figures, and the page of one session."""

import json
import unittest
from pathlib import Path

from clawvm_experiments.sessions.cells import Options
from clawvm_experiments.sessions.experiment import sessions_experiment
from clawvm_experiments.sessions.figures import session_figures
from clawvm_experiments.sessions.index import session_index
from clawvm_experiments.sessions.map_events import MapEvents
from clawvm_experiments.sessions.replaying import replay_session
from clawvm_experiments.sessions.report import session_report
from clawvm_experiments.sessions.session_page import page_works, session_page
from clawvm_experiments.sessions.summary import summarize_sessions
from clawvm_experiments.sessions.tables import ROWS_MOST
from clawvm_pictures.residency_map import residency_map
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import POLICIES
from tests.experiments.sessions.made_up import (
    COMPACTION,
    NO_USAGE,
    OBSERVED,
    temporary_root,
    tool,
    turns,
    write_session,
)
from tests.experiments.sessions.test_summary import every, facts

OPTIONS = Options(shares=(0.2, 0.6), tokens=(100,), cuts=(2, None))


def long_session(count, compacted_before):
    """Return turns with a page each, in which the page of five turns ago is needed too, and one compaction."""
    steps = [
        ([tool(f"p{number}", 40)], [f"p{number}", *([f"p{number - 5}"] if number > 5 else [])])
        for number in range(1, count + 1)
    ]
    prelude, called = steps[compacted_before - 1]
    steps[compacted_before - 1] = ([COMPACTION, *prelude], called)
    return turns(*steps)


def run(root, *names, options=OPTIONS):
    """Return the index, the rows and the results of the sessions *names*, as they come back from a file."""
    index = {name: session_index(root, name, options.cuts) for name in names}
    experiment = sessions_experiment(Path(root), names, index, options)
    rows = [experiment.run_cell(cell) for cell in experiment.cells(False)]
    return index, rows, json.loads(json.dumps(experiment.summarize(rows)))


class ToyReportTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_root(self)
        write_session(self.root, "toy", signatures=OBSERVED[:1])
        self.index, self.rows, self.results = run(self.root, "toy")
        self.report = session_report(self.results)

    def test_report_begins_with_what_was_lost_what_it_cost_and_what_clawvm_would_have_kept(self):
        head, _, rest = self.report.partition("### ")
        self.assertTrue(head.startswith("## Recorded sessions\n"))
        self.assertIn("1 session (1 claude-code) with 5 turns; 1 of them passed a compaction or reset", head)
        self.assertIn("2 re-fetches, 92 tokens (by exact signature 0, 0 tokens)", head)
        self.assertIn("1 call for 41 tokens asked for what was still in its context", head)
        self.assertIn("1,000 prompt tokens in 5 requests, 80 % of them from the provider's cache", head)
        self.assertIn("they cost 30.5 % of what they cost without a cache", head)
        # At 20 % (20 tokens) nothing fits.
        self.assertIn("0 of 92 re-fetched tokens (0 %) were in its prompt", head)
        self.assertIn("92 were in the store and did not fit", head)
        self.assertIn("0 re-fetches in turns without pressure went unserved", head)
        self.assertTrue(rest)
        self.assertNotIn("\n\n\n", self.report)

    def test_tables_show_the_numbers_of_each_budget(self):
        kept = self.report.partition("### Tokens fetched again")[2]
        self.assertIn("| 100 tokens | 2 | 92 | 31 | 61 | 0 | 0 | 0 | 60 |", kept)
        self.assertIn("| 60 % | 2 | 92 | 0 | 92 | 0 | 0 | 0 | 100 |", kept)
        self.assertIn("| toy | 2 | 92 | 1 | 41 | 1 | 7 |", self.report)

    def test_turns_under_pressure_stand_beside_faults(self):
        self.assertIn("| all | 20 % | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 100 % |", self.report)
        self.assertIn("| all | 100 tokens | 1 | 3 | 0 | 0 | 0 | 0 | 0 | 0 % |", self.report)

    def test_published_medians_stand_there_with_what_differs(self):
        published = self.report.partition("### The published medians")[2]
        self.assertIn("| 100 turns | published | not known | - | 51 | - | 1 | - | 0 | - |", published)
        self.assertIn("| 200 turns | published | not known | - | 83 | - | 0 | - | 0 | - |", published)
        self.assertIn("not public", published)
        self.assertIn("None of the sessions is longer than 100 turns (the longest has 5).", published)

    def test_nothing_holds_the_path(self):
        for text in (self.report, *session_figures(self.results).values(), json.dumps(self.results)):
            self.assertNotIn(self.root, text)

    def test_figures_show_faults_and_what_became_of_what_was_fetched_again(self):
        figures = session_figures(self.results)
        names = ["faults.svg", "faults_with_pressure.svg", "refetched.svg", "refetched_clawvm.svg"]
        self.assertEqual(list(figures), names)
        self.assertIn("what really happened", figures["refetched.svg"])

    def test_figure_that_would_show_nothing_is_left_out(self):
        write_session(self.root, "calm", observed=())
        options = Options(shares=(), tokens=(100,), window=False, cuts=(None,))
        self.assertEqual(session_figures(run(self.root, "calm", options=options)[2]), {})

    def test_page_of_the_session_shows_counts_policies_and_the_maps(self):
        (work,) = page_works(["toy"], self.index, self.rows)
        html = session_page(self.root, work)
        self.assertIn("Recorded session toy", html)
        self.assertIn("ClawVM, turns 1 to 5", html)
        self.assertIn("Compaction-Hybrid, turns 1 to 5", html)
        self.assertIn("31 / 61", html)
        self.assertNotIn(self.root, html)


class OtherSessionsTest(unittest.TestCase):
    def test_recording_without_usage_says_so(self):
        root = temporary_root(self)
        write_session(root, "toy", recorded=NO_USAGE, observed=())
        report = session_report(run(root, "toy")[2])
        self.assertIn("the recordings tell no usage of prompt tokens", report)
        self.assertIn("nothing was lost and fetched again", report)

    def test_policies_that_kept_more_than_clawvm_are_named(self):
        results = summarize_sessions([facts("s1")], Options(shares=(0.2,), cuts=(None,)), every("s1", (9, 5, 1)))
        for item in results["totals"]:
            item["refetched"].update(tokens=100)
        shares = {"compaction_hybrid": 0.5, "lru": 0.25, "clawvm": 0.25}
        results["findings"].update({f"{policy}_kept_share": share for policy, share in shares.items()})
        self.assertIn("More in the prompt had Compaction-Hybrid (50 %).", session_report(results))

    def test_many_sessions_are_cut_down_to_those_that_fetched_most_again(self):
        names = [f"s{number:03d}" for number in range(300)]
        sessions = [facts(name, refetch_tokens=int(name[1:])) for name in names]
        rows = [row for name in names for row in every(name, (9, 5, 1))]
        report = session_report(summarize_sessions(sessions, Options(shares=(0.2,), cuts=(None,)), rows))
        self.assertIn(f"Tables of sessions show {ROWS_MOST} of 300", report)
        for table in ("| s299 | claude-code |", "| s250 | claude-code |"):
            self.assertIn(table, report)
        self.assertNotIn("| s249 |", report)
        self.assertLess(len(report.splitlines()), 400)

    def test_report_needs_neither_clawvm_nor_both_views(self):
        root = temporary_root(self)
        write_session(root, "toy")
        options = Options(policies=("lru", "clawvm_without_prefetch"), views=("signatures",), cuts=(None,))
        results = run(root, "toy", options=options)[2]
        self.assertIn("ClawVM was not replayed by resource", session_report(results))
        session_figures(results)


class SessionPageTest(unittest.TestCase):
    def page(self, count, compacted_before):
        root = temporary_root(self)
        write_session(root, "long", session_turns=long_session(count, compacted_before), observed=())
        index = {"long": session_index(root, "long", (None,))}
        return session_page(root, *page_works(["long"], index, []))

    def test_late_boundary_has_a_window_of_its_own(self):
        html = self.page(160, 130)
        self.assertIn("ClawVM, turns 1 to 100", html)
        self.assertIn("ClawVM, turns 110 to 160", html)

    def test_boundary_among_the_first_turns_has_none(self):
        html = self.page(160, 30)
        self.assertIn("ClawVM, turns 1 to 100", html)
        self.assertNotIn("ClawVM, turns 10 to", html)


class MapEventsTest(unittest.TestCase):
    def test_thinned_events_draw_the_same_maps(self):
        root = temporary_root(self)
        write_session(root, "long", session_turns=long_session(40, 25), observed=())
        windows = [(1, 10), (25, 30), (33, 34)]
        for policy in POLICIES:
            thin, whole = MapEvents(windows), DecisionTrace()
            replay_session(root, "long", "resources", None, policy, 120, thin.take)
            replay_session(root, "long", "resources", None, policy, 120, whole.events.append)
            for window in windows:
                with self.subTest(policy=policy, window=window):
                    drawn = residency_map(thin.events, turns=window)
                    self.assertEqual(drawn, residency_map(whole.events, turns=window))
            # Outside the windows and the turns before them stand only the levels of what the turn demanded.
            levels = {event["turn"]: event["levels"] for event in thin.events if event["event"] == "assemble"}
            self.assertLessEqual({len(levels[turn]) for turn in (15, 36)}, {0, 1, 2})


if __name__ == "__main__":
    unittest.main()

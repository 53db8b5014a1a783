"""Behaviour of what people read on recorded sessions: the report, its figures, and the page of one session."""

import json
import re
import unittest
from pathlib import Path

from clawvm_experiments.sessions.cells import MapEvents, Options, drawn_pages, replay_session, without_pages
from clawvm_experiments.sessions.data import session_index
from clawvm_experiments.sessions.report import ROWS_MOST, session_figures, session_report, sessions_experiment
from clawvm_experiments.sessions.session_page import page_works, session_page
from clawvm_experiments.sessions.summary import summarize_sessions
from clawvm_pictures.pages import report_section
from clawvm_pictures.residency_map import residency_map
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.vocabulary import Level, PageType
from tests.experiments.sessions.made_up import (
    COMPACTION,
    NO_USAGE,
    OBSERVED,
    USAGE,
    temporary_root,
    tool,
    turns,
    write_session,
)
from tests.experiments.sessions.test_summary import every, facts

OPTIONS = Options(shares=(0.2, 0.6), tokens=(100,), cuts=(2, None))


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


class ToyReportTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_root(self)
        write_session(self.root, "toy", signatures=OBSERVED[:1])
        self.index, self.rows, self.results = run(self.root, "toy")
        self.report = session_report(self.results)

    def test_report_begins_with_what_was_lost_what_it_cost_and_what_clawvm_would_have_kept(self):
        head, _, rest = self.report.partition("### ")
        self.assertTrue(head.startswith("## Recorded sessions\n\n1 session (1 claude-code) with 5 turns; "))
        self.assertIn("with 5 turns; 1 session passed a compaction, rewind, resume or reset (1 in all)", head)
        self.assertIn("2 re-fetches, 92 tokens (by exact signature 0, 0 tokens) of content that had not changed", head)
        self.assertIn("and 1 read (7 tokens) of lines that the agent had read, edited itself, and lost to a", head)
        self.assertIn("calls that were paid for", head)
        self.assertIn("1 call for 41 tokens asked for what was still in its context", head)
        self.assertIn("1,000 prompt tokens in 5 requests, 80 % of them from the provider's cache", head)
        self.assertIn("they cost 30.5 % of what they cost without a cache", head)
        # At 20 % (20 tokens) nothing fits.
        self.assertIn("0 of 92 re-fetched tokens (0 %) were in its prompt", head)
        self.assertIn("92 were in the store and did not fit", head)
        self.assertIn("0 re-fetches in turns without pressure went unserved", head)
        self.assertIn("at budgets of 20 %, 60 %, 100 tokens, window (shares are of the working set).", head)
        # Whole sessions, by resource, at 20 %: no sum over views, cuts that hold each other, and budgets.
        self.assertIn("explicit faults, summed over sessions (whole sessions, demands by resource, at 20 %): Ret", head)
        self.assertIn("What is missing in them depends on the policy, and is counted apart; here 5 under each.", head)
        self.assertTrue(rest)
        self.assertNotIn("\n\n\n", self.report)

    def test_tables_show_the_numbers_of_each_budget(self):
        kept = self.report.partition("### Tokens fetched again")[2]
        self.assertIn("| 100 tokens | 2 | 92 | 31 | 61 | 0 | 0 | 0 | 60 |", kept)
        self.assertIn("| 60 % | 2 | 92 | 0 | 92 | 0 | 0 | 0 | 100 |", kept)
        self.assertIn("| toy | 2 | 92 | 1 | 41 | 0 | 0 | 1 | 7 | 3 | 4 |", self.report)

    def test_turns_under_pressure_stand_beside_faults(self):
        self.assertIn("| all | 20 % | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 100 % |", self.report)
        self.assertIn("| all | 100 tokens | 1 | 3 | 0 | 0 | 0 | 0 | 0 | 0 % |", self.report)

    def test_published_medians_stand_there_with_what_differs(self):
        published = self.report.partition("### The published medians")[2]
        self.assertIn("| 100 turns | published | not known | - | 51 | - | 1 | - | 0 | - |", published)
        self.assertIn("| 200 turns | published | not known | - | 83 | - | 0 | - | 0 | - |", published)
        self.assertIn("not public", published)
        self.assertIn("None of the sessions is longer than 100 turns (the longest has 5).", published)

    def test_counts_across_compactions_stand_beside_re_fetches_and_are_told_apart(self):
        self.assertEqual(self.report.count("| calls across compactions | paths across compactions |"), 2)
        self.assertIn("whatever became of the content in between", self.report)
        self.assertIn("| claude-code | resources | 1 | 2 | 92 | 1 | 41 | 0 | 0 | 1 | 7 | 3 | 4 |", self.report)

    def test_answers_stand_before_the_figures(self):
        body = report_section(self.report, session_figures(self.results)).body
        self.assertLess(body.index("What your harness lost"), body.index("<svg"))
        self.assertLess(body.index("Faults:"), body.index("<svg"))

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
        self.assertIn("no content that was lost and had not changed was fetched again", report)

    def test_loss_after_an_edit_alone_is_a_loss(self):
        root = temporary_root(self)
        write_session(root, "toy", observed=OBSERVED[3:])
        report = session_report(run(root, "toy")[2])
        self.assertIn("0 re-fetches, 0 tokens", report)
        self.assertIn("1 read (7 tokens) of lines that the agent had read, edited itself, and lost", report)
        self.assertNotIn("nothing was lost", report)

    def test_budgets_without_shares_say_nothing_of_shares(self):
        root = temporary_root(self)
        write_session(root, "toy")
        report = session_report(run(root, "toy", options=Options(shares=(), tokens=(100,), window=False))[2])
        self.assertIn("at budgets of 100 tokens.\n", report)

    def test_window_that_is_inferred_is_marked(self):
        root = temporary_root(self)
        write_session(root, "told")
        write_session(root, "inferred", recorded={**USAGE, "window_is_recorded": False})
        report = session_report(run(root, "inferred", "told")[2])
        self.assertIn("| inferred | claude-code | 2 | 5 | 5 | 2 | 100 | ~90 |", report)
        self.assertIn("| told | claude-code | 2 | 5 | 5 | 2 | 100 | 90 |", report)

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
    def page(self, count, *compacted_before):
        root = temporary_root(self)
        write_session(root, "long", session_turns=long_session(count, *compacted_before), observed=())
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

    def test_up_to_three_boundaries_are_drawn_and_no_turn_twice(self):
        html = self.page(700, 90, 170, 180, 400, 500, 600)
        windows = re.findall(r"Under ClawVM, turns ([\d,]+) to ([\d,]+)", html)
        self.assertEqual(windows, [("1", "100"), ("101", "150"), ("151", "230"), ("380", "460")])

    def test_rules_are_drawn_whatever_is_asked_for_more_often(self):
        root = temporary_root(self)
        rules = [Page("rule", PageType.CONSTRAINT, {Level.STRUCTURED: 3, Level.FULL: 5}, Provenance("user", "x"))]
        steps = [([*(rules if number == 1 else []), tool(f"p{number}", 40)], [f"p{number}"]) for number in range(1, 91)]
        write_session(root, "long", session_turns=turns(*steps), observed=())
        html = session_page(root, *page_works(["long"], {"long": session_index(root, "long", (None,))}, []))
        self.assertEqual(html.count("rule, constraint"), 2)
        self.assertIn("Not drawn, and not in the counts of the picture: 51 pages with 0 faults.", html)


class DrawnPagesTest(unittest.TestCase):
    EVENTS = (
        *({"event": "page", "turn": 1, "page": page, "type": "evidence"} for page in "abcd"),
        *({"event": "page", "turn": 1, "page": page, "type": "bootstrap_policy"} for page in "xyz"),
        {"event": "demand", "turn": 1, "page": "a"},
        {"event": "demand", "turn": 2, "page": "b"},
        {"event": "demand", "turn": 2, "page": "c"},
        {"event": "fault", "turn": 2, "page": "c"},
        {"event": "page", "turn": 3, "page": "late", "type": "evidence"},
        {"event": "fault", "turn": 3, "page": "late"},
    )

    def test_hard_pages_come_first_and_the_others_by_faults_and_demands_of_the_window(self):
        shown, hidden = drawn_pages(self.EVENTS, 2, 2, 5)
        self.assertEqual((list(shown), hidden), (["x", "y", "z", "c", "b"], {"a": 0, "d": 0}))

    def test_many_hard_pages_leave_room_for_half_as_many_others(self):
        shown, hidden = drawn_pages(self.EVENTS, 1, 2, 2)
        self.assertEqual((list(shown), sorted(hidden)), (["x", "y", "c"], ["a", "b", "d", "z"]))

    def test_hidden_pages_keep_their_demands_outside_the_window(self):
        left = [(event["event"], event["turn"]) for event in without_pages(self.EVENTS, {"a", "b"}, 2, 2)]
        self.assertEqual(left[:6], [*[("page", 1)] * 5, ("demand", 1)])
        self.assertNotIn({"event": "demand", "turn": 2, "page": "b"}, list(without_pages(self.EVENTS, {"b"}, 2, 2)))


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

"""The residency map: each thing of the decision trace at its place, and what is left out is named."""

from __future__ import annotations

import re
import unittest
import xml.etree.ElementTree as ElementTree
from functools import cache
from typing import Any

from clawvm_pictures.residency_map import LEVEL_HEIGHTS, TURNS_MOST, WINDOW_MOST, fault_look, residency_map
from clawvm_pictures.session_record import read_session
from clawvm_pictures.svg import text_width
from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.vocabulary import FaultKind, Level
from tests.pictures.support import HOSTILE, SVG, decisions, parsed, problems, texts, titles
from tests.pictures.test_session_record import assemble, event, small

SESSIONS = (
    ("evidence_heavy", 180, "clawvm"),
    ("multi_session", 180, "compaction_hybrid"),
    ("daily_assistant", 120, "retrieval_cache"),
)


class Drawn:
    """A map read back: where turns and pages are, and what is there."""

    def __init__(self, svg: str) -> None:
        self.tree = parsed(svg)
        self.runs: dict[str, list[tuple[float, float, float, ElementTree.Element]]] = {}
        for group in self.tree.iter(SVG + "g"):
            if group.attrib.get("class") == "cvp-run":
                area = group.find(SVG + "rect")
                assert area is not None
                page = re.sub(r", turns? \d.*", "", (group.findtext(SVG + "title") or "").split("\n")[0])
                x, y, width = (float(area.attrib[name]) for name in ("x", "y", "width"))
                self.runs.setdefault(page, []).append((x, width, y, group))
        lefts = [run[0] for runs in self.runs.values() for run in runs]
        self.left = min(lefts, default=0.0)

    def column(self, turns: int) -> float:
        run = next(iter(self.runs.values()))
        return sum(width for _, width, _, _ in run) / turns

    def marks(self, style: str) -> list[tuple[float, float, str]]:
        """Return the middles of all marks of the grid with a class, and their outlines."""
        top = min(run[2] for runs in self.runs.values() for run in runs)
        found = []
        for element in self.tree.iter(SVG + "path"):
            if element.attrib.get("class", "").split() == style.split():
                # Arcs do not list their points, so a circle is read from its begin and its radius.
                circle = re.match(r"M(\S+) (\S+)a(\S+)", element.attrib["d"])
                if circle:
                    x, y = float(circle[1]) + float(circle[3]), float(circle[2])
                else:
                    points = re.findall(r"(-?[\d.]+) (-?[\d.]+)", element.attrib["d"])
                    xs, ys = [float(x) for x, _ in points], [float(y) for _, y in points]
                    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
                if y > top:
                    found.append((x, y, element.attrib["d"]))
        return found

    def place(self, x: float, y: float, turns: int) -> tuple[str, int]:
        """Return the page and the turn (from 1) at a point."""
        page = next(page for page, runs in self.runs.items() if runs[0][2] <= y <= runs[0][2] + 20)
        return page, int((x - self.left) / self.column(turns)) + 1


@cache
def drawing(workload: str, budget: int, policy: str) -> str:
    return residency_map(decisions(workload, budget, policy))


@cache
def drawn_map(workload: str, budget: int, policy: str) -> Drawn:
    return Drawn(drawing(workload, budget, policy))


class RealSessionsTest(unittest.TestCase):
    def test_is_well_formed_is_self_contained_and_has_the_same_bytes_each_time(self) -> None:
        for session in SESSIONS:
            svg = drawing(*session)
            self.assertEqual(problems(svg), [], session)
            self.assertEqual(svg, residency_map(iter(decisions(*session))))

    def test_the_rectangles_of_a_page_fill_all_turns_and_are_as_high_as_its_level(self) -> None:
        for session in SESSIONS:
            events = decisions(*session)
            record = read_session(events, 1, 10**6)
            drawn = drawn_map(*session)
            self.assertEqual(drawn.runs.keys(), record.rows.keys())
            column = drawn.column(record.turns)
            for page, runs in drawn.runs.items():
                self.assertEqual(len(runs), len(record.rows[page].runs))
                for (x, width, _, group), run in zip(runs, record.rows[page].runs):
                    self.assertAlmostEqual(x, drawn.left + (run.first - 1) * column)
                    self.assertAlmostEqual(width, (run.last - run.first + 1) * column)
                    rects = group.findall(SVG + "rect")
                    height = float(rects[1].attrib["height"]) if len(rects) > 1 else 0.0
                    self.assertEqual(height, 16 * LEVEL_HEIGHTS.get(run.level, 0.0), (session, page, run.first))
                    if height:
                        number = Level[run.level.upper()].value
                        self.assertEqual(rects[1].attrib["class"], f"cvp-fill-level-{number}")

    def test_every_fault_is_marked_exactly_where_the_trace_has_it(self) -> None:
        for session in SESSIONS:
            events = decisions(*session)
            drawn = drawn_map(*session)
            turns = max(e["turn"] for e in events)
            expected = sorted(
                (e["page"], e["turn"]) for e in events if e["event"] == "fault" and e["controllable"] and "page" in e
            )
            marked = sorted(drawn.place(x, y, turns) for x, y, _ in drawn.marks("cvp-fault"))
            self.assertEqual(marked, expected, session)

    def test_every_page_in_is_marked_exactly_where_the_trace_has_it(self) -> None:
        for session in SESSIONS:
            events = decisions(*session)
            drawn = drawn_map(*session)
            turns = max(e["turn"] for e in events)
            record = read_session(events, 1, 10**6)
            marked = sorted(drawn.place(x, y, turns) for x, y, _ in drawn.marks("cvp-pagein"))
            self.assertEqual(marked, sorted((mark.page, mark.turn) for mark in record.page_ins), session)

    def test_every_boundary_has_its_line_at_its_turn_and_its_name(self) -> None:
        for session in SESSIONS:
            events = decisions(*session)
            shown, hovers = texts(drawing(*session)), titles(drawing(*session))
            drawn = drawn_map(*session)
            turns = max(e["turn"] for e in events)
            for kind in ("compaction", "reset"):
                expected = [e["turn"] for e in events if e["event"] == "boundary" and e["boundary"] == kind]
                lines = [x for x, _, _ in drawn.marks(f"cvp-{kind}")]
                self.assertEqual([round((x - drawn.left) / drawn.column(turns)) + 1 for x in lines], expected)
                self.assertEqual(shown.count(kind), len(expected) + bool(expected), "labels and one in the legend")
                for turn in expected:
                    self.assertTrue(any(t.startswith(f"{kind} before the prompt of turn {turn}") for t in hovers))

    def test_every_turn_number_and_boundary_name_has_room(self) -> None:
        for session in SESSIONS:
            tree = drawn_map(*session).tree
            spans: dict[str, list[tuple[float, float]]] = {}
            for text in tree.iter(SVG + "text"):
                if "cvp-clear" in text.attrib.get("class", ""):
                    x, width = float(text.attrib["x"]), text_width(text.text or "", 12)
                    begin = x - width / 2 if text.attrib.get("text-anchor") == "middle" else x
                    spans.setdefault(text.attrib["y"], []).append((begin, begin + width))
            for row in spans.values():
                row.sort()
                for (_, end), (begin, _) in zip(row, row[1:]):
                    self.assertLessEqual(end, begin)

    def test_the_hover_text_of_a_cell_names_its_reason(self) -> None:
        events = decisions("evidence_heavy", 180, "clawvm")
        hovers = titles(drawing("evidence_heavy", 180, "clawvm"))
        reasons = {"floor": "floor: auto-pin holds", "demand": "demand: this turn needs it", "injected": "injected at"}
        tried = 0
        for assembled in (e for e in events if e["event"] == "assemble" and e["turn"] % 4 == 0):
            for page, level, reason, fitted in assembled["required"]:
                self.assertTrue(fitted)
                (text,) = (text for text in hovers if covers(text, page, assembled["turn"]))
                self.assertIn(reasons[reason], text)
                self.assertIn(f"at {level}", text)
                tried += 1
            for page, level, delta, _, outcome in assembled["steps"]:
                if outcome == "did_not_fit":
                    (text,) = (text for text in hovers if covers(text, page, assembled["turn"]))
                    self.assertIn(f"no upgrade to {level}: it needs {delta} tokens", text)
                    tried += 1
        self.assertGreater(tried, 30)

    def test_pages_are_in_the_order_of_the_prompt_with_types_as_headings(self) -> None:
        for session in SESSIONS:
            events = decisions(*session)
            ranks = ["bootstrap_policy", "constraint", "plan", "preference", "evidence", "conversation_segment"]
            declared = {e["page"]: e["type"] for e in events if e["event"] == "page"}
            expected = []
            for page_type in ranks:
                pages = [page for page in declared if declared[page] == page_type]
                expected += [page_type.replace("_", " "), *pages] if pages else []
            names = [
                element.text
                for element in drawn_map(*session).tree.iter(SVG + "text")
                if element.attrib.get("class") in ("cvp-small cvp-strong", "cvp-small")
            ]
            self.assertEqual(names, expected)


def covers(text: str, page: str, turn: int) -> bool:
    """Return whether a hover text is that of a page's cell in a turn."""
    match = re.match(r"(.*), turns? (\d+)(?: to (\d+))?(?::|\n)", text)
    return match is not None and match[1] == page and int(match[2]) <= turn <= int(match[3] or match[2])


class SmallSessionsTest(unittest.TestCase):
    def test_a_fault_that_pressure_caused_is_hollow_and_pressure_has_a_lane(self) -> None:
        fault: Event = {"fault": "refetch", "family": "residency", "controllable": False, "page": "p"}
        svg = residency_map(
            small(
                assemble(2, {}),
                event("pressure", 2, needed=120, budget=100, missing=20),
                event("fault", 2, **fault, cause="left_out_of_prompt"),
            )
        )
        self.assertEqual(len(Drawn(svg).marks("cvp-fault cvp-hollow")), 1)
        self.assertIn("turn 2: invariant pressure, 20 tokens missing", titles(svg))
        self.assertIn("0 faults, 1 fault that pressure caused", " ".join(texts(svg)))
        self.assertIn("refetch (pressure)", texts(svg))

    def test_faults_of_one_page_in_one_turn_do_not_hide_each_other(self) -> None:
        faults = [
            event("fault", 2, fault=kind, family="residency", controllable=True, page="p")
            for kind in ("refetch", "flush_miss", "duplicate_tool")
        ]
        marks = Drawn(residency_map(small(assemble(2, {}), *faults))).marks("cvp-fault")
        heights = sorted(y for _, y, _ in marks)
        self.assertEqual(len(marks), 3)
        self.assertGreater(min(b - a for a, b in zip(heights, heights[1:])), 4.0)

    def test_every_kind_of_fault_has_a_shape_of_its_own(self) -> None:
        self.assertEqual(len({fault_look(kind.value, True)[0] for kind in FaultKind}), len(FaultKind))

    def test_a_silent_recall_has_a_lane_of_its_own(self) -> None:
        fault = event(
            "fault", 2, fault="silent_recall", family="durability", controllable=True, query="q", outcome="denied"
        )
        svg = residency_map(small(assemble(2, {}), fault))
        self.assertIn("recalls", texts(svg))
        self.assertTrue(any(text.startswith("turn 2: FAULT silent recall") for text in titles(svg)))

    def test_flushes_and_what_was_destroyed_are_drawn(self) -> None:
        more = [
            event("flush", 2, performed=True),
            event("boundary", 2, boundary="reset", writeback=False, dirty=[]),
            event("session_start", 2, session="s2", policy="clawvm", budget=100, gone=["p"]),
            assemble(2, {}),
        ]
        svg = residency_map(small(*more))
        self.assertIn("turn 2: best-effort flush performed", titles(svg))
        self.assertIn("destroyed by a reset", texts(svg))
        self.assertIn("reset before the prompt of turn 2, s2 begins", titles(svg))

    def test_hostile_names_are_text(self) -> None:
        events = small(assemble(2, {}))
        events[2]["page"] = HOSTILE
        events[0]["workload"] = HOSTILE
        svg = residency_map(events, HOSTILE)
        self.assertEqual(problems(svg), [])
        self.assertTrue(any('a<b>&"quote"' in text for text in titles(svg)))

    def test_a_long_id_is_shortened_and_is_in_full_on_hover(self) -> None:
        events = small()
        events[2]["page"] = "src/" + "very_long/" * 30 + "file-7.py"
        svg = residency_map(events)
        self.assertIn(f"{events[2]['page']}, evidence", titles(svg))
        names = [text for text in parsed(svg).iter(SVG + "text") if (text.text or "").endswith("7.py")]
        self.assertLess(text_width(names[0].text or "", 12), 200)


class LargeSessionsTest(unittest.TestCase):
    @staticmethod
    def large(turns: int, pages: int) -> list[Event]:
        events = small()[:2]
        for page in range(pages):
            events.append(event("page", 1, page=f"page-{page:04}", type="evidence", version=1, cause="declared"))
        levels = {f"page-{page:04}": "pointer" for page in range(0, pages, 2)}
        for turn in range(1, turns + 1):
            if turn % 100 == 0:
                events.append(event("boundary", turn, boundary="compaction", writeback=True, dirty=[]))
            events.append(assemble(turn, levels))
            if turn in (7, turns):
                fault = {"fault": "refetch", "family": "residency", "controllable": True, "cause": "retrieved_again"}
                events.append(event("fault", turn, page=f"page-{pages - 1:04}", **fault))
        return events

    def test_turns_beyond_the_most_are_left_out_and_that_is_noted(self) -> None:
        svg = residency_map(self.large(1100, 3))
        self.assertIn(f"Not drawn: turns {TURNS_MOST + 1} to 1,100, with 1 fault, 0 page-ins.", texts(svg))
        self.assertIn(f"Turns 1 to {TURNS_MOST} of 1,100, 3 pages, 1 fault, 0 page-ins", " ".join(texts(svg)))
        self.assertLess(len(svg), 100_000)

    def test_a_window_draws_its_turns_and_names_what_lies_on_both_sides(self) -> None:
        svg = residency_map(self.large(1100, 3), turns=(1000, 1010))
        self.assertIn("Not drawn: turns 1 to 999 and 1,011 to 1,100, with 2 faults, 0 page-ins.", texts(svg))
        self.assertIn("1,000", texts(svg))
        self.assertEqual(Drawn(svg).column(11) * 11, sum(run[1] for run in Drawn(svg).runs["page-0000"]))

    def test_of_many_pages_those_with_faults_stay_and_the_others_are_counted(self) -> None:
        events = self.large(10, 60)
        demand = {"level": "full", "resident": "full", "verdict": "hit", "signature": None, "page_in_tokens": 0}
        for page in range(5):
            events.insert(62, event("demand", 1, page=f"page-{page:04}", **demand))
        svg = residency_map(events, pages_most=5)
        self.assertIn("Not drawn: 55 of 60 pages, with 0 faults, 0 page-ins.", texts(svg))
        self.assertIn("page-0059", texts(svg))
        self.assertEqual(len(Drawn(svg).runs), 5)

    def test_windows_and_numbers_that_show_nothing_are_refused(self) -> None:
        refused: tuple[dict[str, Any], ...] = (
            {"turns": (0, 5)},
            {"turns": (5, 4)},
            {"turns": (1, WINDOW_MOST + 1)},
            {"turns": (11, 20)},
            {"pages_most": 0},
        )
        for options in refused:
            with self.assertRaises(InputError):
                residency_map(self.large(10, 2), **options)

    def test_everything_drawn_stays_inside_the_picture(self) -> None:
        for turns in (1, 3, 60, 300):
            tree = parsed(residency_map(self.large(turns, 2)))
            width = float(tree.attrib["width"])
            for text in tree.iter(SVG + "text"):
                x, extent = float(text.attrib["x"]), text_width(text.text or "", 12)
                anchor = text.attrib.get("text-anchor")
                begin = x - extent if anchor == "end" else x - extent / 2 if anchor else x
                self.assertTrue(begin >= 0 and begin + extent <= width, (turns, text.text))

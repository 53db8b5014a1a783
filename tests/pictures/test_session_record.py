"""The record behind a map says what the decision trace says: levels, reasons, faults, page-ins, boundaries."""

from __future__ import annotations

import unittest

from clawvm_pictures.session_record import ABSENT, DESTROYED, PageRow, SessionRecord, read_session
from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event
from tests.pictures.support import decisions

CASES = (
    ("evidence_heavy", 120, "clawvm"),
    ("long_horizon", 120, "compaction_hybrid"),
    ("multi_session", 120, "retrieval_cache"),
    ("daily_assistant", 120, "oracle_h3"),
)


def record_of(events: tuple[Event, ...] | list[Event], first: int = 1, last: int = 10**6) -> SessionRecord:
    return read_session(events, first, last)


def assemblies(events: tuple[Event, ...]) -> list[Event]:
    return [event for event in events if event["event"] == "assemble"]


def cells(row: PageRow) -> dict[int, tuple[str, list[str]]]:
    return {turn: (run.level, run.texts) for run in row.runs for turn in range(run.first, run.last + 1)}


class RealSessionsTest(unittest.TestCase):
    def test_runs_follow_each_other_without_gap_and_their_lengths_add_up_to_the_turns(self) -> None:
        for case in CASES:
            record = record_of(decisions(*case))
            for row in record.rows.values():
                with self.subTest(case=case, page=row.page):
                    self.assertEqual(row.runs[0].first, 1)
                    self.assertEqual(row.runs[-1].last, record.turns)
                    for before, after in zip(row.runs, row.runs[1:]):
                        self.assertEqual(before.last + 1, after.first)
                        self.assertNotEqual((before.level, before.sentences), (after.level, after.sentences))
                    self.assertEqual(sum(run.last - run.first + 1 for run in row.runs), record.turns)

    def test_every_cell_has_the_level_of_its_prompt(self) -> None:
        for case in CASES:
            events = decisions(*case)
            record = record_of(events)
            table = {page: cells(row) for page, row in record.rows.items()}
            for event in assemblies(events):
                for page, row in table.items():
                    level = row[event["turn"]][0]
                    self.assertEqual(
                        "none" if level in (ABSENT, DESTROYED) else level,
                        event["levels"].get(page, "none"),
                        (case, page),
                    )

    def test_faults_page_ins_boundaries_pressure_and_flushes_are_those_of_the_trace(self) -> None:
        for case in CASES:
            events = decisions(*case)
            record = record_of(events)
            with self.subTest(case=case):
                self.assertEqual(
                    [(fault.turn, fault.page, fault.kind, fault.controllable) for fault in record.faults],
                    [
                        (e["turn"], e.get("page", ""), e["fault"], e["controllable"])
                        for e in events
                        if e["event"] == "fault"
                    ],
                )
                self.assertEqual(
                    [(mark.turn, mark.boundary) for mark in record.boundaries],
                    [(e["turn"], e["boundary"]) for e in events if e["event"] == "boundary"],
                )
                self.assertEqual(record.pressure, {e["turn"]: e["missing"] for e in events if e["event"] == "pressure"})
                self.assertEqual(record.flushes, {e["turn"]: e["performed"] for e in events if e["event"] == "flush"})


def event(kind: str, turn: int, **fields: object) -> Event:
    return {"event": kind, "turn": turn, **fields}


def assemble(turn: int, levels: dict[str, str], **fields: object) -> Event:
    empty: Event = {"budget": 100, "tokens": 60, "required": [], "prefetched": [], "prefetch_refused": [], "steps": []}
    return event("assemble", turn, **{**empty, "levels": levels, **fields})


def small(*more: Event) -> list[Event]:
    """Return a trace of one page in turn 1 and whatever follows."""
    return [
        event("header", 0, policy="clawvm", budget=100, workload="w"),
        event("session_start", 1, session="s1", policy="clawvm", budget=100),
        event("page", 1, page="p", type="evidence", version=1, cause="declared"),
        assemble(1, {"p": "full"}),
        *more,
    ]


class SmallSessionsTest(unittest.TestCase):
    def last(self, *more: Event, page: str = "p") -> tuple[str, list[str]]:
        run = record_of(small(*more)).rows[page].runs[-1]
        return run.level, run.texts

    def test_tokens_left_are_those_at_the_moment_of_the_step(self) -> None:
        steps = [
            ["p", "structured", 10, 2.0, "applied"],
            ["q", "full", 51, 1.0, "did_not_fit"],
            ["p", "compressed", 5, 0.5, "applied"],
            ["p", "full", 36, 0.25, "did_not_fit"],
        ]
        # 100 tokens, 65 used at the end, 15 of them by steps: 50 were used before, so 50, 40, 40 and 35 were left.
        _, texts = self.last(assemble(2, {"p": "compressed"}, tokens=65, steps=steps))
        self.assertEqual(
            texts,
            [
                "upgrade to structured: 10 tokens of 50 left, score per token 2",
                "upgrade to compressed: 5 tokens of 40 left, score per token 0.5",
                "no upgrade to full: it needs 36 tokens with 35 left, score per token 0.25",
            ],
        )

    def test_cells_that_differ_only_in_numbers_are_one_run_with_their_ranges(self) -> None:
        more = [
            assemble(turn, {"p": "pointer"}, tokens=tokens, steps=[["p", "full", 40, key, "did_not_fit"]])
            for turn, tokens, key in ((2, 70, 0.5), (3, 95, 0.4), (4, 61, 0.6))
        ]
        record = record_of(small(*more))
        run = record.rows["p"].runs[-1]
        self.assertEqual((run.first, run.last), (2, 4))
        self.assertEqual(
            run.texts, ["no upgrade to full: it needs 40 tokens with 5 to 39 left, score per token 0.4 to 0.6"]
        )

    def test_a_step_above_one_that_did_not_fit_is_left_out(self) -> None:
        steps = [["p", "structured", 90, 2.0, "did_not_fit"], ["p", "full", 9, 1.0, "not_next"]]
        _, texts = self.last(assemble(2, {"p": "pointer"}, steps=steps))
        self.assertEqual(len(texts), 1)
        _, texts = self.last(assemble(2, {"p": "pointer"}, steps=steps[1:]))
        self.assertIn("was not at the level below", texts[0])

    def test_a_boundary_drops_what_was_resident_and_is_named_there(self) -> None:
        level, texts = self.last(event("boundary", 2, boundary="compaction", writeback=True, dirty=[]), assemble(2, {}))
        self.assertEqual((level, texts), ("none", ["the compaction before this prompt dropped it from the context"]))

    def test_a_page_is_destroyed_from_a_reset_until_something_brings_it_back(self) -> None:
        reset = [
            event("boundary", 2, boundary="reset", writeback=False, dirty=[]),
            event("session_start", 2, session="s2", policy="clawvm", budget=100, gone=["p"]),
            assemble(2, {}),
            assemble(3, {}),
        ]
        demand = event(
            "demand", 4, page="p", level="full", resident="none", verdict="fault", signature=None, page_in_tokens=0
        )
        fault = event(
            "fault", 4, fault="refetch", family="residency", controllable=True, page="p", cause="retrieved_again"
        )
        record = record_of(small(*reset, demand, assemble(4, {"p": "full"}), fault, assemble(5, {})))
        found = cells(record.rows["p"])
        self.assertEqual([found[turn][0] for turn in range(1, 6)], ["full", DESTROYED, DESTROYED, "full", "none"])
        self.assertEqual(found[2][1][-1], "the reset destroyed it: it was never committed")
        self.assertIn("destroyed by a reset", found[3][1][0])
        self.assertEqual(
            found[4][1],
            ["demanded at full, found at none: fault", "FAULT refetch, retrieved again, counted against the policy"],
        )
        self.assertEqual([(mark.turn, mark.session) for mark in record.boundaries], [(2, "s2")])

    def test_a_page_in_that_the_prompt_does_not_meet_is_none(self) -> None:
        demand = event(
            "demand",
            2,
            page="p",
            level="full",
            resident="pointer",
            verdict="page_in",
            signature=None,
            page_in_tokens=30,
        )
        self.assertEqual(len(record_of(small(demand, assemble(2, {"p": "full"}))).page_ins), 1)
        self.assertEqual(record_of(small(demand, assemble(2, {"p": "pointer"}))).page_ins, [])

    def test_a_window_keeps_its_turns_and_counts_the_others(self) -> None:
        events = decisions("multi_session", 120, "retrieval_cache")
        whole, part = record_of(events), record_of(events, 11, 20)
        self.assertEqual((part.first, part.last, part.turns), (11, 20, whole.turns))
        self.assertEqual(part.faults, [fault for fault in whole.faults if 11 <= fault.turn <= 20])
        self.assertEqual(len(part.page_ins) + part.outside.page_ins, len(whole.page_ins))
        self.assertEqual(len(part.faults) + part.outside.faults + part.outside.pressure_faults, len(whole.faults))
        for page, row in part.rows.items():
            expected = {turn: cell for turn, cell in cells(whole.rows[page]).items() if 11 <= turn <= 20}
            self.assertEqual({t: level for t, (level, _) in cells(row).items()}, {t: c[0] for t, c in expected.items()})

    def test_a_window_without_a_turn_a_trace_without_one_and_a_missing_turn_are_refused(self) -> None:
        for events, words in (
            (small(), "has turns 1 to 1"),
            ([event("header", 0, policy="p", budget=1)], "no prompt"),
            ([], "no prompt"),
        ):
            with self.assertRaisesRegex(InputError, words):
                record_of(events, 5, 9)
        with self.assertRaisesRegex(InputError, "turn 3 follows turn 1"):
            record_of(small(assemble(3, {})))

    def test_a_trace_without_a_header_has_policy_and_budget_too(self) -> None:
        record = record_of(small()[1:])
        self.assertEqual((record.policy, record.budget, record.workload), ("clawvm", 100, ""))

    def test_a_turn_that_ended_without_a_prompt_has_none(self) -> None:
        fault = event(
            "fault",
            2,
            fault="flush_miss",
            family="durability",
            controllable=True,
            page="p",
            boundary="reset",
            updates=[1],
        )
        level, texts = self.last(fault)
        self.assertEqual(level, "none")
        self.assertIn("staged updates destroyed by the reset", texts[0])
        self.assertEqual(self.last(event("flush", 2, performed=True)), ("none", ["no prompt was assembled"]))

    def test_braces_in_a_trace_are_text(self) -> None:
        more = assemble(2, {"p": "full"}, steps=[["p", "{0.__class__}{}{", 10, 2.0, "applied"]])
        self.assertIn("{0.__class__}", self.last(more)[1][0])

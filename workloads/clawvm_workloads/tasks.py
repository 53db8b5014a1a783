"""Thirty small single-session tasks in three categories, each of which should end without a lifecycle fault.

A task is a record with a story and a schedule; its class says what happens in one turn. The numbers of tasks and
categories are the paper's (task replays), the tasks are ours (``docs/experiments.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from clawvm_replay.trace_builder import LevelCosts, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome
from clawvm_workloads.families import EVIDENCE, open_story, user

__all__ = ["CATEGORIES", "STRETCH_REFERENCE", "TASKS", "category_of", "task_trace"]

LIMIT_IN_BUDGETS = 3.6
SOFT_SHARE = 0.8
SUMMARY_SHARE = 0.15

STRETCH_REFERENCE = 180
"""Budget (tokens) at which a stretched session is as long as the plain one."""

RULE = LevelCosts(2, 6, 9, 14)
PREFERENCE = LevelCosts(2, 5, 9, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: a name, a story in one line, and the growth of the transcript each turn (tokens).

    With ``rule`` the user sets a rule at the beginning that has to hold to the end.
    """

    guides: ClassVar[tuple[LevelCosts, ...]]

    name: str
    story: str
    transcript_per_turn: int
    turns: int
    rule: bool = False

    def trace(self, budget: int, stretched: bool) -> Trace:
        """Return the trace for a budget in tokens.

        The transcript of a *stretched* session grows with the budget as the compaction limit does: it meets its
        compactions in the same turns at every budget, to within rounding.
        """
        accounting = accounting_for(
            budget, limit_in_budgets=LIMIT_IN_BUDGETS, soft_share=SOFT_SHARE, summary_share=SUMMARY_SHARE
        )
        growth = self.transcript_per_turn * budget // STRETCH_REFERENCE if stretched else self.transcript_per_turn
        story = open_story(f"task_{self.name}", budget, self.story, accounting, *self.guides)
        if self.rule:
            story.page("rule", PageType.CONSTRAINT, RULE, provenance=user(1), base_utility=7.0)
        self.open(story)
        reads: list[Call] = []
        for turn in range(1, self.turns + 1):
            story.turn(growth, **self.turn(story, turn, reads))
        return story.trace()

    def open(self, story: TraceBuilder) -> None:
        """Declare the pages that the session begins with."""
        raise NotImplementedError

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        """Return what happens in a turn; *reads* are the calls that later turns may repeat."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggingTask(Task):
    """Something fails: the agent reads its way through a repository, tests, edits and tests again.

    A new one of ``files`` is read every ``new_file_every`` turns until all are known; in the other turns one is read
    again, three further each turn. The test suite runs in the turns of ``tests_at``, a file is edited in those of
    ``edits_at``, the plan takes a finding in those of ``findings_at``.
    """

    guides = (LevelCosts(3, 20, 30, 48), LevelCosts(3, 14, 22, 34))
    file: ClassVar[LevelCosts] = LevelCosts(2, 8, 16, 30)
    reread_stride: ClassVar[int] = 3

    files: str
    new_file_every: int = 2
    edits_at: tuple[int, ...]
    tests_at: tuple[int, ...]
    findings_at: tuple[int, ...]

    def open(self, story: TraceBuilder) -> None:
        story.page("plan", PageType.PLAN, LevelCosts(3, 9, 14, 22), provenance=user(1), base_utility=8.0)

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        paths = self.files.split()
        if turn % self.new_file_every == 1 and len(reads) < len(paths):
            number = len(reads) + 1
            reads.append(story.tool("read", {"path": paths[number - 1]}, f"file-{number}", self.file, **EVIDENCE))
            calls = [reads[-1]]
        else:
            calls = [reads[turn * self.reread_stride % len(reads)]]
        if turn in self.edits_at:
            edited = self.edits_at.index(turn) % len(reads)
            story.replace(f"file-{edited + 1}", PageType.EVIDENCE, self.file, **EVIDENCE)
        if turn in self.tests_at:
            # Every test run gives something new: running it again is no duplicate.
            command = {"command": f"run-tests {self.name}"}
            log = LevelCosts(2, 6, 12, 26)
            calls.append(story.tool("shell", command, "test-log", log, deterministic=False, **EVIDENCE))
        if turn not in self.findings_at:
            return {"calls": calls}
        finding = Update("plan", "findings", "append", [f"finding of turn {turn}"], "session", "file-1")
        return {"calls": calls, "demands": [("plan", Level.STRUCTURED)], "updates": [finding]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResearchTask(Task):
    """A question: searches, sources that are read and compared, notes, an answer that cites them.

    A search runs in the turns of ``searches_at``; otherwise one of ``sources`` is read, and once all are known, read
    ones again. Two sources are needed at once in the turns of ``compares_at``, the outline takes a note in those of
    ``notes_at``, memory is asked in those of ``lookups_at``. The last turn needs the outline and the user's style.
    """

    guides = (LevelCosts(3, 10, 16, 28),)

    sources: str
    searches_at: tuple[int, ...]
    compares_at: tuple[int, ...]
    notes_at: tuple[int, ...]
    lookups_at: tuple[tuple[int, RecallOutcome], ...] = ()

    def open(self, story: TraceBuilder) -> None:
        question = Provenance("transcript_span", "turn-1")
        style = Provenance("file", "USER.md")
        story.page("outline", PageType.PLAN, LevelCosts(3, 8, 12, 20), provenance=user(1), base_utility=8.0)
        story.page("question", PageType.CONVERSATION_SEGMENT, LevelCosts(2, 5, 8, 13), provenance=question)
        story.page("style", PageType.PREFERENCE, PREFERENCE, provenance=style, base_utility=6.0)

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        call = self._call(story, turn, reads)
        demands = []
        updates = []
        if turn in self.compares_at:
            demands += [(f"source-{(turn + offset) % len(reads) + 1}", Level.COMPRESSED) for offset in (0, 1)]
        if turn == self.turns // 2:
            demands.append(("question", Level.FULL))
        if turn == self.turns:
            demands += [("outline", Level.FULL), ("style", Level.STRUCTURED)]
        if turn in self.notes_at:
            note = {f"turn-{turn}": f"from source {len(reads)}"}
            updates.append(Update("outline", "notes", "merge", note, "session", f"source-{len(reads)}"))
        lookups = [(f"known about {self.name}", outcome) for at, outcome in self.lookups_at if at == turn]
        return {"calls": [call], "demands": demands, "lookups": lookups, "updates": updates}

    def _call(self, story: TraceBuilder, turn: int, reads: list[Call]) -> Call:
        if turn in self.searches_at:
            number = self.searches_at.index(turn) + 1
            query = {"query": f"{self.name} {number}"}
            utility: dict[str, Any] = {"base_utility": 3.0, "recompute_cost": 6.0}
            return story.tool("web.search", query, f"results-{number}", LevelCosts(2, 5, 9, 16), **utility)
        sources = self.sources.split()
        if len(reads) == len(sources):
            return reads[turn * 2 % len(reads)]
        number = len(reads) + 1
        url = {"url": f"https://example.org/{sources[number - 1]}"}
        reads.append(story.tool("web.fetch", url, f"source-{number}", LevelCosts(2, 7, 13, 24), **EVIDENCE))
        return reads[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineTask(Task):
    """Known steps in a known order, with small results, the user's preferences, and a record of each step.

    Each of ``steps`` takes two turns: the call, then the work on its result. ``overview`` is a tool that shows another
    list each time; it is called before the first step and after the last. Every ``look_back_every`` turns an earlier
    result is needed again, every ``record_every`` turns the checklist is ticked. ``denied`` is a step that the tool
    refuses. Memory is asked in the second turn, if ``lookup`` has an answer.
    """

    guides = (LevelCosts(3, 12, 18, 30),)
    result: ClassVar[LevelCosts] = LevelCosts(2, 6, 10, 18)

    steps: str
    overview: str
    preferences: str = ""
    look_back_every: int = 5
    record_every: int = 4
    denied: str = ""
    lookup: RecallOutcome | None = None

    def open(self, story: TraceBuilder) -> None:
        story.page("checklist", PageType.PLAN, LevelCosts(3, 8, 12, 20), provenance=user(1), base_utility=8.0)
        for name in self.preferences.split():
            source = Provenance("file", "USER.md")
            story.page(f"preference-{name}", PageType.PREFERENCE, PREFERENCE, provenance=source, base_utility=6.0)

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        preferences = self.preferences.split()
        calls = []
        demands = []
        updates = []
        if turn in (1, self.turns):
            calls.append(story.tool(self.overview, {}, "overview", self.result, deterministic=False, base_utility=3.0))
        elif turn % 2 == 0:
            calls.append(self._step(story, turn // 2, reads))
        elif turn % self.look_back_every == 0 and reads:
            calls.append(reads[turn % len(reads)])
        elif preferences:
            demands.append((f"preference-{preferences[turn // 2 % len(preferences)]}", Level.STRUCTURED))
        if turn % self.record_every == 0:
            updates.append(Update("checklist", "ticked", "merge", {f"turn-{turn}": "done"}, "session", "checklist"))
        lookups = [(f"last time of {self.name}", self.lookup)] if turn == 2 and self.lookup is not None else []
        return {"calls": calls, "demands": demands, "lookups": lookups, "updates": updates}

    def _step(self, story: TraceBuilder, number: int, reads: list[Call]) -> Call:
        name = self.steps.split()[number - 1]
        if name == self.denied:
            return story.tool("step", {"name": name}, outcome=ToolOutcome.DENIED)
        utility: dict[str, Any] = {"base_utility": 4.0, "recompute_cost": 6.0}
        reads.append(story.tool("step", {"name": name}, f"result-{number}", self.result, **utility))
        return reads[-1]


DEBUGGING: tuple[Task, ...] = (
    DebuggingTask(
        name="flaky_login_test",
        story="A login test fails in one run of five; the clock of the session store is the cause.",
        transcript_per_turn=34,
        turns=24,
        files="tests/test_login.py auth/session.py auth/tokens.py auth/clock.py auth/store.py "
        "tests/conftest.py config/auth.toml auth/errors.py",
        edits_at=(14, 22),
        tests_at=(2, 9, 15, 23),
        findings_at=(7, 14),
    ),
    DebuggingTask(
        name="crash_in_checkout",
        story="The checkout crashes for carts without an address; three layers pass the missing value on.",
        transcript_per_turn=31,
        turns=27,
        files="shop/checkout.py shop/cart.py shop/address.py shop/tax.py shop/forms.py "
        "tests/test_checkout.py shop/models.py shop/api.py shop/events.py",
        edits_at=(16, 24),
        tests_at=(3, 12, 17, 25),
        findings_at=(6, 13),
        rule=True,
    ),
    DebuggingTask(
        name="memory_leak_in_worker",
        story="A worker grows by a megabyte an hour; a callback keeps every finished job alive.",
        transcript_per_turn=36,
        turns=28,
        files="worker/main.py worker/pool.py worker/job.py worker/callbacks.py worker/metrics.py "
        "worker/queue.py tests/test_pool.py ops/profile.txt worker/retry.py worker/signals.py",
        edits_at=(18, 25),
        tests_at=(5, 19, 26),
        findings_at=(8, 24),
    ),
    DebuggingTask(
        name="deadlock_in_scheduler",
        story="Two threads of a scheduler wait for each other when a task is cancelled while it starts.",
        transcript_per_turn=33,
        turns=30,
        files="sched/core.py sched/locks.py sched/cancel.py sched/timer.py sched/state.py "
        "tests/test_cancel.py sched/threads.py sched/hooks.py",
        edits_at=(15, 27),
        tests_at=(4, 11, 16, 28),
        findings_at=(9, 25),
        rule=True,
    ),
    DebuggingTask(
        name="regression_after_upgrade",
        story="Forty tests fail after a library upgrade; one changed default explains them all.",
        transcript_per_turn=37,
        turns=23,
        files="requirements.txt CHANGELOG.md api/client.py api/serialize.py tests/test_client.py "
        "tests/test_serialize.py api/defaults.py api/compat.py api/errors.py",
        edits_at=(12, 21),
        tests_at=(1, 6, 13, 22),
        findings_at=(5, 12),
    ),
    DebuggingTask(
        name="wrong_totals_in_report",
        story="A monthly report adds up wrongly in one time zone; a date is cut before it is converted.",
        transcript_per_turn=29,
        turns=32,
        files="report/monthly.py report/dates.py report/rows.py report/zones.py tests/test_monthly.py "
        "data/sample.csv report/query.py report/format.py report/export.py report/cache.py",
        edits_at=(17, 30),
        tests_at=(4, 18, 31),
        findings_at=(10, 16),
    ),
    DebuggingTask(
        name="slow_search_query",
        story="A search takes nine seconds; the planner ignores an index because of a cast.",
        transcript_per_turn=35,
        turns=25,
        files="search/query.py search/plan.txt search/index.sql search/models.py search/filters.py "
        "tests/test_search.py search/casts.py ops/slow.log",
        edits_at=(13, 23),
        tests_at=(6, 14, 24),
        findings_at=(8, 13),
    ),
    DebuggingTask(
        name="broken_pagination",
        story="The last page of a list is empty; an off-by-one in a helper.",
        transcript_per_turn=32,
        turns=16,
        files="web/list.py web/pages.py tests/test_pages.py web/templates/list.html web/urls.py",
        new_file_every=3,
        edits_at=(13,),
        tests_at=(4, 14),
        findings_at=(8,),
        rule=True,
    ),
    DebuggingTask(
        name="encoding_error_in_import",
        story="An import stops at the first umlaut; the file is opened without an encoding.",
        transcript_per_turn=30,
        turns=18,
        files="imports/reader.py imports/rows.py data/broken.csv tests/test_reader.py imports/cli.py",
        new_file_every=3,
        edits_at=(14,),
        tests_at=(5, 15),
        findings_at=(9,),
    ),
    DebuggingTask(
        name="missing_import_after_rename",
        story="A module was renamed and one plug-in still imports the old name.",
        transcript_per_turn=34,
        turns=12,
        files="plugins/loader.py plugins/export.py core/names.py tests/test_plugins.py",
        edits_at=(9,),
        tests_at=(2, 10),
        findings_at=(6,),
    ),
)

RESEARCH: tuple[Task, ...] = (
    ResearchTask(
        name="compare_battery_chemistries",
        story="Which of four battery chemistries suits a home store, with prices and life times.",
        transcript_per_turn=33,
        turns=22,
        sources="lithium-iron sodium-ion lead-acid flow-cells",
        searches_at=(1, 6),
        compares_at=(10, 16),
        notes_at=(5, 12),
    ),
    ResearchTask(
        name="history_of_a_bridge",
        story="When a bridge was built, rebuilt and why; two sources disagree on the year.",
        transcript_per_turn=30,
        turns=14,
        sources="city-archive engineers-journal newspaper-1911",
        searches_at=(1, 5),
        compares_at=(9,),
        notes_at=(7, 11),
        lookups_at=((2, RecallOutcome.NO_MATCH),),
    ),
    ResearchTask(
        name="choose_a_queue",
        story="Which message queue fits a small team, from the manuals and two field reports.",
        transcript_per_turn=35,
        turns=21,
        sources="manual-a manual-b manual-c field-report-1 field-report-2",
        searches_at=(1, 4),
        compares_at=(12, 17),
        notes_at=(6, 11),
        rule=True,
    ),
    ResearchTask(
        name="side_effects_of_a_drug",
        story="What is known about a drug's side effects; every statement needs its source.",
        transcript_per_turn=32,
        turns=23,
        sources="leaflet trial-2016 trial-2021 review agency-note",
        searches_at=(1, 8),
        compares_at=(13, 19),
        notes_at=(5, 10, 14),
        rule=True,
    ),
    ResearchTask(
        name="market_of_heat_pumps",
        story="How many heat pumps were sold in three countries, and what subsidies had to do with it.",
        transcript_per_turn=34,
        turns=18,
        sources="statistics-a statistics-b statistics-c subsidies",
        searches_at=(1, 5, 9),
        compares_at=(12,),
        notes_at=(7, 13),
        lookups_at=((2, RecallOutcome.OK), (10, RecallOutcome.NO_MATCH)),
    ),
    ResearchTask(
        name="trace_a_quotation",
        story="Who said it first; three collections name three people.",
        transcript_per_turn=28,
        turns=12,
        sources="collection-1 collection-2 letters",
        searches_at=(1, 6),
        compares_at=(9,),
        notes_at=(8,),
    ),
    ResearchTask(
        name="licence_of_a_library",
        story="Whether a library may be shipped in a closed product, from its licence and two opinions.",
        transcript_per_turn=31,
        turns=15,
        sources="licence opinion-1 opinion-2",
        searches_at=(1,),
        compares_at=(6, 11),
        notes_at=(5, 12),
        rule=True,
    ),
    ResearchTask(
        name="plan_a_rail_journey",
        story="The quickest way by rail through four countries with a day in between.",
        transcript_per_turn=36,
        turns=20,
        sources="timetable-1 timetable-2 border-rules hotels",
        searches_at=(1, 7),
        compares_at=(11, 15),
        notes_at=(6, 12),
        lookups_at=((3, RecallOutcome.OK),),
    ),
    ResearchTask(
        name="summarise_a_debate",
        story="What two camps say about a law, each in its own words.",
        transcript_per_turn=33,
        turns=17,
        sources="for-1 for-2 against-1 against-2",
        searches_at=(1, 4),
        compares_at=(10, 14),
        notes_at=(8, 13),
    ),
    ResearchTask(
        name="check_a_claim",
        story="Whether a number in a speech is right, from the statistics it must have come from.",
        transcript_per_turn=29,
        turns=11,
        sources="speech statistics",
        searches_at=(1, 4),
        compares_at=(7,),
        notes_at=(6, 9),
        lookups_at=((2, RecallOutcome.NO_MATCH),),
    ),
)

ROUTINE: tuple[Task, ...] = (
    RoutineTask(
        name="morning_mail",
        story="Go through the new mail, answer two, file the rest.",
        transcript_per_turn=26,
        turns=12,
        steps="read-1 answer-1 read-2 answer-2 file-rest",
        overview="mail.list",
        preferences="tone signature",
        lookup=RecallOutcome.OK,
    ),
    RoutineTask(
        name="expense_claim",
        story="Collect the receipts of a journey and fill in the claim.",
        transcript_per_turn=28,
        turns=14,
        steps="receipt-hotel receipt-train receipt-meal fill-form attach submit",
        overview="files.list",
        preferences="currency",
        rule=True,
    ),
    RoutineTask(
        name="release_notes",
        story="Write the notes of a release from the merged changes.",
        transcript_per_turn=30,
        turns=14,
        steps="changes-1 changes-2 changes-3 issues draft publish",
        overview="repository.tags",
        preferences="tone",
    ),
    RoutineTask(
        name="calendar_week",
        story="Arrange a week of meetings around two fixed ones.",
        transcript_per_turn=24,
        turns=12,
        steps="free-anna free-ben free-carla propose book",
        overview="calendar.week",
        preferences="working-hours lunch",
        lookup=RecallOutcome.NO_MATCH,
    ),
    RoutineTask(
        name="backup_check",
        story="Check last night's backups and restore one file as a test.",
        transcript_per_turn=27,
        turns=12,
        steps="status-1 status-2 status-3 restore compare",
        overview="backup.list",
        denied="status-3",
    ),
    RoutineTask(
        name="order_office_supplies",
        story="Order what is missing within the month's allowance.",
        transcript_per_turn=25,
        turns=12,
        steps="stock prices-1 prices-2 allowance order",
        overview="shop.cart",
        preferences="supplier",
        rule=True,
    ),
    RoutineTask(
        name="onboard_a_colleague",
        story="Accounts, rooms and first appointments for somebody new.",
        transcript_per_turn=33,
        turns=22,
        steps="account groups laptop badge desk calendar mentor courses mail report",
        overview="people.list",
        preferences="templates order",
        record_every=7,
    ),
    RoutineTask(
        name="rotate_keys",
        story="Replace the keys of five services and note which were replaced.",
        transcript_per_turn=29,
        turns=14,
        steps="service-1 service-2 service-3 service-4 service-5 audit",
        overview="keys.list",
        denied="service-4",
        rule=True,
    ),
    RoutineTask(
        name="house_evening",
        story="Bring the house into its evening state and say what is still open.",
        transcript_per_turn=22,
        turns=10,
        steps="windows heating lights doors",
        overview="house.state",
        preferences="temperature lights",
        denied="doors",
        lookup=RecallOutcome.OK,
    ),
    RoutineTask(
        name="archive_a_project",
        story="Export, pack and index the files of a finished project.",
        transcript_per_turn=32,
        turns=22,
        steps="export-1 export-2 export-3 pack verify index upload link notify close",
        overview="project.files",
        preferences="folder",
        look_back_every=3,
        record_every=8,
    ),
)

CATEGORIES: Mapping[str, tuple[Task, ...]] = MappingProxyType(
    {"debugging": DEBUGGING, "research": RESEARCH, "routine": ROUTINE}
)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for tasks in CATEGORIES.values() for task in tasks})


def category_of(name: str) -> str:
    """Return the category of a task; raises KeyError for an unknown name."""
    task = TASKS[name]
    return next(category for category, tasks in CATEGORIES.items() if task in tasks)


def task_trace(name: str, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens; the transcript of a *stretched* session grows with the budget.

    Only the accounting and, if stretched, that growth depend on the budget. Raises KeyError for an unknown name.
    """
    return TASKS[name].trace(budget, stretched)

"""Thirty small single-session tasks in three categories, each of which should end without a lifecycle fault.

A task is a row of ``STORIES``: schedule, story, and what it works on; its class determines what happens in one turn.
The numbers of tasks and categories are the paper's (task replays), the tasks are ours (``docs/experiments.md``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from clawvm_replay.trace_builder import LevelCosts, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome
from clawvm_workloads.families import EVIDENCE, open_story, plan_page, preference_page, rule_page

__all__ = ["CATEGORIES", "STRETCH_REFERENCE", "TASKS", "category_of", "task_trace"]

STRETCH_REFERENCE = 180
"""Budget (tokens) at which a stretched session is as long as the plain one."""

PREFERENCE = LevelCosts(2, 5, 9, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: a name, a story in one line, and the growth of the transcript each turn (tokens).

    ``items`` are what it works on: files, sources or steps. With ``rule`` the user sets a rule at the beginning that
    has to hold to the end. Memory is queried in the turns of ``recalls_at``.
    """

    category: ClassVar[str]
    guides: ClassVar[tuple[LevelCosts, ...]]
    query: ClassVar[str] = ""

    name: str
    story: str
    items: tuple[str, ...]
    growth: int
    turns: int
    rule: bool = False
    recalls_at: tuple[tuple[int, RecallOutcome], ...] = ()

    def trace(self, budget: int, stretched: bool) -> Trace:
        """Return the trace for a budget in tokens.

        The transcript of a *stretched* session grows with the budget as the compaction limit does: it meets its
        compactions in the same turns at every budget, to within rounding.
        """
        # Calibrated: docs/experiments.md, "tasks".
        accounting = accounting_for(budget, limit_in_budgets=3.6, soft_share=0.8, summary_share=0.15)
        growth = self.growth * budget // STRETCH_REFERENCE if stretched else self.growth
        story = open_story(f"task_{self.name}", budget, self.story, accounting, *self.guides)
        if self.rule:
            rule_page(story, "rule", LevelCosts(2, 6, 9, 14))
        self.open(story)
        reads: list[Call] = []
        for turn in range(1, self.turns + 1):
            recalls = [(f"{self.query} {self.name}", outcome) for at, outcome in self.recalls_at if at == turn]
            story.turn(growth, recalls=recalls, **self.turn(story, turn, reads))
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

    A new file is read every ``new_file_every`` turns until all are known; in the other turns one is read again, three
    further each turn. The test suite runs in the turns of ``tests_at``, a file is edited in those of ``edits_at``, the
    plan takes a finding in those of ``findings_at``.
    """

    category = "debugging"
    guides = (LevelCosts(3, 20, 30, 48), LevelCosts(3, 14, 22, 34))
    file: ClassVar[LevelCosts] = LevelCosts(2, 8, 16, 30)

    new_file_every: int = 2
    edits_at: tuple[int, ...]
    tests_at: tuple[int, ...]
    findings_at: tuple[int, ...]

    def open(self, story: TraceBuilder) -> None:
        plan_page(story, LevelCosts(3, 9, 14, 22))

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        if turn % self.new_file_every == 1 and len(reads) < len(self.items):
            number = len(reads) + 1
            reads.append(story.tool("read", {"path": self.items[number - 1]}, f"file-{number}", self.file, **EVIDENCE))
            calls = [reads[-1]]
        else:
            calls = [reads[3 * turn % len(reads)]]
        if turn in self.edits_at:
            edited = self.edits_at.index(turn) % len(reads)
            story.replace(f"file-{edited + 1}", PageType.EVIDENCE, self.file, **EVIDENCE)
        if turn in self.tests_at:
            # Every run of the tests has a new result, so it is no duplicate.
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

    A search runs in the turns of ``searches_at``; otherwise a new source is read, and once all are known, read ones
    again. Two sources are needed at once in the turns of ``compares_at``, the outline takes a note in those of
    ``notes_at``. The last turn needs the outline and the user's style.
    """

    category = "research"
    guides = (LevelCosts(3, 10, 16, 28),)
    query = "known about"

    searches_at: tuple[int, ...]
    compares_at: tuple[int, ...]
    notes_at: tuple[int, ...]

    def open(self, story: TraceBuilder) -> None:
        question = Provenance("transcript_span", "turn-1")
        plan_page(story, LevelCosts(3, 8, 12, 20), "outline")
        story.page("question", PageType.CONVERSATION_SEGMENT, LevelCosts(2, 5, 8, 13), provenance=question)
        preference_page(story, "style", PREFERENCE)

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
        return {"calls": [call], "demands": demands, "updates": updates}

    def _call(self, story: TraceBuilder, turn: int, reads: list[Call]) -> Call:
        if turn in self.searches_at:
            number = self.searches_at.index(turn) + 1
            query = {"query": f"{self.name} {number}"}
            utility: dict[str, Any] = {"base_utility": 3.0, "recompute_cost": 6.0}
            return story.tool("web.search", query, f"results-{number}", LevelCosts(2, 5, 9, 16), **utility)
        if len(reads) == len(self.items):
            return reads[turn * 2 % len(reads)]
        number = len(reads) + 1
        url = {"url": f"https://example.org/{self.items[number - 1]}"}
        reads.append(story.tool("web.fetch", url, f"source-{number}", LevelCosts(2, 7, 13, 24), **EVIDENCE))
        return reads[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineTask(Task):
    """Known steps in a known order, with small results, the user's preferences, and a record of each step.

    Each step takes two turns: the call, then the work on its result. ``overview`` is a tool that shows another
    list each time; it is called before the first step and after the last. Every ``look_back_every`` turns an earlier
    result is needed again, every ``record_every`` turns the checklist is ticked. ``denied`` is a step that the tool
    refuses.
    """

    category = "routine"
    guides = (LevelCosts(3, 12, 18, 30),)
    query = "last time of"
    result: ClassVar[LevelCosts] = LevelCosts(2, 6, 10, 18)

    overview: str
    preferences: tuple[str, ...] = ()
    look_back_every: int = 5
    record_every: int = 4
    denied: str = ""

    def open(self, story: TraceBuilder) -> None:
        plan_page(story, LevelCosts(3, 8, 12, 20), "checklist")
        for name in self.preferences:
            preference_page(story, f"preference-{name}", PREFERENCE)

    def turn(self, story: TraceBuilder, turn: int, reads: list[Call]) -> dict[str, Any]:
        calls = []
        demands = []
        updates = []
        if turn in (1, self.turns):
            calls.append(story.tool(self.overview, {}, "overview", self.result, deterministic=False, base_utility=3.0))
        elif turn % 2 == 0:
            calls.append(self._step(story, turn // 2, reads))
        elif turn % self.look_back_every == 0 and reads:
            calls.append(reads[turn % len(reads)])
        elif self.preferences:
            preference = self.preferences[turn // 2 % len(self.preferences)]
            demands.append((f"preference-{preference}", Level.STRUCTURED))
        if turn % self.record_every == 0:
            updates.append(Update("checklist", "ticked", "merge", {f"turn-{turn}": "done"}, "session", "checklist"))
        return {"calls": calls, "demands": demands, "updates": updates}

    def _step(self, story: TraceBuilder, number: int, reads: list[Call]) -> Call:
        name = self.items[number - 1]
        if name == self.denied:
            return story.tool("step", {"name": name}, outcome=ToolOutcome.DENIED)
        utility: dict[str, Any] = {"base_utility": 4.0, "recompute_cost": 6.0}
        reads.append(story.tool("step", {"name": name}, f"result-{number}", self.result, **utility))
        return reads[-1]


STORIES: Mapping[type[Task], str] = MappingProxyType(
    {
        DebuggingTask: """
flaky_login_test turns=24 growth=34 edits_at=14,22 tests_at=2,9,15,23 findings_at=7,14
    A login test fails in one run of five; the clock of the session store is the cause.
    tests/test_login.py auth/session.py auth/tokens.py auth/clock.py auth/store.py tests/conftest.py
    config/auth.toml auth/errors.py
crash_in_checkout turns=27 growth=31 edits_at=16,24 tests_at=3,12,17,25 findings_at=6,13 rule
    The checkout crashes for carts without an address; three layers pass the missing value on.
    shop/checkout.py shop/cart.py shop/address.py shop/tax.py shop/forms.py tests/test_checkout.py
    shop/models.py shop/api.py shop/events.py
memory_leak_in_worker turns=28 growth=36 edits_at=18,25 tests_at=5,19,26 findings_at=8,24
    A worker grows by a megabyte an hour; a callback keeps every finished job alive.
    worker/main.py worker/pool.py worker/job.py worker/callbacks.py worker/metrics.py worker/queue.py
    tests/test_pool.py ops/profile.txt worker/retry.py worker/signals.py
deadlock_in_scheduler turns=30 growth=33 edits_at=15,27 tests_at=4,11,16,28 findings_at=9,25 rule
    Two threads of a scheduler wait for each other when a task is cancelled while it starts.
    sched/core.py sched/locks.py sched/cancel.py sched/timer.py sched/state.py tests/test_cancel.py
    sched/threads.py sched/hooks.py
regression_after_upgrade turns=23 growth=37 edits_at=12,21 tests_at=1,6,13,22 findings_at=5,12
    Forty tests fail after a library upgrade; one changed default explains them all.
    requirements.txt CHANGELOG.md api/client.py api/serialize.py tests/test_client.py tests/test_serialize.py
    api/defaults.py api/compat.py api/errors.py
wrong_totals_in_report turns=32 growth=29 edits_at=17,30 tests_at=4,18,31 findings_at=10,16
    A monthly report adds up wrongly in one time zone; a date is cut before it is converted.
    report/monthly.py report/dates.py report/rows.py report/zones.py tests/test_monthly.py data/sample.csv
    report/query.py report/format.py report/export.py report/cache.py
slow_search_query turns=25 growth=35 edits_at=13,23 tests_at=6,14,24 findings_at=8,13
    A search takes nine seconds; the planner ignores an index because of a cast.
    search/query.py search/plan.txt search/index.sql search/models.py search/filters.py tests/test_search.py
    search/casts.py ops/slow.log
broken_pagination turns=16 growth=32 new_file_every=3 edits_at=13 tests_at=4,14 findings_at=8 rule
    The last page of a list is empty; an off-by-one in a helper.
    web/list.py web/pages.py tests/test_pages.py web/templates/list.html web/urls.py
encoding_error_in_import turns=18 growth=30 new_file_every=3 edits_at=14 tests_at=5,15 findings_at=9
    An import stops at the first umlaut; the file is opened without an encoding.
    imports/reader.py imports/rows.py data/broken.csv tests/test_reader.py imports/cli.py
missing_import_after_rename turns=12 growth=34 edits_at=9 tests_at=2,10 findings_at=6
    A module was renamed and one plug-in still imports the old name.
    plugins/loader.py plugins/export.py core/names.py tests/test_plugins.py
""",
        ResearchTask: """
compare_battery_chemistries turns=22 growth=33 searches_at=1,6 compares_at=10,16 notes_at=5,12
    Which of four battery chemistries suits a home store, with prices and life times.
    lithium-iron sodium-ion lead-acid flow-cells
history_of_a_bridge turns=14 growth=30 searches_at=1,5 compares_at=9 notes_at=7,11 recalls_at=2:no_match
    When a bridge was built, rebuilt and why; two sources disagree on the year.
    city-archive engineers-journal newspaper-1911
choose_a_queue turns=21 growth=35 searches_at=1,4 compares_at=12,17 notes_at=6,11 rule
    Which message queue fits a small team, from the manuals and two field reports.
    manual-a manual-b manual-c field-report-1 field-report-2
side_effects_of_a_drug turns=23 growth=32 searches_at=1,8 compares_at=13,19 notes_at=5,10,14 rule
    What is known about a drug's side effects; every statement needs its source.
    leaflet trial-2016 trial-2021 review agency-note
market_of_heat_pumps turns=18 growth=34 searches_at=1,5,9 compares_at=12 notes_at=7,13 recalls_at=2:ok,10:no_match
    How many heat pumps were sold in three countries, and what subsidies had to do with it.
    statistics-a statistics-b statistics-c subsidies
trace_a_quotation turns=12 growth=28 searches_at=1,6 compares_at=9 notes_at=8
    Who said it first; three collections name three people.
    collection-1 collection-2 letters
licence_of_a_library turns=15 growth=31 searches_at=1 compares_at=6,11 notes_at=5,12 rule
    Whether a library may be shipped in a closed product, from its licence and two opinions.
    licence opinion-1 opinion-2
plan_a_rail_journey turns=20 growth=36 searches_at=1,7 compares_at=11,15 notes_at=6,12 recalls_at=3:ok
    The quickest way by rail through four countries with a day in between.
    timetable-1 timetable-2 border-rules hotels
summarise_a_debate turns=17 growth=33 searches_at=1,4 compares_at=10,14 notes_at=8,13
    What two camps say about a law, each in its own words.
    for-1 for-2 against-1 against-2
check_a_claim turns=11 growth=29 searches_at=1,4 compares_at=7 notes_at=6,9 recalls_at=2:no_match
    Whether a number in a speech is right, from the statistics it must have come from.
    speech statistics
""",
        RoutineTask: """
morning_mail turns=12 growth=26 overview=mail.list preferences=tone,signature recalls_at=2:ok
    Go through the new mail, answer two, file the rest.
    read-1 answer-1 read-2 answer-2 file-rest
expense_claim turns=14 growth=28 overview=files.list preferences=currency rule
    Collect the receipts of a journey and fill in the claim.
    receipt-hotel receipt-train receipt-meal fill-form attach submit
release_notes turns=14 growth=30 overview=repository.tags preferences=tone
    Write the notes of a release from the merged changes.
    changes-1 changes-2 changes-3 issues draft publish
calendar_week turns=12 growth=24 overview=calendar.week preferences=working-hours,lunch recalls_at=2:no_match
    Arrange a week of meetings around two fixed ones.
    free-anna free-ben free-carla propose book
backup_check turns=12 growth=27 overview=backup.list denied=status-3
    Check last night's backups and restore one file as a test.
    status-1 status-2 status-3 restore compare
order_office_supplies turns=12 growth=25 overview=shop.cart preferences=supplier rule
    Order what is missing within the month's allowance.
    stock prices-1 prices-2 allowance order
onboard_a_colleague turns=22 growth=33 overview=people.list preferences=templates,order record_every=7
    Accounts, rooms and first appointments for somebody new.
    account groups laptop badge desk calendar mentor courses mail report
rotate_keys turns=14 growth=29 overview=keys.list denied=service-4 rule
    Replace the keys of five services and note which were replaced.
    service-1 service-2 service-3 service-4 service-5 audit
house_evening turns=10 growth=22 overview=house.state preferences=temperature,lights denied=doors recalls_at=2:ok
    Bring the house into its evening state and say what is still open.
    windows heating lights doors
archive_a_project turns=22 growth=32 overview=project.files preferences=folder look_back_every=3 record_every=8
    Export, pack and index the files of a finished project.
    export-1 export-2 export-3 pack verify index upload link notify close
""",
    }
)
"""Every task: its name, schedule (turns, comma-separated) and flags, then its story, then its items, both indented."""


def _task(kind: type[Task], row: str) -> Task:
    schedule, story, *items = row.splitlines()
    name, *fields = schedule.split()
    values = {key: _value(key, text) for key, _, text in (field.partition("=") for field in fields)}
    return kind(name=name, story=story.strip(), items=tuple(" ".join(items).split()), **values)


def _value(key: str, text: str) -> Any:
    """Return the value of a field of a row; one without a value is a flag."""
    if key == "recalls_at":
        return tuple((int(turn), RecallOutcome(outcome)) for turn, outcome in re.findall(r"(\d+):(\w+)", text))
    if key.endswith("_at"):
        return tuple(map(int, text.split(",")))
    if key == "preferences":
        return tuple(text.split(","))
    return int(text) if text.isdigit() else text or True


CATEGORIES: Mapping[str, tuple[Task, ...]] = MappingProxyType(
    {
        kind.category: tuple(_task(kind, row) for row in re.split(r"\n(?! )", table.strip()))
        for kind, table in STORIES.items()
    }
)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for tasks in CATEGORIES.values() for task in tasks})


def category_of(name: str) -> str:
    """Return the category of a task; raises KeyError for an unknown name."""
    return TASKS[name].category


def task_trace(name: str, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens; the transcript of a *stretched* session grows with the budget.

    Only the accounting and, if stretched, that growth depend on the budget. Raises KeyError for an unknown name.
    """
    return TASKS[name].trace(budget, stretched)

"""Ten debugging tasks: something fails, the agent reads its way through a repository, tests, edits and tests again.

===============  ==========================================================================
DebuggingTask    one task: its files, when it edits, tests and notes findings
TASKS            the ten tasks
build            the trace of one of them for a token budget
===============  ==========================================================================

A coding agent carries long instructions (a project guide, a tool guide), and what it reads is large beside them. The
sizes and lengths are chosen so that a compaction comes in mid-task at 180 tokens in seven of the ten and at 300 tokens
in none of them (``docs/tasks.md``).
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType
from clawvm_workloads.tasks_base import EVIDENCE, TaskRecord, begin, growth, user

__all__ = ["TASKS", "DebuggingTask", "build"]

PROJECT_GUIDE = Ladder(3, 20, 30, 48)
TOOL_GUIDE = Ladder(3, 14, 22, 34)
PLAN = Ladder(3, 9, 14, 22)
FILE = Ladder(2, 8, 16, 30)
TEST_LOG = Ladder(2, 6, 12, 26)


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggingTask(TaskRecord):
    """One debugging task.

    A new one of ``files`` is read every ``new_file_every`` turns until all are known; in the turns between, one that
    was read before is read again, ``reread_stride`` further each turn. In the turns of ``tests_at`` the test suite
    runs, in those of ``edits_at`` the file whose turn it is gets edited, in those of ``findings_at`` the plan takes a
    finding.
    """

    turns: int
    files: tuple[str, ...]
    new_file_every: int = 2
    reread_stride: int = 3
    edits_at: tuple[int, ...]
    tests_at: tuple[int, ...]
    findings_at: tuple[int, ...]


def build(task: DebuggingTask, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens."""
    story = begin(task, budget, (PROJECT_GUIDE, TOOL_GUIDE))
    story.page("plan", PageType.PLAN, PLAN, provenance=user(1), base_utility=8.0)
    tokens = growth(task, budget, stretched)
    reads: list[Call] = []
    for turn in range(1, task.turns + 1):
        calls = [_read(story, task, turn, reads)]
        if turn in task.edits_at:
            edited = task.edits_at.index(turn) % len(reads)
            story.replace(f"file-{edited + 1}", PageType.EVIDENCE, FILE, **EVIDENCE)
        if turn in task.tests_at:
            # A test run is another one every time: running it again is no duplicate.
            command = {"command": f"run-tests {task.name}"}
            calls.append(story.tool("shell", command, "test-log", TEST_LOG, deterministic=False, **EVIDENCE))
        noted = turn in task.findings_at
        story.turn(
            tokens,
            calls=calls,
            demands=[("plan", Level.STRUCTURED)] if noted else [],
            updates=[_finding(turn)] if noted else [],
        )
    return story.trace()


def _read(story: TraceBuilder, task: DebuggingTask, turn: int, reads: list[Call]) -> Call:
    if turn % task.new_file_every == 1 and len(reads) < len(task.files):
        number = len(reads) + 1
        reads.append(story.tool("read", {"path": task.files[number - 1]}, f"file-{number}", FILE, **EVIDENCE))
        return reads[-1]
    return reads[turn * task.reread_stride % len(reads)]


def _finding(turn: int) -> Update:
    return Update(
        page_id="plan",
        field="findings",
        operation="append",
        value=[f"finding of turn {turn}"],
        scope="session",
        evidence_ref="file-1",
    )


TASKS: tuple[DebuggingTask, ...] = (
    DebuggingTask(
        name="flaky_login_test",
        story="A login test fails in one run of five; the clock of the session store is the cause.",
        transcript_per_turn=34,
        turns=24,
        files=(
            "tests/test_login.py",
            "auth/session.py",
            "auth/tokens.py",
            "auth/clock.py",
            "auth/store.py",
            "tests/conftest.py",
            "config/auth.toml",
            "auth/errors.py",
        ),
        edits_at=(14, 22),
        tests_at=(2, 9, 15, 23),
        findings_at=(7, 14),
    ),
    DebuggingTask(
        name="crash_in_checkout",
        story="The checkout crashes for carts without an address; three layers pass the missing value on.",
        transcript_per_turn=31,
        turns=27,
        files=(
            "shop/checkout.py",
            "shop/cart.py",
            "shop/address.py",
            "shop/tax.py",
            "shop/forms.py",
            "tests/test_checkout.py",
            "shop/models.py",
            "shop/api.py",
            "shop/events.py",
        ),
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
        files=(
            "worker/main.py",
            "worker/pool.py",
            "worker/job.py",
            "worker/callbacks.py",
            "worker/metrics.py",
            "worker/queue.py",
            "tests/test_pool.py",
            "ops/profile.txt",
            "worker/retry.py",
            "worker/signals.py",
        ),
        edits_at=(18, 25),
        tests_at=(5, 19, 26),
        findings_at=(8, 24),
    ),
    DebuggingTask(
        name="deadlock_in_scheduler",
        story="Two threads of a scheduler wait for each other when a task is cancelled while it starts.",
        transcript_per_turn=33,
        turns=30,
        files=(
            "sched/core.py",
            "sched/locks.py",
            "sched/cancel.py",
            "sched/timer.py",
            "sched/state.py",
            "tests/test_cancel.py",
            "sched/threads.py",
            "sched/hooks.py",
        ),
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
        files=(
            "requirements.txt",
            "CHANGELOG.md",
            "api/client.py",
            "api/serialize.py",
            "tests/test_client.py",
            "tests/test_serialize.py",
            "api/defaults.py",
            "api/compat.py",
            "api/errors.py",
        ),
        edits_at=(12, 21),
        tests_at=(1, 6, 13, 22),
        findings_at=(5, 12),
    ),
    DebuggingTask(
        name="wrong_totals_in_report",
        story="A monthly report adds up wrongly in one time zone; a date is cut before it is converted.",
        transcript_per_turn=29,
        turns=32,
        files=(
            "report/monthly.py",
            "report/dates.py",
            "report/rows.py",
            "report/zones.py",
            "tests/test_monthly.py",
            "data/sample.csv",
            "report/query.py",
            "report/format.py",
            "report/export.py",
            "report/cache.py",
        ),
        edits_at=(17, 30),
        tests_at=(4, 18, 31),
        findings_at=(10, 16),
    ),
    DebuggingTask(
        name="slow_search_query",
        story="A search takes nine seconds; the planner ignores an index because of a cast.",
        transcript_per_turn=35,
        turns=25,
        files=(
            "search/query.py",
            "search/plan.txt",
            "search/index.sql",
            "search/models.py",
            "search/filters.py",
            "tests/test_search.py",
            "search/casts.py",
            "ops/slow.log",
        ),
        edits_at=(13, 23),
        tests_at=(6, 14, 24),
        findings_at=(8, 13),
    ),
    DebuggingTask(
        name="broken_pagination",
        story="The last page of a list is empty; an off-by-one in a helper.",
        transcript_per_turn=32,
        turns=16,
        files=("web/list.py", "web/pages.py", "tests/test_pages.py", "web/templates/list.html", "web/urls.py"),
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
        files=("imports/reader.py", "imports/rows.py", "data/broken.csv", "tests/test_reader.py", "imports/cli.py"),
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
        files=("plugins/loader.py", "plugins/export.py", "core/names.py", "tests/test_plugins.py"),
        edits_at=(9,),
        tests_at=(2, 10),
        findings_at=(6,),
    ),
)

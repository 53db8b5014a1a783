"""Updates in flight: staged so late that the next thing to happen is the boundary.

=====================  =======================================================================
at_compaction          staged in the very turn in which the compaction falls, bad among good
at_reset               staged directly before a reset, and between two boundaries
for_new_page           staged for a page of the same turn, also before the page is declared
for_replaced_page      staged for a page that gets new content before the boundary
=====================  =======================================================================

What is expected stands as plain values: nothing of the journal takes part in making them.
"""

from __future__ import annotations

from clawvm_replay.trace_builder import Ladder
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import PageType, RejectCode
from clawvm_workloads.adversarial.controls import removal
from clawvm_workloads.adversarial.scenario import Check, Scenario
from clawvm_workloads.adversarial.scripted import Harness, page, played, result, values_check
from clawvm_workloads.adversarial.stories import BUDGET, GUIDE, PLAN, note, user

__all__ = ["IN_FLIGHT"]

_USER = user(1)


def _pages() -> list[Page]:
    guide = Provenance("file", "AGENTS.md")
    return [
        page("guide", PageType.BOOTSTRAP_POLICY, GUIDE, guide, base_utility=9.0),
        page("plan", PageType.PLAN, PLAN, _USER, base_utility=8.0),
        page("taste", PageType.PREFERENCE, Ladder(2, 5, 9, 14), Provenance("file", "USER.md"), base_utility=6.0),
    ]


def at_compaction(harness: Harness) -> list[Check]:
    """One prompt, then a turn that stages seven updates, three of them bad, and compacts."""
    harness.engine.session_start("session-1", _pages())
    harness.call("read", {"path": "report"}, result("report", "the report"))
    harness.stage(note(value=["first"]))
    harness.prompt()
    harness.stage(
        note(value=["second"], evidence_ref="report"),
        note(field="goal", operation="set_with_version", value="ship", base_version=0),
        note(field="goal", operation="set_with_version", value="stop", base_version=0),
        note(page_id="taste", field="style", operation="merge", value={"tone": "dry"}, scope="project"),
        note(value=["invented"], evidence_ref="nowhere"),
        note(page_id="taste", field="style", operation="overwrite", value={}, scope="project"),
        note(page_id="taste", field="style", operation="merge", value={"length": "short"}, scope="project"),
    )
    harness.engine.compaction()
    harness.prompt()
    return [
        values_check(
            harness.engine.journal,
            {
                ("plan", "log"): (2, ["first", "second"]),
                ("plan", "goal"): (1, "ship"),
                ("taste", "style"): (2, {"tone": "dry", "length": "short"}),
            },
        )
    ]


def at_reset(harness: Harness) -> list[Check]:
    """Stage, reset without a prompt, stage again, compact and reset again without a prompt, then ask for everything."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.call("read", {"path": "report"}, result("report", "the report"))
    harness.prompt()
    harness.stage(note(value=["first"], evidence_ref="report"), note(field="goal", operation="merge", value={"a": 1}))
    engine.reset("session-2")
    harness.stage(note(value=["second"]), note(field="goal", operation="merge", value={"b": 2}))
    engine.compaction()
    harness.stage(note(value=["third"], evidence_ref="report"))
    engine.reset("session-3")
    harness.prompt()
    harness.demand("plan", "report")
    harness.prompt()
    return [
        values_check(
            engine.journal,
            {("plan", "log"): (3, ["first", "second", "third"]), ("plan", "goal"): (2, {"a": 1, "b": 2})},
        )
    ]


def for_new_page(harness: Harness) -> list[Check]:
    """A page, its update and the boundary in one turn; the second time the update is staged before its page."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.prompt()
    engine.declare(page("step-1", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    harness.stage(note(page_id="step-1", evidence_ref="step-1"))
    engine.compaction()
    harness.prompt()
    harness.stage(note(page_id="step-2", evidence_ref="step-1"))
    engine.declare(page("step-2", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    harness.call("read", {"path": "late"}, result("late", "late result"))
    harness.stage(note(page_id="step-2", value=["late"], evidence_ref='read({"path":"late"})'))
    engine.reset("session-2")
    harness.prompt()
    harness.demand("step-1", "step-2")
    harness.prompt()
    return [
        values_check(engine.journal, {("step-1", "log"): (1, ["noted"]), ("step-2", "log"): (2, ["noted", "late"])})
    ]


def for_replaced_page(harness: Harness) -> list[Check]:
    """The plan gets new content between update and boundary, twice; a tool that runs again replaces its result."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.prompt()
    harness.stage(note(value=["before the edit"]))
    engine.replace(page("plan", PageType.PLAN, Ladder(3, 12, 16, 26), _USER, base_utility=8.0))
    harness.stage(note(value=["after the edit"]))
    engine.compaction()
    harness.prompt()
    harness.call("state", {}, result("state", "state 1"), deterministic=False)
    harness.stage(note(page_id="state", field="seen", evidence_ref="state"))
    harness.call("state", {}, result("state", "state 2"), deterministic=False)
    harness.stage(note(field="goal", operation="set_with_version", value="ship", base_version=0))
    engine.replace(page("plan", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    engine.reset("session-2")
    harness.prompt()
    harness.demand("plan", "state")
    harness.prompt()
    latest = harness.in_prompt("state")
    return [
        values_check(
            engine.journal,
            {
                ("plan", "log"): (2, ["before the edit", "after the edit"]),
                ("plan", "goal"): (1, "ship"),
                ("state", "seen"): (1, ["noted"]),
            },
        ),
        Check("answers_exact", latest == "state 2", f"the prompt holds {latest!r}"),
    ]


_LOSES = ("no_controllable_fault", "nothing_lost", "values_exact")
_COMPACTION = removal("writeback_at_compaction", *_LOSES)
_RESET = removal("writeback_at_reset", *_LOSES)
_BAD = (
    RejectCode.DESTRUCTIVE_OP.value,
    RejectCode.PROVENANCE_DANGLING.value,
    RejectCode.DESTRUCTIVE_OP.value,
)

IN_FLIGHT: tuple[Scenario, ...] = (
    Scenario(
        id="in_flight_at_compaction",
        title="In flight at a compaction",
        story="Seven updates, three of them bad, are staged in the very turn in which the compaction falls.",
        budget=BUDGET,
        run=played(at_compaction, BUDGET, _BAD),
        controls=(
            _COMPACTION,
            removal("validated_writeback", "nothing_overwritten", "rejections_exact", "values_exact"),
        ),
    ),
    Scenario(
        id="in_flight_at_reset",
        title="In flight at a reset",
        story="Updates are staged directly before a reset, between two boundaries, and before another reset, without a "
        "prompt in between.",
        budget=BUDGET,
        run=played(at_reset, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
    Scenario(
        id="in_flight_for_new_page",
        title="In flight for a new page",
        story="A page, its update and the boundary come in one turn; once the update comes before its page.",
        budget=BUDGET,
        run=played(for_new_page, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
    Scenario(
        id="in_flight_for_replaced_page",
        title="In flight for a replaced page",
        story="A page gets new content between the update and the boundary, by an edit and by a tool that runs again.",
        budget=BUDGET,
        run=played(for_replaced_page, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
)

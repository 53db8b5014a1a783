"""Scenarios that speak to the engine itself, for what a trace cannot say: contents, values, reopened journals.

=================  ==========================================================================
Harness            an engine, its journal and its tools, and everything that was seen of them
played             how a script runs under a policy, with the checks that every script has
page, result       a page with costs alone; a tool result with a text
values_check       whether a journal committed exactly what was expected
=================  ==========================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from clawvm_replay.trace_builder import Ladder
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.engine import AssembledPrompt, Engine, ToolAnswer, ToolCall, ToolResult
from clawvm_runtime.journal import Journal
from clawvm_runtime.journal_storage import MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, ToolOutcome
from clawvm_workloads.adversarial.scenario import Check, Run, counted, tallied, within_budget

__all__ = ["Harness", "Script", "Values", "page", "played", "result", "values_check"]

Values = Mapping[tuple[str, str], tuple[int, Any]]
"""Version and value by page and field."""


class Harness:
    """Drives one engine as a harness would, and counts how often each tool ran."""

    def __init__(self, policy: Policy, budget: int, selector: Selector, variant: str) -> None:
        self.variant = variant
        self.decisions = DecisionTrace()
        self.storage = MemoryJournalStorage()
        self.engine = Engine(policy, budget, journal=Journal(self.storage), trace=self.decisions, selector=selector)
        self.prompts: list[AssembledPrompt] = []
        self.runs: Counter[str] = Counter()

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        gives: Page,
        *,
        deterministic: bool = True,
        signature: str = "",
    ) -> ToolAnswer:
        """Make a tool call; the tool, if it runs, gives the page *gives*."""

        def execute(call: ToolCall) -> ToolResult:
            self.runs[tool] += 1
            return ToolResult(ToolOutcome.OK, gives)

        call = ToolCall(tool, arguments, Level.FULL, deterministic, signature)
        return self.engine.tool_execute(call, execute)

    def stage(self, *updates: Update) -> None:
        """Stage updates, as a model's reply does."""
        self.engine.post_model(updates=updates)

    def demand(self, *page_ids: str) -> None:
        """Ask for pages in full."""
        self.engine.post_model(demands=[(page_id, Level.FULL) for page_id in page_ids])

    def prompt(self) -> AssembledPrompt:
        """Assemble the next prompt, which ends the turn."""
        self.prompts.append(self.engine.prompt_assemble())
        return self.prompts[-1]

    def in_prompt(self, page_id: str) -> str:
        """Return the text of a page in the last prompt, "" if it is not in there."""
        return next((block.text for block in self.prompts[-1].blocks if block.page_id == page_id), "")


Script = Callable[[Harness], Sequence[Check]]


def played(script: Script, budget: int, rejections: tuple[str, ...] | None = None) -> Callable[..., Run]:
    """Return how a scenario that is told as a script runs; *rejections* is None where it stages no update."""
    return partial(_run, script, budget, rejections)


def _run(
    script: Script, budget: int, rejections: tuple[str, ...] | None, policy: Policy, selector: Selector, variant: str
) -> Run:
    harness = Harness(policy, budget, selector, variant)
    special = script(harness)
    harness.engine._check()
    counts = counted(harness.decisions.events)
    faults = sum(counts["faults"].values())
    checks = [
        Check("no_controllable_fault", faults == 0, f"{faults} faults"),
        within_budget(harness.prompts, budget),
    ]
    if rejections is not None:
        checks += [
            Check("nothing_lost", counts["lost"] == 0, f"{counts['lost']} lost"),
            Check("nothing_overwritten", counts["overwritten"] == 0, f"{counts['overwritten']} overwritten"),
            Check("rejections_exact", counts["rejected"] == rejections, tallied(counts["rejected"])),
        ]
    return Run((*checks, *special), **counts)


def page(page_id: str, page_type: PageType, ladder: Ladder, source: Provenance, **more: Any) -> Page:
    """Return a page with the costs of *ladder*."""
    return Page(id=page_id, type=page_type, costs=ladder.costs(page_type), provenance=source, **more)


def result(page_id: str, content: str, tokens: int = 40) -> Page:
    """Return a tool result with a text, in full and as a pointer."""
    return Page(
        id=page_id,
        type=PageType.EVIDENCE,
        costs={Level.POINTER: 3, Level.FULL: tokens},
        texts={Level.POINTER: f"[{page_id}]", Level.FULL: content},
        provenance=Provenance("tool_call", tool_signature("read", {"path": page_id})),
        base_utility=5.0,
        recompute_cost=8.0,
    )


def values_check(journal: Journal, expected: Values, name: str = "values_exact") -> Check:
    """Return whether *journal* has committed exactly the expected values and versions."""
    committed = [journal.committed(*key) for key in expected]
    wrong = [
        f"{key[0]}.{key[1]} is version {found.version}: {found.value!r}"
        for (key, wanted), found in zip(expected.items(), committed)
        if (found.version, found.value) != wanted
    ]
    return Check(name, not wrong, wrong[0][:160] if wrong else f"{len(expected)} fields as expected")

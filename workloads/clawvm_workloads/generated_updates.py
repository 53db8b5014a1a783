"""What a generated agent wants to remember: good updates and wrong ones of every kind.

=============  =======================================================================================
UpdateSource   draws updates; about two of three are well made, the others are broken in one place
=============  =======================================================================================

Whether an update passes is not decided here: a well-made one may meet a committed value of another kind, and a broken
one may turn out harmless.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clawvm_replay.trace_format import ToolDeclaration
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import (
    TYPE_RULES,
    PageType,
    PinClass,
    Principal,
    Scope,
    UpdateOperation,
)
from clawvm_workloads.draws import chance, one_of

__all__ = ["UpdateSource"]

APPEND, MERGE, SET = (operation.value for operation in UpdateOperation)

CONTENT: Mapping[str, str] = {"notes": APPEND, "facts": MERGE, "step": SET}
"""Content fields, each with the operation that suits it."""


@dataclass(slots=True)
class UpdateSource:
    """Draws updates for the pages and tools of one workload."""

    rng: random.Random
    made: int = 0
    latest: str = ""
    with_id: list[Update] = field(default_factory=list)

    def draw(
        self, pages: Mapping[str, Page], tools: Mapping[str, ToolDeclaration], results: Mapping[str, str]
    ) -> Update:
        """Return an update for one of *pages*; *tools* are all that were declared, *results* what was called so far."""
        rng = self.rng
        self.made += 1
        if self.with_id and chance(rng, 0.05):
            return one_of(rng, self.with_id)  # A retry of one that was staged before.
        if not pages:
            return self._content("nowhere", Scope.SESSION, "nowhere")
        if self.latest not in pages or chance(rng, 0.4):
            self.latest = one_of(rng, tuple(pages))  # Several updates in a row meet the same fields.
        page = pages[self.latest]
        evidence = one_of(rng, (*pages, *results))
        if chance(rng, 0.3):
            update = self._control(page, evidence)
        else:
            update = self._content(page.id, page.scope, evidence)
        if chance(rng, 0.35):
            update = self._broken(update, tools)
        if chance(rng, 0.1):
            update = dataclasses.replace(update, update_id=f"update-{self.made}")
            self.with_id.append(update)
        return update

    def _content(self, page_id: str, scope: Scope, evidence: str) -> Update:
        name = one_of(self.rng, tuple(CONTENT))
        return Update(
            page_id=page_id,
            field=name,
            operation=CONTENT[name],
            value=self._value(name),
            scope=scope.value,
            evidence_ref=evidence,
            principal=self._principal(scope),
        )

    def _value(self, name: str) -> Any:
        mark = f"fact {self.made}"
        values: dict[str, Any] = {"notes": one_of(self.rng, (mark, [mark])), "facts": {f"key {self.made % 3}": mark}}
        return values.get(name, mark)

    def _principal(self, scope: Scope) -> str:
        reaching = tuple(Principal) if scope is Scope.SESSION else (Principal.USER, Principal.AGENT, Principal.HARNESS)
        return one_of(self.rng, reaching).value

    def _control(self, page: Page, evidence: str) -> Update:
        """Return an update that changes how the page is held."""
        rng = self.rng
        name = one_of(rng, ("minimum", "status", "status") if page.type is PageType.PLAN else ("pin", "minimum"))
        if name == "pin":
            value = PinClass.HARD.value if page.is_hard else one_of(rng, tuple(PinClass)).value
        elif name == "minimum":
            value = one_of(rng, [level for level in TYPE_RULES[page.type].levels if level >= page.minimum]).label
        else:
            value = one_of(rng, ("active", "done"))
        return Update(
            page_id=page.id,
            field=name,
            operation=SET,
            value=value,
            scope=page.scope.value,
            evidence_ref=evidence,
            principal=self._principal(page.scope),
        )

    def _broken(self, update: Update, tools: Mapping[str, ToolDeclaration]) -> Update:
        """Return *update* with one thing wrong, or at least suspicious."""
        rng = self.rng
        breaks: tuple[Callable[[], dict[str, Any]], ...] = (
            lambda: {one_of(rng, ("page_id", "field", "operation", "scope", "evidence_ref", "principal")): ""},
            lambda: {"page_id": self._result_of(tools)},
            lambda: {"operation": one_of(rng, (APPEND, MERGE, SET))},
            lambda: {"operation": MERGE, "value": {"x": self.made}},
            lambda: {"value": one_of(rng, (None, "", 7, "pointer", "none", ["x"], {"x": 1}))},
            lambda: {"evidence_ref": one_of(rng, ("nothing at all", self._result_of(tools), *tools))},
            lambda: {"principal": one_of(rng, ("intruder", Principal.SUBAGENT.value, Principal.TOOL.value))},
            lambda: {"scope": one_of(rng, ("universe", *(scope.value for scope in Scope)))},
            lambda: {"operation": one_of(rng, ("overwrite", "delete"))},
            lambda: {"operation": SET, "base_version": rng.randrange(3)},
            lambda: {"field": "pin", "operation": SET, "value": one_of(rng, ("soft", "none", "tight"))},
            lambda: {
                "field": "minimum",
                "operation": SET,
                "value": one_of(rng, ("pointer", "pointer", "structured", "none")),
            },
            lambda: {"field": "status", "operation": SET, "value": one_of(rng, ("done", "paused"))},
            lambda: {"operation": SET, "value": one_of(rng, (None, "", [], {}))},
        )
        return dataclasses.replace(update, **one_of(rng, breaks)())

    def _result_of(self, tools: Mapping[str, ToolDeclaration]) -> str:
        """Return the page of a tool that may not have been called yet."""
        pages = [tool.page.id for tool in tools.values() if tool.page is not None]
        return one_of(self.rng, pages) if pages else "no such page"

"""Pages: typed pieces of agent state, each with a sequence of representations and a floor below which it must not fall.

A page without text has token costs only (synthetic workloads); ``clawvm_runtime.text.pages`` makes pages from text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clawvm_runtime.errors import PageError
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass, Scope, level_from_name

__all__ = ["Page", "Provenance", "Step"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a page came from; ``kind`` is one of ``KINDS``.

    What came from a durable source (a file, the harness's configuration) outlives a reset; what was made in the
    session (a tool call, a span of the transcript, the user's words) needs a writeback to outlive it.
    """

    kind: str
    reference: str

    KINDS: ClassVar[tuple[str, ...]] = ("tool_call", "transcript_span", "file", "user", "harness")
    DURABLE_KINDS: ClassVar[frozenset[str]] = frozenset({"file", "harness"})

    @property
    def is_durable(self) -> bool:
        """Whether the source outlives a reset."""
        return self.kind in self.DURABLE_KINDS


@dataclass(frozen=True, slots=True)
class Step:
    """One step up in fidelity: the level below it, the level it reaches, the tokens that it adds."""

    below: Level
    level: Level
    delta: int


MAXIMUM_UTILITY = 1e9
"""The largest base utility or recompute cost: no sum of scores can overflow."""

_FROM_TYPE: Any = None  # The default of an attribute that the rule of the page's type fills in.


@dataclass(frozen=True, slots=True)
class Page:
    """A typed page with token costs per level; making one enforces every rule of its type.

    ``costs`` maps each supported level to its tokens (at least 1): the levels must be allowed for the type, must
    include `full`, and must cost strictly more the higher they are (a representation that is not cheaper than a better
    one is dropped by whoever makes the page). ``minimum`` may not be below the floor of the type. A plan is ``active``
    until it is done. ``base_utility`` and ``recompute_cost`` are numbers from 0 to ``MAXIMUM_UTILITY``. ``texts`` has
    the text of each supported level, or is empty for pages that only have costs.

    Raises PageError, which names the attribute at fault.

    >>> plan = Page("plan", PageType.PLAN, {Level.STRUCTURED: 12, Level.FULL: 40}, Provenance("file", "PLAN.md"))
    >>> plan.pin.value, plan.minimum.label, [step.delta for step in plan.steps]
    ('soft', 'structured', [12, 28])
    >>> plan.changed(minimum=Level.POINTER)
    Traceback (most recent call last):
        ...
    clawvm_runtime.errors.PageError: page 'plan': minimum: pointer is below the floor of its type, structured
    """

    id: str
    type: PageType
    costs: Mapping[Level, int]
    provenance: Provenance
    base_utility: float = 1.0
    recompute_cost: float = 1.0
    scope: Scope = _FROM_TYPE
    pin: PinClass = _FROM_TYPE
    minimum: Level = _FROM_TYPE
    version: int = 1
    active: bool = True
    texts: Mapping[Level, str] = field(default_factory=dict)
    levels: tuple[Level, ...] = field(init=False, compare=False, repr=False)
    steps: tuple[Step, ...] = field(init=False, compare=False, repr=False)
    floor_level: Level = field(init=False, compare=False, repr=False)
    floor_cost: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._check_identity()
        rule = TYPE_RULES[self.type]
        put = object.__setattr__
        put(self, "scope", rule.scopes[0] if self.scope is None else self.scope)
        put(self, "pin", rule.pin if self.pin is None else self.pin)
        if self.minimum is None:
            put(self, "minimum", rule.floor_for(self.active))
        put(self, "levels", self._check_costs())
        put(self, "costs", {level: self.costs[level] for level in self.levels})
        if self.texts and tuple(sorted(self.texts)) != self.levels:
            raise self._refuse("texts", "must hold exactly one text for each level that has a cost")
        put(self, "texts", {level: self.texts[level] for level in self.levels if self.texts})
        self._check_holding()
        put(self, "steps", self._make_steps())
        put(self, "floor_level", self.level_at_least(self.minimum))
        put(self, "floor_cost", self.costs[self.floor_level])

    def _refuse(self, attribute: str, message: str) -> PageError:
        return PageError(self.id if isinstance(self.id, str) else repr(self.id), attribute, message)

    def _check_identity(self) -> None:
        if not isinstance(self.id, str) or not self.id or not self.id.isprintable():
            raise self._refuse("id", "must be a non-empty printable string")
        if not isinstance(self.type, PageType):
            raise self._refuse("type", f"unknown page type {self.type!r}")
        source = self.provenance
        if source.kind not in Provenance.KINDS or not isinstance(source.reference, str) or not source.reference:
            raise self._refuse("provenance", f"needs a kind of {', '.join(Provenance.KINDS)} and a reference")
        for attribute in ("base_utility", "recompute_cost"):
            number = getattr(self, attribute)
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= MAXIMUM_UTILITY:
                raise self._refuse(attribute, f"must be a number from 0 to {MAXIMUM_UTILITY:g}, not {number!r:.80}")
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 1:
            raise self._refuse("version", f"must be a whole number of at least 1, not {self.version!r}")
        if not isinstance(self.active, bool):
            raise self._refuse("active", f"must be true or false, not {self.active!r:.80}")

    def _check_costs(self) -> tuple[Level, ...]:
        allowed = TYPE_RULES[self.type].levels
        for level, cost in self.costs.items():
            if not isinstance(level, Level):
                raise self._refuse("costs", f"{level!r} is no Level")
            if level not in allowed:
                names = ", ".join(item.label for item in allowed)
                raise self._refuse("costs", f"a {self.type.value} page may be {names}, not {Level(level).label}")
            if isinstance(cost, bool) or not isinstance(cost, int) or cost < 1:
                raise self._refuse("costs", f"{Level(level).label} must cost at least 1 whole token, not {cost!r}")
        levels = tuple(sorted(self.costs))
        if Level.FULL not in levels:
            raise self._refuse("costs", "every page needs a full representation")
        for lower, higher in zip(levels, levels[1:]):
            if self.costs[lower] >= self.costs[higher]:
                low, high = (f"{level.label} ({self.costs[level]} tokens)" for level in (lower, higher))
                raise self._refuse("costs", f"{low} must be cheaper than {high}")
        return levels

    def _check_holding(self) -> None:
        rule = TYPE_RULES[self.type]
        if not isinstance(self.scope, Scope) or self.scope not in rule.scopes:
            names = " or ".join(scope.value for scope in rule.scopes)
            raise self._refuse("scope", f"a {self.type.value} page belongs to a {names}")
        if not isinstance(self.pin, PinClass):
            raise self._refuse("pin", f"unknown pin class {self.pin!r}")
        if self.is_bootstrap and not self.is_hard:
            raise self._refuse("pin", "a bootstrap_policy page is always hard: its floor holds after every boundary")
        if not self.active and rule.floor_when_done is None:
            raise self._refuse("active", f"a {self.type.value} page cannot be done; only plans end")
        floor = rule.floor_for(self.active)
        if self.minimum < floor:
            raise self._refuse("minimum", f"{self.minimum.label} is below the floor of its type, {floor.label}")
        if self.minimum not in rule.levels:
            raise self._refuse("minimum", f"a {self.type.value} page cannot be {self.minimum.label}")

    def _make_steps(self) -> tuple[Step, ...]:
        pairs = zip((Level.NONE, *self.levels), self.levels)
        return tuple(Step(below, level, self.costs[level] - self.costs.get(below, 0)) for below, level in pairs)

    def level_at_least(self, wanted: Level) -> Level:
        """Return the lowest supported level that is at least *wanted*."""
        for level in self.levels:
            if level >= wanted:
                return level
        raise AssertionError("unreachable: every page supports full")

    @property
    def is_hard(self) -> bool:
        """Whether the page is hard-pinned."""
        return self.pin is PinClass.HARD

    @property
    def is_bootstrap(self) -> bool:
        """Whether the page holds system instructions."""
        return self.type is PageType.BOOTSTRAP_POLICY

    def changed(self, **attributes: Any) -> Page:
        """Return a copy with these attributes replaced; the rules of the type are enforced again."""
        return dataclasses.replace(self, **attributes)

    def to_record(self) -> dict[str, Any]:
        """Return the page as plain JSON data, without texts."""
        return {
            "active": self.active,
            "base_utility": self.base_utility,
            "costs": {level.label: cost for level, cost in self.costs.items()},
            "id": self.id,
            "minimum": self.minimum.label,
            "pin": self.pin.value,
            "provenance": {"kind": self.provenance.kind, "reference": self.provenance.reference},
            "recompute_cost": self.recompute_cost,
            "scope": self.scope.value,
            "type": self.type.value,
            "version": self.version,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Page:
        """Return the page that *record* describes; raises PageError, or KeyError for a missing field."""
        page_id = record["id"]
        try:
            kind = PageType(record["type"])
            scope = Scope(record["scope"]) if "scope" in record else _FROM_TYPE
            pin = PinClass(record["pin"]) if "pin" in record else _FROM_TYPE
            costs = {level_from_name(name): cost for name, cost in record["costs"].items()}
            minimum = level_from_name(record["minimum"]) if "minimum" in record else _FROM_TYPE
        except ValueError as error:
            raise PageError(page_id, "record", str(error)) from None
        return cls(
            id=page_id,
            type=kind,
            costs=costs,
            provenance=Provenance(record["provenance"]["kind"], record["provenance"]["reference"]),
            base_utility=record.get("base_utility", 1.0),
            recompute_cost=record.get("recompute_cost", 1.0),
            scope=scope,
            pin=pin,
            minimum=minimum,
            version=record.get("version", 1),
            active=record.get("active", True),
        )

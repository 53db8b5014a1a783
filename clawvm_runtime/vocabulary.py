"""The nouns that every other module uses: levels, page types with their rules, pins, scopes, faults, boundaries.

================  ==============================================================================
Level             representation of a page: none < pointer < structured < compressed < full
PageType          six types; ``TYPE_RULES`` says what each may do
PinClass, Scope   how strongly a page is held; who shares it
FaultKind         the six observable faults, each in a family (residency or durability)
Boundary          the destructive lifecycle boundaries
RecallOutcome     why a look-up answered what it answered
ToolOutcome       how a tool call ended
Principal         who asks for a state update
UpdateOperation   the three update operations that are never destructive
RejectCode        why the journal rejected an update
================  ==============================================================================

Source of the rules: paper sections on pages, faults and writeback; ``docs/page-model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

__all__ = [
    "FAULT_FAMILY",
    "PIN_RANK",
    "PRINCIPAL_SCOPES",
    "TYPE_RULES",
    "Boundary",
    "FaultKind",
    "Level",
    "PageType",
    "PinClass",
    "Principal",
    "RecallOutcome",
    "RejectCode",
    "Scope",
    "ToolOutcome",
    "TypeRule",
    "UpdateOperation",
    "level_from_name",
]


class Level(IntEnum):
    """A representation of a page, ordered by fidelity."""

    NONE = 0
    POINTER = 1
    STRUCTURED = 2
    COMPRESSED = 3
    FULL = 4

    @property
    def label(self) -> str:
        """The level's name as it stands in traces and reports."""
        return self.name.lower()


_LEVEL_BY_NAME = {level.label: level for level in Level}


def level_from_name(name: str) -> Level:
    """Return the level with this name; raises ValueError with the known names."""
    try:
        return _LEVEL_BY_NAME[name]
    except (KeyError, TypeError):
        raise ValueError(f"unknown level {name!r}; known: {', '.join(_LEVEL_BY_NAME)}") from None


class PageType(str, Enum):
    """What a page holds."""

    BOOTSTRAP_POLICY = "bootstrap_policy"
    CONSTRAINT = "constraint"
    PLAN = "plan"
    PREFERENCE = "preference"
    EVIDENCE = "evidence"
    CONVERSATION_SEGMENT = "conversation_segment"


class PinClass(str, Enum):
    """How strongly a page is held in the prompt."""

    HARD = "hard"
    SOFT = "soft"
    NONE = "none"


PIN_RANK: Mapping[PinClass, int] = MappingProxyType({PinClass.HARD: 2, PinClass.SOFT: 1, PinClass.NONE: 0})


class Scope(str, Enum):
    """Who shares a page: all sessions of a project, or one session."""

    PROJECT = "project"
    SESSION = "session"


class FaultKind(str, Enum):
    """The six explicit faults."""

    REFETCH = "refetch"
    DUPLICATE_TOOL = "duplicate_tool"
    PINNED_INVARIANT_MISS = "pinned_invariant_miss"
    POST_COMPACTION_BOOTSTRAP = "post_compaction_bootstrap"
    SILENT_RECALL = "silent_recall"
    FLUSH_MISS = "flush_miss"


FAULT_FAMILY: Mapping[FaultKind, str] = MappingProxyType(
    {
        FaultKind.REFETCH: "residency",
        FaultKind.DUPLICATE_TOOL: "residency",
        FaultKind.PINNED_INVARIANT_MISS: "residency",
        FaultKind.POST_COMPACTION_BOOTSTRAP: "residency",
        FaultKind.SILENT_RECALL: "durability",
        FaultKind.FLUSH_MISS: "durability",
    }
)


class Boundary(str, Enum):
    """A destructive lifecycle boundary."""

    COMPACTION = "compaction"
    RESET = "reset"


class RecallOutcome(str, Enum):
    """Why a look-up answered what it answered."""

    OK = "ok"
    NO_MATCH = "no_match"
    DENIED = "denied"
    BACKEND_ERROR = "backend_error"


class ToolOutcome(str, Enum):
    """How a tool call ended."""

    OK = "ok"
    EMPTY = "empty"
    DENIED = "denied"
    ERROR = "error"


class Principal(str, Enum):
    """Who asks for a state update."""

    USER = "user"
    AGENT = "agent"
    HARNESS = "harness"
    SUBAGENT = "subagent"
    TOOL = "tool"


# A sub-agent or a tool works inside one session; what all sessions share is out of its reach.
PRINCIPAL_SCOPES: Mapping[Principal, frozenset[Scope]] = MappingProxyType(
    {
        Principal.USER: frozenset(Scope),
        Principal.AGENT: frozenset(Scope),
        Principal.HARNESS: frozenset(Scope),
        Principal.SUBAGENT: frozenset({Scope.SESSION}),
        Principal.TOOL: frozenset({Scope.SESSION}),
    }
)


class UpdateOperation(str, Enum):
    """The update operations that never destroy what was committed."""

    APPEND = "append"
    MERGE = "merge"
    SET_WITH_VERSION = "set_with_version"


class RejectCode(str, Enum):
    """Why the journal rejected an update; checks run in this order."""

    SCHEMA_INVALID = "SCHEMA_INVALID"
    PROVENANCE_DANGLING = "PROVENANCE_DANGLING"
    SCOPE_DENIED = "SCOPE_DENIED"
    DESTRUCTIVE_OP = "DESTRUCTIVE_OP"
    POLICY_VIOLATION = "POLICY_VIOLATION"


@dataclass(frozen=True, slots=True)
class TypeRule:
    """What pages of one type may do.

    ``floor`` is the lowest minimum level a page of the type may declare, ``floor_when_done`` the same for a page
    that is no longer active (only plans end), ``levels`` the representations it may take.
    """

    floor: Level
    levels: tuple[Level, ...]
    scopes: tuple[Scope, ...]
    pin: PinClass
    rank: int
    floor_when_done: Level | None = None

    def floor_for(self, active: bool) -> Level:
        """Return the lowest minimum level that a page in this state may declare."""
        if not active and self.floor_when_done is not None:
            return self.floor_when_done
        return self.floor


_FIDELITY_STEPS = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)

TYPE_RULES: Mapping[PageType, TypeRule] = MappingProxyType(
    {
        PageType.BOOTSTRAP_POLICY: TypeRule(
            floor=Level.STRUCTURED,
            levels=(Level.STRUCTURED, Level.FULL),
            scopes=(Scope.PROJECT, Scope.SESSION),
            pin=PinClass.HARD,
            rank=2,
        ),
        PageType.CONSTRAINT: TypeRule(
            floor=Level.STRUCTURED,
            levels=(Level.STRUCTURED, Level.FULL),
            scopes=(Scope.SESSION,),
            pin=PinClass.HARD,
            rank=1,
        ),
        PageType.PLAN: TypeRule(
            floor=Level.STRUCTURED,
            levels=(Level.POINTER, Level.STRUCTURED, Level.FULL),
            scopes=(Scope.SESSION,),
            pin=PinClass.SOFT,
            rank=0,
            floor_when_done=Level.POINTER,
        ),
        PageType.PREFERENCE: TypeRule(
            floor=Level.POINTER, levels=_FIDELITY_STEPS, scopes=(Scope.PROJECT,), pin=PinClass.NONE, rank=0
        ),
        PageType.EVIDENCE: TypeRule(
            floor=Level.POINTER, levels=_FIDELITY_STEPS, scopes=(Scope.SESSION,), pin=PinClass.SOFT, rank=0
        ),
        PageType.CONVERSATION_SEGMENT: TypeRule(
            floor=Level.POINTER, levels=_FIDELITY_STEPS, scopes=(Scope.SESSION,), pin=PinClass.NONE, rank=0
        ),
    }
)

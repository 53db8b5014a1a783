"""The nouns that every other module uses: levels, page types with their rules, pins, scopes, faults, boundaries.

Source of the rules: paper sections on pages, faults and writeback; ``docs/page-model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum


class Level(IntEnum):
    """A representation of a page, ordered by fidelity.

    >>> Level.POINTER < Level.STRUCTURED < Level.COMPRESSED < Level.FULL
    True
    >>> level_from_name("pointer").label
    'pointer'
    """

    NONE = 0
    POINTER = 1
    STRUCTURED = 2
    COMPRESSED = 3
    FULL = 4

    @property
    def label(self) -> str:
        """The level's name in traces and reports."""
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


PIN_RANK: Mapping[PinClass, int] = {PinClass.HARD: 2, PinClass.SOFT: 1, PinClass.NONE: 0}


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

    @property
    def family(self) -> str:
        """``durability`` for what a store loses or hides, ``residency`` for what the prompt lacks."""
        return "durability" if self in (FaultKind.SILENT_RECALL, FaultKind.FLUSH_MISS) else "residency"


class Boundary(str, Enum):
    """A destructive lifecycle boundary."""

    COMPACTION = "compaction"
    RESET = "reset"


class RecallOutcome(str, Enum):
    """Why a recall answered what it answered."""

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


# A subagent or a tool works inside one session and cannot write what all sessions share.
PRINCIPAL_SCOPES: Mapping[Principal, frozenset[Scope]] = {
    principal: frozenset({Scope.SESSION} if principal in (Principal.SUBAGENT, Principal.TOOL) else Scope)
    for principal in Principal
}


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
    that is no longer active (only plans end), ``levels`` the representations it may take, ``scopes`` those that it may
    belong to, ``pin`` its default pin class, ``rank`` its place in the order of installation and in the prompt.
    """

    floor: Level
    levels: tuple[Level, ...]
    scopes: tuple[Scope, ...]
    pin: PinClass
    rank: int = 0
    floor_when_done: Level | None = None

    def floor_for(self, active: bool) -> Level:
        """Return the lowest minimum level that a page in this state may declare."""
        if not active and self.floor_when_done is not None:
            return self.floor_when_done
        return self.floor


_INSTRUCTION_LEVELS = (Level.STRUCTURED, Level.FULL)
_EVERY_LEVEL = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)

TYPE_RULES: Mapping[PageType, TypeRule] = {
    PageType.BOOTSTRAP_POLICY: TypeRule(Level.STRUCTURED, _INSTRUCTION_LEVELS, tuple(Scope), PinClass.HARD, rank=2),
    PageType.CONSTRAINT: TypeRule(Level.STRUCTURED, _INSTRUCTION_LEVELS, (Scope.SESSION,), PinClass.HARD, rank=1),
    PageType.PLAN: TypeRule(
        Level.STRUCTURED,
        (Level.POINTER, Level.STRUCTURED, Level.FULL),
        (Scope.SESSION,),
        PinClass.SOFT,
        floor_when_done=Level.POINTER,
    ),
    PageType.PREFERENCE: TypeRule(Level.POINTER, _EVERY_LEVEL, (Scope.PROJECT,), PinClass.NONE),
    PageType.EVIDENCE: TypeRule(Level.POINTER, _EVERY_LEVEL, (Scope.SESSION,), PinClass.SOFT),
    PageType.CONVERSATION_SEGMENT: TypeRule(Level.POINTER, _EVERY_LEVEL, (Scope.SESSION,), PinClass.NONE),
}

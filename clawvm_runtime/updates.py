"""State updates and their validation: what may be committed, and the reason code where something may not.

Truth is not checked: a well-formed wrong update commits. Domain validators can be plugged in.
Source: paper, writeback protocol; ``docs/journal.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import (
    PRINCIPAL_SCOPES,
    TYPE_RULES,
    PageType,
    PinClass,
    Principal,
    RejectCode,
    Scope,
    UpdateOperation,
    level_from_name,
)

__all__ = [
    "DomainValidator",
    "Rejection",
    "Update",
    "ValidationContext",
    "changed_page",
    "check_update",
    "destroys",
    "merged",
]
__all__ += ["changed_page", "check_update", "destroys", "merged"]

CONTROL_FIELDS = frozenset({"pin", "minimum", "status"})
"""Fields whose committed value changes how the page is held, not only its content."""

MAXIMUM_VALUE_CHARACTERS = 1_000_000
"""The longest canonical JSON that one update may carry."""


@dataclass(frozen=True, slots=True)
class Update:
    """One proposed change; its strings are as the proposer wrote them, and validation judges them.

    ``base_version`` is the committed version of (page, field) that a `set_with_version` was computed from.
    ``evidence_ref`` names the page, span or tool call that the update is drawn from. ``update_id``, where given, makes
    staging idempotent: the same id is never staged twice.

    >>> update = Update("plan", "step", "append", ["tests pass"], scope="session", evidence_ref="bash({})")
    >>> update == Update.from_record(update.to_record())
    True
    """

    page_id: str
    field: str
    operation: str
    value: Any
    scope: str
    evidence_ref: str
    principal: str = Principal.AGENT.value
    base_version: int | None = None
    update_id: str | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the update as plain JSON data."""
        return {
            "base_version": self.base_version,
            "evidence_ref": self.evidence_ref,
            "field": self.field,
            "operation": self.operation,
            "page": self.page_id,
            "principal": self.principal,
            "scope": self.scope,
            "update_id": self.update_id,
            "value": self.value,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Update:
        """Return the update that *record* describes."""
        return cls(
            page_id=record["page"],
            field=record["field"],
            operation=record["operation"],
            value=record["value"],
            scope=record["scope"],
            evidence_ref=record["evidence_ref"],
            principal=record.get("principal", Principal.AGENT.value),
            base_version=record.get("base_version"),
            update_id=record.get("update_id"),
        )


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an update was rejected."""

    code: RejectCode
    detail: str


DomainValidator = Callable[[Update, Page], str | None]
"""Returns None to accept, or a sentence that explains what is wrong (rejected as POLICY_VIOLATION)."""


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """What validation may look at; all questions, no state of its own."""

    find_page: Callable[[str], Page | None]
    reference_resolves: Callable[[str], bool]
    validators: Sequence[DomainValidator] = ()


def check_update(
    update: Update, committed_version: int, committed_value: Any, context: ValidationContext
) -> Rejection | None:
    """Return the first reason to reject *update*, or None.

    *committed_version* is 0 and *committed_value* None where the field was never committed.
    """
    page = context.find_page(update.page_id)
    problem = _schema_problem(update, page, committed_value)
    if problem is not None or page is None:
        return Rejection(RejectCode.SCHEMA_INVALID, problem or "no such page")
    if not context.reference_resolves(update.evidence_ref):
        return Rejection(RejectCode.PROVENANCE_DANGLING, f"evidence {update.evidence_ref!r} does not resolve")
    problem = _scope_problem(update, page)
    if problem is not None:
        return Rejection(RejectCode.SCOPE_DENIED, problem)
    problem = _destruction_problem(update, committed_version)
    if problem is not None:
        return Rejection(RejectCode.DESTRUCTIVE_OP, problem)
    problem = _policy_problem(update, page)
    if problem is not None:
        return Rejection(RejectCode.POLICY_VIOLATION, problem)
    for validator in context.validators:
        try:
            problem = validator(update, page)
        except Exception as error:  # A validator that breaks must not block every later boundary.
            problem = f"the domain validator failed: {type(error).__name__}: {error}"
        if problem is not None:
            return Rejection(RejectCode.POLICY_VIOLATION, problem)
    return None


def _schema_problem(update: Update, page: Page | None, committed_value: Any) -> str | None:
    for attribute in ("page_id", "field", "operation", "scope", "evidence_ref", "principal"):
        value = getattr(update, attribute)
        if not isinstance(value, str) or not value:
            return f"{attribute} must be a non-empty string"
    if page is None:
        return f"no page {update.page_id!r}"
    base = update.base_version
    if base is not None and (isinstance(base, bool) or not isinstance(base, int) or base < 0):
        return "base_version must be a whole number of at least 0"
    if update.operation == UpdateOperation.SET_WITH_VERSION.value and base is None:
        return "set_with_version needs a base_version"
    if update.operation == UpdateOperation.MERGE.value:
        if not isinstance(update.value, dict):
            return "merge needs an object"
        if committed_value is not None and not isinstance(committed_value, dict):
            return "merge needs a committed object to merge into"
    if update.operation == UpdateOperation.APPEND.value and isinstance(committed_value, dict):
        return "append needs a committed list or text to append to"
    if len(canonical_json(update.value)) > MAXIMUM_VALUE_CHARACTERS:
        return f"value is longer than {MAXIMUM_VALUE_CHARACTERS} characters"
    if update.field not in CONTROL_FIELDS:
        return None
    if update.operation in (UpdateOperation.APPEND.value, UpdateOperation.MERGE.value):
        return f"{update.field} can only be set"
    return _control_value_problem(page, update.field, update.value)


def _control_value_problem(page: Page, field: str, value: Any) -> str | None:
    if field == "status":
        if page.type is not PageType.PLAN or value not in ("active", "done"):
            return "status is active or done, and only plans have one"
        return None
    if field == "pin":
        # Compared one by one: the value is whatever somebody wrote, also what cannot be hashed.
        return None if any(value == pin.value for pin in PinClass) else f"unknown pin class {value!r:.80}"
    try:
        known = level_from_name(value) in TYPE_RULES[page.type].levels
    except ValueError:
        known = False
    return None if known else f"a {page.type.value} page cannot have the minimum {value!r:.80}"


def _scope_problem(update: Update, page: Page) -> str | None:
    try:
        principal = Principal(update.principal)
    except ValueError:
        return f"unknown principal {update.principal!r}"
    try:
        scope = Scope(update.scope)
    except ValueError:
        return f"unknown scope {update.scope!r}"
    if scope not in PRINCIPAL_SCOPES[principal]:
        return f"{principal.value} may not write to {scope.value} scope"
    if scope is not page.scope:
        return f"page {page.id!r} belongs to {page.scope.value} scope, not {scope.value}"
    return None


_OPERATIONS = frozenset(operation.value for operation in UpdateOperation)


def destroys(update: Update, committed_version: int) -> bool:
    """Return whether *update* would replace the committed version without having seen it."""
    if update.operation == UpdateOperation.SET_WITH_VERSION.value:
        return update.base_version != committed_version
    return not isinstance(update.operation, str) or update.operation not in _OPERATIONS


def _destruction_problem(update: Update, committed_version: int) -> str | None:
    if not destroys(update, committed_version):
        return None
    if update.operation in _OPERATIONS:
        return f"base version {update.base_version} is not the last committed version {committed_version}"
    return f"operation {update.operation!r} could destroy what was committed"


def _policy_problem(update: Update, page: Page) -> str | None:
    if update.field == "minimum" and level_from_name(update.value) < page.minimum:
        return f"would lower the minimum of page {page.id!r} below {page.minimum.label}"
    if not page.is_hard:
        return None
    if update.field == "pin" and update.value != PinClass.HARD.value:
        return f"would release the hard pin of page {page.id!r}, so that it could fall below its minimum"
    if update.operation == UpdateOperation.SET_WITH_VERSION.value and update.value in (None, "", [], {}):
        return f"would empty {update.field!r} of hard page {page.id!r}, so that it could not reach its minimum"
    return None


def merged(operation: str, committed_value: Any, value: Any) -> Any:
    """Return the committed value after an update.

    `append` concatenates texts, and lists in journal order; `merge` is a keyed union in which the later update speaks
    for its own keys; everything else replaces (unvalidated writeback lets unknown operations through to here).
    """
    if operation == UpdateOperation.APPEND.value:
        if committed_value is None:
            return value
        if isinstance(committed_value, str) and isinstance(value, str):
            return committed_value + value
        first, second = (list(item) if isinstance(item, list) else [item] for item in (committed_value, value))
        return first + second
    if operation == UpdateOperation.MERGE.value and isinstance(value, dict):
        return {**committed_value, **value} if isinstance(committed_value, dict) else dict(value)
    return value


def changed_page(page: Page, field: str, value: Any) -> Page:
    """Return *page* one version later, with a committed control field applied to how it is held.

    A control value that makes no sense (only unvalidated writeback commits one) changes nothing but the version.
    """
    attributes: dict[str, Any] = {"version": page.version + 1}
    if field not in CONTROL_FIELDS or _control_value_problem(page, field, value) is not None:
        return page.changed(**attributes)
    if field == "status":
        active = value != "done"
        attributes["active"] = active
        attributes["minimum"] = TYPE_RULES[page.type].floor_for(active)
    elif field == "pin":
        # Instructions are hard, whatever an unvalidated writeback committed.
        attributes["pin"] = PinClass.HARD if page.is_bootstrap else PinClass(value)
    else:
        attributes["minimum"] = max(level_from_name(value), TYPE_RULES[page.type].floor_for(page.active))
    return page.changed(**attributes)

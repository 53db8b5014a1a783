"""Errors of the runtime; each carries its data so that a caller can act on it without parsing text."""

from __future__ import annotations


class ClawVMError(Exception):
    """Base of every error that the runtime raises on purpose."""


class PageError(ClawVMError, ValueError):
    """A page breaks the contract of its type; carries the page id and the attribute at fault."""

    def __init__(self, page_id: str, attribute: str, message: str) -> None:
        super().__init__(page_id, attribute, message)
        self.page_id = page_id
        self.attribute = attribute
        self.message = message

    def __str__(self) -> str:
        return f"page {self.page_id!r}: {self.attribute}: {self.message}"


class UnknownPageError(ClawVMError, KeyError):
    """An operation names a page that the page table does not hold."""

    def __init__(self, page_id: str) -> None:
        super().__init__(page_id)
        self.page_id = page_id

    def __str__(self) -> str:
        return f"no page {self.page_id!r} in the page table"


class BudgetError(ClawVMError, ValueError):
    """A token budget that is not a positive whole number."""

    def __init__(self, budget: object) -> None:
        super().__init__(budget)
        self.budget = budget

    def __str__(self) -> str:
        return f"a token budget is a whole number from 1 to 10**12, not {self.budget!r:.80}"


class PolicyError(ClawVMError, ValueError):
    """A policy row holds an impossible value."""


class JournalError(ClawVMError):
    """The journal was used against its protocol, e.g. one entry was committed twice."""


class JournalCorruptError(JournalError, ValueError):
    """A journal file cannot be what this program wrote; carries the line number (from 1)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(line, message)
        self.line = line
        self.message = message

    def __str__(self) -> str:
        return f"journal line {self.line}: {self.message}"


class LifecycleError(ClawVMError):
    """An engine operation was called in a state that does not allow it."""

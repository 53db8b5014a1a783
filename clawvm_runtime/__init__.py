"""ClawVM: memory management for stateful LLM agents, enforced by the harness.

Everything that a harness author needs comes from here: ``from clawvm_runtime import Engine, POLICIES, page_from_text``.
Importing the package alone imports none of its modules: a name loads its module when it is first used.
"""

import sys

__version__ = "0.2.0"

if sys.version_info < (3, 10):  # noqa: UP036 - this file, unlike the others, is read by older versions too
    raise ImportError("ClawVM needs Python 3.10 or newer; this is Python {}.{}".format(*sys.version_info[:2]))

TYPE_CHECKING = False  # What type checkers take for true; importing it from typing would cost more than this package.
if TYPE_CHECKING:
    from clawvm_runtime.decision_trace import DecisionTrace
    from clawvm_runtime.engine import AssembledPrompt, Block, Engine, RecallAnswer, ToolAnswer, ToolCall, ToolResult
    from clawvm_runtime.errors import (
        BudgetError,
        ClawVMError,
        JournalCorruptError,
        JournalError,
        LifecycleError,
        PageError,
        PolicyError,
        UnknownPageError,
    )
    from clawvm_runtime.faults import Tally, Verdict
    from clawvm_runtime.journal import EntryStatus, FileJournalStorage, Journal, MemoryJournalStorage
    from clawvm_runtime.pages import Page, Provenance
    from clawvm_runtime.policy import POLICIES, LinearScore, Policy, WritebackMode, policy_named
    from clawvm_runtime.text.pages import page_from_text, with_committed_fields
    from clawvm_runtime.text.tokens import TokenCounter, estimate_tokens
    from clawvm_runtime.updates import Rejection, Update
    from clawvm_runtime.vocabulary import (
        Boundary,
        FaultKind,
        Level,
        PageType,
        PinClass,
        Principal,
        RecallOutcome,
        RejectCode,
        Scope,
        ToolOutcome,
        UpdateOperation,
    )

__all__ = ["AssembledPrompt", "Block", "Engine", "RecallAnswer", "ToolAnswer", "ToolCall", "ToolResult"]
__all__ += ["Page", "Provenance", "TokenCounter", "estimate_tokens", "page_from_text", "with_committed_fields"]
__all__ += ["Boundary", "FaultKind", "Level", "PageType", "PinClass", "RecallOutcome", "Scope", "ToolOutcome"]
__all__ += ["POLICIES", "DecisionTrace", "LinearScore", "Policy", "Tally", "Verdict", "WritebackMode", "policy_named"]
__all__ += ["Principal", "RejectCode", "Rejection", "Update", "UpdateOperation"]
__all__ += ["EntryStatus", "FileJournalStorage", "Journal", "MemoryJournalStorage"]
__all__ += ["BudgetError", "ClawVMError", "JournalCorruptError", "JournalError"]
__all__ += ["LifecycleError", "PageError", "PolicyError", "UnknownPageError"]

_NAMES = {
    "decision_trace": "DecisionTrace",
    "engine": "AssembledPrompt Block Engine RecallAnswer ToolAnswer ToolCall ToolResult",
    "errors": "BudgetError ClawVMError JournalCorruptError JournalError LifecycleError PageError PolicyError "
    "UnknownPageError",
    "faults": "Tally Verdict",
    "journal": "EntryStatus FileJournalStorage Journal MemoryJournalStorage",
    "pages": "Page Provenance",
    "policy": "POLICIES LinearScore Policy WritebackMode policy_named",
    "text.pages": "page_from_text with_committed_fields",
    "text.tokens": "TokenCounter estimate_tokens",
    "updates": "Rejection Update",
    "vocabulary": "Boundary FaultKind Level PageType PinClass Principal RecallOutcome RejectCode Scope ToolOutcome "
    "UpdateOperation",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Return a public name from its module, which is imported now (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'clawvm_runtime' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module("clawvm_runtime." + _MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    """Return every public name, loaded or not."""
    return sorted({*globals(), *_MODULE_OF})

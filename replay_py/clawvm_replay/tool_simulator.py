"""The declared tool simulator: a table from signature to outcome and result page; nothing is ever executed.

===============  ==========================================================
ToolSimulator    answers a call of the engine from the declared table
===============  ==========================================================

Schema: ``schemas/tool-simulator.schema.json``.
"""

from __future__ import annotations

from clawvm_replay.trace_format import Call, ToolDeclaration
from clawvm_runtime.engine import ToolCall, ToolResult

__all__ = ["ToolSimulator"]


class ToolSimulator:
    """Answers calls from declarations; declaring a signature again replaces what it answers."""

    def __init__(self) -> None:
        self._declarations: dict[str, ToolDeclaration] = {}

    def declare(self, declaration: ToolDeclaration) -> None:
        """Put one row into the table."""
        self._declarations[declaration.signature] = declaration

    def call(self, call: Call) -> ToolCall:
        """Return the engine's form of a call in a trace."""
        declaration = self._declarations[call.signature]
        return ToolCall(
            declaration.tool,
            level=call.level,
            deterministic=declaration.deterministic,
            signature=declaration.signature,
        )

    def execute(self, call: ToolCall) -> ToolResult:
        """Return the declared result of a call."""
        declaration = self._declarations[call.signature]
        return ToolResult(declaration.outcome, declaration.page)

    def find(self, signature: str) -> ToolDeclaration | None:
        """Return the declaration of a signature, or None."""
        return self._declarations.get(signature)

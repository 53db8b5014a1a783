"""All formats that are known, in the order in which they are tried."""

from __future__ import annotations

from clawvm_transcripts.format_contract import Format
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from clawvm_transcripts.formats.codex import CODEX
from clawvm_transcripts.formats.copilot_cli import COPILOT_CLI
from clawvm_transcripts.formats.mini_swe_agent import MINI_SWE_AGENT
from clawvm_transcripts.formats.oh_my_pi import OH_MY_PI
from clawvm_transcripts.formats.openclaw import OPENCLAW
from clawvm_transcripts.formats.openclaw_database import OPENCLAW_DATABASE
from clawvm_transcripts.formats.openhands import OPENHANDS
from clawvm_transcripts.formats.pi import PI
from clawvm_transcripts.formats.swe_agent import SWE_AGENT

__all__ = ["FORMATS"]

FORMATS: tuple[Format, ...] = (
    CLAUDE_CODE,
    CODEX,
    COPILOT_CLI,
    OPENCLAW,
    OPENCLAW_DATABASE,
    OH_MY_PI,
    PI,
    MINI_SWE_AGENT,
    SWE_AGENT,
    OPENHANDS,
)

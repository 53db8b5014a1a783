"""pi: ``~/.pi/agent/sessions/<project>/<time>_<session>.jsonl`` (@mariozechner/pi-coding-agent 0.73.1).

The reader is that of the pi family. pi writes nothing that its descendants OpenClaw and Oh My Pi could not have
written as well: a file of the family is pi's as long as nothing in its first lines is theirs.
"""

from __future__ import annotations

from clawvm_transcripts.format_contract import Head, line_format
from clawvm_transcripts.formats.oh_my_pi import OH_MY_PI
from clawvm_transcripts.formats.openclaw import OPENCLAW
from clawvm_transcripts.formats.pi_family import PiReader, in_family

__all__ = ["PI"]


def _recognizes(head: Head) -> bool:
    return in_family(head) and not OPENCLAW.recognizes(head) and not OH_MY_PI.recognizes(head)


PI = line_format("pi", "pi", _recognizes, PiReader)

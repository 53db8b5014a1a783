"""The command line: ``clawvm COMMAND``, and the scripts of a checkout."""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "suite": ("suite", "run the preliminary evaluation: six lifecycle gates and the sweep"),
    "gates": ("suite", "run the six lifecycle gates"),
    "compare": ("suite", "compare two runs cell by cell"),
    "experiments": ("experiments", "run every experiment and judge every claim"),
    "experiment": ("experiments", "run one experiment by its id"),
    "claims": ("experiments", "list every claim with its command"),
    "replay": ("inspect", "replay one trace under one policy"),
    "explain": ("inspect", "explain a page's level in one turn"),
    "map": ("inspect", "draw the residency map of a trace"),
    "validate": ("inspect", "check files against their schemas"),
    "traces": ("inspect", "write the traces of the workload families"),
    "convert": ("sessions", "convert recorded sessions of real agents into traces"),
    "sessions": ("sessions", "replay recorded sessions and report what was lost and kept"),
}
"""The module and the description of each command; the module is imported only when its command runs."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        module = import_module(f"clawvm_cli.{COMMANDS[words[0]][0]}")
        code: int = getattr(module, f"{words[0]}_main")(words[1:], f"clawvm {words[0]}")
        return code
    asked = words[:1] in (["-h"], ["--help"])
    stream = sys.stdout if asked else sys.stderr
    if words and not asked:
        print(f"clawvm: unknown command {words[0]!r}", file=stream)
    print("usage: clawvm COMMAND [--help]\n\ncommands:", file=stream)
    for name, (_, description) in COMMANDS.items():
        print(f"  {name:11} {description}", file=stream)
    return 0 if asked else 2

"""The command line: ``clawvm SUBCOMMAND``, and the same commands as scripts in ``replay_py/``.

===========  =====================================================
suite        run the preliminary evaluation
gates        run the six lifecycle gates
experiments  run every experiment and judge every claim
merge        merge finished shards of the experiments
claims       list every claim with its command
replay       replay one trace under one policy
explain      why a page stood at its level in a turn
map          draw the residency map of a trace
validate     check files against their schemas
compare      compare two runs cell by cell
traces       write the traces of the workload families
convert      convert recorded sessions of real agents into traces
sessions     replay recorded sessions, and tell what was lost and kept
===========  =====================================================
"""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "suite": "suite",
    "gates": "gates",
    "experiments": "experiments",
    "merge": "merge",
    "claims": "claims",
    "replay": "replay",
    "explain": "explain",
    "map": "residency_map",
    "validate": "validate",
    "compare": "compare",
    "traces": "traces",
    "convert": "convert",
    "sessions": "sessions",
}
"""The module of each subcommand; imported only when it is asked for, so that no command waits for another's modules."""


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        code: int = import_module(f"clawvm_cli.{COMMANDS[words[0]]}").main(words[1:], f"clawvm {words[0]}")
        return code
    asked = words[:1] in (["-h"], ["--help"])
    stream = sys.stdout if asked else sys.stderr
    if words and not asked:
        print(f"clawvm: unknown command {words[0]!r}", file=stream)
    print("usage: clawvm COMMAND [--help]\n\ncommands:", file=stream)
    for name, module in COMMANDS.items():
        description = (import_module(f"clawvm_cli.{module}").__doc__ or "").split("\n")[0]
        print(f"  {name:11} {description}", file=stream)
    return 0 if asked else 2

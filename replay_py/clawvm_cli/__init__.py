"""The command line: ``clawvm SUBCOMMAND``, and the same commands as scripts in ``replay_py/``.

===========  =====================================================
suite        run the preliminary evaluation
gates        run the six lifecycle gates
experiments  run every experiment and judge every claim
merge        merge finished shards of the experiments
replay       replay one trace under one policy
explain      why a page stood at its level in a turn
map          draw the residency map of a trace
validate     check files against their schemas
compare      compare two runs cell by cell
traces       write the traces of the workload families
===========  =====================================================
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from clawvm_cli import compare, experiments, explain, gates, merge, replay, residency_map, suite, traces, validate

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, Callable[[list[str], str], int]] = {
    "suite": suite.main,
    "gates": gates.main,
    "experiments": experiments.main,
    "merge": merge.main,
    "replay": replay.main,
    "explain": explain.main,
    "map": residency_map.main,
    "validate": validate.main,
    "compare": compare.main,
    "traces": traces.main,
}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        return COMMANDS[words[0]](words[1:], f"clawvm {words[0]}")
    asked = words[:1] in (["-h"], ["--help"])
    stream = sys.stdout if asked else sys.stderr
    if words and not asked:
        print(f"clawvm: unknown command {words[0]!r}", file=stream)
    print("usage: clawvm COMMAND [--help]\n\ncommands:", file=stream)
    for name, command in COMMANDS.items():
        description = (sys.modules[command.__module__].__doc__ or "").split("\n")[0]
        print(f"  {name:11} {description}", file=stream)
    return 0 if asked else 2

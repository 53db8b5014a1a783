"""The command line: ``clawvm COMMAND``, and the scripts of a checkout.

This module imports nothing that takes time or a newer Python; a command's module is imported when the command runs.
"""

from __future__ import annotations

import os
import sys

__all__ = ["COMMANDS", "main", "start"]

COMMANDS = {
    "suite": ("suite", "run the preliminary evaluation: six lifecycle gates and the sweep"),
    "gates": ("suite", "run the six lifecycle gates; exit code 1 if one fails"),
    "compare": ("suite", "compare two runs cell by cell; exit code 1 if they differ"),
    "experiments": ("experiments", "run every experiment and judge every claim"),
    "experiment": ("experiments", "run one experiment by its id"),
    "claims": ("experiments", "list every experiment and every claim with its command; run nothing"),
    "replay": ("inspect", "replay one trace under one policy and print its metrics"),
    "explain": ("inspect", "explain the level of a page in one turn, from a trace or a decision trace"),
    "map": ("inspect", "draw the residency map of a trace: pages down, turns across, level as colour"),
    "validate": ("inspect", "check files against their schemas, and a manifest against the files that it lists"),
    "traces": ("inspect", "write the traces of the workload families at the paper's budgets"),
    "convert": ("sessions", "convert recorded sessions of real agents into traces without their texts"),
    "sessions": ("sessions", "replay recorded sessions and report what was lost and what each policy would have kept"),
}
"""The module and the summary of each command."""


def main(argv: list[str] | None = None, command: str | None = None) -> int:
    """Run one command and return its exit code: the first word names it, or *command* in a script that has only one."""
    program = os.path.basename(sys.argv[0]) if command else "clawvm"
    start(program)
    words = sys.argv[1:] if argv is None else list(argv)
    if command is None and words and words[0] in COMMANDS:
        command = words.pop(0)
        program = f"clawvm {command}"
    if command is None:
        return _overview(words)
    from importlib import import_module

    from clawvm_cli.common import execute

    module, summary = COMMANDS[command]
    return execute(import_module(f"clawvm_cli.{module}").COMMANDS[command], program, summary, words)


def start(program: str) -> None:
    """End *program* with one line on an old Python, and when Ctrl-C comes before its command runs.

    A SIGINT that is ignored from outside stays ignored: a job in the background may be meant to.
    """
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever has an older one should not meet a traceback
        sys.stderr.write(
            f"{program}: needs Python 3.10 or newer, this is {sys.version_info[0]}.{sys.version_info[1]}\n"
        )
        sys.exit(2)

    def end(number: int = 0, frame: object = None) -> None:
        os.write(2, f"{program}: interrupted\n".encode("ascii", "backslashreplace"))
        os._exit(130)

    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, end)
    except KeyboardInterrupt:
        end()
    except ValueError:  # Not the main thread, which alone gets signals.
        return


def _overview(words: list[str]) -> int:
    from clawvm_cli.process import guarded

    def body() -> int:
        if words[:1] == ["--version"]:
            from clawvm_runtime import __version__

            print(f"clawvm {__version__}")
            return 0
        asked = words[:1] in (["-h"], ["--help"])
        stream = sys.stdout if asked else sys.stderr
        if words and not asked:
            print(f"clawvm: unknown command {words[0]!r}", file=stream)
        print("usage: clawvm COMMAND [--help]\n       clawvm --version\n\ncommands:", file=stream)
        for name, (_, summary) in COMMANDS.items():
            print(f"  {name:11} {summary}", file=stream)
        return 0 if asked else 2

    return guarded("clawvm", body)

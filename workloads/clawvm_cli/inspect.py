"""Write the traces of the workload families for the published budgets, under the naming rule of traces/."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clawvm_cli.common import FAILED, OK, Parser, positive, run
from clawvm_pictures.pages import map_page
from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, WINDOW_MOST, residency_map
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.explanation import explain
from clawvm_replay.output import MANIFEST_NAME, write_atomically
from clawvm_replay.replay import replay
from clawvm_replay.schemas import check_file
from clawvm_replay.trace_format import MAXIMUM_LINE_BYTES, open_trace, read_trace, write_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import FORMAT_NAME, FORMAT_VERSION, DecisionTrace, Event
from clawvm_runtime.errors import ClawVMError
from clawvm_runtime.policy import policy_named
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, committed_path

__all__ = ["explain_main", "map_main", "replay_main", "traces_main", "validate_main"]


# --- The decisions that a command looks at: read from a decision trace, or made by replaying a trace.


def decision_events(path: Path, policy: str | None, budget: int | None) -> Iterator[Event]:
    """Yield the events of a decision trace, or those of replaying a trace under *policy* with *budget* tokens.

    A trace is replayed under ClawVM with its own budget unless told otherwise; a decision trace has its own policy and
    budget. Raises InputError with one line for a file that is neither.
    """
    with open_trace(path) as stream:
        first = _event(stream.readline(MAXIMUM_LINE_BYTES), path, 1)
    if first.get("record") == "header":
        yield from _replayed(path, policy or "clawvm", budget)
    elif first.get("format") != FORMAT_NAME or first.get("version") != FORMAT_VERSION:
        raise TraceError(str(path), 1, f"is neither a trace nor a decision trace of version {FORMAT_VERSION}")
    elif policy or budget:
        raise InputError("--policy and --budget go with a trace; a decision trace has its own")
    else:
        with open_trace(path) as stream:
            for number, line in enumerate(stream, start=1):
                yield _event(line, path, number)


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(str(path), number, f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise TraceError(str(path), number, "a record is a JSON object")
    return event


def _replayed(path: Path, policy: str, budget: int | None) -> list[Event]:
    decisions = DecisionTrace()
    with open_trace(path) as stream:
        header, turns = read_trace(stream, str(path))
        replay(header, turns, policy_named(policy), budget or header.budget, decisions=decisions, source=str(path))
    return decisions.events


# --- Explain why a page stood at its level in a turn: from a decision trace, or from a trace and a policy.


def explain_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("file", type=Path, help="decision trace, or trace to replay")
    result.add_argument("--turn", type=positive, required=True, metavar="N", help="the turn, from 1")
    result.add_argument("--page", required=True, metavar="ID", help="the page")
    result.add_argument("--policy", metavar="ID", help="policy for a trace (default clawvm)")
    result.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget for a trace (default: its own)")
    return result


def explain_main(argv: list[str] | None = None, program: str = "explain_decision.py") -> int:
    """Print the explanation and return the exit code."""
    arguments = explain_parser(program).parse_args(argv)
    return run(program, lambda: _explain_run(arguments))


def _explain_run(arguments: argparse.Namespace) -> int:
    try:
        lines = explain(
            decision_events(arguments.file, arguments.policy, arguments.budget), arguments.turn, arguments.page
        )
    except ClawVMError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{arguments.file}: is no valid decision trace; validate it first") from None
    for line in lines:
        print(line)
    return OK


# --- Replay one trace under one policy and print its metrics.


def replay_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("trace", type=Path, help="trace file")
    result.add_argument("--policy", default="clawvm", metavar="ID", help="policy id (default clawvm)")
    result.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget (default: the trace's own)")
    result.add_argument("--decisions", type=Path, metavar="FILE", help="write the decision trace here")
    return result


def replay_main(argv: list[str] | None = None, program: str = "replay_trace.py") -> int:
    """Replay the trace and return the exit code."""
    arguments = replay_parser(program).parse_args(argv)
    return run(program, lambda: _replay_run(arguments))


def _replay_run(arguments: argparse.Namespace) -> int:
    policy = policy_named(arguments.policy)
    lines: list[str] = []
    decisions = None
    if arguments.decisions is not None:
        decisions = DecisionTrace(lambda event: lines.append(canonical_json(event) + "\n"))
    with open_trace(arguments.trace) as stream:
        header, turns = read_trace(stream, str(arguments.trace))
        tokens = arguments.budget or header.budget
        metrics = replay(header, turns, policy, tokens, decisions=decisions, source=str(arguments.trace))
    if arguments.decisions is not None:
        write_atomically(arguments.decisions, "".join(lines).encode("ascii"))
    print(json.dumps(metrics.to_record(), indent=2))
    return OK


# --- Draw the residency map of a trace or decision trace: pages down, turns across, level as colour.


def map_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("file", type=Path, help="decision trace, or trace to replay")
    result.add_argument("--policy", metavar="ID", help="policy for a trace (default clawvm)")
    result.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget for a trace (default: its own)")
    result.add_argument(
        "--out", type=_picture, metavar="FILE", help="write FILE.svg or FILE.html (default: SVG to standard output)"
    )
    result.add_argument(
        "--turns",
        type=_window,
        metavar="A-B",
        help=f"the turns to draw, at most {WINDOW_MOST} (default: the first {TURNS_MOST})",
    )
    result.add_argument(
        "--pages-most",
        type=positive,
        default=PAGES_MOST,
        metavar="N",
        help=f"draw at most N pages, those with most faults, page-ins and demands (default {PAGES_MOST})",
    )
    return result


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".svg", ".html"):
        raise argparse.ArgumentTypeError(f"must end in .svg or .html, not {text!r:.80}")
    return path


def _window(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,12})-(\d{1,12})", text, re.ASCII)
    window = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= window[0] <= window[1] < window[0] + WINDOW_MOST:
        raise argparse.ArgumentTypeError(f"must be a first and a last turn such as 40-80, not {text!r:.80}")
    return window


def map_main(argv: list[str] | None = None, program: str = "draw_residency_map.py") -> int:
    """Draw the map and return the exit code."""
    arguments = map_parser(program).parse_args(argv)
    return run(program, lambda: _map_run(arguments))


def _map_run(arguments: argparse.Namespace) -> int:
    draw = map_page if arguments.out is not None and arguments.out.suffix == ".html" else residency_map
    events = list(decision_events(arguments.file, arguments.policy, arguments.budget))
    try:
        text = draw(events, turns=arguments.turns, pages_most=arguments.pages_most)
    except InputError as error:
        raise InputError(f"{arguments.file}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        raise InputError(f"{arguments.file}: is no valid decision trace; validate it first") from None
    if arguments.out is None:
        sys.stdout.write(text + "\n")
    else:
        write_atomically(arguments.out, (text.rstrip("\n") + "\n").encode("ascii"))
    return OK


# --- Validate traces and output files against their schemas; for a manifest, also the sha256 of every file it lists.

MOST_PROBLEMS = 20
"""Problems shown per file; a file with more is reported as such."""


def validate_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files of any of the project's formats")
    return result


def validate_main(argv: list[str] | None = None, program: str = "validate_file.py") -> int:
    """Validate the files and return the exit code."""
    arguments = validate_parser(program).parse_args(argv)
    return run(program, lambda: _validate_run(arguments.files))


def _validate_run(files: list[Path]) -> int:
    invalid = 0
    for path in files:
        problems = list(islice(_problems(path), MOST_PROBLEMS + 1))
        for problem in problems[:MOST_PROBLEMS]:
            print(problem)
        if len(problems) > MOST_PROBLEMS:
            print(f"{path}: more than {MOST_PROBLEMS} problems; the rest is not shown")
        if problems:
            invalid += 1
        else:
            print(f"{path}: valid")
    return FAILED if invalid else OK


def _problems(path: Path) -> Iterator[str]:
    found = False
    for problem in check_file(path):
        found = True
        yield problem
    if path.name == MANIFEST_NAME and not found:
        yield from _manifest_problems(path)


def _manifest_problems(path: Path) -> Iterator[str]:
    for entry in json.loads(path.read_bytes())["files"]:
        listed = path.parent / entry["path"]
        if not listed.is_file():
            yield f"{path}: {entry['path']} is missing"
        elif hashlib.sha256(listed.read_bytes()).hexdigest() != entry["sha256"]:
            yield f"{path}: {entry['path']} is not the file that was written"


# --- Write the traces of the workload families for the published budgets, under the naming rule of traces/.


def traces_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument(
        "--root", type=Path, default=Path("."), metavar="DIR", help="folder that holds traces/ (default .)"
    )
    return result


def traces_main(argv: list[str] | None = None, program: str = "write_traces.py") -> int:
    """Write the traces and return the exit code."""
    arguments = traces_parser(program).parse_args(argv)
    return run(program, lambda: _traces_run(arguments.root))


def _traces_run(root: Path) -> int:
    for name, build in FAMILIES.items():
        for budget in PAPER_BUDGETS:
            trace = build(budget)
            lines = "".join(write_trace(trace.header, trace.turns))
            write_atomically(root / committed_path(name, budget), lines.encode("ascii"))
    print(f"{len(FAMILIES) * len(PAPER_BUDGETS)} traces written under {root / 'traces'}")
    return OK

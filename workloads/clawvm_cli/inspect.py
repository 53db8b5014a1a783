"""Looking at one trace or file: replay it, explain a decision, draw its map, validate it; and writing the traces."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

from clawvm_cli.common import Command, path_from, positive
from clawvm_cli.process import FAILED, OK
from clawvm_pictures.pages import map_page
from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, WINDOW_MOST, residency_map
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.explanation import explain
from clawvm_replay.output import MANIFEST_NAME, write_atomically
from clawvm_replay.replay import replay
from clawvm_replay.schemas import check_file
from clawvm_replay.trace_format import BoundedLines, open_trace, read_trace, write_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import FORMAT_NAME, FORMAT_VERSION, DecisionTrace, Event
from clawvm_runtime.policy import policy_named
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, PAPER_FAMILIES, committed_path

__all__ = ["COMMANDS"]

MOST_PROBLEMS = 20
"""Problems shown per file; a file with more is reported as such."""

_DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading the events of a damaged decision trace may raise."""


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", type=path_from, help="trace file")
    parser.add_argument("--policy", default="clawvm", metavar="ID", help="policy id (default clawvm)")
    parser.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget (default: the trace's own)")
    parser.add_argument("--decisions", type=path_from, metavar="FILE", help="write the decision trace here")


def _replay(arguments: argparse.Namespace) -> int:
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


def _decisions_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=path_from, help="decision trace, or trace to replay")
    parser.add_argument("--policy", metavar="ID", help="policy for a trace (default clawvm)")
    parser.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget for a trace (default: its own)")


def _events(arguments: argparse.Namespace) -> Iterator[Event]:
    """Yield the events of a decision trace, or those of replaying a trace under the policy and budget of *arguments*.

    Raises InputError with one line for a file that is neither.
    """
    path, policy, budget = arguments.file, arguments.policy, arguments.budget
    with open_trace(path) as stream:
        lines = BoundedLines(stream, str(path))
        first = _event(lines.peek(), path, 1)
        if first.get("record") == "header":
            decisions = DecisionTrace()
            header, turns = read_trace(lines, str(path))
            row = policy_named(policy or "clawvm")
            replay(header, turns, row, budget or header.budget, decisions=decisions, source=str(path))
            yield from decisions.events
        elif first.get("format") != FORMAT_NAME or first.get("version") != FORMAT_VERSION:
            raise TraceError(str(path), 1, f"is neither a trace nor a decision trace of version {FORMAT_VERSION}")
        elif policy or budget:
            raise InputError("--policy and --budget go with a trace; a decision trace has its own")
        else:
            for line in lines:
                yield _event(line, path, lines.number)


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(str(path), number, f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise TraceError(str(path), number, "a record is a JSON object")
    return event


def _refuse_damaged(path: Path) -> NoReturn:
    raise InputError(f"{path}: is no valid decision trace; validate it first") from None


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    _decisions_arguments(parser)
    parser.add_argument("--turn", type=positive, required=True, metavar="N", help="the turn, from 1")
    parser.add_argument("--page", required=True, metavar="ID", help="the page")


def _explain(arguments: argparse.Namespace) -> int:
    try:
        lines = explain(_events(arguments), arguments.turn, arguments.page)
    except _DAMAGED:
        _refuse_damaged(arguments.file)
    for line in lines:
        print(line)
    return OK


def _map_arguments(parser: argparse.ArgumentParser) -> None:
    _decisions_arguments(parser)
    parser.add_argument(
        "--out", type=_picture, metavar="FILE", help="write FILE.svg or FILE.html (default: SVG to standard output)"
    )
    parser.add_argument(
        "--turns",
        type=_window,
        metavar="A-B",
        help=f"the turns to draw, at most {WINDOW_MOST} (default: the first {TURNS_MOST})",
    )
    parser.add_argument(
        "--pages-most",
        type=positive,
        default=PAGES_MOST,
        metavar="N",
        help=f"draw at most N pages, those with most faults, page-ins and demands (default {PAGES_MOST})",
    )


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


def _map(arguments: argparse.Namespace) -> int:
    draw = map_page if arguments.out is not None and arguments.out.suffix == ".html" else residency_map
    events = list(_events(arguments))
    try:
        text = draw(events, turns=arguments.turns, pages_most=arguments.pages_most)
    except InputError as error:
        raise InputError(f"{arguments.file}: {error}") from None
    except _DAMAGED:
        _refuse_damaged(arguments.file)
    if arguments.out is None:
        sys.stdout.write(text + "\n")
    else:
        write_atomically(arguments.out, (text.rstrip("\n") + "\n").encode("ascii"))
    return OK


def _validate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", type=path_from, nargs="+", metavar="FILE", help="files of any of the project's formats"
    )


def _validate(arguments: argparse.Namespace) -> int:
    invalid = 0
    for path in arguments.files:
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


def _traces_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=path_from, default=Path("."), metavar="DIR", help="folder that holds traces/ (default .)"
    )


def _traces(arguments: argparse.Namespace) -> int:
    for name in PAPER_FAMILIES:
        for budget in PAPER_BUDGETS:
            trace = FAMILIES[name](budget)
            lines = "".join(write_trace(trace.header, trace.turns))
            write_atomically(arguments.root / committed_path(name, budget), lines.encode("ascii"))
    print(f"{len(PAPER_FAMILIES) * len(PAPER_BUDGETS)} traces written under {arguments.root / 'traces'}")
    return OK


COMMANDS = {
    "replay": Command(_replay_arguments, _replay),
    "explain": Command(_explain_arguments, _explain),
    "map": Command(_map_arguments, _map),
    "validate": Command(_validate_arguments, _validate),
    "traces": Command(_traces_arguments, _traces),
}

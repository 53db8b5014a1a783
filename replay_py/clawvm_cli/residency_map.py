"""Draw the residency map of a trace or decision trace: pages down, turns across, level as colour."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from clawvm_cli.common import OK, Parser, positive, run
from clawvm_cli.decision_source import decision_events
from clawvm_pictures.map_page import map_page
from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, WINDOW_MOST, residency_map
from clawvm_replay.errors import InputError
from clawvm_replay.output import write_atomically

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
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


def main(argv: list[str] | None = None, program: str = "draw_residency_map.py") -> int:
    """Draw the map and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
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

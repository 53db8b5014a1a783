"""Run experiments: every table, every claim with its verdict, figures, and a report that works offline."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from clawvm_cli.common import FAILED, OK, Parser, Progress, names_from, positive, run
from clawvm_experiments import overhead
from clawvm_experiments.claims import NOT_RUN, Judged, claims_table, guide_table
from clawvm_experiments.finishing import (
    OVERHEAD,
    TIMED_CLAIMS,
    TIMINGS,
    Timings,
    read_back,
    results_documents,
    write_results,
)
from clawvm_experiments.registry import EXPERIMENTS
from clawvm_experiments.running import Plan, Shard, Usage, check_resumable, row_path, run_plan
from clawvm_replay.document import markdown
from clawvm_replay.errors import InputError
from clawvm_replay.execution import EXECUTORS, executor_named
from clawvm_replay.output import OutputDirectory

__all__ = ["claims_main", "experiment_main", "experiments_main"]


# --- Run experiments: every table, every claim with its verdict, figures, and a report that works offline.

UNFINISHED = "unfinished"
"""Folder of the rows of a run that is not finished; gone once it is."""

OVERHEAD_REPORT = f"{TIMINGS}/overhead.md"
USAGE = f"{TIMINGS}/usage.json"
HOW_TO_RESUME = "interrupted; the same command with --resume goes on where it stopped"
TIMING_FILES = (OVERHEAD, OVERHEAD_REPORT, USAGE, TIMED_CLAIMS)


def experiments_parser(program: str, *, one: bool = False) -> argparse.ArgumentParser:
    """Return the command's argument parser; with *one*, that of a script that runs one experiment."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument(
        "--out-root",
        type=Path,
        required=not one,
        metavar="DIR",
        help="folder for every output file" + (" (default: print the report, write nothing)" if one else ""),
    )
    if one:
        ids = (*EXPERIMENTS, overhead.ID)
        result.add_argument("id", choices=ids, metavar="ID", help=f"the experiment: {', '.join(ids)}")
    else:
        result.add_argument(
            "--experiments",
            type=names_from,
            default=(*EXPERIMENTS, overhead.ID),
            metavar="LIST",
            help="experiment ids, comma-separated (default: all)",
        )
    result.add_argument("--quick", action="store_true", help="the same structure with far fewer cells")
    result.add_argument(
        "--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="number of workers (default: all cores)"
    )
    result.add_argument(
        "--executor",
        default="process",
        metavar="NAME",
        help=f"who runs the cells: {', '.join(EXECUTORS)} (dask:ADDRESS), or module:attribute (default process)",
    )
    result.add_argument("--shard", type=Shard.from_text, metavar="I/N", help="run only part I of N, for array jobs")
    begin = result.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="go on with an interrupted run where it stopped")
    begin.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")
    return result


def experiments_main(argv: list[str] | None = None, program: str = "run_all_experiments.py") -> int:
    """Run the experiments and return the exit code: 1 when a claim that must hold does not."""
    arguments = experiments_parser(program).parse_args(argv)
    return run(program, lambda: _experiments_run(arguments), HOW_TO_RESUME)


def experiment_main(argv: list[str] | None = None, program: str = "run_experiment.py") -> int:
    """Run one experiment; without --out-root its report is printed and nothing is written."""
    arguments = experiments_parser(program, one=True).parse_args(argv)
    arguments.experiments = (arguments.id,)
    return run(program, lambda: _experiments_run(arguments), HOW_TO_RESUME)


def plan_of(names: Sequence[str], quick: bool) -> Plan:
    """Return the plan for the experiments with these ids; raises InputError for an unknown one."""
    known = (*EXPERIMENTS, overhead.ID)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"unknown experiment {unknown[0]!r}; known: {', '.join(known)}")
    return Plan.of([EXPERIMENTS[name] for name in EXPERIMENTS if name in names], quick)


def _experiments_run(arguments: argparse.Namespace) -> int:
    plan = plan_of(arguments.experiments, arguments.quick)
    root: Path | None = arguments.out_root
    if root is None:
        if arguments.resume or arguments.force or arguments.shard is not None:
            raise InputError("--resume, --force and --shard go with --out-root")
        return _print(plan, arguments)
    if arguments.shard is not None:
        return _run_shard(plan, root, arguments)
    unfinished = root / UNFINISHED
    # Whatever may refuse the run comes before the first file of an earlier one is touched.
    _check_beginning(plan, root, unfinished, arguments)
    with executor_named(arguments.executor, arguments.jobs) as executor:
        output = OutputDirectory(root, force=arguments.force, resume=arguments.resume)
        _clear_timings(root)
        _begin_rows(plan, unfinished)
        timings = _measure_overhead(arguments) if overhead.ID in arguments.experiments else Timings()
        usage, begin = Usage(), time.perf_counter()
        rows = plan.ordered(_rows(plan, unfinished, arguments, usage, executor))
    timings = _with_usage(timings, usage, time.perf_counter() - begin, arguments)
    judged = write_results(output, plan, rows, timings)
    shutil.rmtree(unfinished)
    return verdict_on(judged, root / "report.html" if plan.experiments else root / OVERHEAD_REPORT)


def _check_beginning(plan: Plan, root: Path, unfinished: Path, arguments: argparse.Namespace) -> None:
    if arguments.resume and not unfinished.is_dir():
        raise InputError(f"{root}: holds no interrupted run to resume")
    if arguments.resume:
        check_resumable(plan, unfinished, None)
    if unfinished.is_dir() and not (arguments.resume or arguments.force):
        raise InputError(f"{root}: holds an interrupted run; use --resume to go on, or --force to start over")


def _begin_rows(plan: Plan, unfinished: Path) -> None:
    """Make the folder of rows; what an interrupted run of other experiments left there is no part of this one."""
    unfinished.mkdir(exist_ok=True)
    own = {row_path(unfinished, name, None) for name in plan.cells}
    for path in set(unfinished.glob("*.rows.jsonl")) - own:
        path.unlink()


def _clear_timings(root: Path) -> None:
    """Remove the timings of an earlier run: this one may measure fewer, and no manifest lists them."""
    for path in TIMING_FILES:
        (root / path).unlink(missing_ok=True)


def _rows(
    plan: Plan, folder: Path, arguments: argparse.Namespace, usage: Usage, executor: Executor | None
) -> dict[str, dict[str, Any]]:
    return run_plan(
        plan,
        folder,
        shard=arguments.shard,
        resume=arguments.resume,
        executor=executor,
        progress=Progress("cells"),
        usage=usage,
    )


def _run_shard(plan: Plan, root: Path, arguments: argparse.Namespace) -> int:
    existing = [path for path in (row_path(root, name, arguments.shard) for name in plan.cells) if path.exists()]
    if existing and not (arguments.resume or arguments.force):
        raise InputError(f"{existing[0]}: is there already; use --resume to go on, or --force to start over")
    with executor_named(arguments.executor, arguments.jobs) as executor:
        rows = _rows(plan, root, arguments, Usage(), executor)
    shard = arguments.shard
    print(f"shard {shard.number} of {shard.count}: {sum(map(len, rows.values()))} cells in {root}")
    return OK


def _print(plan: Plan, arguments: argparse.Namespace) -> int:
    if overhead.ID in arguments.experiments:
        print(_measure_overhead(arguments).reports[OVERHEAD_REPORT])
        return OK
    with tempfile.TemporaryDirectory() as folder, executor_named(arguments.executor, arguments.jobs) as executor:
        rows = plan.ordered(_rows(plan, Path(folder), arguments, Usage(), executor))
    documents = results_documents(plan, rows)
    for item in plan.experiments:
        report = item.report(read_back(documents[f"{item.id}/results.json"]))
        print(report if isinstance(report, str) else markdown(report), end="")
    return OK


def _measure_overhead(arguments: argparse.Namespace) -> Timings:
    measured = overhead.measure(overhead.configuration(quick=arguments.quick), Progress("parts measured"))
    return Timings({OVERHEAD: measured}, {OVERHEAD_REPORT: overhead.report(measured)})


def _with_usage(timings: Timings, usage: Usage, seconds: float, arguments: argparse.Namespace) -> Timings:
    record = {
        "jobs": arguments.jobs,
        "executor": arguments.executor,
        "wall_seconds": round(seconds, 3),
        "processor_seconds": {name: round(value, 3) for name, value in sorted(usage.seconds.items())},
        "peak_resident_megabytes": _peak_megabytes(),
    }
    return Timings({**timings.documents, USAGE: record}, timings.reports)


def _peak_megabytes() -> float | None:
    """Return the largest resident size of this process or one of its workers, where the system tells it."""
    try:
        import resource
    except ImportError:
        return None
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(most / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def verdict_on(judged: Sequence[Judged], report: Path) -> int:
    """Print the table of claims and the verdict, and return the exit code."""
    print(claims_table(judged))
    must = [item for item in judged if item.claim.must_hold and item.verdict != NOT_RUN]
    failed = [item for item in must if item.failed]
    for item in failed:
        print(f"claim {item.claim.id} must hold and does not: {item.claim.statement}", file=sys.stderr)
    if must:
        word = "FAIL" if failed else "PASS"
        print(f"{word}: {len(must) - len(failed)} of {len(must)} claims that must hold do; report: {report}")
    else:
        print(f"No claim that must hold was judged in this run; report: {report}")
    return FAILED if failed else OK


# --- List every claim with its command, output, expectation and cost, as Markdown; nothing is run.


def claims_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    return Parser(prog=program, description=__doc__)


def claims_main(argv: list[str] | None = None, program: str = "list_claims.py") -> int:
    """Print the table and return the exit code."""
    claims_parser(program).parse_args(argv)
    return run(program, _claims_run)


def _claims_run() -> int:
    print(guide_table(), end="")
    return OK

"""Experiments: every table, every claim with its verdict, figures, and a report that works offline."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clawvm_cli.common import (
    Command,
    Progress,
    add_execution_arguments,
    add_list_argument,
    add_output_arguments,
)
from clawvm_cli.process import FAILED, OK
from clawvm_experiments import overhead
from clawvm_experiments.claims import Judged, claims_table
from clawvm_experiments.finishing import (
    OVERHEAD,
    TIMED_CLAIMS,
    TIMINGS,
    Timings,
    read_back,
    results_documents,
    write_results,
)
from clawvm_experiments.registry import EXPERIMENTS, claims_guide
from clawvm_experiments.running import Plan, check_resumable, row_path, run_plan
from clawvm_replay.document import markdown
from clawvm_replay.errors import InputError
from clawvm_replay.execution import executor_named
from clawvm_replay.output import OutputDirectory

__all__ = ["COMMANDS", "HOW_TO_RESUME", "UNFINISHED", "check_beginning", "print_verdict"]

UNFINISHED = "unfinished"
"""Folder of the rows of a run that is not finished; removed at the end."""

OVERHEAD_REPORT = f"{TIMINGS}/overhead.md"
USAGE = f"{TIMINGS}/usage.json"
HOW_TO_RESUME = "interrupted; the same command with --resume goes on where it stopped"


def _ids() -> tuple[str, ...]:
    return (*EXPERIMENTS, overhead.ID)


def _experiments_arguments(parser: argparse.ArgumentParser) -> None:
    add_output_arguments(parser)
    add_list_argument(parser, "--experiments", _ids(), "ids")
    _add_run_arguments(parser)


def _experiment_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=f"the experiment: {', '.join(_ids())}")
    add_output_arguments(parser, help="folder for every output file (default: print the report, write nothing)")
    _add_run_arguments(parser)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="the same structure with far fewer cells")
    add_execution_arguments(parser)


def _experiments(arguments: argparse.Namespace) -> int:
    return _run(arguments, arguments.experiments)


def _experiment(arguments: argparse.Namespace) -> int:
    if arguments.out_root is not None:
        return _run(arguments, [arguments.id])
    if arguments.resume or arguments.force:
        raise InputError("--resume and --force go with --out-root")
    plan = _plan([arguments.id], arguments.quick)
    if not plan.experiments:
        print(_measure_overhead(arguments.quick).reports[OVERHEAD_REPORT])
        return OK
    (experiment,) = plan.experiments
    with tempfile.TemporaryDirectory() as folder, executor_named(arguments.executor, arguments.jobs) as executor:
        rows = run_plan(plan, Path(folder), resume=False, executor=executor, progress=Progress("cells"))
    (results,) = results_documents(plan, rows).values()
    print(markdown(experiment.report(read_back(results))), end="")
    return OK


def _plan(names: Sequence[str], quick: bool) -> Plan:
    """Return the plan for the experiments with these ids; raises InputError for an unknown one."""
    unknown = [name for name in names if name not in _ids()]
    if unknown:
        raise InputError(f"unknown experiment {unknown[0]!r}; known: {', '.join(_ids())}")
    return Plan.of([EXPERIMENTS[name] for name in EXPERIMENTS if name in names], quick)


def _run(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    plan = _plan(names, arguments.quick)
    root: Path = arguments.out_root
    unfinished = root / UNFINISHED
    # Whatever may refuse the run comes before the first file of an earlier one is touched.
    check_beginning(root, arguments)
    if arguments.resume:
        check_resumable(plan, unfinished)
    seconds: dict[str, float] = {}
    with executor_named(arguments.executor, arguments.jobs) as executor:
        output = OutputDirectory(root, force=arguments.force, resume=arguments.resume)
        _clear(plan, root)
        timings = _measure_overhead(arguments.quick) if overhead.ID in names else Timings()
        begin = time.perf_counter()
        rows = run_plan(
            plan,
            unfinished,
            resume=arguments.resume,
            executor=executor,
            progress=Progress("cells"),
            seconds=seconds,
        )
    usage = {
        "jobs": arguments.jobs,
        "executor": arguments.executor,
        "wall_seconds": round(time.perf_counter() - begin, 3),
        "processor_seconds": {name: round(value, 3) for name, value in sorted(seconds.items())},
        "peak_resident_megabytes": _peak_megabytes(),
    }
    timings = replace(timings, documents={**timings.documents, USAGE: usage})
    judged = write_results(output, plan, rows, timings)
    shutil.rmtree(unfinished)
    return print_verdict(judged, root / ("report.html" if plan.experiments else OVERHEAD_REPORT))


def check_beginning(root: Path, arguments: argparse.Namespace) -> None:
    """Raise InputError unless ``--resume`` and ``--force`` fit what is in *root*."""
    if (root / UNFINISHED).is_symlink():
        raise InputError(f"{root / UNFINISHED}: is a link; remove it, or name another folder")
    interrupted = (root / UNFINISHED).is_dir()
    if arguments.resume and arguments.force:
        raise InputError("--resume and --force exclude each other")
    if arguments.resume and not interrupted:
        raise InputError(f"{root}: holds no interrupted run to resume")
    if interrupted and not (arguments.resume or arguments.force):
        raise InputError(f"{root}: holds an interrupted run; use --resume to go on, or --force to start over")


def _clear(plan: Plan, root: Path) -> None:
    """Make the folder of rows; remove rows of other experiments, and timings of an earlier run, in no manifest."""
    unfinished = root / UNFINISHED
    unfinished.mkdir(exist_ok=True)
    for path in set(unfinished.glob("*.rows.jsonl")) - {row_path(unfinished, name) for name in plan.cells}:
        path.unlink()
    for name in (OVERHEAD, OVERHEAD_REPORT, USAGE, TIMED_CLAIMS):
        (root / name).unlink(missing_ok=True)


def _measure_overhead(quick: bool) -> Timings:
    measured = overhead.measure(overhead.configuration(quick), Progress("parts measured"))
    return Timings({OVERHEAD: measured}, {OVERHEAD_REPORT: markdown(overhead.report(measured))})


def _peak_megabytes() -> float | None:
    """Return the largest resident size of this process or one of its workers, where the system reports it."""
    try:
        import resource
    except ImportError:
        return None
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(most / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def print_verdict(judged: Sequence[Judged], report: Path, *, table: bool = True) -> int:
    """Print the claims as a *table* and the verdict; return the exit code: 1 when a claim that must hold does not."""
    if judged and table:
        print(markdown([claims_table(judged)]))
    must = [item for item in judged if item.claim.must_hold and item.holds is not None]
    failed = [item for item in must if item.failed]
    for item in failed:
        print(f"claim {item.claim.id} must hold and does not: {item.claim.statement}", file=sys.stderr)
    if must:
        word = "FAIL" if failed else "PASS"
        print(f"{word}: {len(must) - len(failed)} of {len(must)} claims that must hold do; report: {report}")
    else:
        print(f"No claim that must hold was judged in this run; report: {report}")
    return FAILED if failed else OK


def _claims(arguments: argparse.Namespace) -> int:
    print(markdown(claims_guide()), end="")
    return OK


COMMANDS = {
    "experiments": Command(_experiments_arguments, _experiments, HOW_TO_RESUME),
    "experiment": Command(_experiment_arguments, _experiment, HOW_TO_RESUME),
    "claims": Command(lambda parser: None, _claims),
}

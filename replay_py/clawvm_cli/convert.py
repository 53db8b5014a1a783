"""Convert recorded sessions of real agents into replay traces; without texts, paths or names unless asked for."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from clawvm_cli.common import OK, Parser, Progress, in_one_line, positive, run
from clawvm_replay.errors import InputError
from clawvm_replay.execution import completed, executor_named
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory
from clawvm_replay.suite import document, manifest_record
from clawvm_transcripts.converting import Job, JobResult, convert
from clawvm_transcripts.jobs import Chain, Conversion, jobs_for, write_conversion
from clawvm_transcripts.registry import FORMATS
from clawvm_transcripts.session_output import remove_sessions, remove_spools, request_stop

__all__ = ["add_conversion_options", "conversion_configuration", "convert_inputs", "main", "parser"]


PASSED_OVER_SHOWN = 10
"""Files in no known format that are named on stderr; folders of sessions may hold thousands of others."""


def add_conversion_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that converts takes."""
    titles = ", ".join(item.title for item in FORMATS)
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help=f"recorded sessions, plain or gzip, or folders of them (such as ~/.claude/projects); known: {titles}",
    )
    parser.add_argument(
        "--chain",
        type=_chain,
        default=Chain.NONE,
        metavar="HOW",
        help="none: every session is a trace (default); all: one trace of all sessions, in the order of their recorded "
        "start, with a reset between any two; project: one such trace for each project",
    )
    parser.add_argument(
        "--keep-text",
        action="store_true",
        help="for your own use: names hold words of the session, and texts.jsonl its texts (default: neither)",
    )
    parser.add_argument(
        "--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="number of workers (default: all cores)"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")


def _chain(text: str) -> Chain:
    try:
        return Chain(text)
    except ValueError:
        known = ", ".join(item.value for item in Chain)
        raise argparse.ArgumentTypeError(f"must be one of {known}, not {text!r:.80}") from None


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    add_conversion_options(result)
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for every output file")
    return result


def main(argv: list[str] | None = None, program: str = "convert_transcripts.py") -> int:
    """Convert and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    jobs = jobs_for(arguments.inputs, arguments.out, chain=arguments.chain, keep_text=arguments.keep_text)
    output = OutputDirectory(arguments.out, force=arguments.force)
    conversion = convert_inputs(jobs, arguments.jobs)
    write_conversion(output, conversion)
    output.write(MANIFEST_NAME, document(manifest_record(output, conversion_configuration(arguments))))
    print(f"{len(conversion.sessions)} sessions in {arguments.out}; report: {arguments.out / 'conversion.report.md'}")
    return OK


def conversion_configuration(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that the result depends on; the number of jobs is none of them."""
    return {"chain": arguments.chain.value, "keep_text": arguments.keep_text}


def convert_inputs(jobs: Sequence[Job], workers: int) -> Conversion:
    """Run *jobs* with so many *workers* and return the conversion; tells its progress, and refused files, on stderr.

    When it fails or is interrupted, all jobs end soon and no spool file stays. Raises InputError for what cannot be
    read or written, and when no session was found.
    """
    folders = {Path(job.out) for job in jobs}
    for folder in folders:
        remove_spools(folder)
        remove_sessions(folder)
    try:
        begin = time.perf_counter()
        conversion = Conversion.of(_results(jobs, workers))
        seconds = time.perf_counter() - begin
        _say(f"{conversion.raw_bytes / 1e6:.1f} MB of recordings in {seconds:.1f} s, workers: {workers}")
    finally:
        for folder in folders:
            remove_spools(folder)
    if not conversion.sessions:
        raise InputError("no recorded session in a known format in any of these inputs")
    return conversion


def _results(jobs: Sequence[Job], workers: int) -> list[JobResult]:
    progress = Progress("files converted")
    results: list[JobResult] = []
    passed_over = 0
    with executor_named("process", min(workers, len(jobs))) as executor:
        work = convert if executor is not None else partial(convert, progress=_Megabytes())
        try:
            for _, result in completed(work, jobs, executor):
                results.append(result)
                if result.refused:
                    passed_over += 1
                    if passed_over <= PASSED_OVER_SHOWN:
                        _say(f"passed over: {result.refused.partition(';')[0]}")
                progress(len(results), len(jobs), "")
        except BaseException:
            for folder in {job.out for job in jobs}:
                request_stop(Path(folder))
            raise
    if passed_over > PASSED_OVER_SHOWN:
        _say(f"passed over: {passed_over} files in all")
    return results


class _Megabytes:
    """Tells how much of a large file was read; only this process's own work can be followed so closely."""

    EVERY = 100 << 20

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, read: int) -> None:
        if read < self._told:
            self._told = 0  # Another file.
        if read - self._told >= self.EVERY:
            self._told = read
            _say(f"{read >> 20} MB read")


def _say(line: str) -> None:
    with suppress(OSError):  # Nobody may be reading; the work goes on.
        print(in_one_line(line), file=sys.stderr)

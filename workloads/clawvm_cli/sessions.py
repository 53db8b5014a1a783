"""Recorded sessions of real agents: convert them into traces, replay these, and report."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from clawvm_cli.common import (
    Command,
    Progress,
    add_execution_arguments,
    add_jobs_argument,
    add_list_argument,
    add_output_arguments,
    path_from,
    positive,
    unique,
)
from clawvm_cli.experiments import HOW_TO_RESUME, UNFINISHED, check_beginning, print_verdict
from clawvm_cli.process import OK, in_one_line
from clawvm_experiments.finishing import ReportFrame, Timings, write_results
from clawvm_experiments.running import Plan, run_plan
from clawvm_experiments.sessions.cells import WINDOW, Budget, Options
from clawvm_experiments.sessions.data import VIEWS, cut_label, session_index
from clawvm_experiments.sessions.opening import first_sentences, how_counted
from clawvm_experiments.sessions.report import SESSIONS_ID, sessions_experiment
from clawvm_experiments.sessions.session_page import PageWork, page_works, session_page
from clawvm_experiments.sessions.summary import by_loss
from clawvm_pictures.pages import Section, html
from clawvm_replay.document import Block, Bullets, Paragraph, counted
from clawvm_replay.errors import InputError
from clawvm_replay.execution import completed, executor_named, in_order
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory
from clawvm_replay.suite import document, manifest_record
from clawvm_runtime.policy import PAPER_POLICIES, policy_named
from clawvm_transcripts.conversion_report import Conversion, not_read, reading_record, write_conversion
from clawvm_transcripts.detection import FORMATS
from clawvm_transcripts.jobs import Chain, jobs_for
from clawvm_transcripts.output import Job, JobResult, Refused, convert, remove_sessions, remove_spools
from clawvm_transcripts.private_names import (
    PRIVATE_NAMES,
    names_shown,
    private_record,
    remove_private_names,
    write_private_names,
)

__all__ = ["COMMANDS"]

SKIPPED_SHOWN = 10
"""Files of a kind that are named on stderr; folders of sessions may hold thousands of others."""

OBJECTS_BEFORE_COLLECTION = 10_000
"""What a conversion leaves behind is hardly ever a cycle: to look for some every 700 objects takes 4 % of its time."""


def _add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    titles = ", ".join(item.title for item in FORMATS)
    parser.add_argument(
        "inputs",
        nargs="+",
        type=path_from,
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
        "--names",
        action="store_true",
        help=f"at the end, print the day and the path of each session, as they are in {PRIVATE_NAMES}",
    )


def _chain(text: str) -> Chain:
    try:
        return Chain(text)
    except ValueError:
        known = ", ".join(item.value for item in Chain)
        raise argparse.ArgumentTypeError(f"must be one of {known}, not {text!r:.80}") from None


def _convert_arguments(parser: argparse.ArgumentParser) -> None:
    _add_conversion_arguments(parser)
    add_output_arguments(parser, "--out")
    add_jobs_argument(parser)


def _convert(arguments: argparse.Namespace) -> int:
    jobs = jobs_for(arguments.inputs, arguments.out, chain=arguments.chain, keep_text=arguments.keep_text)
    output = OutputDirectory(arguments.out, force=arguments.force)
    remove_private_names(arguments.out)
    conversion = _conversion(jobs, arguments.jobs, arguments.out)
    write_conversion(output, conversion)
    output.write(MANIFEST_NAME, document(manifest_record(output, _conversion_configuration(arguments))))
    names = private_record(conversion)
    write_private_names(arguments.out, names)
    report = arguments.out / "conversion.report.md"
    print(f"{counted(len(conversion.sessions), 'session')} in {arguments.out}; report: {report}")
    if arguments.names:
        _print_names(names)
    return OK


def _print_names(record: dict[str, Any], order: Sequence[str] = ()) -> None:
    for line in names_shown(record, order):
        print(in_one_line(line))


def _conversion_configuration(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that the result depends on; the number of jobs is none of them."""
    return {"chain": arguments.chain.value, "keep_text": arguments.keep_text}


def _conversion(jobs: Sequence[Job], workers: int, root: Path) -> Conversion:
    """Run *jobs* with so many *workers* and return the conversion; report progress and refused files on stderr.

    When it fails or is interrupted, all jobs end soon and neither a spool file nor an empty folder stays in *root*.
    Raises InputError for what cannot be read or written, and when no session was found.
    """
    folders = {Path(job.out) for job in jobs}
    for folder in folders:
        remove_spools(folder)
        remove_sessions(folder)
    begin = time.perf_counter()
    thresholds = gc.get_threshold()
    try:
        try:
            gc.set_threshold(OBJECTS_BEFORE_COLLECTION, *thresholds[1:])
            conversion = Conversion.of(_results(jobs, workers))
        finally:
            gc.set_threshold(*thresholds)
            for folder in folders:
                remove_spools(folder)
        if not conversion.sessions:
            raise InputError(_why_nothing(conversion))
    except BaseException:
        _remove_empty_folders(root)
        raise
    seconds = time.perf_counter() - begin
    _say(f"{conversion.raw_bytes / 1e6:.1f} MB of recordings in {seconds:.1f} s, workers: {workers}")
    return conversion


def _why_nothing(conversion: Conversion) -> str:
    """Return why there is no session: the reason of the only recording, if there is one."""
    if len(conversion.refused) == 1:
        _, item = conversion.refused[0]
        return f"{item.path}: {item.reason}"
    if conversion.subagents:
        return "these are recordings of subagents; name those of their sessions, too"
    return "no recorded session in a known format in any of these inputs"


def _remove_empty_folders(root: Path) -> None:
    """Remove *root* and what is below it as far as it is empty: the next run would be refused for an empty folder."""
    for folder, _, _ in os.walk(root, topdown=False):
        with suppress(OSError):  # It holds a file.
            os.rmdir(folder)


def _results(jobs: Sequence[Job], workers: int) -> list[JobResult]:
    progress = Progress("files converted")
    results: list[JobResult] = []
    with executor_named("process", min(workers, len(jobs))) as executor:
        # Only this process's own work can be followed more closely than file by file.
        work = convert if executor is not None else partial(convert, progress=_megabytes())
        try:
            for _, result in completed(work, jobs, executor):
                results.append(result)
                progress(len(results), len(jobs), "")
        except BaseException:
            for folder in {job.out for job in jobs}:
                remove_spools(Path(folder))  # The jobs that are still running end soon.
            raise
    _say_refused([result.refused for result in results if result.refused is not None])
    return results


def _say_refused(refused: Sequence[Refused]) -> None:
    """Report on stderr what was not converted: what looks like a recording by name, the number of other files."""
    recordings = sorted((item for item in refused if item.recording), key=lambda item: item.path)
    for item in recordings[:SKIPPED_SHOWN]:
        _say(f"not read: {item.path}: {item.reason}")
    if len(recordings) > SKIPPED_SHOWN:
        _say(f"not read: {len(recordings)} files that look like recordings in all")
    if others := len(refused) - len(recordings):
        _say(f"not read: {counted(others, 'other file')}")


def _megabytes() -> Callable[[int], None]:
    """Return what reports, every 100 MB, how much of a large file was read."""
    reported = 0

    def report(read: int) -> None:
        nonlocal reported
        hundreds = read // (100 << 20)
        if hundreds > reported:
            _say(f"{read >> 20} MB read")
        reported = hundreds

    return report


def _say(line: str) -> None:
    with suppress(OSError):  # Nobody may be reading; the work goes on.
        print(in_one_line(line), file=sys.stderr)


CONVERTED = "converted"
"""Folder of the converted sessions below the out-root."""

PAGES = "pages"
"""Folder of the page of each session."""

DEFAULT_BUDGETS = ("5%", "10%", "20%", "40%", "window")
DEFAULT_CUTS = ("100", "200", "whole")

NOTE = (
    "No model, no tool and no clock took part: the same recordings give these bytes again. Sessions and unread files "
    "go by names made from their content; no text, path or name of the recordings is on this page unless it was asked "
    f"for. `{PRIVATE_NAMES}` beside it, which is for you alone, maps these names to your files."
)

CONVERSION = Paragraph(
    f"[{CONVERTED}/conversion.report.md]({CONVERTED}/conversion.report.md) has the counts of every "
    "session, and which lines of which session were not read."
)

PAGES_LISTED = 300
"""Sessions with a link in the report; every one has its page."""


def _sessions_arguments(parser: argparse.ArgumentParser) -> None:
    _add_conversion_arguments(parser)
    add_output_arguments(parser)
    budgets = "tokens, shares of the session's working set, and window for the real one where the recording has it"
    add_list_argument(parser, "--budgets", DEFAULT_BUDGETS, budgets, _budgets)
    add_list_argument(parser, "--cuts", DEFAULT_CUTS, "after how many turns sessions are cut", _cuts)
    add_list_argument(parser, "--policies", PAPER_POLICIES, "policy ids")
    add_list_argument(parser, "--views", VIEWS, "views")
    add_execution_arguments(parser)


def _budgets(text: str) -> tuple[Budget, ...]:
    budgets = [_budget(part.strip()) for part in text.split(",")]
    unique([budget.label for budget in budgets], text)
    return tuple(budgets)


def _budget(text: str) -> Budget:
    if text == "window":
        return Budget()
    if not text.endswith("%"):
        return Budget(tokens=positive(text))
    try:
        share = float(text[:-1]) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"a share is above 0% and at most 100%, not {text!r:.80}")
    return Budget(share=round(share, 9))


def _cuts(text: str) -> tuple[int | None, ...]:
    return unique([None if part.strip() == "whole" else positive(part.strip()) for part in text.split(",")], text)


def _sessions(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    root: Path = arguments.out_root
    converted, unfinished = root / CONVERTED, root / UNFINISHED
    jobs = jobs_for(arguments.inputs, converted, own=root, chain=arguments.chain, keep_text=arguments.keep_text)
    check_beginning(root, arguments)
    with executor_named(arguments.executor, arguments.jobs) as executor:
        output = OutputDirectory(root, force=arguments.force, resume=arguments.resume)
        remove_private_names(root)
        unfinished.mkdir(exist_ok=True)
        for old in (root / PAGES).glob("*.html"):
            old.unlink()  # Of an earlier run, perhaps with names that this one is not to show.
        conversion = _conversion(jobs, arguments.jobs, root)
        names = [session.name for session in conversion.sessions]
        index = _index(converted, names, options, executor)
        reading = reading_record(conversion.to_record())
        plan = Plan.of([sessions_experiment(converted, names, index, options, reading)], quick=False)
        rows = run_plan(plan, unfinished, resume=arguments.resume, executor=executor, progress=Progress("replays"))
        pages = _pages(converted, page_works(names, index, rows[SESSIONS_ID]), executor)
    for name, page in pages.items():
        output.write(f"{PAGES}/{name}.html", page.encode("ascii", "xmlcharrefreplace"))
    write_conversion(output, conversion, CONVERTED)
    sentences: list[str] = []

    def begin(results: Mapping[str, Any]) -> list[Block]:
        own = results[SESSIONS_ID]
        sentences.extend(block.text.replace("**", "") for block in first_sentences(own))
        return [*first_sentences(own, PAGES), *not_read(reading), how_counted(own), CONVERSION]

    order = [one["name"] for one in by_loss(index.values())]
    frame = ReportFrame("ClawVM: recorded sessions", NOTE, False, partial(_page_list, order), begin)
    judged = write_results(output, plan, rows, Timings(), frame, _configuration(arguments, options))
    private = private_record(conversion)
    write_private_names(root, private)
    shutil.rmtree(unfinished)
    print("\n".join([*sentences, ""]))
    if arguments.names:
        _print_names(private, order)
    return print_verdict(judged, root / "report.html", table=False)


def _options(arguments: argparse.Namespace) -> Options:
    budgets: Sequence[Budget] = arguments.budgets
    return Options(
        shares=tuple(budget.share for budget in budgets if budget.share is not None),
        tokens=tuple(budget.tokens for budget in budgets if budget.tokens is not None),
        window=any(budget.label == WINDOW for budget in budgets),
        cuts=arguments.cuts,
        policies=tuple(policy_named(name).id for name in arguments.policies),
        views=arguments.views,
    )


def _configuration(arguments: argparse.Namespace, options: Options) -> dict[str, object]:
    """Return the options that the result depends on."""
    return {
        **_conversion_configuration(arguments),
        "budgets": [budget.label for budget in arguments.budgets],
        "cuts": [cut_label(cut) for cut in options.cuts],
        "policies": list(options.policies),
        "views": list(options.views),
    }


def _index(
    converted: Path, names: Sequence[str], options: Options, executor: Executor | None
) -> dict[str, dict[str, Any]]:
    work = partial(session_index, str(converted), cuts=options.cuts)
    return dict(zip(names, in_order(completed(work, names, executor))))


def _pages(converted: Path, works: Sequence[PageWork], executor: Executor | None) -> dict[str, str]:
    progress = Progress("pages")
    pages: dict[str, str] = {}
    for index, page in completed(partial(session_page, str(converted)), works, executor):
        pages[works[index].name] = page
        progress(len(pages), len(works), works[index].name)
    return {work.name: pages[work.name] for work in works}


def _page_list(names: Sequence[str]) -> list[Section]:
    blocks: list[Block] = [Bullets(tuple(f"[{name}]({PAGES}/{name}.html)" for name in names[:PAGES_LISTED]))]
    if len(names) > PAGES_LISTED:
        blocks.append(Paragraph(f"The first {PAGES_LISTED} of {len(names)}; the others are in `{PAGES}/` too."))
    return [Section("A page for each session", html(blocks))]


COMMANDS = {
    "convert": Command(_convert_arguments, _convert),
    "sessions": Command(_sessions_arguments, _sessions, HOW_TO_RESUME),
}

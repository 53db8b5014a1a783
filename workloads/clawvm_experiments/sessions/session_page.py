"""The page of one recorded session: what it is, what its harness lost, every policy, and residency maps.

=============  ======================================================================
PageWork       what a page is made from: plain data, so that any process can make it
page_works     that of every session of a run
session_page   the page as HTML
MAPPED         the policies whose residency is drawn
=============  ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from clawvm_experiments.experiment import Row
from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Budget
from clawvm_experiments.sessions.index import cut_label, cut_words
from clawvm_experiments.sessions.layout import RESOURCES, VIEWS
from clawvm_experiments.sessions.map_events import MapEvents
from clawvm_experiments.sessions.replaying import replay_session
from clawvm_experiments.sessions.tables import LOSSES, losses, number, percent
from clawvm_pictures.html_page import Section, figure, page
from clawvm_pictures.markdown import markdown_html
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.reports import table
from clawvm_runtime.policy import POLICIES, policy_named

__all__ = ["MAPPED", "PageWork", "page_works", "session_page"]

MAPPED = ("clawvm", "compaction_hybrid")

FIRST_TURNS = 100
BEFORE, AFTER = 20, 60
"""The windows that are drawn: the first turns, and those around the first boundary if it comes later."""

PAGES_DRAWN = 40


class PageWork(NamedTuple):
    """What the page of a session is made from: its index and the rows of its cells."""

    name: str
    facts: Mapping[str, Any]
    rows: Sequence[Row]


def page_works(names: Iterable[str], index: Mapping[str, Mapping[str, Any]], rows: Iterable[Row]) -> list[PageWork]:
    """Return the work of every page, in the order of *names*; *rows* are those of all sessions."""
    of_session: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        of_session[row["session"]].append(row)
    return [PageWork(name, index[name], own) for name, own in of_session.items()]


def session_page(root: str, work: PageWork) -> str:
    """Return the page of one session below *root*.

    Replays the session under each of ``MAPPED``, by resource, at the reference share of its working set. Runs in any
    process; memory follows pages and windows, not turns.
    """
    name, facts, rows = work
    sections = [
        Section("What the harness lost", markdown_html(_losses(facts), caption="Losses of the recorded harness")),
        Section("Explicit faults under each policy", markdown_html(_faults(rows), caption="Explicit faults")),
    ]
    if any(row["refetched"]["calls"] for row in rows):
        kept = markdown_html(_kept(rows), caption="Re-fetched tokens")
        sections.append(Section("Re-fetched tokens under each policy", kept))
    if facts["turns"]:
        sections.append(Section("Residency", Markup("\n".join(_maps(root, name, facts)))))
    return page(f"Recorded session {name}", sections, lead=_lead(facts))


def _lead(facts: Mapping[str, Any]) -> str:
    counts, whole, recorded = facts["counts"], facts["views"][RESOURCES]["whole"], facts["recorded"]
    chain = f" (a chain of {facts['recorded_sessions']} sessions)" if facts["chain"] else ""
    window = f"{recorded['window']:,} tokens" if recorded["window"] else "not recorded"
    if recorded["window"] and not recorded["window_is_recorded"]:
        window += " (the largest prompt that was compacted on its own)"
    pages = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in facts["pages"].items())
    return "\n".join(
        (
            f"- Recorded by {facts['format']}{chain}: {counts.get('turns', 0):,} prompts, {facts['turns']:,} turns "
            f"(replies of the model), {counts.get('tool_calls', 0):,} tool calls.",
            f"- Pages: {pages or 'none'}; working set {whole['working_set']:,} tokens, by resource.",
            f"- Boundaries: {whole['compactions']:,} compactions, {whole['resets']:,} resets. Window: {window}.",
            *_usage(recorded),
            f"- Lines that could not be read: {facts['broken_lines']:,}." if facts["broken_lines"] else "",
        )
    ).rstrip("\n")


def _usage(recorded: Mapping[str, Any]) -> Iterator[str]:
    if recorded["requests"] and recorded["prompt_tokens"]:
        yield (
            f"- Recorded prompts: {recorded['prompt_tokens']:,} tokens in {recorded['requests']:,} requests, "
            f"{percent(recorded['cached_tokens'] / recorded['prompt_tokens'])} of them cached."
        )


def _losses(facts: Mapping[str, Any]) -> str:
    header = ["demands by", "up to", "turns", "compactions", "resets"]
    rows = [
        (
            view,
            _unbroken(label),
            there["turns"],
            there["compactions"],
            there["resets"],
            *losses(there),
        )
        for view in VIEWS
        for label, there in facts["views"][view].items()
    ]
    return (
        "A re-fetch asked again for content that had not changed and that the harness had lost; a duplicate for what "
        "it still had; after an edit: lines that it had read before it edited the file itself.\n\n"
    ) + table([*header, *LOSSES], rows)


def _unbroken(label: str) -> str:
    """Return the words of a cut; they stay on one line of a narrow column."""
    return cut_words(label).replace(" ", "\u00a0")


def _faults(rows: Sequence[Row]) -> str:
    lead = "What is missing in turns under pressure, which no policy could have served, is no explicit fault.\n\n"
    return lead + _by_policy(rows, lambda row: row["explicit_faults"], pressure=True)


def _kept(rows: Sequence[Row]) -> str:
    lead = (
        "Of the tokens that were fetched again in truth: in the prompt / from the store without running the tool.\n\n"
    )
    return lead + _by_policy(rows, _kept_tokens, pressure=False)


def _kept_tokens(row: Row) -> str:
    counts = row["refetched"]
    return f"{counts['resident']['tokens']:,} / {counts['paged_in']['tokens']:,}"


def _by_policy(rows: Sequence[Row], shown: Callable[[Row], object], *, pressure: bool) -> str:
    """Return a table with a row for each view, cut and budget, and a column for each policy."""
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    groups: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        place = row["view"], _unbroken(cut_label(row["cut"])), row["budget_label"], row["budget"]
        groups.setdefault(place, {})[row["policy"]] = row
    header = ["demands by", "up to", "budget", "tokens", *(policy_named(name).name for name in policies)]
    content = []
    for place, own in groups.items():
        cells: list[Any] = [shown(own[name]) if name in own else None for name in policies]
        if pressure:
            cells.append(max(row["pressure_turns"] for row in own.values()))
        content.append((*place, *cells))
    return table([*header, "turns under pressure"] if pressure else header, content)


def _maps(root: str, name: str, facts: Mapping[str, Any]) -> Iterator[Markup]:
    share = Budget(share=REFERENCE_SHARE)
    budget = share.of(facts["views"][RESOURCES]["whole"]["working_set"], None)
    assert budget is not None
    windows = _windows(facts)
    yield markdown_html(
        f"By resource, at {share.label} of the working set ({number(budget)} tokens): pages down, turns across, the "
        "level as colour and height. The decision behind a cell stands on hover."
    )
    for policy_id in MAPPED:
        events = MapEvents(windows)
        replay_session(root, name, RESOURCES, None, policy_id, budget, events.take)
        for first, last in windows:
            svg = residency_map(
                events.events,
                f"{POLICIES[policy_id].name}, turns {first:,} to {last:,}",
                turns=(first, last),
                pages_most=PAGES_DRAWN,
            )
            yield figure(svg, f"Under {POLICIES[policy_id].name}, turns {first:,} to {last:,}.")


def _windows(facts: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the first turns, and those around the first boundary unless the first turns show it."""
    whole = facts["views"][RESOURCES]["whole"]
    turns, boundary = whole["turns"], whole["first_boundary"]
    windows = [(1, min(turns, FIRST_TURNS))]
    if boundary is not None and boundary + AFTER / 2 > FIRST_TURNS and boundary > 1:
        windows.append((max(1, boundary - BEFORE), min(turns, boundary + AFTER)))
    return windows

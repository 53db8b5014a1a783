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
from clawvm_experiments.sessions.cells import (
    REFERENCE_SHARE,
    Budget,
    MapEvents,
    drawn_pages,
    replay_session,
    without_pages,
)
from clawvm_experiments.sessions.data import RESOURCES, VIEWS, cut_label, cut_words
from clawvm_experiments.sessions.report import ACROSS, LOSSES, counted, losses, number, percent, window_words
from clawvm_pictures.pages import Section, figure, markdown_html, page
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.reports import table
from clawvm_runtime.policy import POLICIES, policy_named

__all__ = ["MAPPED", "PageWork", "page_works", "session_page"]

MAPPED = ("clawvm", "compaction_hybrid")

FIRST_TURNS = 100
BEFORE, AFTER = 20, 60
"""The windows that are drawn: the first turns, and those around boundaries that come later."""

BOUNDARIES_DRAWN = 3

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
    window = f"{window_words(recorded)} tokens" if recorded["window"] else "not recorded"
    if recorded["window"] and not recorded["window_is_recorded"]:
        window += " (the largest prompt that was compacted by itself)"
    pages = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in facts["pages"].items())
    return "\n".join(
        (
            f"- Recorded by {facts['format']}{chain}: {counted(counts.get('turns', 0), 'prompt')}, "
            f"{counted(facts['turns'], 'turn')} (replies of the model), "
            f"{counted(counts.get('tool_calls', 0), 'tool call')}.",
            f"- Pages: {pages or 'none'}; working set {whole['working_set']:,} tokens, by resource.",
            f"- Boundaries: {counted(whole['compactions'], 'compaction')} (with rewinds), "
            f"{counted(whole['resets'], 'reset')} (with resumes and forks). Window: {window}.",
            f"- Across compactions, whatever became of the content and any lines: {_across(counts)}.",
            *_usage(recorded),
            f"- Lines that could not be read: {facts['broken_lines']:,}." if facts["broken_lines"] else "",
        )
    ).rstrip("\n")


def _across(counts: Mapping[str, int]) -> str:
    calls, reads = (counts.get(name, 0) for name in ACROSS.values())
    return f"{counted(calls, 'call')} made before, {counted(reads, 'read')} of a path that was read before"


def _usage(recorded: Mapping[str, Any]) -> Iterator[str]:
    if recorded["requests"] and recorded["prompt_tokens"]:
        yield (
            f"- Recorded prompts: {recorded['prompt_tokens']:,} tokens in {counted(recorded['requests'], 'request')}, "
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
        "it still had. *Edited*: reads of lines that the agent had read before it edited the file itself, still in the "
        "context or lost from it; new content for the replay, but a call that was paid for.\n\n"
    ) + table([*header, *LOSSES], rows)


def _unbroken(label: str) -> str:
    """Return the words of a cut; they stay on one line of a narrow column."""
    return cut_words(label).replace(" ", "\u00a0")


def _faults(rows: Sequence[Row]) -> str:
    lead = (
        "Under pressure not everything that a turn needs fits the budget. What is missing then depends on the policy; "
        "it is no explicit fault, and stands in brackets where there is any.\n\n"
    )
    return lead + _by_policy(rows, _shown_faults, pressure=True)


def _shown_faults(row: Row) -> str:
    missing = row["pressure_faults"]
    return f"{row['explicit_faults']:,}" + (f" ({missing:,})" if missing else "")


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
        "level as colour and height. The decision behind a cell stands on hover. Of many pages, those that are pinned "
        "hard (rules) are all drawn, and of the others those with the most faults and demands."
    )
    for policy_id in MAPPED:
        events = MapEvents(windows)
        replay_session(root, name, RESOURCES, None, policy_id, budget, events.take)
        for first, last in windows:
            shown, hidden = drawn_pages(events.events, first, last, PAGES_DRAWN)
            drawn = without_pages(events.events, hidden, first, last)
            title = f"{POLICIES[policy_id].name}, turns {first:,} to {last:,}"
            svg = residency_map(drawn, title, turns=(first, last), pages_most=max(1, len(shown)))
            yield figure(svg, f"Under {title}.{_not_drawn(hidden)}")


def _not_drawn(hidden: Mapping[str, int]) -> str:
    if not hidden:
        return ""
    faults = counted(sum(hidden.values()), "fault")
    return f" Not drawn, and not in the counts of the picture: {counted(len(hidden), 'page')} with {faults}."


def _windows(facts: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the first turns, and those around up to ``BOUNDARIES_DRAWN`` boundaries; no turn is drawn twice.

    A boundary is passed over when a window before it shows half of what would be drawn behind it.
    """
    whole = facts["views"][RESOURCES]["whole"]
    turns = whole["turns"]
    windows = [(1, min(turns, FIRST_TURNS))]
    for boundary in whole["boundary_turns"]:
        drawn = windows[-1][1]
        if len(windows) <= BOUNDARIES_DRAWN and min(turns, boundary + AFTER // 2) > drawn:
            windows.append((max(drawn + 1, boundary - BEFORE), min(turns, boundary + AFTER)))
    return windows

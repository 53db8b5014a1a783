"""The tables of the report on recorded sessions, each from the results of a run.

====================  =========================================================================
overview_table        what each session is
harness_table         what the recorded harness lost and paid, session by session
groups_table          the same by format
faults_tables         medians and quartiles of explicit faults
session_faults_table  explicit faults of each session at the reference budget
kinds_table           explicit faults by kind
economy_table         page-in tokens, prefix reuse, cost
kept_table            what became of the calls that ran again in truth
published_table       the published medians beside ours
ROWS_MOST             so many sessions have a row
ACROSS                the columns that count across compactions, whatever became of the content
LOSSES                the columns that tell what the recorded harness ran again
losses                the values of these columns
counted               a number with its noun
window_words          a window in tokens, with a mark if it is inferred
====================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clawvm_experiments.sessions.findings import median_of, totals_of
from clawvm_experiments.sessions.index import ALL_FORMATS, KINDS, cut_label
from clawvm_experiments.sessions.layout import RESOURCES
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import REAL_SESSION_FORMAT, REAL_SESSION_MEDIANS
from clawvm_replay.reports import table

__all__ = [
    "ACROSS",
    "LOSSES",
    "ROWS_MOST",
    "counted",
    "economy_table",
    "faults_tables",
    "groups_table",
    "harness_table",
    "kept_table",
    "kinds_table",
    "losses",
    "number",
    "overview_table",
    "percent",
    "published_table",
    "session_faults_table",
    "shown_sessions",
    "window_words",
]

ROWS_MOST = 50

LOSSES = ("re-fetches", "tokens", "duplicates", "tokens", "edited, in context", "tokens", "edited, lost", "tokens")

ACROSS = {
    "calls across compactions": "cross_compaction_repeats",
    "paths across compactions": "cross_compaction_path_rereads",
}
"""Columns with what is counted across compactions whatever became of the content, by the names of the counts."""


def number(value: float | None) -> str | None:
    """Return a number with thousands separators and at most one digit after the point."""
    return None if value is None else f"{value:,.1f}".removesuffix(".0")


def counted(value: int, one: str, many: str = "") -> str:
    """Return a number with its noun, in the plural (*many*, or with an s) unless it is 1.

    >>> counted(1, "turn"), counted(1200, "re-fetch", "re-fetches")
    ('1 turn', '1,200 re-fetches')
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def window_words(recorded: Mapping[str, Any]) -> str | None:
    """Return the recorded window in tokens, behind a ``~`` if the recording tells it only by what was compacted."""
    window = recorded["window"]
    return None if window is None else f"{'' if recorded['window_is_recorded'] else '~'}{window:,}"


def percent(share: float | None) -> str | None:
    """Return a share as per cent."""
    return None if share is None else f"{number(100 * share)} %"


def shown_sessions(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sessions that get a row: all, or those with the most tokens fetched again, then the longest."""
    sessions = sorted(
        results["sessions"],
        key=lambda one: (-one["views"][RESOURCES]["whole"]["refetch_tokens"], -one["turns"], one["name"]),
    )
    return sorted(sessions[:ROWS_MOST], key=lambda one: one["name"])


def overview_table(sessions: Sequence[Mapping[str, Any]]) -> str:
    """Return what each session is."""
    header = ["session", "format", "prompts", "turns", "tool calls", "pages", "working set", "window", "compactions"]
    return table(
        [*header, "resets"],
        (
            (
                one["name"],
                one["format"],
                one["counts"].get("turns"),
                one["turns"],
                one["counts"].get("tool_calls"),
                one["views"][RESOURCES]["whole"]["pages"],
                one["views"][RESOURCES]["whole"]["working_set"],
                window_words(one["recorded"]),
                one["views"][RESOURCES]["whole"]["compactions"],
                one["views"][RESOURCES]["whole"]["resets"],
            )
            for one in sessions
        ),
    )


def harness_table(sessions: Sequence[Mapping[str, Any]]) -> str:
    """Return what the recorded harness lost and paid in each session."""
    return table(
        [
            "session",
            *LOSSES,
            *ACROSS,
            "paths read",
            "read again",
            "prompt tokens",
            "cached",
            "cost",
        ],
        (
            (
                one["name"],
                *losses(one["views"][RESOURCES]["whole"]),
                *_across(one["counts"]),
                one["counts"].get("path_reads"),
                one["counts"].get("path_rereads"),
                *_usage(one["recorded"]),
            )
            for one in sessions
        ),
    )


def groups_table(results: Mapping[str, Any]) -> str:
    """Return what the recorded harnesses lost and paid, by format and view."""
    rows = []
    for name, group in _formats_first(results["recorded"]):
        for view in results["views"]:
            there = group["views"].get(view)
            if there is not None:
                across = _across(group["counts"])
                rows.append((name, view, group["sessions"], *losses(there), *across, *_usage(group["usage"])))
    return table(["format", "view", "sessions", *LOSSES, *ACROSS, "prompt tokens", "cached", "cost"], rows)


def _formats_first(groups: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the formats, then all of them together, unless there is only one."""
    formats = [(name, group) for name, group in groups.items() if name != ALL_FORMATS]
    yield from formats
    if len(formats) != 1:
        yield ALL_FORMATS, groups[ALL_FORMATS]


def losses(counts: Mapping[str, int]) -> list[int]:
    """Return what the recorded harness ran again: the values of the columns ``LOSSES``."""
    return [counts[f"{kind}_{unit}"] for kind in KINDS for unit in ("calls", "tokens")]


def _across(counts: Mapping[str, int]) -> list[int | None]:
    """Return the values of the columns ``ACROSS``."""
    return [counts.get(name) for name in ACROSS.values()]


def _usage(recorded: Mapping[str, Any]) -> tuple[Any, ...]:
    if not recorded["requests"]:
        return None, None, None
    return recorded["prompt_tokens"], percent(recorded["cached_share"]), percent(recorded["cost_share"])


def faults_tables(results: Mapping[str, Any], view: str, *, by_format: bool) -> Iterator[tuple[str, str]]:
    """Yield a table of explicit faults for each cut, with its label: median and quartiles over sessions."""
    formats = results["formats"] if by_format and len(results["formats"]) > 1 else []
    for cut in results["cuts"]:
        rows = []
        for group in (ALL_FORMATS, *formats):
            for budget in results["budgets"]:
                found = {
                    policy_id: median_of(results, policy_id, cut, group, view=view, budget=budget)
                    for policy_id in results["policies"]
                }
                item = next((item for item in found.values() if item is not None), None)
                if item is not None:
                    pressure = percent(item["pressure_share"])
                    rows.append((group, budget, item["sessions"], *map(_quartiles, found.values()), pressure))
        if rows:
            yield cut, table(["format", "budget", "sessions", *results["names"].values(), "under pressure"], rows)


def _quartiles(item: Mapping[str, Any] | None) -> str | None:
    if item is None:
        return None
    if item["sessions"] == 1:
        return number(item["median"])
    return f"{number(item['median'])} ({number(item['first_quartile'])} to {number(item['third_quartile'])})"


def session_faults_table(results: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]]) -> str:
    """Return the explicit faults of each session at the main cut and the reference budget, by resources."""
    wanted = RESOURCES, results["main_cut"], results["reference_budget"]
    found = {
        item["session"]: item
        for item in results["per_session"]
        if (item["view"], item["cut"], item["budget_label"]) == wanted
    }
    names = results["names"]
    rows = []
    for one in sessions:
        item = found.get(one["name"])
        if item is not None:
            pressure = item["pressure_turns"].values()
            faults = (item["faults"].get(policy_id) for policy_id in names)
            rows.append((one["name"], item["turns"], item["budget"], *faults, max(pressure)))
    return table(["session", "turns", "budget (tokens)", *names.values(), "turns under pressure"], rows)


def kinds_table(results: Mapping[str, Any], view: str) -> str:
    """Return the explicit faults of each policy by kind, and what pressure caused, summed over sessions and budgets."""
    names = (*FAULT_FIELDS, "explicit_faults", "pressure_faults")
    return table(
        ["policy", *(name.replace("_", " ") for name in names)],
        (
            (results["names"][item["policy"]], *(item[name] for name in names))
            for item in results["kinds"]
            if item["view"] == view
        ),
    )


def economy_table(results: Mapping[str, Any], view: str) -> str:
    """Return what each policy's prompts cost at each budget, summed over sessions."""
    return table(
        ["budget", "policy", "page-ins", "page-in tokens", "prompt tokens per turn", "prefix reuse", "cost per turn"],
        (
            (
                item["budget_label"],
                results["names"][item["policy"]],
                item["page_ins"],
                item["page_in_tokens"],
                number(item["prompt_tokens_per_turn"]),
                percent(item["prefix_reuse"]),
                number(item["cost_per_turn"]),
            )
            for item in _ordered(results, view)
        ),
    )


def _ordered(results: Mapping[str, Any], view: str) -> Iterator[dict[str, Any]]:
    """Yield the sums of one view by budget and policy, both in the order of reports."""
    for budget in results["budgets"]:
        for policy_id in results["policies"]:
            item = totals_of(results, policy_id, view=view, budget=budget)
            if item is not None:
                yield item


def kept_table(results: Mapping[str, Any], view: str, what: str, *, policy_id: str = "", budget: str = "") -> str:
    """Return what became of re-fetched or repeated tokens (*what*) for one policy, or at one budget, or for all."""
    rows = []
    for item in _ordered(results, view):
        if policy_id in ("", item["policy"]) and budget in ("", item["budget_label"]):
            counts = item[what]
            parts = (counts[name]["tokens"] for name in ("resident", "paged_in", "left_out", "faulted", "not_judged"))
            first = item["budget_label"] if policy_id else results["names"][item["policy"]]
            rows.append((first, counts["calls"], counts["tokens"], *parts, counts["page_in_tokens"]))
    header = ["calls", "tokens", "kept in the prompt", "from the store", "left out", "tool runs again", "not judged"]
    return table(["budget" if policy_id else "policy", *header, "page-in tokens"], rows)


def published_table(results: Mapping[str, Any]) -> str:
    """Return the published medians beside ours at every budget."""
    names, rows = results["names"], []
    for cut, published in REAL_SESSION_MEDIANS.items():
        rows.append((f"{cut} turns", "published", "not known", None, *(published.get(name) for name in names)))
        for group in (REAL_SESSION_FORMAT, ALL_FORMATS):
            for budget in results["budgets"]:
                found = [median_of(results, name, cut_label(cut), group, budget=budget) for name in names]
                sessions = next((item["sessions"] for item in found if item is not None), None)
                if sessions is not None:
                    medians = (None if item is None else number(item["median"]) for item in found)
                    rows.append((f"{cut} turns", f"ours, {group}", budget, sessions, *medians))
    return table(["cut", "whose", "budget", "sessions", *names.values()], rows)

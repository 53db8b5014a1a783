"""The report on recorded sessions: first what was lost, what it cost, what would have been kept; then every table.

===============  =========================================
session_report   the results of a run as Markdown
===============  =========================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment
from clawvm_experiments.figures import NAMES, STYLES
from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Budget, Options, run_session_cell, session_cells
from clawvm_experiments.sessions.data import ALL_FORMATS, KINDS, RESOURCES, SIGNATURES, cut_label, cut_words
from clawvm_experiments.sessions.summary import median_of, ratio, summarize_sessions, totals_of
from clawvm_pictures.charts import BarSeries, Series, bar_chart, line_chart
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import REAL_SESSION_FORMAT, REAL_SESSION_MEDIANS, REAL_SESSIONS
from clawvm_replay.reports import table

__all__ = [
    "ACROSS",
    "LOSSES",
    "ROWS_MOST",
    "SESSIONS_ID",
    "counted",
    "losses",
    "number",
    "percent",
    "session_figures",
    "session_report",
    "sessions_experiment",
    "window_words",
]


# --- The tables of the report on recorded sessions, each from the results of a run.

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


# --- The figures on recorded sessions.

PARTS = {
    "resident": "kept in the prompt",
    "paged_in": "from the store, no tool runs",
    "left_out": "in the store, no room in the prompt",
    "faulted": "tool runs again",
    "not_judged": "first access",
}

HARNESS = "what really happened"


def session_figures(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures as SVG by file name; one that would show nothing is left out."""
    pictures = {}
    if results["shares"]:
        pictures["faults.svg"] = _figures_faults(results, "Explicit faults against the budget", ("explicit_faults",))
        fields = ("explicit_faults", "pressure_faults")
        pictures["faults_with_pressure.svg"] = _figures_faults(results, "The same with what pressure caused", fields)
    view, budget = results["views"][0], results["reference_budget"]
    at_budget = {name: totals_of(results, name, view=view, budget=budget) for name in results["policies"]}
    by_policy = {results["names"][name]: item["refetched"] for name, item in at_budget.items() if item is not None}
    if any(counts["tokens"] for counts in by_policy.values()):
        pictures["refetched.svg"] = _stack(f"Tokens fetched again at {budget}: what each policy would do", by_policy)
    by_budget = {
        label: item["refetched"]
        for label in results["budgets"]
        if (item := totals_of(results, "clawvm", view=view, budget=label)) is not None
    }
    if len(by_budget) > 1 and any(counts["tokens"] for counts in by_budget.values()):
        title = "Tokens fetched again under ClawVM, by budget"
        pictures["refetched_clawvm.svg"] = _stack(title, by_budget, truth=False)
    return pictures


def _figures_faults(results: Mapping[str, Any], title: str, fields: Sequence[str]) -> str:
    series = []
    for policy_id in results["policies"]:
        points: list[tuple[float, float | None]] = []
        for share in results["shares"]:
            item = totals_of(results, policy_id, view=results["views"][0], budget=Budget(share=share).label)
            mean = None if item is None else ratio(sum(item[name] for name in fields), item["sessions"])
            points.append((100 * share, mean))
        series.append(Series(NAMES.get(policy_id, policy_id), points, STYLES.get(policy_id)))
    return line_chart(
        title=title,
        x_label="budget (% of the session's working set)",
        y_label="faults per session (mean)",
        series=series,
        logarithmic=True,
    )


def _stack(title: str, rows: Mapping[str, Mapping[str, Any]], *, truth: bool = True) -> str:
    """Return a bar of tokens for each row by what became of them; with *truth* the recorded harness stands first."""
    names = ([HARNESS] if truth else []) + list(rows)
    tokens = next(iter(rows.values()))["tokens"]
    series = []
    for style, (part, words) in enumerate(PARTS.items(), start=1):
        values = [counts[part]["tokens"] for counts in rows.values()]
        if truth:
            values.insert(0, tokens if part == "faulted" else 0)
        if any(values):
            series.append(BarSeries(words, values, style))
    return bar_chart(title=title, value_label="tokens", categories=names, series=series)


# --- The report on recorded sessions: first what was lost, what it cost, what would have been kept; then every table.

VIEW_WORDS = {
    RESOURCES: "by resource (lines of a file that a result still holds count as known)",
    SIGNATURES: "by exact signature (only the same call again)",
}


def session_report(results: Mapping[str, Any]) -> str:
    """Return the report; a session goes by the name that its conversion gave it."""
    return "\n".join(part.rstrip("\n") + "\n" for part in _parts(results) if part)


def _parts(results: Mapping[str, Any]) -> Iterator[str]:
    yield "## Recorded sessions"
    # One block: a page puts its figures behind the first one.
    yield "\n".join((_lead(results), *(f"- {line}" for line in _answers(results))))
    yield (
        "A *turn* is one reply of the model, for which a prompt was assembled; what a person typed is a *prompt*. A "
        "*re-fetch* is a call that asked again for content that had not changed, after the recorded harness had lost "
        "it (a compaction, a clear, another session); a *duplicate* asked for what was still in its context; *edited* "
        "are reads of lines that the agent had read before it edited the file itself, told apart by whether the "
        "recorded harness still had them (*in context*) or not (*lost*): new content in the replay, for which no "
        "policy gets credit or blame, and a call that was paid for. "
        "The working set is every page of the session at its largest, once. Policies are replayed, not run live: the "
        "model's calls are those of the recording, whatever a policy would have kept."
    )
    shown = shown_sessions(results)
    yield "### The sessions"
    yield (
        "Pages, working set (tokens) and boundaries as the replay has them; a rewind counts as a compaction, a resume, "
        "a fork, a clear and a further session of a chain as a reset. A window with a ~ is not recorded: it is the "
        "largest prompt that was compacted by itself."
    )
    yield _capped(results)
    yield overview_table(shown)
    yield from _harness(results)
    yield from _faults(results)
    yield from _kept(results)
    yield from _economy(results)
    yield from _published(results)


def _lead(results: Mapping[str, Any]) -> str:
    findings, recorded = results["findings"], results["recorded"]
    formats = ", ".join(f"{recorded[name]['sessions']} {name}" for name in results["formats"])
    whole = [one["views"][RESOURCES]["whole"] for one in results["sessions"]]
    boundaries = sum(there["compactions"] + there["resets"] for there in whole)
    passed = sum(bool(there["boundary_turns"]) for there in whole)
    shares = " (shares are of the working set)" if results["shares"] else ""
    return (
        f"{counted(findings['sessions'], 'session')} ({formats}) with {counted(findings['turns'], 'turn')}; "
        f"{counted(passed, 'session')} passed a compaction, rewind, resume or reset ({boundaries:,} in all). "
        f"{counted(results['cells'], 'replay')}: {_views(results)}, {_cuts(results)}, at budgets of "
        f"{', '.join(results['budgets'])}{shares}."
    )


def _views(results: Mapping[str, Any]) -> str:
    return " and ".join(f"demands by {view.removesuffix('s')}" for view in results["views"])


def _cuts(results: Mapping[str, Any]) -> str:
    return ", ".join(_sessions(cut) for cut in results["cuts"])


def _answers(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the reader wants to know, in plain words."""
    findings = results["findings"]
    yield (
        f"**What your harness lost:** {counted(findings['observed_refetches'], 're-fetch', 're-fetches')}, "
        f"{counted(findings['observed_refetch_tokens'], 'token')} (by exact signature "
        f"{findings['observed_refetches_by_signature']:,}, "
        f"{counted(findings['observed_refetch_tokens_by_signature'], 'token')}) of content that had not changed; "
        f"{_edited_and_lost(findings)} Beside that, {counted(findings['observed_repeats'], 'call')} for "
        f"{counted(findings['observed_repeat_tokens'], 'token')} asked for what was still in its context, and "
        f"{counted(findings['observed_edited_reads_kept'], 'read')} "
        f"({counted(findings['observed_edited_read_tokens_kept'], 'token')}) for lines of it that the agent had edited."
    )
    yield f"**What it cost:** {_cost(results)}"
    yield f"**What ClawVM would have kept:** {_clawvm(results)}"
    yield f"**Faults:** {_fault_sentence(results)}"


def _edited_and_lost(findings: Mapping[str, Any]) -> str:
    reads = findings["observed_edited_reads_lost"]
    tokens = counted(findings["observed_edited_read_tokens_lost"], "token")
    return (
        f"and {counted(reads, 'read')} ({tokens}) of lines that the agent had read, edited itself, and lost to a "
        "compaction, a clear or a further session: new content for the replay, but calls that were paid for."
    )


def _cost(results: Mapping[str, Any]) -> str:
    usage, prices = results["recorded"][ALL_FORMATS]["usage"], results["prices"]
    if not usage["requests"]:
        return "the recordings tell no usage of prompt tokens."
    told = (
        f"{counted(usage['sessions'], 'session')} tell{'s' if usage['sessions'] == 1 else ''} usage: "
        f"{usage['prompt_tokens']:,} prompt tokens in {counted(usage['requests'], 'request')}"
    )
    if usage["cached_share"] is None:
        return told + "."
    return (
        f"{told}, {percent(usage['cached_share'])} of them from the provider's cache; at prices of "
        f"{prices['cached_read']:g} (cached), {prices['write']:g} (written) and {prices['plain']:g} (plain) they cost "
        f"{percent(usage['cost_share'])} of what they cost without a cache."
    )


def _clawvm(results: Mapping[str, Any]) -> str:
    totals = totals_of(results, "clawvm")
    if totals is None:
        return "ClawVM was not replayed by resource."
    counts, budget = totals["refetched"], results["reference_budget"]
    if not counts["tokens"]:
        return (
            "no content that was lost and had not changed was fetched again, so there is none that it could have "
            "kept; lines that the agent edited itself are new content, which no policy is replayed as having."
        )
    return (
        f"at a budget of {budget}, {counts['resident']['tokens']:,} of {counts['tokens']:,} re-fetched tokens "
        f"({percent(counts['kept_share'])}) were in its prompt when the model asked, "
        f"{counts['paged_in']['tokens']:,} came from its store without running a tool, "
        f"{counts['left_out']['tokens']:,} were in the store and did not fit, and for {counts['faulted']['tokens']:,} "
        f"the tool would have run again.{_kept_more(results)}{_not_served(results)}"
    )


def _not_served(results: Mapping[str, Any]) -> str:
    count = results["findings"]["clawvm_refetches_not_served"]
    if count is None:
        return ""
    return f" Over all replays, {counted(count, 're-fetch', 're-fetches')} in turns without pressure went unserved."


def _kept_more(results: Mapping[str, Any]) -> str:
    """Return which policies kept more in the prompt than ClawVM, and how much of it; "" if none did."""
    shares = {name: results["findings"].get(f"{name}_kept_share") for name in results["names"]}
    more = [name for name, share in shares.items() if share is not None and share > shares["clawvm"]]
    told = ", ".join(f"{results['names'][name]} ({percent(shares[name])})" for name in more)
    return f" More in the prompt had {told}." if told else ""


def _fault_sentence(results: Mapping[str, Any]) -> str:
    view, names = results["views"][0], results["names"]
    found = {names[policy_id]: totals_of(results, policy_id, view=view) for policy_id in names}
    totals = {name: item for name, item in found.items() if item is not None}
    if not totals:
        return "nothing was replayed."
    faults = ", ".join(f"{name} {item['explicit_faults']:,}" for name, item in totals.items())
    pressed = max(totals.values(), key=lambda item: item["pressure_turns"])
    place = f"{_sessions(results['main_cut'])}, demands by {view.removesuffix('s')}, at {results['reference_budget']}"
    share = percent(ratio(pressed["pressure_turns"], pressed["turns"]))
    return f"explicit faults, summed over sessions ({place}): {faults}. {_pressure(share, totals)}"


def _pressure(share: str | None, totals: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how often not everything fits, and whom it hits most; *totals* by the names of policies."""
    missing = {name: item["pressure_faults"] for name, item in totals.items()}
    if not any(missing.values()):
        return f"Turns in which not everything that is needed fits the budget (pressure): {share}."
    ordered = sorted(missing.items(), key=lambda item: -item[1])
    told = "from most to least: " + ", ".join(f"{name} {count:,}" for name, count in ordered)
    if len(set(missing.values())) == 1:
        told = f"here {ordered[0][1]:,} under each"
    return (
        f"In up to {share} of the turns not everything that is needed fits the budget (pressure). What is missing in "
        f"them depends on the policy, and is counted apart; {told}."
    )


def _capped(results: Mapping[str, Any]) -> str:
    count = len(results["sessions"])
    if count <= ROWS_MOST:
        return ""
    return (
        f"Tables of sessions show {ROWS_MOST} of {count:,}, those that re-fetched most; all: `sessions/results.json`."
    )


def _harness(results: Mapping[str, Any]) -> Iterator[str]:
    yield "### What the recorded harness did"
    yield (
        "Re-fetches and duplicates by view; *cost* is that of the recorded prompts as a share of the same prompts "
        "without a cache, where the recording tells usage."
    )
    yield groups_table(results)
    yield (
        "*Across compactions* are calls with the core signature, and reads of the path, of one that was last made "
        "before the newest compaction. They count whatever became of the content in between (an edit, another "
        "output) and any lines of the path; a re-fetch counts only for unchanged content whose lines had been shown, "
        "but also behind a clear or a further session. So either number may be the larger one."
    )
    yield "Session by session, by resource. *Read again* counts reads of a path that was read before, any lines of it."
    yield harness_table(shown_sessions(results))


def _faults(results: Mapping[str, Any]) -> Iterator[str]:
    whole = _sessions(results["main_cut"])
    yield "### Explicit faults: median and quartiles"
    yield (
        "Median (first to third quartile) over sessions, with linear interpolation between sorted values, both ends "
        "included; a single session is its own median. A session that is no longer than a cut is not in its table. "
        "*Under pressure*: the share of turns in which not everything that is needed fits the budget; what is missing "
        "in them depends on the policy and is no explicit fault, so a column of zeros beside a high share says "
        "little. Faults by kind below have them as *pressure faults*."
    )
    for view in results["views"]:
        by_format = view == results["views"][0]
        for cut, text in faults_tables(results, view, by_format=by_format):
            yield f"**Demands {VIEW_WORDS[view]}, {_sessions(cut)}**"
            yield text
        if not by_format and len(results["formats"]) > 1:
            yield "The same by format is in `sessions/results.json`."
    if RESOURCES in results["views"]:
        yield f"**Session by session**, by resource, {whole}, at {results['reference_budget']}:"
        yield session_faults_table(results, shown_sessions(results))
    yield "### Faults by kind"
    for view in results["views"]:
        yield f"Demands {VIEW_WORDS[view]}, {whole}, summed over sessions and budgets:"
        yield kinds_table(results, view)


def _sessions(cut: str) -> str:
    return "whole sessions" if cut == "whole" else f"cut at {cut_words(cut)}"


def _kept(results: Mapping[str, Any]) -> Iterator[str]:
    whole = _sessions(results["main_cut"])
    yield "### Tokens fetched again: what each policy would have kept"
    yield (
        "Tokens of the results as they came again. *Kept in the prompt*: the last prompt held every page of it at the "
        "level asked for, so the model need not have asked. *From the store*: no tool runs, but its page-in tokens go "
        "into the prompt; a page may hold more lines than were asked for. *Left out*: the store had it, the next "
        "prompt had no room. *Not judged*: a first access."
    )
    for view in results["views"]:
        yield f"Re-fetches at {results['reference_budget']}, demands {VIEW_WORDS[view]}, {whole}:"
        yield kept_table(results, view, "refetched", budget=results["reference_budget"])
    view = results["views"][0]
    if "clawvm" in results["policies"]:
        yield f"Re-fetches under ClawVM at each budget, demands {VIEW_WORDS[view]}:"
        yield kept_table(results, view, "refetched", policy_id="clawvm")
        yield f"Duplicates (the recorded harness still had the content) under ClawVM, demands {VIEW_WORDS[view]}:"
        yield kept_table(results, view, "repeated", policy_id="clawvm")


def _economy(results: Mapping[str, Any]) -> Iterator[str]:
    prices = results["prices"]
    yield "### Page-in tokens, prefix reuse and cost"
    yield (
        f"Summed over sessions, {_sessions(results['main_cut'])}. Cost in plain input tokens per turn (cached read "
        f"{prices['cached_read']:g}, write {prices['write']:g}); a recorded prompt also holds the transcript, the "
        "tools and the harness's own words, so these costs do not stand against the recorded ones. Retrieval looks "
        "cheapest because it keeps almost nothing in its prompts: the tools that it runs again, and the further turns "
        "of the model that they take, have no price here."
    )
    for view in results["views"]:
        yield f"Demands {VIEW_WORDS[view]}:"
        yield economy_table(results, view)


def _published(results: Mapping[str, Any]) -> Iterator[str]:
    yield "### The published medians beside ours"
    yield (
        f"Published: {REAL_SESSIONS} recorded sessions of Claude Code, median explicit faults per trace (the one of "
        "Compaction-Hybrid is a flush miss). Those sessions are not public; their budgets, and what they count as a "
        "turn, are not known to us. Ours are the sessions that were given to this run, by resource, at the budgets "
        "named here. The numbers stand beside each other, not against each other."
    )
    yield published_table(results)
    longest = max((one["turns"] for one in results["sessions"]), default=0)
    if longest <= 100:
        yield f"None of the sessions is longer than 100 turns (the longest has {number(longest)})."


# --- The experiment over recorded sessions, made for the sessions that a user converted.

SESSIONS_ID = "sessions"


def sessions_experiment(
    root: Path, names: Sequence[str], index: Mapping[str, Mapping[str, Any]], options: Options
) -> Experiment:
    """Return the experiment over the sessions *names* below *root*; *index* has the ``session_index`` of each.

    The path of *root* stands in no cell, row or result. A quick run has one budget, the share that findings refer to.
    """
    facts = [index[name] for name in sorted(set(names))]
    return Experiment(
        id=SESSIONS_ID,
        title="Recorded sessions",
        question="What did the harness of recorded sessions lose, what did it cost, and what would each policy have "
        "kept?",
        cells=partial(_cells, facts, options),
        run_cell=partial(run_session_cell, str(root)),
        summarize=partial(summarize_sessions, facts, options),
        report=session_report,
        figures=session_figures,
    )


def _cells(facts: Sequence[Mapping[str, Any]], options: Options, quick: bool) -> list[Cell]:
    if quick:
        options = dataclasses.replace(options, shares=(REFERENCE_SHARE,), tokens=(), window=False)
    return [cell for one in facts for cell in session_cells(one, options)]

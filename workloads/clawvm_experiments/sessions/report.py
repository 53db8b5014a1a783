"""The report on recorded sessions: what their harness lost, what it cost, and what each policy would have kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clawvm_experiments.experiment import NAMES, STYLES, Experiment
from clawvm_experiments.sessions.cells import WINDOW, Budget, Options, run_session_cell, session_cells
from clawvm_experiments.sessions.data import ALL_FORMATS, KINDS, RESOURCES, SIGNATURES, cut_words
from clawvm_experiments.sessions.summary import by_loss, median_of, ratio, session_loss, summarize_sessions, totals_of
from clawvm_pictures.charts import BarSeries, Series, bar_chart, line_chart
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, Value, counted
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import REAL_SESSION_MEDIANS, REAL_SESSIONS, REPORTED_SESSION_THRASH
from clawvm_runtime.policy import POLICIES

__all__ = [
    "LOSSES",
    "ROWS_MOST",
    "SESSIONS_ID",
    "boundaries",
    "budget_phrase",
    "cut_phrase",
    "losses",
    "number",
    "percent",
    "references",
    "session_figures",
    "session_report",
    "sessions_experiment",
    "small_percent",
    "window",
    "window_share",
]

SESSIONS_ID = "sessions"

ROWS_MOST = 50
"""Sessions that the report has rows for."""

LOSSES = ("refetches", "tokens", "duplicates", "tokens", "edited, in context", "tokens", "edited, lost", "tokens")

ACROSS = {
    "calls across compactions": "cross_compaction_repeats",
    "paths across compactions": "cross_compaction_path_rereads",
}
"""Columns of calls and reads repeated across compactions, with the names of their counts."""

PARTS = {
    "resident": "kept in the prompt",
    "paged_in": "from the store",
    "left_out": "left out",
    "faulted": "tool runs again",
    "not_judged": "not judged",
}
"""The outcomes of refetched tokens, in words."""

VIEW_WORDS = {
    RESOURCES: "by resource (lines of a file that a result still holds count as known)",
    SIGNATURES: "by exact signature (only the same call again)",
}


def sessions_experiment(
    root: Path,
    names: Sequence[str],
    index: Mapping[str, Mapping[str, Any]],
    options: Options,
    reading: Mapping[str, Any] | None = None,
) -> Experiment:
    """Return the experiment over the sessions *names* below *root*; *index* has the ``session_index`` of each.

    *reading* is the ``reading_record`` of their conversion. The path of *root* is in no cell, row or result. A quick
    run is the same.
    """
    facts = [index[name] for name in sorted(set(names))]
    return Experiment(
        id=SESSIONS_ID,
        title="Recorded sessions",
        question="What did the recorded harness lose, what did it cost, and what would each policy have kept?",
        cells=lambda quick: [cell for one in facts for cell in session_cells(one, options)],
        run_cell=partial(run_session_cell, str(root)),
        summarize=partial(summarize_sessions, facts, options, reading=reading),
        report=session_report,
        figures=session_figures,
    )


# --- Values.


def number(value: float | None) -> Number | None:
    """Return a number with thousands separators and at most one digit after the point."""
    return None if value is None else Number(f"{value:,.1f}".removesuffix(".0"))


def percent(share: float | None) -> Number | None:
    """Return a share as per cent."""
    return None if share is None else Number(f"{number(100 * share)} %")


def small_percent(share: float) -> Number:
    """Return a share as per cent, a small one with two digits behind the point.

    >>> small_percent(0.0002), small_percent(0.02), small_percent(0.00001)
    ('0.02 %', '2 %', 'below 0.01 %')
    """
    if 0 < share < 0.001:
        return Number("below 0.01 %" if share < 0.00005 else f"{100 * share:.2f} %")
    return Number(f"{number(100 * share)} %")


def window(recorded: Mapping[str, Any]) -> Number | None:
    """Return the window in tokens, behind a ``~`` if it is not recorded but inferred from a compaction."""
    tokens = recorded["window"]
    return None if tokens is None else Number(f"{'' if recorded['window_is_recorded'] else '~'}{tokens:,}")


def window_share(working_set: int, recorded: Mapping[str, Any]) -> Number | None:
    """Return the working set as a share of the window, None where there is no window."""
    return small_percent(working_set / recorded["window"]) if recorded["window"] else None


def references(results: Mapping[str, Any]) -> list[str]:
    """Return the budgets of tables that do not have all: the reference budget, and the window where it was replayed."""
    budgets = dict.fromkeys((results["reference_budget"], WINDOW))
    return [budget for budget in budgets if budget in results["budgets"]]


def budget_phrase(results: Mapping[str, Any], budget: str) -> str:
    """Return where a budget is, in words; of the window also for how many sessions it is known."""
    if budget != WINDOW:
        share = budget in {Budget(share=share).label for share in results["shares"]}
        return f"at {budget}{' of the working set' if share else ''}"
    sessions = results["sessions"]
    known = sum(bool(one["recorded"]["window"]) for one in sessions)
    which = "" if known == len(sessions) else f" (known for {known:,} of {counted(len(sessions), 'session')})"
    return f"at the model's window{which}"


def losses(counts: Mapping[str, int]) -> list[int]:
    """Return the values of the columns ``LOSSES``."""
    return [counts[f"{kind}_{unit}"] for kind in KINDS for unit in ("calls", "tokens")]


def _usage(recorded: Mapping[str, Any]) -> tuple[Value, ...]:
    """Return prompt tokens, cached share and cost, None where no usage is recorded."""
    if not recorded["requests"]:
        return None, None, None
    return recorded["prompt_tokens"], percent(recorded["cached_share"]), percent(recorded["cost_share"])


def cut_phrase(label: str) -> str:
    """Return in words where sessions are cut."""
    return "whole sessions" if label == "whole" else f"cut at {cut_words(label)}"


# --- The report: the result first, then every table.


def session_report(results: Mapping[str, Any]) -> list[Block]:
    """Return the report; a session has the name that its conversion gave it."""
    return [
        Heading(2, "Recorded sessions"),
        Paragraph(_result(results)),
        Bullets(tuple(_answers(results))),
        Paragraph(
            "A *turn* is one reply of the model; a *prompt* is what a person typed. A *refetch* asked again for "
            "unchanged content that the recorded harness had lost (by a compaction, a clear, a rewind, another "
            "session); a *duplicate* asked for content that was still in its context. *Edited* are reads of lines that "
            "the agent had read before it edited the file itself, still *in context* or *lost*: new content for the "
            "replay, so no policy gets credit or blame. *Lost* without more is both: refetches, and edited lines that "
            "were lost. The *working set* is every page of the session at its largest, once. Policies are replayed, "
            "not run live: the calls are those of the recording, whatever a policy keeps. They give the whole window "
            "to pages; a recorded prompt also holds the transcript, the tools and the harness's own words."
        ),
        *_sessions(results),
        *_harness(results),
        *_faults(results),
        *_kept(results),
        *_economy(results),
    ]


def _result(results: Mapping[str, Any]) -> str:
    """Return what happens under ClawVM to what was lost: whether anything has to run again."""
    findings = results["findings"]
    parts = []
    for budget in references(results):
        counts = totals_of(results, "clawvm", budget=budget)
        if counts is not None:
            parts.append(f"{counted(counts['explicit_faults'], 'explicit fault')} {budget_phrase(results, budget)}")
    if not parts:
        return "ClawVM was not replayed by resource."
    text = f"Replayed by resource, {cut_phrase(results['main_cut'])}, ClawVM has {' and '.join(parts)}."
    if (unserved := findings["clawvm_refetches_not_served"]) is not None:
        unserved = counted(unserved, "refetch", "refetches")
        text += f" Over all replays, it failed to serve {unserved} in turns without pressure."
    return text


def _answers(results: Mapping[str, Any]) -> Iterator[str]:
    findings, recorded = results["findings"], results["recorded"]
    formats = ", ".join(f"{recorded[name]['sessions']} {name}" for name in results["formats"])
    whole = [one["views"][RESOURCES]["whole"] for one in results["sessions"]]
    passed = sum(bool(there["boundary_turns"]) for there in whole)
    passages = sum(there["compactions"] + there["resets"] for there in whole)
    shares = " (shares are of the working set)" if results["shares"] else ""
    yield (
        f"**Replayed:** {counted(findings['sessions'], 'session')} ({formats}) with "
        f"{counted(findings['turns'], 'turn')}; in the replay, {counted(passed, 'session')} "
        f"{'passes' if passed == 1 else 'pass'} a compaction or reset ({passages:,} in all; one before any turn is "
        f"none). {counted(results['cells'], 'replay')}: "
        f"{' and '.join('demands by ' + view.removesuffix('s') for view in results['views'])}, "
        f"{', '.join(map(cut_phrase, results['cuts']))}, at budgets of {', '.join(results['budgets'])}{shares}."
    )
    found = {name.removeprefix("observed_"): value for name, value in findings.items()}
    yield (
        f"**Lost by the harness:** {_sized(found['refetches'], found['refetch_tokens'], 'refetch', 'refetches')} of "
        f"unchanged content (by exact signature {found['refetches_by_signature']:,}, "
        f"{counted(found['refetch_tokens_by_signature'], 'token')}), and "
        f"{_sized(found['edited_reads_lost'], found['edited_read_tokens_lost'], 'read')} of lines that the agent had "
        f"edited itself. Still in its context: {_sized(found['repeats'], found['repeat_tokens'], 'duplicate')} and "
        f"{_sized(found['edited_reads_kept'], found['edited_read_tokens_kept'], 'read')} of edited lines."
    )
    yield f"**Cost:** {_cost(results)}"
    yield f"**Faults:** {_fault_sentence(results)}"


def _sized(calls: int, tokens: int, one: str, many: str = "") -> str:
    return f"{counted(calls, one, many)} ({counted(tokens, 'token')})"


def _cost(results: Mapping[str, Any]) -> str:
    usage, prices = results["recorded"][ALL_FORMATS]["usage"], results["prices"]
    if not usage["requests"]:
        return "no recording has the usage of prompt tokens."
    text = (
        f"{counted(usage['sessions'], 'session')} with recorded usage: {usage['prompt_tokens']:,} prompt tokens in "
        f"{counted(usage['requests'], 'request')}"
    )
    if usage["cached_share"] is None:
        return f"{text}."
    return (
        f"{text}, {percent(usage['cached_share'])} of them from the provider's cache; at prices of "
        f"{prices['cached_read']:g} (cached), {prices['write']:g} (written) and {prices['plain']:g} (plain) they cost "
        f"{percent(usage['cost_share'])} of their price without a cache."
    )


def _fault_sentence(results: Mapping[str, Any]) -> str:
    view, names = results["views"][0], results["names"]
    parts = []
    for budget in references(results):
        found = {name: totals_of(results, policy_id, view=view, budget=budget) for policy_id, name in names.items()}
        totals = {name: item for name, item in found.items() if item is not None}
        if totals:
            faults = ", ".join(f"{name} {item['explicit_faults']:,}" for name, item in totals.items())
            share = percent(max(ratio(item["pressure_turns"], item["turns"]) or 0.0 for item in totals.values()))
            parts.append(f"{budget_phrase(results, budget)}: {faults} (up to {share} of turns under pressure)")
    if not parts:
        return "nothing was replayed."
    place = f"{cut_phrase(results['main_cut'])}, demands by {view.removesuffix('s')}"
    return (
        f"explicit faults, summed over sessions ({place}), {'; '.join(parts)}. Under pressure, the budget is too small "
        "for everything needed; what is missing then depends on the policy and is counted separately, as pressure "
        "faults."
    )


BOUNDARIES = {
    "compaction": "compactions",
    "cleared result": "cleared_results",
    "rewind": "rewinds",
    "reset": "resets",
    "resume": "resumes",
}
"""What happened to the context of a recorded session, with the names of the counts."""


def boundaries(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how often what happened to the context, as the recording has it."""
    return {words: counts.get(name, 0) for words, name in BOUNDARIES.items()}


def _sessions(results: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(3, "The sessions")
    shown = _shown(results)
    passed = [name for name in BOUNDARIES if any(boundaries(one["counts"])[name] for one in shown)]
    with_subagents = any(one["counts"].get("subagents") for one in shown)
    text = (
        "Those that lost most come first, then the longest. Boundaries are the recorded ones; a kind that none of "
        "these sessions has is left out. In a replay a rewind counts as a compaction, and a clear, a fork and a "
        "further session of a chain count as resets; a resume drops nothing. A *window* with a ~ is not recorded: it "
        "is the largest prompt before an automatic compaction; in parentheses, the working set as a share of it."
    )
    if with_subagents:
        text += " *Subagents* are those whose recordings are among the inputs; their content counts in no other column."
    yield Paragraph(text)
    if len(results["sessions"]) > ROWS_MOST:
        count = f"{ROWS_MOST} of {len(results['sessions']):,}"
        yield Paragraph(f"Tables show the first {count}; all: `sessions/results.json`.")
    rows = []
    for one in shown:
        working_set, counts = one["views"][RESOURCES]["whole"]["working_set"], one["counts"]
        length = (counts.get("turns"), one["turns"], counts.get("tool_calls"))
        passages = (boundaries(counts)[name] for name in passed)
        sizes = (working_set, _window_and_share(working_set, one["recorded"]))
        own = [_subagents(counts)] if with_subagents else []
        _, lost = session_loss(one)
        day = Number(one["started"]) if one["started"] else None  # On one line, as numbers are.
        rows.append((one["name"], day, *length, *passages, lost, *sizes, *own))
    boundary_names = (f"{name}s" for name in passed)
    header = ["session", "day", "prompts", "turns", "tool calls", *boundary_names, "lost tokens"]
    header += ["working set", "window", *(["subagents"] if with_subagents else [])]
    yield Table.of(header, rows)


def _window_and_share(working_set: int, recorded: Mapping[str, Any]) -> Number | None:
    share = window_share(working_set, recorded)
    return None if share is None else Number(f"{window(recorded)} ({share})")


def _subagents(counts: Mapping[str, int]) -> Number | None:
    number_of = counts.get("subagents", 0)
    return Number(f"{number_of:,} ({counted(counts.get('subagent_tool_calls', 0), 'call')})") if number_of else None


def _shown(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sessions that get a row: those that lost most, then the longest."""
    return by_loss(results["sessions"])[:ROWS_MOST]


def _harness(results: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(3, "What the recorded harness did")
    yield Paragraph(
        "*Cost*: what the recorded prompts cost, as a share of the same prompts without a cache. *Across "
        "compactions*: calls and paths that were last seen before the newest compaction, whether the content changed "
        "or not. A refetch counts only for unchanged content, but also after a clear or in a further session, so "
        "either number may be the larger one."
    )
    usage = ("prompt tokens", "cached", "cost")
    groups = [(name, group) for name, group in results["recorded"].items() if name != ALL_FORMATS]
    if len(groups) != 1:
        groups.append((ALL_FORMATS, results["recorded"][ALL_FORMATS]))
    rows: list[Sequence[Value]] = []
    for name, group in groups:
        for view in results["views"]:
            if view in group["views"]:
                known = (*losses(group["views"][view]), *map(group["counts"].get, ACROSS.values()))
                rows.append((name, view, group["sessions"], *known, *_usage(group["usage"])))
    yield Table.of(["format", "view", "sessions", *LOSSES, *ACROSS, *usage], rows)
    yield Paragraph(
        "Session by session, by resource, in the same order. *Reread*: the path was read before, any lines of it."
    )
    rows = []
    for one in _shown(results):
        counts = map(one["counts"].get, (*ACROSS.values(), "path_reads", "path_rereads"))
        rows.append((one["name"], *losses(one["views"][RESOURCES]["whole"]), *counts, *_usage(one["recorded"])))
    yield Table.of(["session", *LOSSES, *ACROSS, "paths read", "reread", *usage], rows)


def _faults(results: Mapping[str, Any]) -> Iterator[Block]:
    names, whole = results["names"], cut_phrase(results["main_cut"])
    yield Heading(3, "Explicit faults: median and quartiles")
    yield Paragraph(
        "Median (first to third quartile) over sessions; quartiles are interpolated, both ends included. A session no "
        "longer than a cut is not in its table. *Under pressure* is the share of turns whose minimum set exceeds the "
        "budget; what they miss counts as *pressure faults* (below), so zeros at a high share mean little."
    )
    for view in results["views"]:
        by_format = view == results["views"][0] and len(results["formats"]) > 1
        for cut in results["cuts"]:
            rows = []
            for group in (ALL_FORMATS, *(results["formats"] if by_format else ())):
                for budget in results["budgets"]:
                    found = [median_of(results, name, cut, group, view=view, budget=budget) for name in names]
                    item = next((item for item in found if item is not None), None)
                    if item is not None:
                        shown = (*map(_quartiles, found), percent(item["pressure_share"]))
                        rows.append((group, budget, item["sessions"], *shown))
            if rows:
                yield Paragraph(f"**Demands {VIEW_WORDS[view]}, {cut_phrase(cut)}**")
                yield Table.of(["format", "budget", "sessions", *names.values(), "under pressure"], rows)
    medians = "; ".join(
        f"{cut} turns: " + ", ".join(f"{POLICIES[name].name} {median}" for name, median in published.items())
        for cut, published in REAL_SESSION_MEDIANS.items()
    )
    yield Paragraph(
        f"Published medians of {REAL_SESSIONS} sessions of Claude Code, cut at {medians} (the one of Compaction-Hybrid "
        "is a flush miss). Those sessions are not public; their budgets, and their definition of a turn, are unknown, "
        "so the numbers are not comparable."
    )
    yield from _thrash(results)
    yield Heading(3, "Faults by kind")
    kinds = (*FAULT_FIELDS, "explicit_faults", "pressure_faults")
    for view in results["views"]:
        items = [item for item in results["kinds"] if item["view"] == view]
        yield Paragraph(f"Demands {VIEW_WORDS[view]}, {whole}, summed over sessions and budgets:")
        yield Table.of(
            ["policy", *(name.replace("_", " ") for name in kinds)],
            ((names[item["policy"]], *(item[name] for name in kinds)) for item in items),
        )


def _thrash(results: Mapping[str, Any]) -> Iterator[Block]:
    ours = totals_of(results, "clawvm")
    if ours is not None:
        yield Paragraph(
            f"A secondary source (weak) gives ClawVM's thrash index on the paper's sessions as "
            f"{REPORTED_SESSION_THRASH:g}. Ours is {ours['thrash_index']:.3f}, the mean of "
            f"{counted(ours['sessions'], 'session')} ({cut_phrase(results['main_cut'])}, by resource, at "
            f"{results['reference_budget']}). The two are not comparable either: without a fault, the index measures "
            "how often calls repeat."
        )


def _quartiles(item: Mapping[str, Any] | None) -> Number | None:
    if item is None or item["sessions"] == 1:
        return None if item is None else number(item["median"])
    return Number(f"{number(item['median'])} ({number(item['first_quartile'])} to {number(item['third_quartile'])})")


def _kept(results: Mapping[str, Any]) -> Iterator[Block]:
    view = results["views"][0]
    yield Heading(3, "Refetched tokens: what each policy would have kept")
    yield Paragraph(
        "Tokens of the recorded results. *Kept in the prompt*: the last prompt held every page at the demanded level, "
        "so no call was needed. *From the store*: no tool runs, but the page-in tokens go into the prompt; a page may "
        "hold more lines than the call asked for. *Left out*: the store had it, the next prompt had no space. *Not "
        "judged*: a first access."
    )
    for each in results["views"]:
        items = [(results["names"][item["policy"]], item) for item in _totals(results, each)]
        for budget in references(results):
            place = f"{budget_phrase(results, budget)}, demands {VIEW_WORDS[each]}, {cut_phrase(results['main_cut'])}"
            yield Paragraph(f"Refetches {place}:")
            yield _outcomes("policy", "refetched", [pair for pair in items if pair[1]["budget_label"] == budget])
    if "clawvm" in results["policies"]:
        items = [(item["budget_label"], item) for item in _totals(results, view) if item["policy"] == "clawvm"]
        yield Paragraph(f"Refetches under ClawVM at each budget, demands {VIEW_WORDS[view]}:")
        yield _outcomes("budget", "refetched", items)
        yield Paragraph(f"Duplicates (the recorded harness still had the content), demands {VIEW_WORDS[view]}:")
        yield _outcomes("budget", "repeated", items)


def _totals(results: Mapping[str, Any], view: str) -> Iterator[dict[str, Any]]:
    """Yield the sums of one view by budget and policy, both in the order of reports."""
    for budget in results["budgets"]:
        for policy_id in results["policies"]:
            item = totals_of(results, policy_id, view=view, budget=budget)
            if item is not None:
                yield item


def _outcomes(first: str, what: str, items: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """Return the outcomes of refetched or repeated tokens (*what*), with a row for each item."""
    rows = []
    for name, item in items:
        counts = item[what]
        parts = (counts[part]["tokens"] for part in PARTS)
        rows.append((name, counts["calls"], counts["tokens"], *parts, counts["page_in_tokens"]))
    return Table.of([first, "calls", "tokens", *PARTS.values(), "page-in tokens"], rows)


def _economy(results: Mapping[str, Any]) -> Iterator[Block]:
    prices = results["prices"]
    yield Heading(3, "Page-in tokens, prefix reuse and cost")
    yield Paragraph(
        f"Summed over sessions, {cut_phrase(results['main_cut'])}. Cost in plain input tokens per turn (cached read "
        f"{prices['cached_read']:g}, write {prices['write']:g}). A recorded prompt also holds the transcript, the "
        "tools and the harness's own words, so these costs are not comparable to the recorded ones. Retrieval looks "
        "cheapest because its prompts hold almost nothing: the tools that it runs again, and the further turns of the "
        "model, have no price here."
    )
    for view in results["views"]:
        yield Paragraph(f"Demands {VIEW_WORDS[view]}:")
        rows = []
        for item in _totals(results, view):
            first = item["budget_label"], results["names"][item["policy"]], item["page_ins"], item["page_in_tokens"]
            prompt, cost = number(item["prompt_tokens_per_turn"]), number(item["cost_per_turn"])
            rows.append((*first, prompt, percent(item["prefix_reuse"]), cost))
        header = ["budget", "policy", "page-ins", "page-in tokens", "prompt tokens per turn", "prefix reuse"]
        yield Table.of([*header, "cost per turn"], rows)


# --- The figures.


def session_figures(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures as SVG by file name; one that would show nothing is left out."""
    pictures = {}
    view = results["views"][0]
    if results["shares"]:
        pictures["faults.svg"] = _fault_figure(results, "Explicit faults against the budget", ("explicit_faults",))
        fields = ("explicit_faults", "pressure_faults")
        pictures["faults_with_pressure.svg"] = _fault_figure(results, "The same with pressure faults", fields)
    items = list(_totals(results, view))
    for name, budget in zip(("refetched.svg", "refetched_window.svg"), references(results)):
        by_policy = {results["names"][item["policy"]]: item for item in items if item["budget_label"] == budget}
        if any(item["refetched"]["tokens"] for item in by_policy.values()):
            words = "the model's window" if budget == WINDOW else budget
            title = f"Refetched tokens at {words}: what each policy would do"
            pictures[name] = _outcome_figure(title, by_policy, recorded=True)
    by_budget = {item["budget_label"]: item for item in items if item["policy"] == "clawvm"}
    if len(by_budget) > 1 and any(item["refetched"]["tokens"] for item in by_budget.values()):
        pictures["refetched_clawvm.svg"] = _outcome_figure("Refetched tokens under ClawVM, by budget", by_budget)
    return pictures


def _fault_figure(results: Mapping[str, Any], title: str, fields: Sequence[str]) -> str:
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


def _outcome_figure(title: str, rows: Mapping[str, Mapping[str, Any]], *, recorded: bool = False) -> str:
    """Return a bar of tokens for each row, split by outcome; the *recorded* harness ran the tool for all."""
    counts = [item["refetched"] for item in rows.values()]
    series = []
    for style, (part, words) in enumerate(PARTS.items(), start=1):
        values = [own[part]["tokens"] for own in counts]
        if recorded:
            values.insert(0, counts[0]["tokens"] if part == "faulted" else 0)
        if any(values):
            series.append(BarSeries(words, values, style))
    names = [*(["recorded harness"] if recorded else []), *rows]
    return bar_chart(title=title, value_label="tokens", categories=names, series=series)

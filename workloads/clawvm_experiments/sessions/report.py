"""The report on recorded sessions: first what was lost, what it cost, what would have been kept; then every table.

===============  =========================================
session_report   the results of a run as Markdown
===============  =========================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clawvm_experiments.sessions.findings import totals_of
from clawvm_experiments.sessions.index import ALL_FORMATS, cut_words
from clawvm_experiments.sessions.layout import RESOURCES, SIGNATURES
from clawvm_experiments.sessions.summary import ratio
from clawvm_experiments.sessions.tables import (
    ROWS_MOST,
    counted,
    economy_table,
    faults_tables,
    groups_table,
    harness_table,
    kept_table,
    kinds_table,
    number,
    overview_table,
    percent,
    published_table,
    session_faults_table,
    shown_sessions,
)
from clawvm_replay.published import REAL_SESSIONS

__all__ = ["session_report"]

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

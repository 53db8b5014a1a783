"""The first three sentences on recorded sessions: what was lost, in which sessions, and what would have helped.

A pure function of the results. They come before anything else in the report, and end a run on the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from clawvm_experiments.sessions.cells import WINDOW, Budget
from clawvm_experiments.sessions.report import cut_phrase, percent, small_percent
from clawvm_experiments.sessions.summary import PRICED_MODEL, USD_PER_MILLION, ratio, totals_of
from clawvm_replay.document import Paragraph, counted, listed
from clawvm_runtime.policy import policy_named

__all__ = ["ALMOST_NOTHING", "LITTLE", "first_sentences", "how_counted"]

ALMOST_NOTHING, LITTLE = 0.03, 0.1
"""Shares of all prompt tokens: when even the upper bound is below them, almost nothing was lost, or little.

The lower bound would decide nothing: every request sends the whole prompt, so its share is always small.
"""

NAMED_MOST = 3
"""Sessions that are named; the others are summed."""


def first_sentences(results: Mapping[str, Any], pages: str = "") -> list[Paragraph]:
    """Return three paragraphs of one sentence each: how much was lost, where, and what would have helped.

    With *pages*, the folder of the pages of sessions, the names of sessions are links.
    """
    return [Paragraph(_lost(results)), Paragraph(_where(results, pages)), Paragraph(_helped(results))]


def how_counted(results: Mapping[str, Any]) -> Paragraph:
    """Return what the words and amounts of the three sentences mean."""
    prices = results["prices"]
    return Paragraph(
        "*Lost* is content that the harness no longer had when the model asked for it again; its tokens are estimated, "
        "rather high than low. The lower amount is their price as input once more, the upper one takes each call as a "
        f"request of its own over a cached prompt of mean size: *almost nothing* is below {percent(ALMOST_NOTHING)} of "
        f"all prompt tokens even then, *little* below {percent(LITTLE)}. Prices: {PRICED_MODEL}, "
        f"{USD_PER_MILLION:g} USD per million input tokens, cache writes {prices['write']:g} times and cache reads "
        f"{prices['cached_read']:g} times that. What a policy has in its store needs no tool to run again; "
        "`docs/policies.md` describes the policies."
    )


# --- How much.


def _lost(results: Mapping[str, Any]) -> str:
    loss, usage, sessions = results["loss"], results["loss"]["with_usage"], counted(len(results["sessions"]), "session")
    unread = "; what could not be read, or is not recorded, may hold more" if loss["lower_bound"] else ""
    recorded = counted(usage["prompt_tokens"], "prompt token")
    if not loss["calls"]:
        among = f" with {recorded}" if usage["prompt_tokens"] else ""
        head = "Nothing is known to be lost" if loss["lower_bound"] else "Nothing was lost"
        return (
            f"**{head}:** in {sessions}{among}, the model never asked again for content that the harness no longer "
            f"had{unread}."
        )
    tokens = f"{'at least ' if loss['lower_bound'] else ''}{counted(loss['tokens'], 'token')}"
    what = f"{tokens} in {counted(loss['calls'], 'call')} that asked for them again"
    least, named = _usd(loss["usd_at_least"]), f"at list prices of {PRICED_MODEL}"
    if not usage["prompt_tokens"]:
        return (
            f"**Lost:** {what}, for {least} or more {named}; no recording has its number of prompt tokens, so there is "
            f"no share{unread}."
        )
    share = f"{small_percent(loss['share_at_least'])} of all {recorded}"
    money = f"{_usd(usage['usd_at_least'])} to {_usd(loss['usd_at_most'])} of {_usd(usage['usd'])} {named}"
    # With most of the loss in sessions without a share, the share of the others decides nothing.
    head = _verdict(loss["share_at_most"]) if 2 * usage["tokens"] >= loss["tokens"] else "Lost:"
    if usage["tokens"] == loss["tokens"]:
        return f"**{head}** {what}, {share}; {money}{unread}."
    return (
        f"**{head}** {what}; in the {usage['sessions']:,} of {sessions} that recorded their prompt tokens, "
        f"{counted(usage['tokens'], 'token')}, {share}, {money}{unread}."
    )


def _verdict(share_at_most: float) -> str:
    if share_at_most < ALMOST_NOTHING:
        return "Almost nothing was lost:"
    return "Little was lost:" if share_at_most < LITTLE else "Lost:"


def _usd(amount: float) -> str:
    if amount < 0.01:
        return f"{Decimal(f'{amount:.2g}'):f} USD"
    return f"{amount:,.2f} USD"


# --- Where.


def _where(results: Mapping[str, Any], pages: str) -> str:
    losers, sessions = results["loss"]["sessions"], results["sessions"]
    if not losers:
        passed = sum(one["chain"] or any(one["counts"].get(name) for name in _DROPPING) for one in sessions)
        if not passed:
            return "**Where:** in no session; none passed a compaction, clear, rewind or reset."
        return (
            f"**Where:** in no session, although {passed:,} of {len(sessions):,} passed a compaction, clear, rewind or "
            "reset."
        )
    shown = losers[:NAMED_MOST]
    named = listed(f"{_name(one['name'], pages)} ({_details(one)})" for one in shown)
    among = f"in {len(losers):,} of {counted(len(sessions), 'session')}"
    if more := losers[len(shown) :]:
        others = "the other one" if len(more) == 1 else f"the other {len(more):,}"
        rest = f"{others} lost {counted(sum(one['tokens'] for one in more), 'token')}"
        most = "most in" if shown[-1]["tokens"] > more[0]["tokens"] else "such as"
        return f"**Where:** {among}, {most} {named}; {rest}."
    return f"**Where:** {among}: {named}." if len(sessions) > 1 else f"**Where:** in {named}."


_DROPPING = ("compactions", "cleared_results", "unnamed_clearings", "rewinds", "resets")
"""Counts of what drops content."""


def _name(name: str, pages: str) -> str:
    return f"[{name}]({pages}/{name}.html)" if pages else name


def _details(one: Mapping[str, Any]) -> str:
    day = f"{one['started']}, " if one["started"] else ""
    return f"{day}{counted(one['tokens'], 'token')} in {counted(one['calls'], 'call')}"


# --- What would have helped.


def _helped(results: Mapping[str, Any]) -> str:
    loss = results["loss"]
    head = "**What would have helped:**"
    if not loss["calls"]:
        return f"{head} nothing, for nothing was lost."
    edited = loss["edited_lost_tokens"]
    if not loss["refetch_tokens"]:
        return f"{head} no policy, for all of it are lines that the agent had edited itself: new content."
    parts = list(_budgets(results))
    if not parts:
        return f"{head} unknown, for no policy was replayed by resource."
    cold = _cold(results)
    none = [f"the {counted(edited, 'token')} of lines that the agent had edited itself (new content)"] * bool(edited)
    none += [f"{counted(cold, 'token')} that a replay first met at that call"] * bool(cold)
    if not any(one["recorded"]["window"] for one in results["sessions"]):
        parts.append("no recording has the model's window")
    if none:
        parts.append(f"no policy would have had {listed(none)}")
    cut = "" if results["main_cut"] == "whole" else f" (sessions {cut_phrase(results['main_cut'])})"
    return f"{head} of the {counted(loss['refetch_tokens'], 'token')} of unchanged content{cut}, {'; '.join(parts)}."


def _budgets(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield what policies would have had at the reference budget, and at the recorded window."""
    explained = True
    for budget in dict.fromkeys((WINDOW, results["reference_budget"])):
        # A policy that looks ahead is a bound, and no help to anybody.
        found = {
            name: item["refetched"]
            for policy_id, name in results["names"].items()
            if not policy_named(policy_id).horizon and (item := totals_of(results, policy_id, budget=budget))
        }
        judged = {name: counts for name, counts in found.items() if counts["tokens"]}
        if judged:
            yield f"{_place(results, budget, judged)} {_best(judged, explained=explained)}"
            explained = False


def _place(results: Mapping[str, Any], budget: str, judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the budget in words, with the tokens that were judged there if that is not all of them."""
    tokens = max(counts["tokens"] for counts in judged.values())
    which = [] if tokens == results["loss"]["refetch_tokens"] else [f"{tokens:,} of these tokens"]
    if budget == WINDOW:
        known, sessions = sum(bool(one["recorded"]["window"]) for one in results["sessions"]), len(results["sessions"])
        which = [f"known for {known:,} of {counted(sessions, 'session')}", *which] if known < sessions else which
        place = "with the model's whole window"
    elif budget in {Budget(share=share).label for share in results["shares"]}:
        place = f"with {budget} of the session's content"
    else:
        place = f"with {budget}"
    return f"{place}{f' ({listed(which)})' if which else ''},"


def _best(judged: Mapping[str, Mapping[str, Any]], *, explained: bool) -> str:
    """Return what the policies that served most would have had, then what ClawVM would have had if that was less."""
    groups: dict[tuple[int, int], list[str]] = {}
    for name, counts in judged.items():
        held, stored = counts["resident"]["tokens"], counts["paged_in"]["tokens"]
        groups.setdefault((held + stored, held), []).append(name)
    tokens = max(counts["tokens"] for counts in judged.values())
    ((served, held), names), *others = sorted(groups.items(), reverse=True)
    if not served:
        return "no policy would have had any of it"
    shares = f"{percent(ratio(held, tokens))} {{}}and {percent(ratio(served - held, tokens))}{{}}"
    words = ("in the prompt ", " in the store") if explained else ("", "")
    text = f"{listed(names)} would have had {shares.format(*words)}"
    own = policy_named("clawvm").name
    for (served, held), group in others:
        if own in group:
            text += f", and {own} {percent(ratio(held, tokens))} and {percent(ratio(served - held, tokens))}"
    return text


def _cold(results: Mapping[str, Any]) -> int:
    """Return the tokens whose content a replay first met at the call that asked again: no policy can have had them."""
    counts = (totals_of(results, policy_id) for policy_id in results["names"])
    return max((item["refetched"]["not_judged"]["tokens"] for item in counts if item), default=0)

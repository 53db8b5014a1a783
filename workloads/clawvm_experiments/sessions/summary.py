"""The results of recorded sessions: what was lost, quartiles and sums of rows, outcomes of reruns, and the findings.

Cuts of one session share their first turns, so sums over sessions are taken at one cut (``main_cut``): the whole
session, or the longest cut there is. Medians are taken at each cut.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import Row
from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Budget, Options, RefetchOutcome
from clawvm_experiments.sessions.data import ALL_FORMATS, KINDS, RESOURCES, SIGNATURES, cut_label
from clawvm_replay.metrics import DIGITS, FAULT_FIELDS, PRICE_MODELS
from clawvm_replay.published import REAL_SESSION_FORMAT, REAL_SESSION_MEDIANS
from clawvm_runtime.policy import POLICIES, policy_named

__all__ = [
    "PRICED_MODEL",
    "USD_PER_MILLION",
    "by_loss",
    "loss_of",
    "median_of",
    "quartiles",
    "ratio",
    "session_loss",
    "summarize_sessions",
    "totals_of",
]

PRICES = PRICE_MODELS["default"]

PRICED_MODEL, USD_PER_MILLION = "Claude Sonnet 4.5", 3.0
"""Anthropic's list price of a million input tokens, https://platform.claude.com/docs/en/about-claude/pricing.

Writing a token to the cache for five minutes costs 1.25 times that, reading it 0.1 times: ``PRICES``.
"""

SUMS = (
    *("turns", "explicit_faults", "pressure_faults", "pressure_turns", "pressure_tokens", "page_ins", "page_in_tokens"),
    *("prompt_tokens", "reused_tokens", "rewritten_tokens", "alerts"),
)


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """Return first quartile, median and third quartile of at least one value.

    Between the sorted values, the lowest and the highest included, with linear interpolation
    (``statistics.quantiles``, method "inclusive"); one value is all three. Rounded to 6 digits.

    >>> quartiles([1, 2, 3, 10])
    (1.75, 2.5, 4.75)
    """
    ordered = sorted(values)
    if len(ordered) == 1:
        return (ordered[0],) * 3
    first, median, third = statistics.quantiles(ordered, n=4, method="inclusive")
    return round(first, DIGITS), round(median, DIGITS), round(third, DIGITS)


def ratio(part: float, whole: float) -> float | None:
    """Return *part* as a share of *whole*, rounded; None of nothing."""
    return round(part / whole, DIGITS) if whole else None


def summarize_sessions(
    facts: Sequence[Mapping[str, Any]],
    options: Options,
    rows: Sequence[Row],
    *,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the results as plain JSON data.

    *facts* are the index of each session, *reading* is the ``reading_record`` of their conversion.
    """
    groups = {ALL_FORMATS: list(facts)}
    for one in facts:
        groups.setdefault(one["format"], []).append(one)
    formats = sorted(groups.keys() - {ALL_FORMATS})
    format_of = {one["name"]: one["format"] for one in facts}
    present = {row["budget_label"] for row in rows}
    labels = [budget.label for budget in options.budgets if budget.label in present]
    main_cut = options.ordered_cuts[-1]
    main = [row for row in rows if row["cut"] == main_cut]
    reference = Budget(share=REFERENCE_SHARE).label
    results: dict[str, Any] = {
        "cells": len(rows),
        "budgets": labels,
        "shares": sorted(options.shares),
        "cuts": [cut_label(cut) for cut in options.ordered_cuts],
        "main_cut": cut_label(main_cut),
        "reference_budget": reference if reference in present else next(iter(labels), reference),
        "views": list(options.views),
        "formats": formats,
        "policies": list(options.policies),
        "names": {policy_id: policy_named(policy_id).name for policy_id in options.policies},
        "prices": {"cached_read": PRICES.cached_read, "plain": PRICES.plain, "write": PRICES.write},
        "sessions": [{**one, "recorded": {**one["recorded"], **_recorded_cost([one["recorded"]])}} for one in facts],
        "reading": None if reading is None else dict(reading),
        "loss": loss_of(facts, reading or {}),
        "recorded": {name: _recorded(own) for name, own in sorted(groups.items())},
        "faults": list(_faults(rows, format_of, formats)),
        "totals": list(_totals(main)),
        "kinds": list(_kinds(main)),
        "per_session": list(_per_session(rows)),
        "everywhere": {policy_id: _everywhere(rows, policy_id) for policy_id in options.policies},
    }
    results["findings"] = findings_of(results)
    return results


# --- What the recorded harness lost, and what that cost.


def session_loss(facts: Mapping[str, Any]) -> tuple[int, int]:
    """Return calls and tokens that a session lost: what was asked for again and no longer there, by resource.

    *facts* are its index. Reads of lines that the agent had edited itself count too, if they were lost.
    """
    whole = facts["views"][RESOURCES]["whole"]
    return (
        whole["refetch_calls"] + whole["edited_lost_calls"],
        whole["refetch_tokens"] + whole["edited_lost_tokens"],
    )


def by_loss(facts: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the indexes of sessions, those that lost most first, then the longest."""
    return sorted(facts, key=lambda one: (-session_loss(one)[1], -session_loss(one)[0], -one["turns"], one["name"]))


def loss_of(facts: Sequence[Mapping[str, Any]], reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the sessions lost and what that cost, in tokens and US dollars (``USD_PER_MILLION``).

    At least, the lost tokens were input once more, written to the cache where the session's prompts were. At most, each
    lost call was also a request of its own, whose prompt (the session's mean) was read from the cache; that is known
    for sessions with recorded usage alone, whose prompts cost ``with_usage.usd``. The shares are those of recorded
    prompt tokens. ``lower_bound`` is whether more may have been lost: in what was not read (*reading* is the
    ``reading_record``), or by clearings that do not name what they cleared.
    """
    lost = [(one, *session_loss(one)) for one in facts]
    with_usage = [item for item in lost if item[0]["recorded"]["requests"] and item[0]["recorded"]["prompt_tokens"]]
    prompt = sum(one["recorded"]["prompt_tokens"] for one, _, _ in with_usage)
    known = sum(tokens for _, _, tokens in with_usage)
    # The prompts that the lost calls would have had as requests of their own.
    prompts = sum(
        calls * one["recorded"]["prompt_tokens"] / one["recorded"]["requests"] for one, calls, _ in with_usage
    )
    usd = USD_PER_MILLION / 1_000_000
    once = {one["name"]: PRICES.write if one["recorded"]["written_tokens"] else PRICES.plain for one, _, _ in lost}
    price = sum(once[one["name"]] * tokens for one, _, tokens in lost)
    known_price = sum(once[one["name"]] * tokens for one, _, tokens in with_usage)
    spent = _recorded_cost([one["recorded"] for one, _, _ in with_usage])["cost"]
    sums = _sums([one["views"][RESOURCES]["whole"] for one in facts], "refetch_tokens", "edited_lost_tokens")
    return {
        "calls": sum(calls for _, calls, _ in lost),
        "tokens": sum(tokens for _, _, tokens in lost),
        **sums,
        "sessions": [
            {"name": one["name"], "started": one["started"], "calls": calls, "tokens": tokens}
            for one, calls, tokens in ((one, *session_loss(one)) for one in by_loss(facts))
            if calls
        ],
        "with_usage": {
            "sessions": len(with_usage),
            "tokens": known,
            "prompt_tokens": prompt,
            "usd": round(usd * spent, DIGITS),
            "usd_at_least": round(usd * known_price, DIGITS),
        },
        "share_at_least": ratio(known, prompt),
        "share_at_most": ratio(known + prompts, prompt),
        "usd_at_least": round(usd * price, DIGITS),
        "usd_at_most": round(usd * (known_price + PRICES.cached_read * prompts), DIGITS) if prompt else None,
        "lower_bound": bool(reading.get("refused_recordings") or reading.get("sessions_left_out"))
        or any(any(one["unread"].values()) or one["counts"].get("unnamed_clearings") for one in facts),
    }


def _recorded(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the recorded counts and usage of a group of sessions."""
    counts: Counter[str] = Counter()
    for one in facts:
        counts.update(one["counts"])
    usage = [one["recorded"] for one in facts if one["recorded"]["requests"]]
    fields = (*(f"{kind}_{unit}" for kind in KINDS for unit in ("calls", "tokens")), "compactions", "resets")
    return {
        "sessions": len(facts),
        "turns": sum(one["turns"] for one in facts),
        "counts": dict(sorted(counts.items())),
        "views": {
            view: _sums([one["views"][view]["whole"] for one in facts], *fields)
            for view in (facts[0]["views"] if facts else ())
        },
        "usage": {"sessions": len(usage), **_recorded_cost(usage)},
    }


def _recorded_cost(usage: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cost of recorded prompts in plain input tokens: cached, written to the cache, and neither."""
    sums = _sums(usage, "requests", "prompt_tokens", "cached_tokens", "written_tokens", "output_tokens")
    prompt, cached, written = sums["prompt_tokens"], sums["cached_tokens"], sums["written_tokens"]
    plain = max(0, prompt - cached - written)
    cost = PRICES.cached_read * cached + PRICES.write * written + PRICES.plain * plain
    return {
        **sums,
        "cached_share": ratio(cached, prompt),
        "cost": round(cost, DIGITS),
        "cost_share": ratio(cost, PRICES.plain * prompt),
    }


def _sums(rows: Sequence[Mapping[str, Any]], *fields: str) -> dict[str, Any]:
    return {name: sum(row[name] for row in rows) for name in fields}


def _groups(rows: Iterable[Row], *fields: str) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """Yield the rows that agree in *fields*, in the order of their first one."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in fields), []).append(row)
    for values, own in groups.items():
        yield dict(zip(fields, values)), own


def _faults(rows: Sequence[Row], format_of: Mapping[str, str], formats: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the quartiles of explicit faults for each view, cut, budget, policy and format."""
    for group, every in _groups(rows, "view", "cut", "budget_label", "policy"):
        for name in (ALL_FORMATS, *formats):
            own = [row for row in every if name in (ALL_FORMATS, format_of[row["session"]])]
            if not own:
                continue
            first, median, third = quartiles(row["explicit_faults"] for row in own)
            yield {
                **group,
                "cut": cut_label(group["cut"]),
                "format": name,
                "sessions": len(own),
                "first_quartile": first,
                "median": median,
                "third_quartile": third,
                "most": max(row["explicit_faults"] for row in own),
                "sessions_without_faults": sum(not row["explicit_faults"] for row in own),
                "pressure_share": ratio(sum(row["pressure_turns"] for row in own), sum(row["turns"] for row in own)),
            }


def _totals(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield sums over sessions for each view, budget and policy: tokens, prefix reuse, cost, reruns."""
    for group, own in _groups(rows, "view", "budget_label", "policy"):
        sums = _sums(own, *SUMS)
        cost = PRICES.cached_read * sums["reused_tokens"] + PRICES.write * sums["rewritten_tokens"]
        yield {
            **group,
            "sessions": len(own),
            **sums,
            "prefix_reuse": ratio(sums["reused_tokens"], sums["prompt_tokens"]),
            "prompt_tokens_per_turn": ratio(sums["prompt_tokens"], sums["turns"]),
            "cost_per_turn": ratio(cost, sums["turns"]),
            "thrash_index": round(statistics.fmean(row["thrash_index"] for row in own), DIGITS),
            "refetched": _added(row["refetched"] for row in own),
            "repeated": _added(row["repeated"] for row in own),
        }


def _added(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return counts of reruns added up, with the share of tokens that were kept in the prompt."""
    total: dict[str, Any] = {}
    for one in counts:
        for name, value in one.items():
            if isinstance(value, Mapping):
                total[name] = {key: total.get(name, {}).get(key, 0) + number for key, number in value.items()}
            else:
                total[name] = total.get(name, 0) + value
    judged = total["tokens"] - total[RefetchOutcome.NOT_JUDGED.value]["tokens"]
    return {**total, "kept_share": ratio(total[RefetchOutcome.RESIDENT.value]["tokens"], judged)}


def _kinds(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the explicit faults by kind for each view and policy, summed over sessions and budgets."""
    for group, own in _groups(rows, "view", "policy"):
        sums = _sums(own, *FAULT_FIELDS, "explicit_faults", "pressure_faults", "pressure_turns")
        yield {**group, "cells": len(own), **sums}


def _per_session(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the explicit faults of each policy for each session, view, cut and budget."""
    for group, own in _groups(rows, "session", "view", "cut", "budget_label", "budget"):
        yield {
            **group,
            "cut": cut_label(group["cut"]),
            "turns": own[0]["turns"],
            "faults": {row["policy"]: row["explicit_faults"] for row in own},
            "pressure_turns": {row["policy"]: row["pressure_turns"] for row in own},
            "kept_tokens": {row["policy"]: row["refetched"]["resident"]["tokens"] for row in own},
        }


def _everywhere(rows: Sequence[Row], policy_id: str) -> dict[str, Any]:
    """Return the sums of one policy over all cells of every view, cut and budget."""
    own = [row for row in rows if row["policy"] == policy_id]
    calm = [row["refetched"]["without_pressure"] for row in own]
    return {
        "cells": len(own),
        **_sums(own, "turns", "explicit_faults", "pressure_faults", "pressure_turns"),
        "refetches_without_pressure": sum(one["calls"] for one in calm),
        "refetches_not_served": sum(one["calls"] - one["served_calls"] for one in calm),
        "served_share": ratio(sum(one["served_tokens"] for one in calm), sum(one["tokens"] for one in calm)),
    }


# --- The findings: flat numbers for claims, None where the sessions have none.

STRUCTURED = ("lru", "clawvm", "oracle_h3")
"""The policies that have ClawVM's structure."""


def findings_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the findings.

    Medians and kept shares are those of the resources view at ``REFERENCE_SHARE`` of the working set, None where that
    was not replayed; faults, pressure, and what was served in turns without pressure are over all cells. Without any
    refetch to serve, the number that was not served is None, too.
    """
    reference = Budget(share=REFERENCE_SHARE).label
    recorded = results["recorded"][ALL_FORMATS]
    by_resource = recorded["views"].get(RESOURCES, {})
    by_signature = recorded["views"].get(SIGNATURES, {})
    findings: dict[str, Any] = {
        "sessions": recorded["sessions"],
        "cells": results["cells"],
        "turns": recorded["turns"],
        "recorded_compactions": recorded["counts"].get("compactions", 0),
        "recorded_resets": recorded["counts"].get("resets", 0),
        "recorded_cached_share": recorded["usage"]["cached_share"],
        "recorded_cost_share": recorded["usage"]["cost_share"],
        "observed_refetches": by_resource.get("refetch_calls", 0),
        "observed_refetch_tokens": by_resource.get("refetch_tokens", 0),
        "observed_repeats": by_resource.get("repeat_calls", 0),
        "observed_repeat_tokens": by_resource.get("repeat_tokens", 0),
        "observed_reads_after_edit": by_resource.get("edited_kept_calls", 0) + by_resource.get("edited_lost_calls", 0),
        "observed_edited_reads_lost": by_resource.get("edited_lost_calls", 0),
        "observed_edited_read_tokens_lost": by_resource.get("edited_lost_tokens", 0),
        "observed_edited_reads_kept": by_resource.get("edited_kept_calls", 0),
        "observed_edited_read_tokens_kept": by_resource.get("edited_kept_tokens", 0),
        "observed_refetches_by_signature": by_signature.get("refetch_calls", 0),
        "observed_refetch_tokens_by_signature": by_signature.get("refetch_tokens", 0),
    }
    for policy_id in POLICIES:
        everywhere = results["everywhere"].get(policy_id, {})
        for name in ("explicit_faults", "pressure_faults", "pressure_turns", "refetches_not_served", "served_share"):
            findings[f"{policy_id}_{name}"] = everywhere.get(name)
        if not everywhere.get("refetches_without_pressure"):
            findings[f"{policy_id}_refetches_not_served"] = None
        totals = totals_of(results, policy_id, budget=reference) or {}
        refetched = totals.get("refetched", {})
        findings[f"{policy_id}_kept_share"] = refetched.get("kept_share")
        findings[f"{policy_id}_kept_tokens"] = refetched.get("resident", {}).get("tokens")
        findings[f"{policy_id}_prefix_reuse"] = totals.get("prefix_reuse")
        for cut in REAL_SESSION_MEDIANS:
            for group, name in ((REAL_SESSION_FORMAT, "claude_code"), (ALL_FORMATS, "all")):
                quartiles_there = median_of(results, policy_id, cut_label(cut), group, budget=reference) or {}
                findings[f"{policy_id}_median_{name}_cut{cut}"] = quartiles_there.get("median")
    faults = [findings[f"{policy_id}_explicit_faults"] for policy_id in STRUCTURED]
    findings["structured_policies_without_faults"] = None if None in faults else not any(faults)
    findings["retrieval_at_least_hybrid"] = _in_order(results, "retrieval", "compaction_hybrid")
    findings["hybrid_at_least_clawvm"] = _in_order(results, "compaction_hybrid", "clawvm")
    return findings


def median_of(
    results: Mapping[str, Any], policy_id: str, cut: str, group: str, *, view: str = RESOURCES, budget: str = ""
) -> dict[str, Any] | None:
    """Return the quartiles of a policy at a cut over a group of sessions, None where there are no such sessions.

    Without *budget*, at the reference budget.
    """
    place = {"view": view, "cut": cut, "budget_label": budget or results["reference_budget"], "policy": policy_id}
    return _matching(results["faults"], {**place, "format": group})


def totals_of(
    results: Mapping[str, Any], policy_id: str, *, view: str = RESOURCES, budget: str = ""
) -> dict[str, Any] | None:
    """Return the sums of a policy at the main cut, None where it was not run; without *budget* at the reference."""
    place = {"view": view, "budget_label": budget or results["reference_budget"], "policy": policy_id}
    return _matching(results["totals"], place)


def _matching(items: Iterable[dict[str, Any]], place: Mapping[str, str]) -> dict[str, Any] | None:
    return next((item for item in items if all(item[name] == value for name, value in place.items())), None)


def _in_order(results: Mapping[str, Any], more: str, less: str) -> bool | None:
    """Return whether the median of *more* is nowhere below that of *less*, over all sessions; None without both."""
    medians: dict[tuple[str, ...], dict[str, float]] = {}
    for item in results["faults"]:
        if item["format"] == ALL_FORMATS:
            place = item["view"], item["cut"], item["budget_label"]
            medians.setdefault(place, {})[item["policy"]] = item["median"]
    pairs = [(own[more], own[less]) for own in medians.values() if more in own and less in own]
    return all(high >= low for high, low in pairs) if pairs else None

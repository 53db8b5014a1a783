"""Stale-version storm: many writers set one field from versions that they read long ago, valid updates among them.

===========  ==============================================================================
Storm        rounds of updates, and what must come of them
storm        the storm of a seed, with its outcome from a model of its own
stale_storm  the scenario: storms through the engine, and through the journal alone
===========  ==============================================================================

A writer who read version *v* sets the field with base *v*. Of all who read the same version one wins, whoever is
first in the journal; all others are stale. The model that says so is a dozen lines and shares nothing with the journal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from clawvm_runtime.journal import EntryStatus, Journal, MemoryJournalStorage
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector
from clawvm_runtime.updates import Update, ValidationContext, check_update
from clawvm_runtime.vocabulary import PageType, Principal, RejectCode
from clawvm_workloads.adversarial.scenario import (
    BUDGET,
    GUIDE,
    PLAN,
    Check,
    Control,
    Harness,
    Run,
    Scenario,
    note,
    page,
    played,
    removal,
    user,
    values_check,
)

__all__ = ["Storm", "stale_storm", "storm"]

ROUNDS = 10
SETS_PER_ROUND = 12

_GUIDE = page("guide", PageType.BOOTSTRAP_POLICY, GUIDE, Provenance("file", "AGENTS.md"), base_utility=9.0)
_PLAN = page("plan", PageType.PLAN, PLAN, user(1), base_utility=8.0)


@dataclass(frozen=True, slots=True)
class Storm:
    """Rounds of updates, each round ended by a boundary, and what must come of them.

    ``values`` are version and value by page and field, ``winners`` the accepted value of each version of the
    contested field, ``stale`` how many updates must be rejected.
    """

    rounds: tuple[tuple[Update, ...], ...]
    values: dict[tuple[str, str], tuple[int, Any]]
    winners: tuple[str, ...]
    stale: int


def storm(seed: int) -> Storm:
    """Return the storm of a seed: ten rounds, in each twelve writers, two good updates and a retry between them."""
    source = random.Random(seed)
    principals = list(Principal)
    rounds: list[tuple[Update, ...]] = []
    winners: list[str] = []
    log: list[str] = []
    facts: dict[str, int] = {}
    stale = 0
    for number in range(ROUNDS):
        updates: list[Update] = []
        read = len(winners)
        for writer in range(SETS_PER_ROUND):
            draw = source.random()
            if draw < 0.5:
                base = read  # Read at the last boundary, like most of the others.
            elif draw < 0.7:
                base = len(winners)  # Saw what is staged.
            elif draw < 0.9:
                base = source.randrange(read + 1)  # Read long ago.
            else:
                base = len(winners) + 1 + source.randrange(5)  # Claims a version that nobody has written.
            value = f"round {number} writer {writer}"
            if base == len(winners):
                winners.append(value)
            else:
                stale += 1
            principal = principals[source.randrange(len(principals))].value
            updates.append(
                note(
                    field="decision",
                    operation="set_with_version",
                    value=value,
                    base_version=base,
                    principal=principal,
                )
            )
        entry = f"entry {number}"
        log.append(entry)
        facts[f"fact-{number % 4}"] = number
        good = note(value=[entry], update_id=f"append-{number}")
        updates.insert(source.randrange(len(updates)), good)
        updates.append(good)  # A retry of the same update counts once.
        merge = note(field="facts", operation="merge", value={f"fact-{number % 4}": number}, principal="subagent")
        updates.insert(source.randrange(len(updates)), merge)
        rounds.append(tuple(updates))
    values: dict[tuple[str, str], tuple[int, Any]] = {
        ("plan", "decision"): (len(winners), winners[-1]),
        ("plan", "log"): (ROUNDS, log),
        ("plan", "facts"): (ROUNDS, facts),
    }
    return Storm(tuple(rounds), values, tuple(winners), stale)


def _accepted(journal: Journal) -> tuple[str, ...]:
    return tuple(
        entry.update.value
        for entry in journal.entries
        if entry.status is EntryStatus.COMMITTED and entry.update.field == "decision"
    )


def _through_engine(harness: Harness, made: Storm) -> list[Check]:
    engine = harness.engine
    engine.session_start("session-0", [_GUIDE, _PLAN])
    harness.prompt()
    for number, updates in enumerate(made.rounds, start=1):
        harness.stage(*updates)
        if number % 3:
            # Approached slowly, so that a policy with a flush at the soft threshold has its flush.
            engine.memory_flush()
            engine.compaction()
        else:
            engine.reset(f"session-{number}")
        harness.prompt()
    winners = _accepted(engine.journal)
    return [
        values_check(engine.journal, made.values),
        Check("values_exact", winners == made.winners, f"{len(winners)} versions won"),
        _recovered(harness, list(made.values)),
    ]


def _recovered(harness: Harness, keys: Sequence[tuple[str, str]]) -> Check:
    """Return whether the journal, opened again from its records, has the values that it had."""
    records = harness.storage.read()
    kept = MemoryJournalStorage()
    kept.append(records[:-1] if harness.variant == "forgetful_storage" else records, durable=True)
    live = {key: harness.engine.journal.committed(*key) for key in keys}
    return values_check(Journal(kept), {key: (item.version, item.value) for key, item in live.items()}, "recovered")


def _through_journal(made: Storm, validated: bool) -> Check:
    """Play a storm through a journal without an engine: stage, check, write back after each round."""
    journal = Journal()
    context = ValidationContext({"plan": _PLAN}.get, {"plan"}.__contains__)
    codes: list[str] = []
    overwrote = 0
    for updates in made.rounds:
        journal.stage_all(updates)
        check = (lambda update, version, value: check_update(update, version, value, context)) if validated else None
        written = journal.write_back(check)
        codes += [entry.rejection.code.value for entry in written.rejected if entry.rejection is not None]
        overwrote += len(written.overwrote)
    journal._check()
    values = values_check(journal, made.values, "journal_alone")
    same = codes == [RejectCode.DESTRUCTIVE_OP.value] * made.stale and _accepted(journal) == made.winners
    return replace(
        values,
        holds=values.holds and same and overwrote == 0,
        observed=values.observed if not values.holds else f"{len(codes)} rejected, {overwrote} overwritten",
    )


def _script(seed: int, harness: Harness) -> list[Check]:
    made = storm(seed)
    values, winners, recovered = _through_engine(harness, made)
    both = Check("values_exact", values.holds and winners.holds, f"{values.observed}, {winners.observed}")
    return [both, recovered, _through_journal(made, harness.engine.policy.validated_writeback)]


def _play(seeds: Sequence[int], policy: Policy, selector: Selector, variant: str) -> Run:
    """Play the storm of every seed; a check holds if it holds in all of them."""
    runs = []
    for seed in seeds:
        rejections = (RejectCode.DESTRUCTIVE_OP.value,) * storm(seed).stale
        runs.append(played(partial(_script, seed), BUDGET, rejections)(policy, selector, variant))
    return Run(
        checks=tuple(_in_all(seeds, checks) for checks in zip(*(run.checks for run in runs))),
        faults=_sums([run.faults for run in runs]),
        pressure_faults=_sums([run.pressure_faults for run in runs]),
        pressure_turns=sum(run.pressure_turns for run in runs),
        pressure_tokens=sum(run.pressure_tokens for run in runs),
        alerts=sum(run.alerts for run in runs),
        page_ins=sum(run.page_ins for run in runs),
        committed=sum(run.committed for run in runs),
        rejected=tuple(code for run in runs for code in run.rejected),
        lost=sum(run.lost for run in runs),
        overwritten=sum(run.overwritten for run in runs),
    )


def _in_all(seeds: Sequence[int], checks: Sequence[Check]) -> Check:
    for seed, check in zip(seeds, checks):
        if not check.holds:
            return Check(check.name, False, f"seed {seed}: {check.observed}")
    return Check(checks[0].name, True, f"{len(checks)} of {len(checks)} storms; the first: {checks[0].observed}")


def _sums(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for item in counts:
        total.update(item)
    return dict(sorted(total.items()))


def stale_storm(seeds: Sequence[int]) -> Scenario:
    """Return the scenario of the storms of these seeds."""
    storms = [storm(seed) for seed in seeds]
    staged = sum(len(updates) for made in storms for updates in made.rounds)
    versions = sum(len(made.winners) for made in storms)
    stale = sum(made.stale for made in storms)
    return Scenario(
        id="stale_storm",
        title="Stale-version storm",
        story=f"{len(seeds)} seeded storms, {staged:,} updates of five principals in {ROUNDS} rounds each, a boundary "
        f"after each round: {versions:,} versions of one field have one winner each, {stale:,} writers are stale.",
        budget=BUDGET,
        run=partial(_play, tuple(seeds)),
        controls=(
            removal("validated_writeback", "nothing_overwritten", "rejections_exact", "values_exact", "journal_alone"),
            removal("writeback_at_compaction", "no_controllable_fault", "nothing_lost", "values_exact"),
            removal("writeback_at_reset", "no_controllable_fault", "nothing_lost", "values_exact"),
            Control("a storage that forgets the last record", ("recovered",), variant="forgetful_storage"),
        ),
    )

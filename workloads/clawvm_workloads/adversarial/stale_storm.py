"""The stale-version storm: many writers set one field from versions that they read long ago, valid updates among them.

A writer who read version v sets the field with base v. Of all who read the same version one wins, whoever is first in
the journal; all others are stale. The model that knows it is a dozen lines and shares nothing with the journal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from clawvm_replay.commits import replaced_unseen
from clawvm_runtime.journal import EntryStatus, Journal, MemoryJournalStorage
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector
from clawvm_runtime.updates import Update, ValidationContext, check_update
from clawvm_runtime.vocabulary import Principal
from clawvm_workloads.adversarial.scenario import (
    Check,
    Control,
    Scenario,
    ScenarioRun,
    note,
    removal,
)
from clawvm_workloads.adversarial.scripts import (
    COMPACTION_REMOVED,
    GUIDE_PAGE,
    PLAN_PAGE,
    RESET_REMOVED,
    STALE,
    Harness,
    play,
    values_check,
)

__all__ = ["stale_storm", "storm"]

ROUNDS = 10
SETS_PER_ROUND = 12


@dataclass(frozen=True, slots=True)
class Storm:
    """Rounds of updates, each ended by a boundary, and their right outcome.

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
                base = len(winners)  # Saw the staged updates.
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
            decision = note(field="decision", operation="set_with_version", value=value)
            updates.append(replace(decision, base_version=base, principal=principal))
        log.append(f"entry {number}")
        facts[f"fact-{number % 4}"] = number
        good = note(value=[f"entry {number}"], update_id=f"append-{number}")
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


def _storm_script(seed: int, harness: Harness) -> list[Check]:
    made = storm(seed)
    values = _through_engine(harness, made)
    return [
        values,
        _recovered(harness, list(made.values)),
        _through_journal(made, harness.engine.policy.validated_writeback),
    ]


def _through_engine(harness: Harness, made: Storm) -> Check:
    engine = harness.engine
    engine.session_start("session-0", [GUIDE_PAGE, PLAN_PAGE])
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
    values = values_check(engine.journal, made.values)
    winners = _accepted(engine.journal)
    holds = values.holds and winners == made.winners
    return Check("values_exact", holds, f"{values.observed}, {len(winners)} versions won")


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
    context = ValidationContext({"plan": PLAN_PAGE}.get, {"plan"}.__contains__)
    codes: list[str] = []
    proposed: dict[int, Update] = {}
    committed: list[int] = []
    for updates in made.rounds:
        for entry, update in zip(journal.stage_all(updates), updates):
            proposed.setdefault(entry.sequence, update)
        check = (lambda update, version, value: check_update(update, version, value, context)) if validated else None
        written = journal.write_back(check)
        codes += [entry.rejection.code.value for entry in written.rejected if entry.rejection is not None]
        committed += [entry.sequence for entry in written.committed]
    journal._check()
    values = values_check(journal, made.values, "journal_alone")
    if not values.holds:
        return values
    overwritten = len(replaced_unseen(proposed, committed))
    same = codes == [STALE] * made.stale and _accepted(journal) == made.winners and not overwritten
    return replace(values, holds=same, observed=f"{len(codes)} rejected, {overwritten} overwritten")


def _run_storms(seeds: Sequence[int], policy: Policy, selector: Selector, variant: str) -> ScenarioRun:
    """Play the storm of every seed; a check holds if it holds in all of them."""
    runs = [
        play(partial(_storm_script, seed), (STALE,) * storm(seed).stale, policy, selector, variant) for seed in seeds
    ]
    return ScenarioRun.together(runs, (_in_all(seeds, each) for each in zip(*(run.checks for run in runs))))


def _in_all(seeds: Sequence[int], checks: Sequence[Check]) -> Check:
    for seed, check in zip(seeds, checks):
        if not check.holds:
            return Check(check.name, False, f"seed {seed}: {check.observed}")
    return Check(checks[0].name, True, f"{len(checks)} of {len(checks)} storms; the first: {checks[0].observed}")


def stale_storm(seeds: Sequence[int]) -> Scenario:
    """Return the scenario of the storms of these seeds, through the engine and through the journal alone."""
    storms = [storm(seed) for seed in seeds]
    staged = sum(len(updates) for made in storms for updates in made.rounds)
    versions = sum(len(made.winners) for made in storms)
    stale = sum(made.stale for made in storms)
    return Scenario(
        id="stale_storm",
        title="Stale-version storm",
        story=f"{len(seeds)} seeded storms, {staged:,} updates of five principals in {ROUNDS} rounds each, a boundary "
        f"after each round: {versions:,} versions of one field have one winner each, {stale:,} writers are stale.",
        run=partial(_run_storms, tuple(seeds)),
        controls=(
            removal("validated_writeback", "nothing_overwritten", "rejections_exact", "values_exact", "journal_alone"),
            COMPACTION_REMOVED,
            RESET_REMOVED,
            Control("a storage that forgets the last record", ("recovered",), variant="forgetful_storage"),
        ),
    )

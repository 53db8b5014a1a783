"""All experiments by id, in the order of reports: a new experiment is one module and one row here."""

from __future__ import annotations

from clawvm_experiments import (
    ablations,
    adversarial,
    bounds,
    gates,
    overhead,
    prompt_cache,
    quality,
    sensitivity,
    table4,
    tasks,
    weights,
)
from clawvm_experiments import property as claim_property
from clawvm_experiments.claims import Claim, command_of, read_claims, read_costs, read_mutations
from clawvm_experiments.experiment import Experiment
from clawvm_replay.document import Block, Heading, Paragraph, Table, code

__all__ = ["EXPERIMENTS", "all_claims", "claims_guide", "experiments_table"]

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.id: module.EXPERIMENT
    for module in (
        gates,
        table4,
        ablations,
        weights,
        quality,
        tasks,
        adversarial,
        claim_property,
        bounds,
        prompt_cache,
        sensitivity,
    )
}
"""Open: whatever is added here runs, is judged and is reported like the rest."""

_OTHERS = {
    overhead.ID: "How long does the policy engine take for a turn and for each lifecycle operation?",
    "sessions": "What did the harness of recorded sessions lose, and what would each policy have kept?",
}
"""What is no row: one reads a clock, the other reads recordings."""


def all_claims() -> list[Claim]:
    """Return the claims of ``claims.json``, then those that experiments bring themselves."""
    return [*read_claims(), *(claim for item in EXPERIMENTS.values() for claim in item.claims)]


def experiments_table() -> Table:
    """Return every experiment with its question, its command, and what the command costs (seconds and megabytes)."""
    costs = read_costs()
    questions = {**{item.id: item.question for item in EXPERIMENTS.values()}, **_OTHERS}
    return Table.of(
        ["experiment", "question", "command", "seconds", "megabytes"],
        (
            (
                code(name),
                question,
                code(command_of(name)),
                costs[name]["seconds"] if name in costs else None,
                costs[name]["megabytes"] if name in costs else None,
            )
            for name, question in questions.items()
        ),
    )


def claims_guide() -> list[Block]:
    """Return every experiment with its command, every claim with its number, and what makes each claim fail."""
    return [
        Paragraph(
            "From a checkout without an installation, write `python3 replay_py/clawvm.py` for `clawvm`. `RECORDINGS` "
            "are recorded sessions of your own; a checkout has hand-made ones in `tests/transcripts/fixtures`."
        ),
        Heading(3, "Experiments"),
        experiments_table(),
        Heading(3, "Claims"),
        Table.of(
            ["claim", "statement", "kind", "output", "field", "expected", "must hold"],
            (
                (
                    claim.id,
                    claim.text,
                    claim.kind,
                    code(claim.file),
                    code(claim.field),
                    claim.expectation(),
                    claim.must_hold,
                )
                for claim in all_claims()
            ),
        ),
        Heading(3, "What makes the claims fail"),
        Paragraph(
            "A claim that cannot fail shows nothing. `python3 -m unittest tests.long.experiments.long_mutations` makes "
            "each of these changes in a copy of the code, runs the experiments, and requires that the claims named "
            "here fail; a claim about the size of an experiment can only be broken in the experiment itself."
        ),
        _mutations_table(),
    ]


def _mutations_table() -> Table:
    claims = all_claims()
    return Table.of(
        ["change", "file", "claims that it must turn red"],
        (
            (
                mutation.change,
                code(mutation.file),
                ", ".join(claim.id for claim in claims if claim.mutation == mutation.id),
            )
            for mutation in read_mutations().values()
        ),
    )

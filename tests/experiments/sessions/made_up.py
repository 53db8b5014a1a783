"""Small converted sessions, made by hand, for the tests of the experiment on recorded sessions."""

import json
from pathlib import Path

from clawvm_replay.trace_format import BoundaryEvent, Call, ToolDeclaration, TraceHeader, Turn, write_trace
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import Boundary, Level, PageType, ToolOutcome
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.views import Observed, observations_end, observations_header

COMPACTION = BoundaryEvent(Boundary.COMPACTION)
RESET = BoundaryEvent(Boundary.RESET, "session-2")


def page(page_id, full):
    """Return an evidence page that costs 2 tokens as a pointer and *full* tokens as a whole."""
    costs = {Level.POINTER: 2, Level.FULL: full}
    return Page(page_id, PageType.EVIDENCE, costs, Provenance("tool_call", page_id), base_utility=5.0)


def tool(page_id, full):
    return ToolDeclaration("read", f"call {page_id}", ToolOutcome.OK, page(page_id, full))


def call(page_id):
    return Call(f"call {page_id}")


def turns(*steps):
    """Return turns from (events_before, called pages)."""
    return [
        Turn(number, 10, events_before=tuple(events_before), calls=tuple(map(call, called)))
        for number, (events_before, called) in enumerate(steps, start=1)
    ]


# Page a costs 40 tokens, b 60. Both are asked for again, b right after the compaction, a before it and after it.
TURNS = turns(([tool("a", 40)], ["a"]), ([tool("b", 60)], ["b"]), ([], ["a"]), ([COMPACTION], ["b"]), ([], ["a"]))

OBSERVED = (
    Observed(3, ("a",), Novelty.REPEATED, True, 41),
    Observed(4, ("b",), Novelty.REPEATED, False, 61),
    Observed(5, ("a",), Novelty.COVERED, False, 31),
    Observed(5, ("b",), Novelty.EDITED, False, 7),
)

USAGE = {
    "cached_tokens": 800,
    "largest_prompt": 300,
    "output_tokens": 20,
    "prompt_tokens": 1000,
    "requests": 5,
    "window": 90,
    "window_is_recorded": True,
    "written_tokens": 100,
}

NO_USAGE = {**dict.fromkeys(USAGE, 0), "window": None, "window_is_recorded": False}


def facts(name, **changes):
    """Return the content of a session.json."""
    return {
        "broken_lines": [],
        "chain": False,
        "format": "clawvm.session",
        "harnesses": ["claude-code"],
        "name": name,
        "pages": {"evidence": 2},
        "recorded": USAGE,
        "sessions": [
            {
                "turns": 2,
                "tool_calls": 5,
                "compactions": 1,
                "cross_compaction_repeats": 3,
                "cross_compaction_path_rereads": 4,
                "resets": 0,
                "bad_lines": 0,
                "skipped": {},
                "version": "1",
                "chain": True,
            }
        ],
        "sources": [{"bytes": 9, "damage": "", "sha256": "0" * 64}],
        "started": "2026-04-01",
        "version": 2,
        **changes,
    }


def write_session(root, name, *, session_turns=TURNS, observed=OBSERVED, signatures=(), **changes):
    """Write a converted session below *root*; the view of exact signatures has the observations *signatures*."""
    folder = Path(root) / "sessions" / name
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(json.dumps(facts(name, **changes)))
    for view, observations in (("resources", observed), ("signatures", signatures)):
        header = TraceHeader(workload=name, budget=100)
        (folder / f"{view}.trace.jsonl").write_text("".join(write_trace(header, session_turns)))
        records = [observations_header(name, view), *(item.to_record() for item in observations)]
        records.append(observations_end(len(observations)))
        (folder / f"{view}.observed.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

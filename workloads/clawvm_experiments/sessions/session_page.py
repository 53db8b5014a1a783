"""The page of one recorded session: its facts, the losses of its harness, every policy, and residency maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from clawvm_experiments.experiment import Row
from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Budget, replay_session
from clawvm_experiments.sessions.data import RESOURCES, VIEWS, cut_label, cut_words
from clawvm_experiments.sessions.report import LOSSES, boundaries, losses, number, percent, window, window_share
from clawvm_pictures.pages import Section, figure, html, page
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.document import Bullets, Number, Paragraph, Table, Value, counted
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.policy import POLICIES, policy_named

__all__ = ["MapEvents", "PageWork", "page_works", "session_page"]

MAPPED = ("clawvm", "compaction_hybrid")
"""The policies whose residency is drawn."""

FIRST_TURNS = 100
BEFORE, AFTER = 20, 60
"""The windows that are drawn: the first turns, and those around boundaries that come later."""

BOUNDARIES_DRAWN = 3
PAGES_DRAWN = 40


class PageWork(NamedTuple):
    """The input of a session's page: its index and the rows of its cells, plain data for any process."""

    name: str
    facts: Mapping[str, Any]
    rows: Sequence[Row]


def page_works(names: Iterable[str], index: Mapping[str, Mapping[str, Any]], rows: Iterable[Row]) -> list[PageWork]:
    """Return the work of every page, in the order of *names*; *rows* are those of all sessions."""
    of_session: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        of_session[row["session"]].append(row)
    return [PageWork(name, index[name], own) for name, own in of_session.items()]


def session_page(root: str, work: PageWork) -> str:
    """Return the page of one session below *root* as HTML.

    Replays the session under each of ``MAPPED``, by resource, at the reference share of its working set. Memory grows
    with pages and windows, not with turns.
    """
    name, facts, rows = work
    sections = [
        _section(
            "What the harness lost",
            "A refetch asked again for unchanged content that the harness had lost, a duplicate for content that it "
            "still had; *edited* are reads of lines that the agent had read before it edited the file itself.",
            _losses(facts),
        ),
        _section(
            "Explicit faults under each policy",
            "Under pressure, the budget is too small for everything that a turn needs. What is missing then depends on "
            "the policy; it is no explicit fault, and follows in parentheses.",
            _by_policy(rows, _faults),
        ),
    ]
    if any(row["refetched"]["calls"] for row in rows):
        text = "Of the refetched tokens: in the prompt / from the store without running the tool."
        sections.append(_section("Refetched tokens under each policy", text, _by_policy(rows, _kept)))
    if facts["turns"]:
        sections.append(Section("Residency", Markup("\n".join(_maps(root, name, facts)))))
    return page(f"Recorded session {name}", sections, lead=[Bullets(tuple(_lead(facts)))])


def _section(title: str, text: str, table: Table) -> Section:
    return Section(title, html([Paragraph(text), table], caption=title))


def _lead(facts: Mapping[str, Any]) -> Iterator[str]:
    counts, whole, recorded = facts["counts"], facts["views"][RESOURCES]["whole"], facts["recorded"]
    chain = f" (a chain of {facts['recorded_sessions']} sessions)" if facts["chain"] else ""
    day = f" on {facts['started']}" if facts["started"] else ""
    yield (
        f"Recorded by {facts['format']}{day}{chain}: {counted(counts.get('turns', 0), 'prompt')}, "
        f"{counted(facts['turns'], 'turn')} (replies), {counted(counts.get('tool_calls', 0), 'tool call')}."
    )
    pages = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in facts["pages"].items())
    yield f"Pages: {pages or 'none'}; working set {whole['working_set']:,} tokens, by resource."
    size = "not recorded"
    if recorded["window"]:
        inferred = "" if recorded["window_is_recorded"] else " (the largest prompt before an automatic compaction)"
        share = window_share(whole["working_set"], recorded)
        size = f"{window(recorded)} tokens{inferred}; the working set is {share} of it"
    passed = ", ".join(counted(count, name) for name, count in boundaries(counts).items() if count)
    yield f"Boundaries: {passed or 'none'}. Window: {size}."
    if counts.get("subagents"):
        calls = counted(counts.get("subagent_tool_calls", 0), "call")
        yield f"Subagents among the inputs: {counts['subagents']:,} ({calls}); nothing of them counts here."
    if recorded["requests"] and recorded["prompt_tokens"]:
        yield (
            f"Recorded prompts: {recorded['prompt_tokens']:,} tokens in {counted(recorded['requests'], 'request')}, "
            f"{percent(recorded['cached_tokens'] / recorded['prompt_tokens'])} of them cached."
        )
    unread = facts["unread"]
    if any(unread.values()):
        yield (
            f"Not read: {counted(unread['broken_lines'], 'broken line')}, {unread['unknown_lines']:,} of unknown types"
            f"{', and what lies behind the damage in the file' if unread['damaged_files'] else ''}; the counts are "
            "lower bounds."
        )


def _losses(facts: Mapping[str, Any]) -> Table:
    rows = (
        (view, _unbroken(label), there["turns"], there["compactions"], there["resets"], *losses(there))
        for view in VIEWS
        for label, there in facts["views"][view].items()
    )
    return Table.of(["demands by", "up to", "turns", "replayed compactions", "replayed resets", *LOSSES], rows)


def _unbroken(label: str) -> str:
    """Return the words of a cut; they stay on one line of a narrow column."""
    return cut_words(label).replace(" ", "\u00a0")


def _faults(row: Row) -> str:
    missing = row["pressure_faults"]
    return f"{row['explicit_faults']:,}" + (f" ({missing:,})" if missing else "")


def _kept(row: Row) -> str:
    counts = row["refetched"]
    return f"{counts['resident']['tokens']:,} / {counts['paged_in']['tokens']:,}"


def _by_policy(rows: Sequence[Row], shown: Callable[[Row], str]) -> Table:
    """Return a table with a row for each view, cut and budget, and a column for each policy."""
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    groups: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        place = row["view"], _unbroken(cut_label(row["cut"])), row["budget_label"], row["budget"]
        groups.setdefault(place, {})[row["policy"]] = row
    content = []
    for place, own in groups.items():
        cells: list[Value] = [Number(shown(own[name])) if name in own else None for name in policies]
        content.append((*place, *cells, max(row["pressure_turns"] for row in own.values())))
    names = (policy_named(name).name for name in policies)
    return Table.of(["demands by", "up to", "budget", "tokens", *names, "turns under pressure"], content)


# --- Residency maps.


def _maps(root: str, name: str, facts: Mapping[str, Any]) -> Iterator[Markup]:
    share = Budget(share=REFERENCE_SHARE)
    budget = share.of(facts["views"][RESOURCES]["whole"]["working_set"], None)
    assert budget is not None
    windows = _windows(facts)
    text = (
        f"By resource, at {share.label} of the working set ({number(budget)} tokens): a row for each page, a column "
        "for each turn, the level as colour and height. Hover over a cell for the decision behind it. Of more than "
        f"{PAGES_DRAWN} pages, those with the most faults, page-ins and demands are drawn."
    )
    yield html([Paragraph(text)])
    for policy_id in MAPPED:
        events = MapEvents(windows)
        replay_session(root, name, RESOURCES, None, policy_id, budget, events.take)
        for first, last in windows:
            title = f"{POLICIES[policy_id].name}, turns {first:,} to {last:,}"
            svg = residency_map(events.events, title, turns=(first, last), pages_most=PAGES_DRAWN)
            yield figure(svg, f"Under {title}.")


def _windows(facts: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the first turns, and those around up to ``BOUNDARIES_DRAWN`` boundaries; no turn is drawn twice.

    A boundary is skipped when a window before it shows half of what would be drawn behind it.
    """
    whole = facts["views"][RESOURCES]["whole"]
    turns = whole["turns"]
    windows = [(1, min(turns, FIRST_TURNS))]
    for boundary in whole["boundary_turns"]:
        drawn = windows[-1][1]
        if len(windows) <= BOUNDARIES_DRAWN and min(turns, boundary + AFTER // 2) > drawn:
            windows.append((max(drawn + 1, boundary - BEFORE), min(turns, boundary + AFTER)))
    return windows


class MapEvents:
    """Keeps every event of the windows (first to last turn), and the turn before each whole.

    Elsewhere a prompt is cut down to the levels of the pages that its turn demanded: a map needs them to distinguish
    page-ins from faults. Memory: O(events of the windows + demands).
    """

    def __init__(self, windows: Iterable[tuple[int, int]]) -> None:
        self.events: list[Event] = []
        self._windows = [(first - 1, last) for first, last in windows]
        self._demanded: set[str] = set()

    def take(self, event: Event) -> None:
        """Take the next decision."""
        kind, turn = event["event"], event["turn"]
        if kind == "demand":
            self._demanded.add(event["page"])
        elif kind == "assemble":
            if not any(first <= turn <= last for first, last in self._windows):
                levels = {page: level for page, level in event["levels"].items() if page in self._demanded}
                event = {"event": kind, "levels": levels, "sequence": event["sequence"], "turn": turn}
            self._demanded.clear()
        self.events.append(event)

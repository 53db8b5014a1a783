"""The residency map of a session: pages down, turns across, and in each cell the level of the page in the prompt.

Colour and height show a level. Faults, page-ins, boundaries, flushes and turns under pressure are marked; on hover a
cell shows the decision behind it. Equal cells side by side are one rectangle, so a long session stays small. The
picture names what it leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from clawvm_pictures.chart_frame import EDGE, ChartFrame, LegendEntry, Sample
from clawvm_pictures.session_record import (
    ABSENT,
    DESTROYED,
    BoundaryMark,
    CellRun,
    EventCounts,
    FaultMark,
    PageRow,
    SessionRecord,
    read_session,
)
from clawvm_pictures.svg import (
    Markup,
    element,
    hover,
    label,
    lanes,
    marker,
    number,
    path,
    picture,
    rect,
    shortened,
    stroke,
    text_width,
    value_text,
)
from clawvm_replay.document import counted, listed
from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.vocabulary import Boundary, FaultKind, Level

__all__ = ["LEVEL_HEIGHTS", "PAGES_MOST", "TURNS_MOST", "WINDOW_MOST", "fault_look", "map_title", "residency_map"]


TURNS_MOST = 300
"""Turns drawn unless a window is given."""

PAGES_MOST = 80
"""Pages drawn unless another number is given."""

WINDOW_MOST = 2000
"""The longest possible window (turns)."""

LEVEL_HEIGHTS: Mapping[str, float] = {level.label: level / Level.FULL for level in Level}

_FAULT_SHAPES: Mapping[str, str] = {
    FaultKind.REFETCH.value: "cross",
    FaultKind.DUPLICATE_TOOL.value: "hourglass",
    FaultKind.PINNED_INVARIANT_MISS.value: "diamond",
    FaultKind.POST_COMPACTION_BOOTSTRAP.value: "triangle",
    FaultKind.SILENT_RECALL.value: "plus",
    FaultKind.FLUSH_MISS.value: "square",
}


def fault_look(kind: str, controllable: bool) -> tuple[str, str]:
    """Return the shape and the classes of a fault's mark; what pressure caused is hollow."""
    return _FAULT_SHAPES[kind], "cvp-fault" if controllable else "cvp-fault cvp-hollow"


def _boundary_style(boundary: str) -> str:
    return f"cvp-{Boundary(boundary).value}"


def _legend_entries(record: SessionRecord, faults: Iterable[FaultMark]) -> list[LegendEntry]:
    """Return the levels, and whatever else occurs in the session."""
    entries = [LegendEntry(level, _level_sample(level)) for level in LEVEL_HEIGHTS]
    if any(run.level == DESTROYED for row in record.rows.values() for run in row.runs):
        entries.append(LegendEntry("destroyed by a reset", _destroyed_sample))
    if record.page_ins:
        entries.append(LegendEntry("page-in", _page_in_sample))
    looks = {(fault.kind, fault.controllable) for fault in faults}
    for kind in _FAULT_SHAPES:
        for controllable in (True, False):
            if (kind, controllable) in looks:
                text = _words(kind) + ("" if controllable else " (pressure)")
                entries.append(LegendEntry(text, _mark_sample(*fault_look(kind, controllable), 5.5)))
    for boundary in sorted({mark.boundary for mark in record.boundaries}):
        entries.append(LegendEntry(boundary, _line_sample(_boundary_style(boundary)), 10))
    return entries


def _level_rect(level: str, x: float, bottom: float, width: float, full: float) -> list[Markup]:
    """Return the filled part of a cell that is *full* high; nothing for `none`."""
    height = LEVEL_HEIGHTS[level] * full
    style = f"cvp-fill-level-{list(LEVEL_HEIGHTS).index(level)}"
    return [rect(style, x, bottom - height, width, height)] if height else []


def _level_sample(level: str) -> Sample:
    def draw(x: float, y: float) -> list[Markup]:
        base = stroke("cvp-base", [(x, y + 7.5), (x + 14, y + 7.5)])
        return [base, *_level_rect(level, x, y + 7, 14, 14)]

    return draw


def _destroyed_sample(x: float, y: float) -> list[Markup]:
    return [stroke("cvp-destroyed", [(x, y), (x + 14, y)])]


def _page_in_sample(x: float, y: float) -> list[Markup]:
    # On a cell, as in the map: on paper the dot, which has the paper's colour, would look like a ring.
    return [*_level_sample(Level.FULL.label)(x, y), marker("circle", x + 7, y, 2.8, "cvp-pagein")]


def _mark_sample(shape: str, style: str, radius: float) -> Sample:
    return lambda x, y: [marker(shape, x + 6, y, radius, style)]


def _line_sample(style: str) -> Sample:
    return lambda x, y: [stroke(style, [(x + 5, y - 8), (x + 5, y + 8)])]


_GRID_WIDTH = 880.0  # What the turns share, as long as each is neither narrower nor wider than the next two.
_NARROWEST, _WIDEST = 4.0, 17.0
_ROW, _CELL = 20.0, 16.0
_GUTTER = 190.0
_SMALL = 12.0
_LANE = 16.0
_LABEL_LANES = 3


def residency_map(
    events: Iterable[Event],
    title: str | None = None,
    *,
    turns: tuple[int, int] | None = None,
    pages_most: int = PAGES_MOST,
) -> str:
    """Return the residency map of a decision trace as SVG.

    Without *turns*, the first ``TURNS_MOST`` turns are drawn; with it those from its first to its last. Of more than
    *pages_most* pages those stay that have the most faults, page-ins and demands. Raises InputError for a window that
    holds no turn or more than ``WINDOW_MOST``, and what ``read_session`` raises. O(events + cells drawn).
    """
    first, last = turns or (1, TURNS_MOST)
    if not 1 <= first <= last:
        raise InputError(
            f"turns {first} to {last} are no window: turns count from 1, and the first must not come after the last"
        )
    if last - first >= WINDOW_MOST:
        raise InputError(f"turns {first} to {last} are {last - first + 1} turns; a picture holds at most {WINDOW_MOST}")
    if pages_most < 1:
        raise InputError(f"a map of {pages_most} pages shows nothing")
    return _Map(read_session(events, first, last), title, pages_most).svg()


class _Map:
    """A map while it is being drawn, from top to bottom."""

    def __init__(self, record: SessionRecord, title: str | None, pages_most: int) -> None:
        self.record = record
        self.title = title or map_title(record)
        self.rows = _chosen(record, pages_most)
        shown = {row.page for row in self.rows}
        self.summary = _summary(record)
        self.notes = _left_out(record, shown)
        self.faults = [fault for fault in record.faults if fault.page in shown]
        self.page_ins = [mark for mark in record.page_ins if mark.page in shown]
        self.recall_faults = [fault for fault in record.faults if fault.page == ""]
        self.turns = record.last - record.first + 1
        self.column = max(_NARROWEST, min(_WIDEST, float(int(_GRID_WIDTH / self.turns))))
        names = [row.page for row in self.rows]
        self.gutter = min(_GUTTER, max((text_width(name, _SMALL) for name in names), default=0.0))
        self.gutter = max(self.gutter, 110.0)
        self.left = EDGE + self.gutter + 8
        last_names = [self.x(mark.turn) + 8 + text_width(mark.boundary, _SMALL) for mark in record.boundaries]
        self.width = max(640.0, EDGE + max([self.x(record.last + 1) + 14, *last_names]))
        self.parts: list[Markup] = []

    def x(self, turn: int) -> float:
        """Return the left end of a turn's column."""
        return self.left + (turn - self.record.first) * self.column

    def svg(self) -> str:
        frame = ChartFrame(self.width, self.title)
        frame.paragraph(self.summary)
        for note in self.notes:
            frame.paragraph(note, "cvp-strong")
        frame.legend(_legend_entries(self.record, [*self.faults, *self.recall_faults]))
        self.parts.extend(frame.parts)
        top, labels = self._boundary_labels(frame.y + 4)
        y = self._lanes(top)
        numbers = [y + _SMALL * 1.3]
        y = grid_top = numbers[0] + 4
        places: dict[str, float] = {}
        page_type = None
        for row in self.rows:
            if row.type != page_type:
                page_type = row.type
                y += _SMALL * 1.6
                self.parts.append(label(_words(page_type), EDGE, y - 4, "cvp-small cvp-strong"))
            places[row.page] = y
            self._row(row, y)
            y += _ROW
        self._boundary_lines(labels, top, grid_top, y)
        self._marks(places)
        y += _SMALL * 1.5
        for at in (*numbers, y):
            self._turn_numbers(at)
        y += 4
        self.parts.append(label("turn", self.left + self.column * self.turns / 2, y + _SMALL, "cvp-quiet", "middle"))
        description = f"Residency map. {self.summary} {' '.join(self.notes)}".strip()
        return picture(self.width, y + _SMALL + EDGE, self.title, description, self.parts, wide=True)

    def _boundary_labels(self, y: float) -> tuple[float, list[tuple[BoundaryMark, float | None]]]:
        """Place the boundaries' names so that none touches another; return where they end, and where each begins."""
        marks = self.record.boundaries
        spans = [(self.x(mark.turn), self.x(mark.turn) + 8 + text_width(mark.boundary, _SMALL)) for mark in marks]
        rows = lanes(spans)
        used = min(max(rows, default=-1) + 1, _LABEL_LANES)
        placed: list[tuple[BoundaryMark, float | None]] = []
        for mark, (begin, _), row in zip(marks, spans, rows):
            if row >= used:
                placed.append((mark, None))  # Too close for more names; hover text identifies each line.
                continue
            at = y + (row + 1) * _LANE
            self.parts.append(label(mark.boundary, begin + 4, at - 4, "cvp-small cvp-clear"))
            placed.append((mark, at - _LANE + 2))
        return y + used * _LANE, placed

    def _lanes(self, y: float) -> float:
        """Draw the lanes of what concerns no single page; return where they end."""
        for name, marks in (
            ("pressure", [self._pressure(*item) for item in self.record.pressure.items()]),
            ("flush due", [self._flush(*item) for item in self.record.flushes.items()]),
            (
                "recalls",
                [(item.turn, f"FAULT {item.text}", self._fault(item, 8, _CELL)) for item in self.recall_faults],
            ),
        ):
            if marks:
                self.parts.append(label(name, self.left - 8, y + 12, "cvp-small cvp-quiet", "end"))
                for turn, text, drawn in marks:
                    hit = rect("cvp-hit", self.x(turn), 0, self.column, _LANE)
                    place = {"transform": f"translate(0 {number(y)})"}
                    self.parts.append(element("g", place, hover(f"turn {turn}: {text}"), hit, drawn))
                y += _LANE
        return y

    def _pressure(self, turn: int, missing: int) -> tuple[int, str, Markup]:
        x = self.x(turn) + 1
        strokes = [path([(x + dx, 12), (x + dx + 3, 3)]) for dx in range(0, max(1, int(self.column) - 3), 4)]
        drawn = element("path", {"class": "cvp-pressure", "d": "".join(strokes)})
        return turn, f"invariant pressure, {value_text(missing)} tokens missing", drawn

    def _flush(self, turn: int, performed: bool) -> tuple[int, str, Markup]:
        middle = self.x(turn) + self.column / 2
        drawn = stroke("cvp-flush" if performed else "cvp-axis", [(middle, 3), (middle, 13)])
        return turn, f"best-effort flush {'performed' if performed else 'due, but the policy has none'}", drawn

    def _turn_numbers(self, y: float) -> None:
        record = self.record
        needed = text_width(f"{record.last:,}", _SMALL) + 8
        step = next(
            step
            for power in range(8)
            for step in (10**power, 2 * 10**power, 5 * 10**power)
            if step * self.column >= needed
        )
        turns = [turn for turn in range(record.first, record.last + 1) if turn % step == 0]
        if not turns or (turns[0] - record.first) * self.column >= needed:
            turns.insert(0, record.first)
        for turn in turns:
            style = "cvp-small cvp-quiet cvp-clear"
            self.parts.append(label(f"{turn:,}", self.x(turn) + self.column / 2, y, style, "middle"))

    def _row(self, row: PageRow, y: float) -> None:
        name = shortened(row.page, self.gutter, _SMALL)
        text = label(name, EDGE + self.gutter, y + _ROW - 6, "cvp-small", "end")
        about = f"{row.page}, {_words(row.type)}"
        self.parts.append(element("g", None, hover(about), text))
        there = [run for run in row.runs if run.level not in (ABSENT, DESTROYED)]
        bottom = y + _ROW - 2.5
        base = "".join(path([(self.x(run.first), bottom), (self.x(run.last + 1), bottom)]) for run in there)
        self.parts.append(element("path", {"class": "cvp-base", "d": base}))
        for run in row.runs:
            self.parts.append(self._run(row.page, run, y))

    def _run(self, page: str, run: CellRun, y: float) -> Markup:
        x, width = self.x(run.first), self.column * (run.last - run.first + 1)
        when = f"turn {run.first}" if run.first == run.last else f"turns {run.first} to {run.last}"
        level = "" if run.level == ABSENT else f": {'none' if run.level == DESTROYED else run.level}"
        text = "\n".join([f"{page}, {when}{level}", *run.texts])
        hit = rect("cvp-hit", x, y, width, _ROW)
        drawn: list[Markup] = []
        if run.level == DESTROYED:
            middle = y + _ROW - 3 - _CELL / 2
            drawn.append(stroke("cvp-destroyed", [(x, middle), (x + width, middle)]))
        elif run.level != ABSENT:
            # A hair narrower, so that the next cell's decision is seen to be another one.
            drawn += _level_rect(run.level, x, y + _ROW - 3, width - min(0.75, self.column / 8), _CELL)
        return element("g", {"class": "cvp-run"}, hover(text), hit, *drawn)

    def _fault(self, fault: FaultMark, y: float, height: float) -> Markup:
        shape, style = fault_look(fault.kind, fault.controllable)
        radius = max(3.0, min(5.5, self.column * 0.55, height * 0.56))
        return marker(shape, self.x(fault.turn) + self.column / 2, y, radius, style)

    def _marks(self, places: dict[str, float]) -> None:
        for mark in self.page_ins:
            middle = self.x(mark.turn) + self.column / 2
            radius = max(1.5, min(2.8, self.column * 0.3))
            self.parts.append(marker("circle", middle, places[mark.page] + _ROW - 3 - _CELL / 2, radius, "cvp-pagein"))
        together = Counter((fault.page, fault.turn) for fault in self.faults)
        drawn: Counter[tuple[str, int]] = Counter()
        for fault in self.faults:
            where = fault.page, fault.turn
            share = _CELL / together[where]
            y = places[fault.page] + _ROW - 3 - _CELL + share * (drawn[where] + 0.5)
            drawn[where] += 1
            self.parts.append(self._fault(fault, y, share))

    def _boundary_lines(
        self, labels: Sequence[tuple[BoundaryMark, float | None]], top: float, grid_top: float, bottom: float
    ) -> None:
        for mark, label_top in labels:
            x = self.x(mark.turn)
            begins = f", {mark.session} begins" if mark.session else ""
            text = f"{mark.boundary} before the prompt of turn {mark.turn}{begins}"
            # Wider than the line itself, above the cells only, so that the cells below keep their own text.
            hit = rect("cvp-hit", x - 4, top - _LANE, 8, grid_top - top + _LANE)
            drawn = stroke(_boundary_style(mark.boundary), [(x, top if label_top is None else label_top), (x, bottom)])
            self.parts.append(element("g", None, hover(text), hit, drawn))


def _chosen(record: SessionRecord, most: int) -> list[PageRow]:
    """Return the rows to draw in prompt order."""
    rows = sorted(record.rows.values(), key=lambda row: row.prompt_order)
    if len(rows) <= most:
        return rows
    faults = Counter(fault.page for fault in record.faults)
    page_ins = Counter(mark.page for mark in record.page_ins)
    weights = {
        row.page: (-faults[row.page], -page_ins[row.page], -row.demands, -len(row.runs), place)
        for place, row in enumerate(rows)
    }
    kept = set(sorted(weights, key=weights.__getitem__)[:most])
    return [row for row in rows if row.page in kept]


def map_title(record: SessionRecord) -> str:
    """Return the title of a map that was given none, with the policy's name where it is one of ours."""
    of = f"{record.workload}, " if record.workload else ""
    policy = POLICIES[record.policy].name if record.policy in POLICIES else record.policy
    return f"Residency map: {of}policy {policy}, budget {record.budget:,} tokens"


def _summary(record: SessionRecord) -> str:
    """Return what the window shows, as one sentence."""
    boundaries = Counter(mark.boundary for mark in record.boundaries)
    parts = [
        f"Turns {record.first:,} to {record.last:,} of {record.turns:,}",
        counted(len(record.rows), "page"),
        _events_counted(record.counts({"", *record.rows})),
        *(counted(number, name) for name, number in sorted(boundaries.items())),
        counted(len(record.pressure), "turn under pressure", "turns under pressure"),
    ]
    return ", ".join(parts) + "."


def _left_out(record: SessionRecord, shown: Collection[str]) -> list[str]:
    """Return what a map that shows these pages leaves out: turns outside the window, and pages."""
    notes = []
    outside = [
        f"{first:,} to {last:,}" if first < last else f"{first:,}"
        for first, last in ((1, record.first - 1), (record.last + 1, record.turns))
        if first <= last
    ]
    if outside:
        notes.append(f"Not drawn: turns {listed(outside)}, with {_events_counted(record.outside)}.")
    hidden = record.rows.keys() - set(shown)
    if hidden:
        events = _events_counted(record.counts(hidden))
        notes.append(f"Not drawn: {len(hidden):,} of {len(record.rows):,} pages, with {events}.")
    return notes


def _events_counted(counts: EventCounts) -> str:
    parts = [counted(counts.faults, "fault"), counted(counts.page_ins, "page-in")]
    if counts.pressure_faults:
        parts.insert(1, counted(counts.pressure_faults, "fault that pressure caused", "faults that pressure caused"))
    return ", ".join(parts)


def _words(identifier: str) -> str:
    return identifier.replace("_", " ")

"""How pictures look: colours for light and dark, line styles, markers, and the stylesheet that each picture carries.

==============  =====================================================================
LIGHT, DARK     colours by name, as CSS custom properties of a picture
SERIES_COLOURS  the names of the series' colours, in their order
LEVEL_COLOURS   the names of the levels' colours, from `pointer` to `full`
MARKERS         marker shapes, in the order of the series
DASHES          dash patterns, in the order of the series
STYLESHEET      the CSS, the same in every picture
==============  =====================================================================

Series: the "muted" scheme of Paul Tol, *Colour Schemes* (SRON technical note, 2021), with black in light and white in
dark; from it those colours whose contrast against the paper is at least 3. Levels: the "Blues" of ColorBrewer. Faults:
the vermilion of Okabe and Ito. No meaning rests on colour alone: series differ in marker and dash, levels in height,
faults in shape.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DARK", "DASHES", "LEVEL_COLOURS", "LIGHT", "MARKERS", "SERIES_COLOURS", "STYLESHEET"]

LIGHT: Mapping[str, str] = {
    "paper": "#FFFFFF",
    "ink": "#1B1F24",
    "muted": "#57606A",
    "grid": "#D8DEE4",
    "series-1": "#000000",
    "series-2": "#332288",
    "series-3": "#CC6677",
    "series-4": "#999933",
    "series-5": "#882255",
    "series-6": "#AA4499",
    "level-1": "#4292C6",
    "level-2": "#2171B5",
    "level-3": "#08519C",
    "level-4": "#08306B",
    "fault": "#D55E00",
}

DARK: Mapping[str, str] = {
    "paper": "#15181D",
    "ink": "#E6EAEF",
    "muted": "#9AA4AF",
    "grid": "#343B44",
    "series-1": "#FFFFFF",
    "series-2": "#88CCEE",
    "series-3": "#CC6677",
    "series-4": "#999933",
    "series-5": "#DDCC77",
    "series-6": "#AA4499",
    "level-1": "#2171B5",
    "level-2": "#4292C6",
    "level-3": "#9ECAE1",
    "level-4": "#DEEBF7",
    "fault": "#D55E00",
}

SERIES_COLOURS = tuple(f"series-{number}" for number in range(1, 7))
LEVEL_COLOURS = tuple(f"level-{number}" for number in range(1, 5))
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "inverted", "plus", "post")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "2 2 6 2")

_RULES = """
.cvp{max-width:100%;height:auto}
.cvp{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
.cvp-wide{max-width:none}
.cvp text{fill:var(--cvp-ink);font-size:13px}
.cvp .cvp-heading{font-size:15px;font-weight:600}
.cvp .cvp-quiet{fill:var(--cvp-muted)}
.cvp .cvp-small{font-size:12px}
.cvp .cvp-strong{font-weight:600}
.cvp-clear{stroke:var(--cvp-paper);stroke-width:5;stroke-linejoin:round;paint-order:stroke}
.cvp-paper{fill:var(--cvp-paper)}
.cvp-grid{stroke:var(--cvp-grid);stroke-width:1;fill:none}
.cvp-axis{stroke:var(--cvp-muted);stroke-width:1;fill:none}
.cvp-line{fill:none;stroke-width:2.25;stroke-linejoin:round}
.cvp-halo{stroke:var(--cvp-paper);stroke-width:1.25;paint-order:stroke}
.cvp-band{fill:var(--cvp-muted);fill-opacity:.22;stroke:none}
.cvp-edge{fill:none;stroke:var(--cvp-muted);stroke-width:1.25;stroke-dasharray:1 2}
.cvp-mark{fill:none;stroke:var(--cvp-ink);stroke-width:1.5;stroke-dasharray:5 3}
.cvp-fill-grid{fill:var(--cvp-grid)}
.cvp-seam{stroke:var(--cvp-paper);stroke-width:1.5}
.cvp-hit{fill:transparent}
.cvp-fault{fill:var(--cvp-fault);stroke:var(--cvp-paper);stroke-width:1.25;paint-order:stroke;pointer-events:none}
.cvp-hollow{fill:var(--cvp-paper);stroke:var(--cvp-fault);stroke-width:1.5}
.cvp-pagein{fill:var(--cvp-paper);stroke:var(--cvp-ink);stroke-width:1;pointer-events:none}
.cvp-base{fill:none;stroke:var(--cvp-muted);stroke-opacity:.5}
.cvp-gone{fill:none;stroke:var(--cvp-ink);stroke-width:1.25;stroke-dasharray:1.5 4}
.cvp-reset{fill:none;stroke:var(--cvp-ink);stroke-width:2}
.cvp-compaction{fill:none;stroke:var(--cvp-ink);stroke-width:1.5;stroke-dasharray:4 3}
.cvp-pressure{fill:none;stroke:var(--cvp-fault);stroke-width:1.5}
.cvp-flush{fill:none;stroke:var(--cvp-ink);stroke-width:2}
"""


def _properties(colours: Mapping[str, str]) -> str:
    return ".cvp{" + ";".join(f"--cvp-{name}:{colour}" for name, colour in colours.items()) + "}"


def _colour_rules() -> str:
    rules = []
    for name in (*SERIES_COLOURS, *LEVEL_COLOURS):
        rules.append(f".cvp-fill-{name}{{fill:var(--cvp-{name})}}")
    for name in SERIES_COLOURS:
        rules.append(f".cvp-stroke-{name}{{stroke:var(--cvp-{name})}}")
    return "\n".join(rules)


STYLESHEET = "\n".join(
    (
        _properties(LIGHT),
        # Only on screens: what is printed stands on white paper.
        "@media screen and (prefers-color-scheme:dark){" + _properties(DARK) + "}",
        _RULES.strip(),
        _colour_rules(),
        "",
    )
)

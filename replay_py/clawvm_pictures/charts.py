"""The pictures that reports use; each function takes plain values and returns an SVG text.

===============  ======================================================================
line_chart       Series over budgets or turns, with an optional Band between bounds
bar_chart        BarSeries over categories, grouped or stacked, horizontal
histogram        counts for each Bin, with Marks
dot_grid         Dots for rows and columns: which claim holds under which setting
===============  ======================================================================

They shrink with what they stand in, follow the reader's light or dark mode, and need no script and no other file.
"""

from clawvm_pictures.bar_chart import BarSeries, bar_chart
from clawvm_pictures.dot_grid import Dot, Verdict, dot_grid
from clawvm_pictures.histogram import Bin, Mark, histogram
from clawvm_pictures.line_chart import Band, Series, line_chart

__all__ = [
    "Band",
    "BarSeries",
    "Bin",
    "Dot",
    "Mark",
    "Series",
    "Verdict",
    "bar_chart",
    "dot_grid",
    "histogram",
    "line_chart",
]

"""What all plots share: one style, units with prefixes, files that are written whole or not at all."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hecaton.terminal.tables import PREFIXES, prefix_exponent
from rtl.emit.output_files import check_output, write_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.35, 7.0
"""Widths of a figure in inches: one column of a paper, and both."""

FORMATS = ("pdf", "svg", "png")
"""Formats of files: vectors with their text as text, and pixels."""

STYLE: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "figure.titlesize": 7.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType, which editors and publishers take
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hecaton",  # makes the ids in SVG files reproducible
}

COLOURS = {
    "array": "#0072b2",
    "vector": "#009e73",
    "sram": "#56b4e9",
    "nop": "#d55e00",
    "memory_nop": "#e69f00",
    "dram": "#cc79a7",
    "optimizer": "#999999",
    "static": "#444444",
}
"""Colours by use of time or energy, from the palette of Okabe and Ito, made for colour-blind readers."""


METHOD_LOOKS: dict[str, dict[str, Any]] = {
    "hecaton": {"color": "#332288", "marker": "o", "linestyle": "-"},
    "flat-ring": {"color": "#882255", "marker": "s", "linestyle": "--"},
    "torus-ring": {"color": "#999933", "marker": "^", "linestyle": "-."},
    "optimus": {"color": "#117733", "marker": "D", "linestyle": ":"},
}
"""Lines of the methods: colours of the muted scheme of Paul Tol, none of which is that of a part. Dashes and open marks
show a line that lies under another."""

OPEN_MARK = {"markerfacecolor": "none", "markeredgewidth": 1.0}
"""Marks through which other marks can be seen."""


def check_plot(path: Path) -> None:
    """Refuse what :func:`saved_figure` cannot write, before there is anything to draw.

    Raises ``ValueError`` when the format is unknown or ``path`` is not a plain file, ``OSError`` when it cannot be
    written.
    """
    _format(path)
    check_output(path)


def _format(path: Path) -> str:
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: cannot write the plot: its suffix must be one of .{', .'.join(FORMATS)}")
    return suffix


@contextmanager
def saved_figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of ``width`` x ``height`` inches, and write it to ``path`` (png, pdf or svg) at the end.

    Raises ``ValueError`` when the format is unknown, ``OSError`` when the place cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    form = _format(path)
    with matplotlib.rc_context(STYLE):
        figure: Figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        content = io.BytesIO()
        # Without a date, the same figure is the same file.
        figure.savefig(content, format=form, metadata=_UNDATED.get(form))
    write_output(path, content.getvalue())


_UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def prefixed(largest: float, unit: str) -> tuple[float, str]:
    """Return factor and unit for values of at most ``largest``, such as ``(1e6, "MJ")``.

    Seconds get no prefix above one.
    """
    if largest <= 0 or not math.isfinite(largest):
        return 1.0, unit
    exponent = prefix_exponent(largest)
    if unit == "s":
        exponent = min(exponent, 0)
    return 10.0**exponent, PREFIXES[exponent] + unit


def stacked_bars(
    axes: Axes,
    names: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    totals: Sequence[str],
) -> None:
    """Draw a horizontal bar for each of ``names``, stacked from ``parts``: a value for each name, by label.

    Parts that are zero everywhere are left out. ``totals`` label the ends of the bars.
    """
    start = [0.0] * len(names)
    for part, values in parts.items():
        if any(values):
            axes.barh(range(len(names)), values, left=start, label=part, color=colours[part], height=0.7)
        start = [begin + value for begin, value in zip(start, values, strict=True)]
    for row, (end, text) in enumerate(zip(start, totals, strict=True)):
        axes.annotate(text, (end, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6.5)
    axes.set_xlim(0, (max(start) or 1.0) * 1.28)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")
    if any(start):
        # Below the tick labels and the axis label, which take about four lines of the legend's font.
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncols=2, columnspacing=1.2
        )

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

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "savefig.dpi": 150,
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


def check_plot(path: Path) -> None:
    """Refuse what :func:`saved_figure` cannot write, before there is anything to draw.

    Raises ``ValueError`` when the format is unknown or ``path`` is not a plain file, ``OSError`` when it cannot be
    written.
    """
    from matplotlib.figure import Figure

    formats = Figure().canvas.get_supported_filetypes()
    if _format(path) not in formats:
        raise ValueError(
            f"{path}: cannot write the plot: {path.suffix} must be one of {', '.join(sorted(formats))}"
        )
    check_output(path)


def _format(path: Path) -> str:
    return path.suffix.removeprefix(".").lower() or "png"


@contextmanager
def saved_figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of ``width`` x ``height`` inches, and write it to ``path`` (png, pdf or svg) at the end.

    Raises ``ValueError`` when the format is unknown, ``OSError`` when the place cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure: Figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        content = io.BytesIO()
        try:
            figure.savefig(content, format=_format(path))
        except ValueError as error:
            raise ValueError(f"{path}: cannot write the plot: {error}") from None
    write_output(path, content.getvalue())


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
        axes.annotate(
            text, (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
        )
    axes.set_xlim(0, (max(start) or 1.0) * 1.15)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")
    if not any(start):
        return
    # Below the tick labels and the axis label, which take about four lines of the legend's font.
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.6, ncols=3)

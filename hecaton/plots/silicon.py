"""Plot of a synthesis: the area of a design, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, PAGE, saved_figure

if TYPE_CHECKING:
    from rtl.synthesis.result import Synthesis

MOST_BLOCKS = 20
"""Bars of the plot: the other blocks are one bar together."""


def plot_area(result: Synthesis, path: Path) -> None:
    """Draw the total area of each block of ``result`` into ``path`` (pdf, svg or png), SRAM macros apart."""
    rows = [(block.block, block.count, block.total_um2) for block in result.blocks if block.total_um2]
    shown, others = rows[:MOST_BLOCKS], rows[MOST_BLOCKS:]
    if others:
        shown.append((f"{len(others)} others", sum(row[1] for row in others), sum(row[2] for row in others)))
    with saved_figure(path, PAGE, 1.0 + 0.19 * len(shown)) as figure:
        axes = figure.subplots()
        for row, (_, count, area) in enumerate(shown):
            axes.barh(row, area, height=0.7, color=COLOURS["array"])
            text = f"{area:,.0f} um$^2$, {area / result.area_um2:.1%}, {count} x"
            axes.annotate(
                text, (area, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6
            )
        axes.set_yticks(range(len(shown)), [name for name, _, _ in shown])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.3 * max((area for _, _, area in shown), default=1.0))
        axes.set_xlabel("area of cells (um$^2$), SRAM macros apart")
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{result.top}: {result.cells:,} cells, {result.area_um2:,.0f} um$^2$", loc="left")

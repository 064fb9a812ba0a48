"""Plot of a search: the best ways to train a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hecaton.plots.figure import METHOD_LOOKS, PAGE, prefixed, saved_figure
from hecaton.terminal.tables import quantity

if TYPE_CHECKING:
    from chiplet.optimize.results import BestWay, Optimum

GOAL_UNITS = {"time": "s", "energy": "J", "cost": "$s"}
"""Unit of what is least."""


def plot_optimum(optimum: Optimum, path: Path) -> None:
    """Draw what is least for each of the best ways into ``path``, with its ratio to the best."""
    unit = GOAL_UNITS[optimum.goal]
    factor, shown = prefixed(max(way.value for way in optimum.best), unit)
    with saved_figure(path, PAGE, 1.1 + 0.2 * len(optimum.best)) as figure:
        axes = figure.subplots()
        labels: dict[str, Any] = {}
        for row, way in enumerate(optimum.best):
            colour = METHOD_LOOKS[way.method]["color"]
            bars = axes.barh(row, way.value / factor, color=colour, height=0.7)
            labels.setdefault(way.method, bars)
            text = f"{quantity(way.value, unit)} ({way.ratio:.3f} of the best)"
            axes.annotate(
                text, (way.value / factor, row), xytext=(3, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(optimum.best)), [_name(way, optimum) for way in optimum.best])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.35 * max(way.value for way in optimum.best) / factor)
        what = "price x time" if optimum.goal == "cost" else optimum.goal
        axes.set_xlabel(f"{what} of a step ({shown})")
        axes.grid(visible=False, axis="y")
        figure.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=len(labels))
        axes.set_title(f"Least {optimum.goal} of {optimum.model}, of {optimum.evaluated} steps", loc="left")


def _name(way: BestWay, optimum: Optimum) -> str:
    """Mesh, use of packages, and the switches in which ways of the same method differ."""
    alike = [other for other in optimum.best if other.method == way.method]
    differ = [
        f"{name} {value}"
        for name, value in way.switches.items()
        if len({str(other.switches.get(name)) for other in alike}) > 1
    ]
    packages = [f"{way.data} x {way.pipeline} packages"] if optimum.packages > 1 else []
    return ", ".join([way.mesh, *packages, *differ])

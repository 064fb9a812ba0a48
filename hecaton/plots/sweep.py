"""Plot of a sweep: all points over two objectives, and the Pareto front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hecaton.plots.figure import COLOURS, COLUMN, saved_figure

AXIS_UNITS = {"step_seconds": "s", "energy_joules": "J", "cost_dollars": "$", "die_mm2": "mm2"}
MAX_POINTS = 200_000
"""Most points drawn behind the front, evenly chosen. The front is drawn whole."""


def plot_sweep(result: Path, objectives: tuple[str, ...], title: str, path: Path) -> None:
    """Draw the rows of ``result`` over the first two of ``objectives`` into ``path`` (png, pdf or svg).

    The Pareto front is drawn over the other points, coloured by the third objective.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first, *others = objectives
    second = others[0] if others else first
    names = list(dict.fromkeys((first, second, *others[1:2])))
    table = pq.read_table(result, columns=[*names, "pareto", "reason"])
    columns = {name: table[name].to_numpy() for name in names}
    good = np.array(pc.equal(table["reason"], ""))
    front = table["pareto"].to_numpy() & good
    behind = np.flatnonzero(good & ~front)
    behind = behind[:: max(1, len(behind) // MAX_POINTS)]
    with saved_figure(path, COLUMN, 2.5) as figure:
        axes = figure.subplots()
        style: dict[str, Any] = {"rasterized": True, "linewidths": 0}
        axes.scatter(
            columns[first][behind], columns[second][behind], s=2, color="0.8", label="points", **style
        )
        colour = columns[names[2]][front] if len(names) > 2 else COLOURS["nop"]
        marks = axes.scatter(
            columns[first][front],
            columns[second][front],
            s=8,
            c=colour,
            cmap="viridis",
            label="Pareto front",
        )
        if len(names) > 2:
            figure.colorbar(marks, label=_label(names[2]))
        for axis, name in (("x", first), ("y", second)):
            values = columns[name][good]
            if len(values) and np.nanmin(values) > 0 and np.nanmax(values) > 20 * np.nanmin(values):
                getattr(axes, f"set_{axis}scale")("log")
            getattr(axes, f"set_{axis}label")(_label(name))
        # The best place among so many points would take longer than all the rest.
        figure.legend(loc="outside lower center", ncols=2)
        figure.suptitle(title)


def _label(name: str) -> str:
    unit = AXIS_UNITS.get(name)
    return name.replace("_", " ") if unit is None else f"{name.rpartition('_')[0].replace('_', ' ')} ({unit})"

"""Plot of a comparison: time and energy of a step by part, for every method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, PAGE, prefixed, saved_figure, stacked_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chiplet.projection.results import Breakdown
    from chiplet.studies.results import Comparison, MethodResult

TIME_PARTS = {
    "compute": ("array", "array"),
    "nop_exposed": ("NoP, exposed", "nop"),
    "vector_exposed": ("vector unit, exposed", "vector"),
    "dram_exposed": ("DRAM, exposed", "dram"),
    "optimizer": ("optimizer", "optimizer"),
}
"""Parts of a step that add up to its time, with their labels and the names of their colours."""

ENERGY_PARTS = {
    "array": ("array", "array"),
    "vector": ("vector unit", "vector"),
    "sram": ("SRAM", "sram"),
    "nop": ("NoP, collectives", "nop"),
    "memory_nop": ("NoP, memory traffic", "memory_nop"),
    "dram": ("DRAM", "dram"),
    "static": ("static", "static"),
}
"""Parts of the energy of a step, in the same form."""


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Draw time and energy of one step by part as horizontal bars, into ``path`` (png, pdf or svg).

    There is a bar for every method, and one for each other flat ring that is like for like.
    """
    shown = [row.switches for row in comparison.methods if row.method == "flat-ring"]
    others = [row for row in comparison.baselines if row.like_for_like and row.switches not in shown]
    rows: list[MethodResult] = [*comparison.methods, *others]
    names = [row.method for row in comparison.methods] + [
        f"{row.method}, {row.switches['direction']} way{'' if row.switches['direction'] == 'one' else 's'}"
        f"{', gathers again' if row.switches['gather_again'] else ''}"
        f"{'' if row.switches['overlap'] else ', no overlap'}"
        for row in others
    ]
    label = f"{comparison.model}, {comparison.dies} dies ({comparison.mesh})"
    claims = "; ".join(
        f"published, {claim.dies_label}: {claim.speedup}x speed, 1/{claim.energy_ratio} energy"
        for claim in comparison.published
    )
    _stacks(names, [row.breakdown for row in rows], [row.energy for row in rows], label, path, claims)


def _stacks(
    names: Sequence[str],
    times: Sequence[Breakdown],
    energies: Sequence[dict[str, float]],
    title: str,
    path: Path,
    note: str = "",
) -> None:
    with saved_figure(path, PAGE, 1.7 + 0.2 * len(names)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        seconds = {
            text: [float(getattr(breakdown, part)) for breakdown in times]
            for part, (text, _) in TIME_PARTS.items()
        }
        joules = {text: [energy[part] for energy in energies] for part, (text, _) in ENERGY_PARTS.items()}
        _bars(left, names, seconds, dict(TIME_PARTS.values()), "time of a step", "s")
        _bars(right, names, joules, dict(ENERGY_PARTS.values()), "energy of a step", "J")
        left.invert_yaxis()
        figure.suptitle(f"{title}\n{note}" if note else title)


def _bars(
    axes: Axes,
    names: Sequence[str],
    parts: dict[str, list[float]],
    colours: dict[str, str],
    label: str,
    unit: str,
) -> None:
    sums = [sum(values) for values in zip(*parts.values(), strict=True)]
    factor, shown = prefixed(max(sums), unit)
    scaled = {name: [value / factor for value in values] for name, values in parts.items()}
    totals = [f"{total / factor:.4g} {shown}" for total in sums]
    stacked_bars(axes, names, scaled, {name: COLOURS[key] for name, key in colours.items()}, totals)
    axes.set_xlabel(f"{label} ({shown})")

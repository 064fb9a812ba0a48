"""Plots of projections and comparisons, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chiplet.results import Breakdown, Comparison, MethodResult, Projection

TIME_PARTS = {
    "compute": "array",
    "nop_exposed": "NoP, exposed",
    "vector_exposed": "vector unit, exposed",
    "dram_exposed": "DRAM, exposed",
    "optimizer": "optimizer",
}
"""Parts of a step that add up to it, with their labels."""

ENERGY_PARTS = {
    "array": "array",
    "vector": "vector unit",
    "sram": "SRAM",
    "nop": "NoP, collectives",
    "memory_nop": "NoP, memory traffic",
    "dram": "DRAM",
    "static": "static",
}
"""Parts of the energy, with their labels."""


def plot_projection(found: Projection, path: Path) -> None:
    """Time and energy of one step by part, as horizontal bars, written to ``path`` (png, pdf or svg)."""
    label = f"{found.model}, {found.dies} dies, {found.method}"
    _stacks([found.method], [found.breakdown], [found.energy], label, path)


def plot_comparison(found: Comparison, path: Path) -> None:
    """Time and energy of one step by part, for every method and for flat rings with other switches."""
    rows: list[MethodResult] = [*found.methods, *found.baselines]
    names = [row.method for row in found.methods] + [
        f"{row.method}, {row.switches['direction']} way{'' if row.switches['direction'] == 'one' else 's'}"
        f"{'' if row.switches['overlap'] else ', no overlap'}"
        for row in found.baselines
    ]
    label = f"{found.model}, {found.dies} dies ({found.mesh})"
    claims = "; ".join(
        f"published: {claim.speedup}x speed, 1/{claim.energy_ratio} energy" for claim in found.published
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
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(12, 2.8 + 0.4 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    seconds = {text: [float(getattr(each, part)) for each in times] for part, text in TIME_PARTS.items()}
    joules = {text: [each[part] for each in energies] for part, text in ENERGY_PARTS.items()}
    _bars(left, names, seconds, "seconds a step")
    _bars(right, names, joules, "joules a step")
    left.invert_yaxis()
    figure.suptitle(f"{title}\n{note}" if note else title)
    try:
        figure.savefig(path)
    except ValueError as error:
        raise ValueError(f"{path}: cannot write the plot: {error}") from None


def _bars(axes: Axes, names: Sequence[str], parts: dict[str, list[float]], label: str) -> None:
    start = [0.0] * len(names)
    for part, values in parts.items():
        axes.barh(range(len(names)), values, left=start, label=part)
        start = [begin + value for begin, value in zip(start, values, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(label)
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)

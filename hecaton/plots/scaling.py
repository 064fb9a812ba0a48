"""Plot of weak scaling: model and package grow together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, METHOD_LOOKS, OPEN_MARK, PAGE, saved_figure, stacked_bars
from hecaton.plots.projection import TIME_PARTS

if TYPE_CHECKING:
    from chiplet.projection.results import Projection
    from chiplet.studies.results import ScalingRow, SensitivityRow


def plot_scaling(
    rows: Sequence[Projection] | Sequence[ScalingRow],
    path: Path,
    title: str = "Weak scaling: model and package grow together",
) -> None:
    """Draw shares of a step by part, and computation over communication, for each of ``rows``, into ``path``."""
    methods = list(dict.fromkeys(row.method for row in rows))
    cases = list(dict.fromkeys((row.model, row.dies) for row in rows))
    parts = {
        text: [100 * getattr(row.breakdown, part) / row.step_seconds for row in rows]
        for part, (text, _) in TIME_PARTS.items()
    }
    with saved_figure(path, PAGE, 1.2 + 0.17 * len(rows)) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(5, 4))
        stacked_bars(
            left,
            [f"{row.model}, {row.dies} dies, {row.method}" for row in rows],
            parts,
            {text: COLOURS[key] for text, key in TIME_PARTS.values()},
            [f"{row.step_seconds:.4g} s" for row in rows],
        )
        left.invert_yaxis()
        left.set_xticks(range(0, 101, 20))
        left.set_xlabel("share of a step (%), and its seconds")
        for method in methods:
            ratios = {(row.model, row.dies): row.compute_to_nop for row in rows if row.method == method}
            right.plot(
                [index for index, case in enumerate(cases) if case in ratios],
                [ratios[case] for case in cases if case in ratios],
                label=method,
                **METHOD_LOOKS[method],
                **OPEN_MARK,
            )
        right.set_xticks(
            range(len(cases)),
            [f"{model}, {dies} dies" for model, dies in cases],
            rotation=25,
            ha="right",
            rotation_mode="anchor",
        )
        right.set_ylim(bottom=0)
        right.margins(x=0.12)
        right.set_ylabel("array time over NoP time (s/s)")
        right.legend()
        figure.suptitle(title)


def plot_sensitivity(results: Sequence[SensitivityRow], path: Path) -> None:
    """Draw step time over the parameters of the machine, a panel for each numeric parameter, into ``path``."""
    rows = [row for row in results if not row.parameter.startswith(("switch", "mesh"))]
    parameters = list(dict.fromkeys(row.parameter for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    with saved_figure(path, PAGE, 2.3) as figure:
        panels = figure.subplots(1, max(1, len(parameters)), sharey=True, squeeze=False)[0]
        for axes, parameter in zip(panels, parameters, strict=False):
            for method in methods:
                line = [row for row in rows if (row.parameter, row.method) == (parameter, method)]
                axes.plot(
                    [float(row.value) for row in line],
                    [row.step_seconds for row in line],
                    label=method,
                    **METHOD_LOOKS[method],
                    **OPEN_MARK,
                )
            axes.set_xscale("log", base=2)
            axes.set_xlabel(f"{parameter}\n(times the preset's)")
        panels[0].set_ylim(bottom=0)  # after the last panel, as all share the axis
        panels[0].set_ylabel("step (s)")
        panels[-1].legend()
        if rows:
            figure.suptitle(f"Sensitivity: {rows[0].model} on {rows[0].dies} dies")

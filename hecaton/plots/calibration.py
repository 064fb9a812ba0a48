"""Plot of a calibration: predicted over measured cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hecaton.plots.figure import PAGE, saved_figure

KINDS = {
    "fit": ("fitted", {"marker": "o", "s": 26, "facecolors": "none", "edgecolors": "#0072b2"}),
    "holdout": ("held out", {"marker": "D", "s": 22, "facecolors": "none", "edgecolors": "#d55e00"}),
    "check": ("another memory, not fitted", {"marker": "x", "s": 18, "color": "#009e73"}),
}
"""Uses of a run, with their labels and marks."""


def plot_calibration(rows: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Draw predicted over measured cycles, and the error of each run in per cent, by use, into ``path``.

    ``rows`` have the keys ``use`` (one of :data:`KINDS`), ``cycles``, ``predicted_cycles`` and
    ``relative_error``.
    """
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    with saved_figure(path, PAGE, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        for use, (label, marks) in KINDS.items():
            used = [row for row in rows if row["use"] == use]
            if not used:
                continue
            measured = [row["cycles"] for row in used]
            # The largest error, since a mean would hide a single bad run.
            worst = max(row["relative_error"] for row in used)
            text = f"{label}: {len(used)} runs, largest error {worst:.2%}"
            left.scatter(measured, [row["predicted_cycles"] for row in used], linewidths=1.0, **marks)
            errors = [100 * (row["predicted_cycles"] / row["cycles"] - 1) for row in used]
            right.scatter(measured, errors, linewidths=1.0, label=text, **marks)
        ends = [row[name] for row in rows for name in ("cycles", "predicted_cycles")]
        limits = min(ends) / 1.25, max(ends) * 1.25
        worst = max(100 * row["relative_error"] for row in rows)
        left.plot(limits, limits, color="0.6", linewidth=1, zorder=0)
        left.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
        left.set(xlabel="measured (cycles)", ylabel="predicted (cycles)")
        right.axhline(0, color="0.6", linewidth=1, zorder=0)
        right.set(xscale="log", xlim=limits, ylim=(-1.2 * max(worst, 1), 1.2 * max(worst, 1)))
        right.set(xlabel="measured (cycles)", ylabel="(predicted - measured) / measured (%)")
        for axis in (left.xaxis, left.yaxis, right.xaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axis.set_minor_locator(NullLocator())
        figure.legend(loc="outside lower center")
        figure.suptitle(title)

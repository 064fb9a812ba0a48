"""Plot of a training run: the loss of each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hecaton.plots.figure import COLUMN, saved_figure

__all__ = ["plot_loss"]


def plot_loss(loss: Sequence[float], path: Path, title: str) -> None:
    """Draw the mean loss over the steps, which count from 1, into ``path``."""
    from matplotlib.ticker import MaxNLocator

    with saved_figure(path, COLUMN, 2.3) as figure:
        axes = figure.subplots()
        axes.plot(range(1, len(loss) + 1), loss, color="#332288", marker="o", markersize=2.5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
        axes.set_ylabel("mean cross-entropy (nats/token)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title)

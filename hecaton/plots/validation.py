"""Plot of a validation: predicted beside measured steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hecaton.plots.figure import COLUMN, saved_figure
from hecaton.terminal.tables import quantity

if TYPE_CHECKING:
    from chiplet.studies.megatron import Validation


def plot_validation(validation: Validation, path: Path) -> None:
    """Draw the error of each run in per cent, with the seconds measured and predicted, into ``path``."""
    rows = validation.predictions
    errors = [100 * row.error for row in rows]
    with saved_figure(path, COLUMN, 0.9 + 0.2 * len(rows)) as figure:
        axes = figure.subplots()
        for number, (row, error) in enumerate(zip(rows, errors, strict=True)):
            looks: dict[str, Any] = (
                {"color": "none", "edgecolor": "#332288"} if row.fitted else {"color": "#332288"}
            )
            axes.barh(number, error, height=0.7, linewidth=0.8, **looks)
            text = f"{quantity(row.predicted_seconds, 's')} for {quantity(row.run.seconds, 's')}"
            axes.annotate(
                text,
                (max(error, 0.0), number),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
            )
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [row.run.label + " (fitted)" * row.fitted for row in rows])
        axes.invert_yaxis()
        wide = max(map(abs, errors)) or 1.0
        axes.set_xlim(min(0.0, *errors) - 0.08 * wide, max(0.0, *errors) + 0.85 * wide)
        axes.set_xlabel("(predicted - measured) / measured (%)")
        axes.grid(visible=False, axis="y")
        axes.set_title(f"Steps on {validation.machine.name}: predicted for measured", loc="left")

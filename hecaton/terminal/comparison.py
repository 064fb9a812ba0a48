"""Tables of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from chiplet.studies.results import BaselineResult, Comparison, MethodResult

LIKE = "compared"
"""Column that tells gains that are like for like from others."""


def baseline_rows(
    rows: Sequence[dict[str, Any]], baselines: Sequence[BaselineResult]
) -> list[dict[str, Any]]:
    """Return the ``rows`` of ``baselines`` with the column :data:`LIKE`."""
    return [
        {**row, LIKE: f"UNLIKE: {', '.join(baseline.unlike)}" if baseline.unlike else "like for like"}
        for row, baseline in zip(rows, baselines, strict=True)
    ]


def comparison_tables(comparison: Comparison) -> RenderableType:
    """Return the tables of ``comparison``."""
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    names = ["method", "step s", "speedup", "energy J", "energy ratio", "MFU", "switches"]
    shown = baseline_rows(_rows(comparison.baselines), comparison.baselines)
    alike = [row for row, baseline in zip(shown, comparison.baselines, strict=True) if baseline.like_for_like]
    parts: list[RenderableType] = [
        columns(
            alike,
            names,
            title=f"{comparison.model} on {comparison.dies} dies ({comparison.mesh}): what hecaton gains over flat "
            "rings with these switches, like for like",
        ),
        columns(
            _rows(comparison.methods),
            names,
            title="All methods with these switches, against the flat ring among them",
        ),
        columns(
            [row for row in shown if row not in alike],
            [names[0], LIKE, *names[1:]],
            title="What hecaton gains over flat rings that are unlike",
        ),
    ]
    parts += [f"Left out: {method.method}: {method.reason}" for method in comparison.left_out]
    parts += [pairs(claim.model_dump(), title="Published, for comparison") for claim in comparison.published]
    measured = ", ".join(entry.name for entry in comparison.measured_inputs) or "none"
    parts.append(
        f"Measured inputs: {measured}. Published or assumed: {len(comparison.assumed_inputs)} (--json lists them)."
    )
    return Group(*parts)


def _rows(results: Sequence[MethodResult]) -> list[dict[str, Any]]:
    return [
        {
            "method": result.method,
            "step s": result.step_seconds,
            "speedup": result.speedup,
            "energy J": result.energy_joules,
            "energy ratio": result.energy_ratio,
            "MFU": f"{result.mfu:.1%}",
            "switches": result.switches,
        }
        for result in results
    ]

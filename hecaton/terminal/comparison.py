"""Tables of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from chiplet.studies.results import Comparison, MethodResult


def comparison_tables(comparison: Comparison) -> RenderableType:
    """Return the tables of ``comparison``."""
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    names = ["method", "step s", "speedup", "energy J", "energy ratio", "MFU", "switches"]
    parts: list[RenderableType] = [
        columns(
            _rows(comparison.methods),
            names,
            title=f"{comparison.model} on {comparison.dies} dies ({comparison.mesh}), against flat-ring",
        ),
        columns(_rows(comparison.baselines), names, title="hecaton against flat rings with these switches"),
    ]
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

"""The columns of a sweep: the numbers of each point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chiplet.cost.manufacturing import CostAccount
from chiplet.projection.results import Breakdown, Cost, Projection
from chiplet.step.totals import Totals

ENERGY_PARTS = ("array", "vector", "sram", "nop", "memory_nop", "dram", "static", "fabric")

COLUMNS = (
    "step_seconds",
    "tokens_per_second",
    "mfu",
    "energy_joules",
    "cost_dollars",
    "die_mm2",
    "die_yield",
    "good_die_dollars",
    "assembly_yield",
    "compute_to_nop",
    "nop_elements_per_die_per_layer",
    *(f"{name}_seconds" for name in Breakdown.model_fields),
    *(f"energy_{name}" for name in ENERGY_PARTS),
)
"""Numbers of a result; all are NaN for a point without one."""


def columns_of(sums: Totals, cost: CostAccount, layer_elements: float) -> dict[str, Any]:
    """The columns of a group of points: numbers, or arrays."""
    return _columns(sums, sums.breakdown, cost, cost.good_die, layer_elements)


def of_projection(projection: Projection) -> dict[str, float]:
    """The columns of a point, out of its projection."""
    breakdown, cost = projection.breakdown.model_dump(), projection.cost
    elements = projection.nop_elements_per_die_per_layer
    return _columns(projection, breakdown, cost, cost.good_die_dollars, elements)


def _columns(
    result: Totals | Projection,
    breakdown: Mapping[str, Any],
    cost: CostAccount | Cost,
    good_die_dollars: Any,
    layer_elements: Any,
) -> dict[str, Any]:
    return {
        "step_seconds": result.step_seconds,
        "tokens_per_second": result.tokens_per_second,
        "mfu": result.mfu,
        "energy_joules": result.energy_joules,
        "cost_dollars": cost.dollars,
        "die_mm2": cost.die_mm2,
        "die_yield": cost.die_yield,
        "good_die_dollars": good_die_dollars,
        "assembly_yield": cost.assembly_yield,
        "compute_to_nop": result.compute_to_nop,
        "nop_elements_per_die_per_layer": layer_elements,
        **{f"{name}_seconds": value for name, value in breakdown.items()},
        **{f"energy_{name}": result.energy.get(name, 0.0) for name in ENERGY_PARTS},
    }

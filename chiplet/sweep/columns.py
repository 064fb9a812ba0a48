"""The numbers that a sweep has of each point."""

from __future__ import annotations

from typing import Any

from chiplet.cost.manufacturing import CostAccount
from chiplet.projection.results import Breakdown, Projection
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
"""Numbers of a result, all of them NaN where a point has none."""


def columns_of(found: Totals, cost: CostAccount, layer_elements: float) -> dict[str, Any]:
    """The columns of a group of points: numbers, or arrays."""
    return {
        "step_seconds": found.step_seconds,
        "tokens_per_second": found.tokens_per_second,
        "mfu": found.mfu,
        "energy_joules": found.energy_joules,
        "cost_dollars": cost.dollars,
        "die_mm2": cost.die_mm2,
        "die_yield": cost.die_yield,
        "good_die_dollars": cost.good_die,
        "assembly_yield": cost.assembly_yield,
        "compute_to_nop": found.compute_to_nop,
        "nop_elements_per_die_per_layer": layer_elements,
        **{f"{name}_seconds": value for name, value in found.breakdown.items()},
        **{f"energy_{name}": found.energy.get(name, 0.0) for name in ENERGY_PARTS},
    }


def of_projection(found: Projection) -> dict[str, float]:
    """The columns of a point out of its projection."""
    cost = found.cost
    return {
        "step_seconds": found.step_seconds,
        "tokens_per_second": found.tokens_per_second,
        "mfu": found.mfu,
        "energy_joules": found.energy_joules,
        "cost_dollars": cost.dollars,
        "die_mm2": cost.die_mm2,
        "die_yield": cost.die_yield,
        "good_die_dollars": cost.good_die_dollars,
        "assembly_yield": cost.assembly_yield,
        "compute_to_nop": found.compute_to_nop,
        "nop_elements_per_die_per_layer": found.nop_elements_per_die_per_layer,
        **{f"{name}_seconds": value for name, value in found.breakdown.model_dump().items()},
        **{f"energy_{name}": found.energy.get(name, 0.0) for name in ENERGY_PARTS},
    }

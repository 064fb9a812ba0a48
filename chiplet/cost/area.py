"""Area of a die: transistors of the generated hardware, bits of its buffers, PHYs of its links.

Transistors are counted by synthesis of generated dies of several sizes (``tools/area.py``), from which a constant term
and terms for each row, column and PE are fitted. The vector unit is assumed; the engine and the link adapters are not
counted. Sizes may be arrays: many dies at once.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from chiplet.machine.specs import SUM_BYTES, DieSpec, Dtype, PackageSpec, SystemSpec, vector_lanes
from chiplet.vectorized.elementwise import Number, choose

PLANES = 2
"""Routers of a die: one in the plane of collectives, one in the memory plane."""

COLLECTIVE_SIDES = 4
"""Links of a die in the plane of collectives, one to each neighbour."""


def link_sides(package: PackageSpec) -> int:
    """Links of a die in both planes: those of the memory plane lead along its row, or all four ways with IO dies on
    all sides.
    """
    return COLLECTIVE_SIDES + (4 if package.io == "all" else 2)


def die_area(system: SystemSpec) -> dict[str, Number]:
    """Area of a compute die by part, mm2: ``logic``, ``vector``, ``router``, ``sram``, ``phy``, ``overhead``.

    Logic and vector unit: transistors / density / utilization; or cells by synthesis x factor / utilization, where the
    section silicon has them. SRAM: bits x bit cell / share of bit cells. Routers and links are those
    of both planes. PHY: what the lanes carry in both directions, over what a mm2 carries. Overhead is a share of all of
    these.
    """
    die, spec, cells = system.die, system.area, system.silicon
    mapped = synthesized_um2(system)
    used = spec.utilization * 1e6 / cells.area_factor
    density = spec.transistors_per_mm2 * spec.utilization
    parts: dict[str, Number] = {
        "logic": choose(mapped > 0, mapped / used, die_transistors(die) / density),
        "vector": choose(
            mapped > 0,
            cells.vector_um2 / used,
            vector_lanes(system.vector, system.memory) * spec.vector_transistors / density,
        ),
        "router": PLANES * router_transistors(system.nop.flit_bits) / density,
        "sram": sram_bits(die) * spec.bitcell_um2 / spec.sram_efficiency * 1e-6,
        "phy": 2
        * link_sides(system.package)
        * system.link.bytes_per_second
        / spec.phy_bytes_per_second_per_mm2,
    }
    parts["overhead"] = sum(parts.values()) * spec.overhead
    return parts


def synthesized_um2(system: SystemSpec) -> Number:
    """Cells of a die by synthesis without its vector unit, um2: 0 if nobody says."""
    die, cells = system.die, system.silicon
    return (
        cells.die_um2
        + cells.row_um2 * die.rows
        + cells.column_um2 * die.cols
        + cells.pe_um2 * die.rows * die.cols
    )


def sram_bits(die: DieSpec) -> Number:
    """Bits of the banks of a die's buffers and of its scratchpad."""
    operands = die.cols * die.weight_depth + die.rows * die.activation_depth
    sums = die.cols * die.accumulator_depth * 8 * SUM_BYTES
    return operands * die.element_bits + sums + 8 * die.scratchpad_bytes


def die_transistors(die: DieSpec) -> Number:
    """Transistors of a generated die without its SRAMs: array, units, queues, control."""
    terms = transistor_terms(die.dtype, die.stages)
    return (
        terms["constant"]
        + terms["per_row"] * die.rows
        + terms["per_col"] * die.cols
        + terms["per_pe"] * die.rows * die.cols
    )


def router_transistors(flit_bits: Number) -> Number:
    """Transistors of a generated router."""
    terms = _counted()["router"]
    return terms["constant"] + terms["per_flit_bit"] * flit_bits


def transistor_terms(dtype: Dtype, stages: int) -> dict[str, float]:
    """Counted transistors of dies with this data type and number of adder stages: ``constant``, ``per_row``,
    ``per_col``, ``per_pe``.
    """
    terms = next(row for row in _counted()["dies"] if (row["dtype"], row["stages"]) == (dtype, stages))
    return {name: float(terms[name]) for name in ("constant", "per_row", "per_col", "per_pe")}


def counted_by() -> str:
    """How the transistors were counted."""
    return str(_counted()["tool"])


@cache
def _counted() -> dict[str, Any]:
    text = (resources.files("chiplet") / "presets" / "area.json").read_text(encoding="utf-8")
    counted: dict[str, Any] = json.loads(text)
    return counted

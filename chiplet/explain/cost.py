"""Area and cost of a projection as terms: formulas, operands and units, and how well they are known."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.explain.ledger import Ledger, Operand, Term
from chiplet.projection.results import Projection

AREA = {
    "logic": (
        "transistors / density / utilization",
        ("area.die_transistors", "area.transistors_per_mm2", "area.utilization"),
    ),
    "vector": (
        "array columns x transistors of a lane / density / utilization",
        ("area.vector_transistors", "area.transistors_per_mm2", "area.utilization"),
    ),
    "router": (
        "transistors / density / utilization",
        ("area.router_transistors", "area.transistors_per_mm2", "area.utilization"),
    ),
    "sram": (
        "bits x bit cell / share of bit cells",
        ("area.sram_bits", "area.bitcell_um2", "area.sram_efficiency"),
    ),
    "phy": (
        "4 sides x 2 directions x lanes x lane rate / 8 / bandwidth of a mm2",
        ("area.phy_bytes_per_second_per_mm2",),
    ),
    "overhead": ("share of all other area", ("area.overhead",)),
}
"""Formula and inputs of each part of a die's area."""

SYNTHESIZED_AREA = {
    "logic": (
        "(cells of a die + rows, columns and PEs x those of one) x factor / utilization",
        (
            *("silicon.die_um2", "silicon.row_um2", "silicon.column_um2", "silicon.pe_um2"),
            *("silicon.area_factor", "area.utilization"),
        ),
    ),
    "vector": (
        "cells of the vector unit x factor / utilization",
        ("silicon.vector_um2", "silicon.area_factor", "area.utilization"),
    ),
}
"""The same of the parts that synthesis measured."""

WAFER = ("cost.wafer_dollars", "cost.wafer_mm", "cost.edge_mm", "cost.scribe_mm")
YIELD = ("cost.defects_per_cm2", "cost.cluster")
COST = {
    "dies": ("dies x (wafer / dies of a wafer + bumps)", (*WAFER, "bumps")),
    "bad_dies": ("dies x (price of a good die - price of a die)", (*WAFER, *YIELD)),
    "io_dies": (
        "channels x (wafer / dies of a wafer / yield + bumps)",
        ("cost.io_die_mm2", "cost.io_wafer_dollars", "cost.io_defects_per_cm2", "bumps"),
    ),
    "package": ("substrates, with interposer or fan-out where there is one", ("carrier",)),
    "bad_packages": ("packages x (1 / yield - 1)", ("carrier", "cost.dies_per_substrate")),
    "wasted_dies": ("good dies x (1 / yield of their bonds - 1)", ("carrier", "cost.dies_per_substrate")),
    "dram": ("GiB x price", ("cost.dram_dollars_per_gib",)),
}
"""Formula and inputs of each part of the cost; ``bumps`` and ``carrier`` depend on the type of package."""


def explain_cost(projection: Projection) -> list[Term]:
    """The terms of area, yield and cost of ``projection``, each after its operands."""
    cost = projection.cost
    ledger = Ledger(cost.inputs)
    add = ledger.add
    groups = {
        "bumps": [name for name in ledger.inputs if name.endswith("bump_dollars_per_mm2")],
        "carrier": [
            name
            for name in ledger.inputs
            if name.startswith(("cost.substrate", "cost.fanout", "cost.interposer"))
        ],
    }

    def operands(names: Sequence[str]) -> list[Operand]:
        return [ledger.given(member) for name in names for member in groups.get(name, [name])]

    parts = AREA | SYNTHESIZED_AREA if "silicon.die_um2" in ledger.inputs else AREA
    areas = [
        add(f"area of {part}", cost.die_area[part], "mm2", "formula", formula, operands(names))
        for part, (formula, names) in parts.items()
    ]
    area = add("area of a die", cost.die_mm2, "mm2", "sum", "sum of the parts", areas)
    formula = "(1 + defects x area / clustering) ** -clustering"
    works = add("yield of a die", cost.die_yield, "", "formula", formula, [area, *operands(YIELD)])
    formula = "pi (d/2)**2 / A - pi d / sqrt(2 A) with scribe lanes and edge: chiplet/cost/manufacturing.py"
    count = add("dies of a wafer", cost.dies_per_wafer, "", "formula", formula, [area, *operands(WAFER[1:])])
    price = operands(["cost.wafer_dollars"])
    add(
        "price of a good die",
        cost.good_die_dollars,
        "$",
        "formula",
        "wafer / dies / yield",
        [*price, count, works],
    )
    whole = Operand(
        name="dies", value=float(projection.dies * projection.packages), unit="dies", status="assumed"
    )
    formula = "dies / dies of a substrate, rounded up, of each package"
    full = [whole, *operands(["cost.dies_per_substrate"])]
    add("substrates", float(cost.substrates), "", "formula", formula, full)
    bonds = operands(["carrier", "cost.dies_per_substrate"])
    formula = "yield of one bond ** bonds of a full substrate"
    add("yield of assembly", cost.assembly_yield, "", "formula", formula, bonds)
    costs = [
        add(f"cost of {part}", cost.parts[part], "$", "formula", formula, [area, *operands(names)])
        for part, (formula, names) in COST.items()
    ]
    add("cost", cost.dollars, "$", "sum", "sum of the parts, all packages", costs)
    return ledger.terms

"""Area, yield and cost: the published model by hand, and what must hold for every machine."""

from __future__ import annotations

from math import isnan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.cost.area import die_area, die_transistors, sram_bits, transistor_terms
from chiplet.cost.manufacturing import account_cost, die_yield, dies_per_wafer
from chiplet.cost.sources import COST_UNITS, PUBLISHED_COST_SOURCES, cost_inputs
from chiplet.machine.configuration_keys import known_keys
from chiplet.machine.cost_specs import CostSpec
from chiplet.machine.specs import DieSpec
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.sweep.machines import varied
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model

ONE = Mesh(1, 1)


def test_a_die_costs_what_the_published_formulas_say() -> None:
    """200 mm2 at 7 nm, worked out from the formulas of chiplet-actuary."""
    cell = 200 + 2 * 0.2 * sqrt(200) + 0.2**2
    count = pi * 145**2 / cell - pi * 290 / sqrt(2 * cell)
    assert dies_per_wafer(200.0, CostSpec()) == pytest.approx(count)
    assert die_yield(200.0, 0.09, 10.0) == pytest.approx((1 + 0.0009 * 200 / 10) ** -10)


def test_what_nobody_can_make_has_no_price() -> None:
    """Not even one good die, or package, in a billion."""
    dirty = account_cost(package("cost.defects_per_cm2=1e3", "cost.cluster=1e3"), Mesh(2, 2))
    assert isnan(dirty.die_yield)
    assert isnan(dirty.dollars)
    huge = account_cost(
        package("cost.substrate_bonding_yield=0.5", "cost.dies_per_substrate=0"), Mesh(40, 40)
    )
    assert isnan(huge.dollars)


@pytest.mark.parametrize("kind", ["organic", "fanout", "interposer"])
def test_a_package_costs_what_the_published_formulas_say(kind: str) -> None:
    system = package(f"cost.package={kind}", "cost.dies_per_substrate=0", "cost.io_die_mm2=0")
    found = account_cost(system, Mesh(2, 2))
    area, each = found.die_mm2, 9346.0 / found.dies_per_wafer
    bump = 0.005 if kind == "organic" else 0.01
    chips = 4 * (each + area * bump) + 4 * (each / found.die_yield - each)
    if kind == "organic":
        substrate = 4 * area * 4 * 0.005 * (2 if 16 * area > 900 else 1.75 if 16 * area > 289 else 1.5)
        lost = 1 / 0.99**4 - 1
        assert found.dollars == pytest.approx(chips * (1 + lost) + substrate * (1 + lost))
        return
    wafer, defects, cluster, scale, bond = {
        "fanout": (1200.0, 0.05, 3.0, 1.2, 0.98),
        "interposer": (1937.0, 0.06, 6.0, 1.1, 0.95),
    }[kind]
    layer = 4 * area * scale
    middle = wafer / dies_per_wafer(layer, CostSpec()) + layer * 0.005
    works = (1 + defects / 100 * layer / cluster) ** -cluster
    below = layer * 4 * 0.005
    assert found.dollars == pytest.approx(
        chips / (bond**4 * 0.99) + middle / (works * bond**4 * 0.99) + below / 0.99
    )


def test_parts_add_up_and_substrates_cover_all_dies() -> None:
    for mesh, substrates in ((Mesh(32, 32), 64), (Mesh(5, 7), 3), (ONE, 1)):
        found = account_cost(PACKAGE, mesh)
        assert found.substrates == substrates
        assert sum(found.die_parts.values()) == pytest.approx(found.die_mm2)
        assert sum(found.parts.values()) == pytest.approx(found.dollars)
        assert all(part >= 0 for part in found.parts.values())


def test_full_and_partly_filled_substrates_add_up() -> None:
    """36 dies are two substrates of 16 and one of 4."""
    system = package("cost.io_die_mm2=0")
    two, one = account_cost(system, Mesh(4, 8)).dollars, account_cost(system, Mesh(2, 2)).dollars
    assert account_cost(system, Mesh(6, 6)).dollars == pytest.approx(two + one)


@given(
    key=st.sampled_from(["cost.wafer_dollars", "cost.defects_per_cm2", "area.overhead", "area.bitcell_um2"]),
    factor=st.floats(1.01, 3.0),
    rows=st.integers(1, 6),
    kind=st.sampled_from(["organic", "fanout", "interposer"]),
)
def test_dearer_worse_or_larger_never_costs_less(key: str, factor: float, rows: int, kind: str) -> None:
    section, name = key.split(".")
    base = getattr(getattr(PACKAGE, section), name)
    less, more = (
        account_cost(package(f"{key}={value}", f"cost.package={kind}"), Mesh(rows, 3)).dollars
        for value in (base, base * factor)
    )
    assert more >= less


@given(sides=st.lists(st.integers(1, 8), min_size=2, max_size=2))
def test_a_package_of_more_dies_costs_more(sides: list[int]) -> None:
    rows, cols = sides
    assert (
        account_cost(PACKAGE, Mesh(rows, cols)).dollars < account_cost(PACKAGE, Mesh(rows, cols + 1)).dollars
    )


def test_a_die_that_fits_no_wafer_has_no_cost() -> None:
    assert isnan(account_cost(package("area.bitcell_um2=100"), ONE).dollars)


def test_arrays_cost_what_their_elements_cost() -> None:
    wafers = np.array([2891.0, 9346.0, 16988.0])
    lanes = np.array([16, 32, 64])
    sizes = np.array([0.0, 10.0, 0.0])
    many = account_cost(
        varied(PACKAGE, {"cost.wafer_dollars": wafers, "link.lanes": lanes, "cost.io_die_mm2": sizes}),
        Mesh(5, 7),
    )
    for place, (wafer, lane, size) in enumerate(zip(wafers, lanes, sizes, strict=True)):
        one = account_cost(
            package(f"cost.wafer_dollars={wafer}", f"link.lanes={lane}", f"cost.io_die_mm2={size}"),
            Mesh(5, 7),
        )
        assert many.dollars[place] == pytest.approx(one.dollars, rel=1e-12)
        assert many.die_mm2[place] == pytest.approx(one.die_mm2, rel=1e-12)


def test_area_follows_the_hardware() -> None:
    die = DieSpec(rows=4, cols=8, stages=2)
    terms = transistor_terms("bf16", 2)
    assert die_transistors(die) == pytest.approx(
        terms["constant"] + 4 * terms["per_row"] + 8 * terms["per_col"] + 32 * terms["per_pe"]
    )
    assert sram_bits(die) == 8 * (262_144 + 131_072 + 131_072 + 65_536)
    assert transistor_terms("int8", 1)["per_pe"] < transistor_terms("bf16", 1)["per_pe"]
    wide = die_area(package("link.lanes=32"))
    assert wide["phy"] == pytest.approx(2 * die_area(PACKAGE)["phy"])


def test_cells_by_synthesis_replace_transistors() -> None:
    system = package(
        "silicon.die_um2=5e4", "silicon.row_um2=10", "silicon.column_um2=200", "silicon.pe_um2=220"
    )
    found, before = die_area(system), die_area(PACKAGE)
    assert found["logic"] == pytest.approx((5e4 + 64 * 210 + 64 * 64 * 220) / 0.7 * 1e-6)
    assert found["vector"] == 0
    assert {part: found[part] for part in ("router", "sram", "phy")} == {
        part: before[part] for part in ("router", "sram", "phy")
    }
    inputs = {entry.name: entry for entry in cost_inputs(system)}
    assert (inputs["silicon.pe_um2"].status, inputs["silicon.pe_um2"].source) == ("assumed", "configuration")
    assert not {"area.die_transistors", "area.vector_transistors"} & set(inputs)
    many = die_area(
        varied(system, {"silicon.pe_um2": np.array([110.0, 220.0]), "die.rows": np.array([64.0, 64.0])})
    )
    assert many["logic"][1] == pytest.approx(found["logic"], rel=1e-12)
    assert many["logic"][0] < many["logic"][1]


def test_every_input_has_a_source_and_exists() -> None:
    assert set(PUBLISHED_COST_SOURCES) <= set(COST_UNITS) <= set(known_keys())
    found = {entry.name: entry for entry in cost_inputs(PACKAGE)}
    assert found["area.die_transistors"].status == "measured"
    assert "Yosys" in found["area.die_transistors"].source
    assert found["cost.wafer_dollars"].source == "7 nm: chiplet-actuary (Feng and Ma, DAC 2022)"
    assert found["area.utilization"].status == "assumed"
    assert not any(name.startswith("cost.interposer") for name in found)
    assert {entry.name for entry in cost_inputs(package("cost.package=interposer"))} >= {
        "cost.interposer_wafer_dollars",
        "cost.microbump_dollars_per_mm2",
    }


def test_a_projection_has_its_cost() -> None:
    found = project(StepRequest(small_model(), PACKAGE, mesh=(4, 4), global_batch=4)).cost
    assert found.dollars == account_cost(PACKAGE, Mesh(4, 4)).dollars
    assert (found.substrates, found.die_yield) == (1, account_cost(PACKAGE, Mesh(4, 4)).die_yield)
    two = project(StepRequest(small_model(), package("parallel.data=2"), mesh=(4, 4), global_batch=4)).cost
    assert two.dollars == pytest.approx(2 * found.dollars)
    assert two.substrates == 2

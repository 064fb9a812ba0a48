"""Silicon reports: of which dies they speak, what they give, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.cost.area import die_area
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import SystemSpec
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from tests.chiplet.machine.synthesized.reports import AREAS, block, report, report_values
from tests.chiplet.machines import PACKAGE, package, small_model


def test_blocks_whose_number_is_not_known_elsewhere_are_few() -> None:
    blocks = report_values()["blocks"]
    joins = block("rows", 3, 40.0, per_die=3, scales=False)
    area = sum(entry["count"] * entry["area_um2"] for entry in [*blocks, joins])
    assert report(blocks=[*blocks, joins], area_um2=area).areas()["die_um2"] == AREAS["die"] + 120
    joins["area_um2"] = 60.0
    with pytest.raises(
        ValueError, match="1.2% of its area are blocks whose number in other dies is not known"
    ):
        report(blocks=[*blocks, joins], area_um2=area + 60)


@given(rows=st.integers(1, 128), cols=st.integers(1, 128), factor=st.floats(0.1, 10))
def test_logic_is_what_occurs_in_a_die(rows: int, cols: int, factor: float) -> None:
    die = PACKAGE.die.model_copy(update={"rows": rows, "cols": cols})
    silicon = PACKAGE.silicon.model_copy(update={"area_factor": factor})
    system = PACKAGE.model_copy(update={"die": die, "silicon": silicon})
    found, before = die_area(report().applied(system)), die_area(system)
    cells = AREAS["die"] + rows * AREAS["row"] + cols * AREAS["column"] + rows * cols * AREAS["pe"]
    assert found["logic"] == pytest.approx(cells * factor / 0.7 * 1e-6)
    assert found["vector"] == pytest.approx(AREAS["vector"] * factor / 0.7 * 1e-6)
    # The report has no SRAM, router or PHY.
    for part in ("sram", "router", "phy"):
        assert found[part] == before[part]


def test_the_clock_is_that_of_the_period() -> None:
    assert report().applied(PACKAGE).die.clock_hz == pytest.approx(800e6)
    assert report().applied(package("silicon.period_factor=2")).die.clock_hz == pytest.approx(400e6)
    assert report().applied(package("die.clock_hz=stages")).die.clock_hz == pytest.approx(800e6)


def test_energies_replace_those_of_the_configuration() -> None:
    energies = {"mac_pj": {"value": 0.4, "source": "power report"}}
    system = report(energies=energies).applied(package("silicon.energy_factor=0.5"))
    assert system.energy.mac_pj == pytest.approx(0.2)
    assert system.energy.vector_pj == PACKAGE.energy.vector_pj
    assert system.link.pj_per_bit == PACKAGE.link.pj_per_bit


def test_energies_of_routers_and_adapters_come_on_top_of_the_phy() -> None:
    energies = {name: {"value": 51.2, "source": "power report"} for name in ("flit_hop_pj", "link_frame_pj")}
    system = report(energies=energies).applied(PACKAGE)
    rate = link_rate(system)
    bits = 8 * rate.frame_bytes
    added = bits * rate.wire_bits * (system.link.pj_per_bit - PACKAGE.link.pj_per_bit)
    flits = rate.frame_bytes / rate.flit_bytes
    assert added == pytest.approx(51.2 * flits + 51.2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("die.stages=3", "with die.stages = 1, not 3: give a report of this die or project that one"),
        ("die.dtype=int8", "with die.dtype = bf16, not int8"),
        ("die.queue_depth=8", "with die.queue_depth = 4, not 8"),
        ("memory.word_bytes=256", "with memory.word_bytes = 128, not 256"),
        ("memory.outstanding=32", "with memory.outstanding = 64, not 32"),
        ("vector.lanes=16", "with vector.lanes = 32, not 16"),
        ("vector.function_lanes=8", "with vector.function_lanes = 32, not 8"),
    ],
)
def test_other_dies_are_refused_by_name(override: str, message: str) -> None:
    request = StepRequest(small_model(), package(override), mesh=(2, 2), silicon=(report(),))
    with pytest.raises(ValueError, match="^the silicon report was made for a die ") as refused:
        project(request)
    assert message in str(refused.value)


def test_sizes_clock_and_srams_may_be_others() -> None:
    other = package(
        "die.rows=32", "die.cols=48", "die.clock_hz=1e8", "die.weight_bytes=1000000", "die.sram=inferred"
    )
    assert report().refusal(other) is None


def test_a_report_of_another_version_counts_as_assumed() -> None:
    old = project(
        StepRequest(small_model(), PACKAGE, mesh=(2, 2), silicon=(report(hecaton_version="0.0.1"),))
    )
    entry = next(item for item in old.assumed_inputs if item.name == "die.clock_hz")
    assert "of Hecaton 0.0.1, not " in entry.source
    assert {item.status for item in old.cost.inputs if item.name.startswith("silicon.")} == {"assumed"}


def test_results_say_what_was_measured_and_by_which_report() -> None:
    made = report(energies={"mac_pj": {"value": 0.4, "source": "power report"}})
    found = project(StepRequest(small_model(), PACKAGE, mesh=(2, 2), silicon=(made,)))
    assert found.silicon_report == made.digest
    measured = {item.name: item for item in found.measured_inputs}
    assert set(measured) == {"die.clock_hz", "energy.mac_pj"}
    for part in ("cells_tt and 1 more", "0.7 V, 25 C", "no wires", "350 ps", made.digest):
        assert part in measured["die.clock_hz"].source
    assert "power report" in measured["energy.mac_pj"].source
    left_out = {item.name: item.source for item in found.assumed_inputs}
    assert left_out["energy.vector_pj"].endswith(": the silicon report leaves it out")
    areas = {item.name: item for item in found.cost.inputs}
    assert areas["silicon.pe_um2"].status == "measured"
    assert areas["area.sram_bits"].source.endswith(": the silicon report leaves it out")
    assert "area.die_transistors" not in areas
    assert found.digests == project(StepRequest(small_model(), PACKAGE, mesh=(2, 2))).digests
    scaled = project(
        StepRequest(small_model(), package("silicon.period_factor=1.5"), mesh=(2, 2), silicon=(made,))
    )
    assert {item.name for item in scaled.measured_inputs} == {"energy.mac_pj"}


@pytest.mark.parametrize("key", ["period_factor", "energy_factor"])
def test_factors_need_a_report(key: str) -> None:
    with pytest.raises(ValueError, match=f"^silicon.{key} = 2: has no effect without a silicon report$"):
        project(StepRequest(small_model(), package(f"silicon.{key}=2"), mesh=(2, 2)))


def test_without_a_report_nothing_changes() -> None:
    assert PACKAGE.silicon == SystemSpec().silicon
    found = project(StepRequest(small_model(), PACKAGE, mesh=(2, 2)))
    assert found.silicon_report is None
    assert not any(item.name.startswith("silicon.") for item in [*found.assumed_inputs, *found.cost.inputs])

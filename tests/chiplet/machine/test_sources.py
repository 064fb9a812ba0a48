"""Where inputs come from."""

from __future__ import annotations

import pytest

from chiplet.machine.calibration import Calibration
from chiplet.machine.configuration_keys import known_keys
from chiplet.machine.sources import MEASURE_UNITS, collect_inputs
from chiplet.machine.terms import DieTerms, GemmTerms
from nop.terms import NopTerms
from tests.chiplet.machines import PACKAGE, package


def test_without_a_calibration_nothing_is_measured() -> None:
    measured, rest = collect_inputs(PACKAGE, None)
    assert measured == []
    assert {item.name for item in rest} >= {"gemm.per_tile", "link.pj_per_bit", "vector.lanes"}
    assert {item.status for item in rest} == {"assumed", "published"}


def test_the_terms_that_a_calibration_has_are_measured() -> None:
    calibration = Calibration(
        die=PACKAGE.die,
        terms=DieTerms(gemm=GemmTerms(per_tile=0.25)),
        provenance={"simulator": "icarus", "hecaton_version": "x", "samples": 9},
    )
    measured, rest = collect_inputs(PACKAGE, calibration)
    assert [(item.name, item.value) for item in measured] == [("gemm.per_tile", 0.25)]
    assert measured[0].source == "co-simulation: simulator icarus, hecaton_version x, samples 9"
    others = [item.name.removeprefix("gemm.") for item in rest if item.name.startswith("gemm.")]
    assert others == [name for name in GemmTerms.model_fields if name != "per_tile"]


def test_a_measured_hop_takes_the_place_of_the_configured_one() -> None:
    calibration = Calibration(
        die=PACKAGE.die, nop=NopTerms(hop_cycles=3.0), provenance={"hecaton_version": "x"}
    )
    assert calibration.applied(PACKAGE).link.router_cycles == 3.0
    assert Calibration(die=PACKAGE.die).applied(PACKAGE) == PACKAGE
    measured, rest = collect_inputs(calibration.applied(PACKAGE), calibration)
    hop = next(item for item in measured if item.name == "link.router_cycles")
    assert (hop.value, hop.unit, hop.status, hop.source) == (
        3.0,
        "cycles",
        "measured",
        "co-simulation: hecaton_version x",
    )
    assert not any(item.name == hop.name for item in rest)


def test_a_published_value_names_its_source_and_another_one_is_assumed() -> None:
    def link_energy(*overrides: str) -> tuple[str, str]:
        found = next(
            item for item in collect_inputs(package(*overrides), None)[1] if item.name == "link.pj_per_bit"
        )
        return found.status, found.source

    assert link_energy()[0] == "published"
    assert "2510.06513" in link_energy()[1]
    assert link_energy("link.pj_per_bit=0.7") == ("assumed", "configuration")


def test_every_listed_key_exists() -> None:
    assert set(MEASURE_UNITS) <= set(known_keys())


@pytest.mark.parametrize(
    ("stages", "clock", "source"),
    [
        (1, 1e9, "beyond the 513 MHz that 1 stage allows"),
        (1, 0.5e9, "within the 513 MHz that 1 stage allows"),
        (3, 0.97e9, "within the 971 MHz that 3 stages allow"),
        (4, 1e9, "beyond the 935 MHz that 4 stages allow"),
    ],
)
def test_a_clock_is_marked_that_the_stages_do_not_allow(stages: int, clock: float, source: str) -> None:
    _, others = collect_inputs(package(f"die.stages={stages}", f"die.clock_hz={clock}"), None)
    (entry,) = (entry for entry in others if entry.name == "die.clock_hz")
    assert entry.status == "assumed"
    assert source in entry.source

"""Calibration of a link: the generated adapters deliver what the projection promises."""

from __future__ import annotations

import pytest

from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from chiplet.machine.link_rate import link_rate
from cosim.calibrate.link import link_goodput, link_requests
from cosim.run.collective import run_collective


@pytest.mark.parametrize(
    "keys",
    [
        ["link.lanes=16", "link.lane_rate=32e9", "nop.flit_bits=512"],  # the links of the package preset
        pytest.param(["link.lanes=64", "link.lane_rate=16e9", "nop.flit_bits=1024"], marks=pytest.mark.slow),
        pytest.param(["link.lanes=3", "link.lane_rate=16e9", "nop.flit_bits=32"], marks=pytest.mark.slow),
    ],
)
def test_the_measured_goodput_is_that_of_the_projection(keys: list[str]) -> None:
    system = load_system(None, ["die.dtype=int8", *keys], preset="bench")
    records = [run_collective(request) for request in link_requests(system, seed=1, sim="icarus")]
    assert [record.mismatches for record in records] == [0, 0]
    measured = link_goodput(system, records)
    assert measured.goodput == pytest.approx(link_rate(system).goodput, rel=1e-12)
    applied = Calibration(die=system.die, link=measured).applied(system)
    assert link_rate(applied).bytes_per_second == pytest.approx(link_rate(system).bytes_per_second)

"""Links of the projection: the rate, latency and wire bits of the generated adapter's frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.calibration import Calibration, LinkGoodput
from chiplet.machine.link_frame import link_frame
from chiplet.machine.link_rate import LinkRate, link_rate
from chiplet.machine.sources import collect_inputs
from chiplet.machine.specs import SystemSpec
from tests.chiplet.machines import PACKAGE, package


def system_of(**values: float) -> SystemSpec:
    return package(*(f"{name.replace('__', '.')}={value}" for name, value in values.items()))


def test_a_link_of_the_package_preset_carries_nine_tenths_of_its_lanes() -> None:
    rate = link_rate(PACKAGE)
    assert rate.goodput >= 0.9
    assert rate.bytes_per_second == pytest.approx(rate.goodput * PACKAGE.link.bytes_per_second)


def test_a_link_of_a_ucie_advanced_module_carries_nine_tenths_of_its_lanes() -> None:
    wide = system_of(link__lanes=64, link__lane_rate=16e9, nop__flit_bits=1024)
    assert link_rate(wide).goodput >= 0.9


def test_flits_that_are_narrower_than_the_lanes_leave_most_of_them_idle() -> None:
    rate = link_rate(system_of(nop__flit_bits=64))
    assert rate.goodput == pytest.approx(1 / 8)  # a flit a cycle of 512 bits


@given(lanes=st.integers(1, 80), flit_bits=st.sampled_from([32, 64, 256, 512, 1024]))
def test_the_rate_is_that_of_the_frames(lanes: int, flit_bits: int) -> None:
    system = system_of(link__lanes=lanes, nop__flit_bits=flit_bits)
    frame, rate = link_frame(system), link_rate(system)
    clock = system.die.clock_hz
    assert rate.bytes_per_second == pytest.approx(float(frame.flits_per_cycle) * flit_bits / 8 * clock)
    assert rate.hop_seconds == pytest.approx((frame.stream_latency_cycles + 1) / clock)
    assert rate.wire_bits == pytest.approx(float(frame.wire_bits_per_flit) / flit_bits)
    assert rate.wire_bits > 1


@pytest.mark.parametrize("flit_bits", [32, 64, 96, 256, 512, 768, 1024])
@pytest.mark.parametrize("lane_rate", [1e9, 7.3e9, 16e9, 32e9])
def test_more_lanes_never_make_a_link_slower(flit_bits: int, lane_rate: float) -> None:
    system = system_of(nop__flit_bits=flit_bits, link__lane_rate=lane_rate)
    lanes = np.arange(1, 129, dtype=np.float64)
    rate = link_rate(system.model_copy(update={"link": system.link.model_copy(update={"lanes": lanes})}))
    assert (np.diff(rate.bytes_per_second) >= -1e-6 * rate.bytes_per_second[1:]).all()
    assert (np.diff(rate.hop_seconds) <= 0).all()


def test_many_machines_at_once_are_those_one_by_one() -> None:
    lanes = [1, 3, 16, 17, 64]
    system = PACKAGE.model_copy(
        update={"link": PACKAGE.link.model_copy(update={"lanes": np.array(lanes, dtype=np.float64)})}
    )
    together = link_rate(system)
    alone = [link_rate(system_of(link__lanes=number)) for number in lanes]
    for name in LinkRate.__dataclass_fields__:
        columns, expected = getattr(together, name), [getattr(one, name) for one in alone]
        if not isinstance(columns, tuple):
            columns, expected = (columns,), [(one,) for one in expected]
        # What lanes do not decide is one number.
        values = [np.broadcast_to(column, len(lanes)).tolist() for column in columns]
        assert list(zip(*values, strict=True)) == expected, name


def measured(system: SystemSpec, goodput: float) -> Calibration:
    link = LinkGoodput(
        goodput=goodput,
        lanes=system.link.lanes,
        lane_rate=system.link.lane_rate,
        clock_hz=system.die.clock_hz,
        flit_bits=system.nop.flit_bits,
    )
    return Calibration(die=system.die, link=link, provenance={"hecaton_version": "x"})


def goodput_of(system: SystemSpec, calibration: Calibration | None) -> tuple[float, str]:
    applied = system if calibration is None else calibration.applied(system)
    measured_inputs, others = collect_inputs(applied, calibration)
    (entry,) = (entry for entry in measured_inputs + others if entry.name == "link.goodput")
    return entry.value, entry.status


def test_a_measured_goodput_replaces_that_of_the_frames_and_is_named_as_measured() -> None:
    calibration = measured(PACKAGE, 0.875)
    assert goodput_of(PACKAGE, None) == (link_rate(PACKAGE).goodput, "assumed")
    assert goodput_of(PACKAGE, calibration) == (0.875, "measured")
    rate = link_rate(calibration.applied(PACKAGE))
    assert rate.bytes_per_second == pytest.approx(0.875 * PACKAGE.link.bytes_per_second)


def test_the_goodput_of_another_link_is_not_used() -> None:
    calibration = measured(PACKAGE, 0.875)
    other = system_of(link__lanes=8)
    assert goodput_of(other, calibration) == (link_rate(other).goodput, "assumed")
    given_one = system_of(link__goodput=0.5)
    assert goodput_of(given_one, calibration) == (0.5, "assumed")

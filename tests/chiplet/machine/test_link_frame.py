"""Frames of links: goodput, layouts that never overlap, and that more lanes never make a link slower."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chiplet.machine.link_frame import CRC_BITS, FRAME_FLITS, LinkFrame, flit_width, link_frame
from chiplet.machine.specs import LinkSpec, NopSpec, SystemSpec


@pytest.mark.parametrize(
    ("lanes", "lane_rate", "flit_bits", "flits", "cycles"),
    [(16, 32e9, 512, 9, 10), (64, 16e9, 1024, 9, 10), (64, 16e9, 64, 1, 1), (16, 32e9, 64, 1, 1)],
)
def test_frames_of_published_modules(
    lanes: int, lane_rate: float, flit_bits: int, flits: int, cycles: int
) -> None:
    frame = link_frame(
        SystemSpec(link=LinkSpec(lanes=lanes, lane_rate=lane_rate), nop=NopSpec(flit_bits=flit_bits))
    )
    assert (frame.flits, frame.longest_cycles) == (flits, cycles)
    assert frame.flits_per_cycle == Fraction(flits, cycles)
    assert frame.goodput == Fraction(flits * flit_bits, cycles * int(lanes * lane_rate / 1e9))
    if flit_bits > 64:
        assert frame.goodput >= Fraction(9, 10) > replace(frame, flits=flits - 1).goodput
    else:
        assert frame.flits_per_cycle == 1


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    data_bits=st.integers(16, 1040),
    phit_bits=st.integers(1, 1100),
    flight_cycles=st.integers(0, 20),
    place=st.integers(1, 8),
)
def test_slots_do_not_overlap_and_a_phit_starts_and_ends_one_at_most(
    data_bits: int, phit_bits: int, flight_cycles: int, place: int
) -> None:
    width = flit_width(NopSpec(flit_bits=data_bits, coordinate_bits=place))
    frame = LinkFrame.fit(data_bits=data_bits, width=width, phit_bits=phit_bits, flight_cycles=flight_cycles)
    after = frame.header_bits
    starts, ends = [], []
    for slot in frame.slots:
        assert slot >= after
        after = slot + 1 + width
        starts.append(slot // phit_bits)
        ends.append((after - 1) // phit_bits)
    assert len(set(starts)) == len(set(ends)) == frame.flits
    assert after + CRC_BITS <= frame.longest_cycles * phit_bits
    times = [frame.frame_cycles(flits) for flits in range(frame.flits + 1)]
    assert times == sorted(times)
    assert all(flits <= time for flits, time in enumerate(times))
    assert frame.goodput <= Fraction(data_bits, max(width, phit_bits))
    assert frame.round_trip_flits <= frame.depth
    assert frame.depth < 2 * frame.round_trip_flits
    assert frame.flits <= FRAME_FLITS
    assert frame.latency_cycles <= frame.stream_latency_cycles


@pytest.mark.parametrize("flit_bits", [16, 64, 100, 513, 1024, 4096])
@pytest.mark.parametrize("flight_cycles", [0, 7])
def test_wider_phits_never_make_a_link_slower(flit_bits: int, flight_cycles: int) -> None:
    """Rate, latency of any number of flits, and buffers: each as good as with the phit that is narrower by a bit."""
    width = flit_width(NopSpec(flit_bits=flit_bits))
    last: LinkFrame | None = None
    for phit_bits in range(max(1, width - 200), width + 80):
        frame = LinkFrame.fit(
            data_bits=flit_bits, width=width, phit_bits=phit_bits, flight_cycles=flight_cycles
        )
        if last is not None:
            assert frame.flits_per_cycle >= last.flits_per_cycle
            assert frame.depth <= last.depth
            for flits in range(1, FRAME_FLITS + 1):
                assert frame.burst_latency_cycles(flits) <= last.burst_latency_cycles(flits)
        last = frame
    assert last is not None
    assert (last.flits, last.longest_cycles) == (1, 1)


@pytest.mark.parametrize("flit_bits", [16, 512, 1024, 2048, 4096])
def test_no_frame_is_too_long_for_its_crc(flit_bits: int) -> None:
    width = flit_width(NopSpec(flit_bits=flit_bits, coordinate_bits=8))
    for phit_bits in (1, 7, 512, width - 1, width, width + 40):
        for flight_cycles in (0, 1000):
            frame = LinkFrame.fit(
                data_bits=flit_bits, width=width, phit_bits=phit_bits, flight_cycles=flight_cycles
            )
            assert frame.frame_bits <= 16_360


def test_frames_of_one_phit_need_a_flit_of_the_buffer_for_each_cycle_of_the_round_trip() -> None:
    for flight_cycles in (0, 1, 9):
        frame = LinkFrame.fit(data_bits=64, width=85, phit_bits=1024, flight_cycles=flight_cycles)
        assert frame.round_trip_flits == 5 + 2 * flight_cycles


def test_unused_lanes_cost_no_energy() -> None:
    frame = LinkFrame.fit(data_bits=64, width=85, phit_bits=1024, flight_cycles=0)
    assert frame.wire_bits_per_flit == frame.lane_bits + 2 == 138
    packed = LinkFrame.fit(data_bits=512, width=533, phit_bits=512, flight_cycles=0)
    assert packed.wire_bits_per_flit == Fraction(514 * 10, 9)

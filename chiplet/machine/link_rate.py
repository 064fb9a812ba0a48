"""Rate, latency and bits on the wires of a link, as the projection uses them: those of the generated adapter.

All of it follows from the frames of :mod:`chiplet.machine.link_frame`, from which the hardware is made. Values of the
specification may be arrays: many machines at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.link_frame import LinkFrame, flit_width, link_flight_cycles
from chiplet.machine.specs import SystemSpec
from chiplet.vectorized.elementwise import Number, choose, tabulated

__all__ = ["LinkRate", "link_rate"]


@dataclass(frozen=True)
class LinkRate:
    """What a link between neighbours carries.

    Attributes
    ----------
    goodput
        Data bits of flits in steady state over what the lanes could carry.
    bytes_per_second
        Data of flits in one direction, bytes/s.
    hop_seconds
        From the departure of a flit, which fills a frame with others, until the next router has passed it on, s.
    wire_bits
        Bits on the wires for each data bit: headers of flits and frames, CRC, padding.
    """

    goodput: Number
    bytes_per_second: Number
    hop_seconds: Number
    wire_bits: Number


@dataclass(frozen=True)
class _FrameNumbers:
    """Numbers of a frame that are not integers of the specification."""

    flits_per_cycle: float
    wire_bits_per_flit: float
    latency_cycles: int


def _frame_numbers(data_bits: int, width: int, phit_bits: int, flight_cycles: int) -> _FrameNumbers:
    frame = LinkFrame.fit(data_bits=data_bits, width=width, phit_bits=phit_bits, flight_cycles=flight_cycles)
    return _FrameNumbers(
        float(frame.flits_per_cycle), float(frame.wire_bits_per_flit), frame.stream_latency_cycles
    )


def link_rate(system: SystemSpec) -> LinkRate:
    """What the links of ``system`` carry; a goodput that is given or measured, ``link.goodput``, replaces that of the
    frames, and the bits on the wires follow it.
    """
    link, nop, clock = system.link, system.nop, system.die.clock_hz
    frame: _FrameNumbers = tabulated(
        _frame_numbers,
        nop.flit_bits,
        flit_width(nop),
        system.link_phit_bits,
        link_flight_cycles(system),
    )
    of_frames = frame.flits_per_cycle * nop.flit_bits * clock / (8 * link.bytes_per_second)
    goodput = choose(link.goodput > 0, link.goodput, of_frames)
    return LinkRate(
        goodput=goodput,
        bytes_per_second=goodput * link.bytes_per_second,
        hop_seconds=(frame.latency_cycles + link.router_cycles) / clock,
        wire_bits=frame.wire_bits_per_flit / nop.flit_bits * of_frames / goodput,
    )

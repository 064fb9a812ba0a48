"""Rate, latency and bits on the wires of a link, as the projection uses them: those of the generated adapter.

All of it follows from the frames of :mod:`chiplet.machine.link_frame`, from which the hardware is made, and what the
die at its end does with flits that it sends on from :class:`nop.terms.NopTerms`. Values of the
specification may be arrays: many machines at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chiplet.machine.link_frame import FRAME_FLITS, LinkFrame, flit_width, link_flight_cycles
from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import SystemSpec
from chiplet.vectorized.elementwise import Number, choose, larger, tabulated
from nop.terms import NopTerms

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
    frame_seconds
        Time of a frame without flits, with one, with two, and so on up to the most that a frame of any link has, s.
    drain_seconds
        Flits of a full frame come out of the adapter one a cycle: so much sooner than at the rate of the link, s.
    flit_bytes, frame_bytes, queue_bytes
        Data of a flit, of a full frame, and of the flits that wait in a receive unit to be sent on. A longer chunk of a
        ring goes through the scratchpad.
    store_seconds
        Time of a flit through the scratchpad, with the word that it is part of, s.
    add_seconds
        Time of a flit through the adders of a die, s.
    cycle_seconds
        A cycle of the die, s.
    slot_seconds
        From the start of a frame until it takes its first flit, s.
    """

    goodput: Number
    bytes_per_second: Number
    hop_seconds: Number
    wire_bits: Number
    frame_seconds: tuple[Number, ...]
    drain_seconds: Number
    flit_bytes: Number
    frame_bytes: Number
    queue_bytes: Number
    store_seconds: Number
    add_seconds: Number
    cycle_seconds: Number
    slot_seconds: Number


@dataclass(frozen=True)
class _FrameNumbers:
    """Numbers of a frame that are not integers of the specification."""

    flits_per_cycle: float
    wire_bits_per_flit: float
    latency_cycles: int
    frame_cycles: tuple[int, ...]
    flits: int
    drain_cycles: int
    slot_cycles: int


@lru_cache(maxsize=1 << 16)  # machines of a sweep share them
def _frame_numbers(data_bits: int, width: int, phit_bits: int, flight_cycles: int) -> _FrameNumbers:
    frame = LinkFrame.fit(data_bits=data_bits, width=width, phit_bits=phit_bits, flight_cycles=flight_cycles)
    return _FrameNumbers(
        float(frame.flits_per_cycle),
        float(frame.wire_bits_per_flit),
        frame.stream_latency_cycles,
        tuple(frame.frame_cycles(min(flits, frame.flits)) for flits in range(FRAME_FLITS + 1)),
        frame.flits,
        frame.longest_cycles - frame.flits,
        frame.slot_cycles[0],
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
    flit_bytes = nop.flit_bits / 8
    # Of a word that is narrower than a flit there are several, one after the other.
    word_flits = larger(1, system.memory.word_bytes / flit_bytes)
    return LinkRate(
        goodput=goodput,
        bytes_per_second=goodput * link.bytes_per_second,
        hop_seconds=(frame.latency_cycles + link.router_cycles) / clock,
        wire_bits=frame.wire_bits_per_flit / nop.flit_bits * of_frames / goodput,
        frame_seconds=tuple(cycles / clock for cycles in frame.frame_cycles),
        drain_seconds=frame.drain_cycles / clock,
        flit_bytes=flit_bytes,
        frame_bytes=frame.flits * flit_bytes,
        queue_bytes=QUEUED_FLITS * flit_bytes,
        store_seconds=(NopTerms().store_cycles + word_flits - 1) / clock,
        add_seconds=system.die.stages / clock,
        cycle_seconds=1 / clock,
        slot_seconds=frame.slot_cycles / clock,
    )

"""Frames of a link: how flits share a header and a CRC, and the rate, latency and wire bits that follow."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import ceil

from chiplet.machine.specs import NopSpec, SystemSpec
from chiplet.vectorized.elementwise import larger

__all__ = [
    "CRC_BITS",
    "FRAME_FLITS",
    "LINK_CYCLES",
    "LinkFrame",
    "flit_width",
    "link_flight_cycles",
    "link_frame",
]

CRC_BITS = 32
"""Bits of a frame's CRC."""

LINK_CYCLES = 2
"""Cycles from a flit's transfer into one adapter until the other one offers it, for a frame of one phit and wires
without flight: a register on either side."""

FRAME_FLITS = 9
"""Most flits of a frame: the fewest with which the links of both published modules reach a goodput of 0.90, see
docs/network.md. The number does not follow the lanes, so that more of them never make a link slower."""

_LONGEST_BITS = 16_360
"""Longest frame, CRC included, for which the CRC finds every error of up to 5 bits, see :class:`rtl.lib.crc.Crc`."""

_STATE_BITS = 5
"""Bits of a frame's header besides its three numbers: polarity, state, turn, wanted."""


def flit_width(nop: NopSpec) -> int:
    """Bits of a flit with its own header: data, three coordinates and three flags."""
    return nop.flit_bits + 3 * nop.coordinate_bits + 3


def link_flight_cycles(system: SystemSpec) -> int:
    """Cycles from the wires of one adapter to those of the other: the link's latency without the adapters'."""
    cycles: int = larger(0, system.link_cycles - LINK_CYCLES)
    return cycles


@dataclass(frozen=True, kw_only=True)
class LinkFrame:
    """Layout of the frames of a link, and what follows from it. Positions and sizes are in bits, times in cycles.

    A frame is a header, then a slot for each flit, then the CRC at the upper end of its last phit. A slot is a flag
    and, if the flag is set, a flit; a flag that is not set ends the frame, and so does the last slot. At full width a
    phit leaves in every cycle.

    Attributes
    ----------
    data_bits, width
        Bits of a flit without and with its own header.
    phit_bits
        Bits that the lanes carry in a cycle of the die.
    flight_cycles
        Cycles from adapter to adapter in each direction, the most that occur.
    flits
        Most flits of a frame.
    depth
        Flits of the replay buffer and of the receive buffer, a power of two.
    """

    data_bits: int
    width: int
    phit_bits: int
    flight_cycles: int
    flits: int
    depth: int

    @classmethod
    def fit(cls, *, data_bits: int, width: int, phit_bits: int, flight_cycles: int) -> LinkFrame:
        """Frames of the same number of flits on all lanes, with buffers that keep a link at full rate.

        The number is :data:`FRAME_FLITS`, less for flits so wide that the CRC is too short for such a frame. Where
        fewer flits leave at a flit a cycle, the most that a router takes, a frame has as few as that.
        Rate and latency never get worse with more bits in a phit.
        """
        return _fit(data_bits, width, phit_bits, flight_cycles)

    @property
    def number_bits(self) -> int:
        """Bits of a flit's number: one more than an index needs, so that a full buffer differs from an empty one."""
        return self.depth.bit_length()

    @property
    def header_bits(self) -> int:
        """Bits of a frame before its first slot: three numbers and the state of both directions."""
        return _STATE_BITS + 3 * self.number_bits

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """First bit of each slot: its flag; the flit follows. Each slot starts in a phit of its own and ends in a
        phit of its own, so that either side moves one flit a cycle.
        """
        starts = [self.header_bits]
        for _ in range(self.flits - 1):
            after = starts[-1] + 1 + self.width
            start_phit = starts[-1] // self.phit_bits + 1
            end_phit = (after - 1) // self.phit_bits + 1
            starts.append(max(after, start_phit * self.phit_bits, end_phit * self.phit_bits - self.width))
        return tuple(starts)

    @cached_property
    def slot_cycles(self) -> tuple[int, ...]:
        """Cycles from the start of a frame to each slot: the number of the phit that has its flag."""
        return tuple(slot // self.phit_bits for slot in self.slots)

    def content_bits(self, flits: int) -> int:
        """Bits of a frame with ``flits`` flits, 0 to all, without padding and CRC."""
        if flits == self.flits:
            return self.slots[-1] + 1 + self.width
        return self.slots[flits] + 1

    def frame_cycles(self, flits: int) -> int:
        """Phits, and cycles, of a frame with ``flits`` flits."""
        return ceil((self.content_bits(flits) + CRC_BITS) / self.phit_bits)

    @property
    def longest_cycles(self) -> int:
        """Cycles of a frame with all of its flits."""
        return self.frame_cycles(self.flits)

    @property
    def lane_bits(self) -> int:
        """Wires that carry a phit; those that no frame needs stay unused."""
        if self.longest_cycles > 1:
            return self.phit_bits
        needed = self.content_bits(self.flits) + CRC_BITS
        return min(self.phit_bits, needed + needed % 2)

    @property
    def can_halve(self) -> bool:
        """Whether the link can go on with half of its lanes: their number is even."""
        return self.lane_bits % 2 == 0

    @property
    def marks(self) -> int:
        """Wires that mark the last phit of a frame: one for each half of the lanes, or one for frames of several phits
        on lanes that cannot be halved.
        """
        return 2 if self.can_halve else int(self.longest_cycles > 1)

    @property
    def frame_bits(self) -> int:
        """Bits of a frame with all of its flits, with padding and CRC: the longest word that the CRC protects."""
        return self.longest_cycles * self.lane_bits

    @property
    def flits_per_cycle(self) -> Fraction:
        """Flits of a link in a cycle in steady state, at most 1."""
        return Fraction(self.flits, self.longest_cycles)

    @property
    def goodput(self) -> Fraction:
        """Data bits of flits delivered in steady state over what the lanes carry."""
        return self.flits_per_cycle * Fraction(self.data_bits, self.phit_bits)

    @property
    def wire_bits_per_flit(self) -> Fraction:
        """Bits on the wires of a link for each flit in steady state, marks included."""
        return (self.lane_bits + self.marks) / self.flits_per_cycle

    def burst_latency_cycles(self, flits: int) -> int:
        """Cycles from the transfer of the first of ``flits`` flits in a row into one adapter until the other one offers
        it, if a frame starts: they are offered when the frame is complete.
        """
        return LINK_CYCLES + self.frame_cycles(min(flits, self.flits)) - 1 + self.flight_cycles

    @property
    def latency_cycles(self) -> int:
        """The latency of a lone flit."""
        return self.burst_latency_cycles(1)

    @property
    def stream_latency_cycles(self) -> int:
        """The latency of the first of the flits that fill a frame."""
        return self.burst_latency_cycles(self.flits)

    @property
    def round_trip_flits(self) -> int:
        """Flits taken by an adapter, at most, until it knows that the first of them has left the other side's receive
        buffer: both directions run at full rate, and the other side's router takes what it is offered.
        """
        return _round_trip_flits(self.flits, self.flight_cycles)


def _round_trip_flits(flits: int, flight_cycles: int) -> int:
    """What :attr:`LinkFrame.round_trip_flits` says, for frames of ``flits`` cycles, which have the most flits in
    flight: a frame until it is complete, one until the next frame of the other side begins, one until that is complete,
    and a flit for each cycle of both flights and of the two registers.
    """
    return 3 * flits + 2 + 2 * flight_cycles


@cache
def _fit(data_bits: int, width: int, phit_bits: int, flight_cycles: int) -> LinkFrame:
    def of(flits: int) -> LinkFrame:
        return LinkFrame(
            data_bits=data_bits,
            width=width,
            phit_bits=phit_bits,
            flight_cycles=flight_cycles,
            flits=flits,
            depth=1 << (_round_trip_flits(flits, flight_cycles) - 1).bit_length(),
        )

    # Where a frame is longer than its flits, a phit is no longer than a frame of one flit. So padding, of the frame
    # and before its slots, takes no more than that for the frame and for each of its flits.
    longest = max(
        1, min(FRAME_FLITS, _LONGEST_BITS // (of(FRAME_FLITS).header_bits + 1 + width + CRC_BITS) - 1)
    )
    frames = [of(flits) for flits in range(1, longest + 1)]
    return next((frame for frame in frames if frame.flits_per_cycle == 1), frames[-1])


def link_frame(system: SystemSpec) -> LinkFrame:
    """Frames of the links of ``system``: rate, latency and size for hardware, cost, area and energy alike."""
    return LinkFrame.fit(
        data_bits=system.nop.flit_bits,
        width=flit_width(system.nop),
        phit_bits=system.link_phit_bits,
        flight_cycles=link_flight_cycles(system),
    )

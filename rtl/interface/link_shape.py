"""Sizes of a link adapter: the fields of its frames, its lanes, and how many flits it keeps for a round trip."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Self

from amaranth.lib import data
from amaranth.utils import ceil_log2

from chiplet.machine.specs import SystemSpec
from rtl.block import check_integers
from rtl.lib.crc import CRC_BITS

__all__ = ["LINK_CYCLES", "LinkShape"]

LINK_CYCLES = 2
"""Cycles from a flit's transfer into one adapter until the other one offers it: a register on either side. A frame of
several phits adds one cycle for each phit but the first; the flight adds its own."""

_TURN_CYCLES = 1
"""Cycles from the one in which an adapter offers a flit to the first in which a frame can report that it has left."""


@dataclass(frozen=True, kw_only=True)
class LinkShape:
    """Parameters of an adapter, and what follows from them.

    Attributes
    ----------
    width
        Bits of a flit.
    phit_bits
        Bits that the lanes carry in a cycle of the die; those that a frame does not need stay unused.
    depth
        Flits of the replay buffer and of the receive buffer, a power of two; see :meth:`fit`.
    timeout_cycles
        Cycles without progress after which a link is dead.
    """

    width: int
    phit_bits: int
    depth: int
    timeout_cycles: int

    def __post_init__(self) -> None:
        check_integers(
            "link",
            minimum=1,
            width=self.width,
            phit_bits=self.phit_bits,
            depth=self.depth,
            timeout_cycles=self.timeout_cycles,
        )
        if self.depth & (self.depth - 1):
            raise ValueError(f"link: depth = {self.depth}: must be a power of two")

    @classmethod
    def fit(cls, *, width: int, phit_bits: int, flight_cycles: int, timeout_cycles: int) -> Self:
        """The smallest buffers that keep a link of ``flight_cycles`` in each direction at full rate.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the time-out below two round trips.
        """
        check_integers("link", minimum=0, flight_cycles=flight_cycles)
        depth = 1
        # No closed form: deeper buffers need longer numbers in a frame, which may take one phit more.
        while True:
            shape = cls(width=width, phit_bits=phit_bits, depth=depth, timeout_cycles=timeout_cycles)
            if depth * shape.frame_cycles >= shape.round_trip_cycles(flight_cycles):
                break
            depth *= 2
        least = 2 * shape.round_trip_cycles(flight_cycles)
        if timeout_cycles < least:
            raise ValueError(
                f"link.timeout_cycles = {timeout_cycles}: must be at least {least}, two round trips of the link"
            )
        return shape

    @classmethod
    def of(cls, system: SystemSpec, *, width: int) -> Self:
        """Shape of the links of ``system`` for flits of ``width`` bits. Raises as :meth:`fit`."""
        return cls.fit(
            width=width,
            phit_bits=system.link_phit_bits,
            flight_cycles=cls.flight_cycles(system),
            timeout_cycles=system.link.timeout_cycles,
        )

    @staticmethod
    def flight_cycles(system: SystemSpec) -> int:
        """Cycles from the wires of one adapter to those of the other: the link's latency without the adapters'."""
        return max(0, system.link_cycles - LINK_CYCLES)

    @property
    def text(self) -> str:
        """All parameters, for the names of Verilog modules."""
        return f"{self.width}x{self.depth}_p{self.lane_bits}_t{self.timeout_cycles}"

    @property
    def layout(self) -> data.StructLayout:
        """A frame without its CRC, see :class:`rtl.network.link.LinkPort`.

        - ``flit``, ``valid``, ``number``: a flit, whether there is one, and its number or that of the next one.
        - ``expected``, ``freed``: of the other direction, the number expected next, and that of the oldest flit still
          in the receive buffer.
        - ``turn``, ``wanted``: the turn of this direction, and the one that the other direction is asked to take.
        """
        number = self.number_bits
        return data.StructLayout(
            {
                "flit": self.width,
                "valid": 1,
                "number": number,
                "expected": number,
                "freed": number,
                "turn": 1,
                "wanted": 1,
            }
        )

    @property
    def number_bits(self) -> int:
        """Bits of a flit's number: one more than an index needs, so that a full buffer differs from an empty one."""
        return ceil_log2(self.depth) + 1

    @property
    def frame_bits(self) -> int:
        """Bits of a frame with its CRC."""
        return self.layout.size + CRC_BITS

    @property
    def frame_cycles(self) -> int:
        """Cycles, and phits, of a frame: the least time from a flit to the next."""
        return ceil(self.frame_bits / self.phit_bits)

    @property
    def lane_bits(self) -> int:
        """Wires that carry a phit."""
        return min(self.phit_bits, self.frame_bits)

    @property
    def wires(self) -> int:
        """Wires of one direction: those of a phit, and one that marks the first phit of several."""
        return self.lane_bits + (self.frame_cycles > 1)

    def latency_cycles(self, flight_cycles: int) -> int:
        """Cycles from a flit's transfer into one adapter until the other one offers it."""
        return LINK_CYCLES + self.frame_cycles - 1 + flight_cycles

    def round_trip_cycles(self, flight_cycles: int) -> int:
        """Cycles from a flit's transfer into an adapter until that adapter can know that the flit has left the other
        side's receive buffer, if it leaves at once; waiting for the start of a frame is included.
        """
        there = self.latency_cycles(flight_cycles) + _TURN_CYCLES
        back = self.frame_cycles - 1 + self.latency_cycles(flight_cycles)
        return there + back

    def dead_cycles(self, flight_cycles: int) -> int:
        """Most cycles from the moment when the wires of one direction or both go blank until both sides are dead: the
        side that receives nothing stops sending after the time-out, and from then on the other receives nothing.
        """
        return 2 * (self.timeout_cycles + self.frame_cycles) + flight_cycles

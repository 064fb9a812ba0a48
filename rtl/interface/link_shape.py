"""Sizes of a link adapter: its frames with their fields, its wires, and the times of its handshake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from amaranth.lib import data

from chiplet.machine.link_frame import LinkFrame, link_frame
from chiplet.machine.specs import SystemSpec
from rtl.block import check_integers

__all__ = ["Lanes", "LinkShape", "LinkState"]


class Lanes(IntEnum):
    """Lanes that an adapter listens to."""

    ALL = 0
    LOWER = 1
    UPPER = 2


class LinkState(IntEnum):
    """What a side of a link says of itself in each frame, see :class:`rtl.network.link.LinkPort`."""

    HELLO = 0
    CONFIRM = 1
    RUN = 2


@dataclass(frozen=True, kw_only=True)
class LinkShape:
    """Parameters of an adapter, and what follows from them.

    Attributes
    ----------
    frame
        Its frames and buffers.
    timeout_cycles
        Cycles without progress after which a link is dead.
    """

    frame: LinkFrame
    timeout_cycles: int

    def __post_init__(self) -> None:
        frame = self.frame
        check_integers(
            "link",
            minimum=1,
            width=frame.width,
            phit_bits=frame.phit_bits,
            flits=frame.flits,
            depth=frame.depth,
            timeout_cycles=self.timeout_cycles,
        )
        if frame.depth & (frame.depth - 1):
            raise ValueError(f"link: depth = {frame.depth}: must be a power of two")
        if self.timeout_cycles < self.start_cycles:
            raise ValueError(
                f"link.timeout_cycles = {self.timeout_cycles}: must be at least {self.start_cycles}, "
                "what the link takes to start"
            )

    @classmethod
    def fit(
        cls,
        *,
        width: int,
        phit_bits: int,
        flight_cycles: int,
        timeout_cycles: int,
        data_bits: int | None = None,
    ) -> Self:
        """The adapter whose frames are those of :meth:`chiplet.machine.link_frame.LinkFrame.fit`.

        ``width`` is that of a flit, ``data_bits`` those of them that count as goodput: all, unless given.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the time-out shorter than the link takes to start.
        """
        check_integers("link", minimum=0, flight_cycles=flight_cycles)
        check_integers("link", minimum=1, width=width, phit_bits=phit_bits, timeout_cycles=timeout_cycles)
        frame = LinkFrame.fit(
            data_bits=width if data_bits is None else data_bits,
            width=width,
            phit_bits=phit_bits,
            flight_cycles=flight_cycles,
        )
        return cls(frame=frame, timeout_cycles=timeout_cycles)

    @classmethod
    def of(cls, system: SystemSpec) -> Self:
        """Shape of the links of ``system``. Raises as :meth:`fit`."""
        return cls(frame=link_frame(system), timeout_cycles=system.link.timeout_cycles)

    @property
    def width(self) -> int:
        """Bits of a flit."""
        return self.frame.width

    @property
    def depth(self) -> int:
        """Flits of the replay buffer and of the receive buffer, a power of two."""
        return self.frame.depth

    @property
    def flight_cycles(self) -> int:
        """Cycles from the wires of one adapter to those of the other, the most that occur."""
        return self.frame.flight_cycles

    @property
    def text(self) -> str:
        """All parameters, for the names of Verilog modules."""
        return f"{self.frame_text}_f{self.flight_cycles}_t{self.timeout_cycles}"

    @property
    def frame_text(self) -> str:
        """Those of the frames."""
        frame = self.frame
        return f"{frame.width}x{frame.depth}_p{frame.lane_bits}_n{frame.flits}"

    @property
    def header(self) -> data.StructLayout:
        """The header of a frame, see :class:`rtl.network.link.LinkPort`.

        - ``polarity``: all other bits of the frame, up to its CRC, are inverted.
        - ``state``: that of the sender.
        - ``turn``, ``wanted``: the turn of this direction, and the one that the other direction is asked to take.
        - ``number``: that of the first flit of the frame, or of the next one to come.
        - ``expected``, ``freed``: of the other direction, the number expected next, and that of the oldest flit still
          in the receive buffer.
        """
        number = self.frame.number_bits
        return data.StructLayout(
            {
                "polarity": 1,
                "state": 2,
                "turn": 1,
                "wanted": 1,
                "number": number,
                "expected": number,
                "freed": number,
            }
        )

    @property
    def wires(self) -> int:
        """Wires of one direction: those of a phit, and the marks of the last phit of a frame."""
        return self.frame.lane_bits + self.frame.marks

    @property
    def round_trip_cycles(self) -> int:
        """Cycles from a flit's transfer into an adapter until that adapter knows that the flit has left the other
        side's receive buffer, if it leaves at once, with frames that are full in both directions.
        """
        return 3 * self.frame.longest_cycles + 2 * self.flight_cycles + 2

    @property
    def settle_cycles(self) -> int:
        """Cycles that a side ignores frames when it starts anew, see :class:`rtl.network.link.LinkPort`: the flight
        there and back and, in either direction, the longest frame at half width and the registers.
        """
        return 2 * (self.flight_cycles + 2 * self.frame.longest_cycles + 4)

    @property
    def start_cycles(self) -> int:
        """Most cycles from the end of a reset of both sides until both run, if no frame is bad."""
        return self.settle_cycles + 2 * self.round_trip_cycles

    @property
    def patience_cycles(self) -> int:
        """Cycles of bad frames after which an adapter no longer listens at full width; at half width it is twice as
        many. It is longer than a frame takes to come when the other side's width changes.
        """
        return 8 * self.frame.longest_cycles + 2 * self.flight_cycles + 16

    @property
    def search_cycles(self) -> int:
        """Cycles in which both sides find their good halves of the lanes. A time-out that is shorter may end the link
        before.

        A lane that is stuck makes half of the frames bad. Then an adapter leaves all lanes after 3 times the patience,
        and a half after 6 times; the other side, which sees bad frames only, follows after once the patience. That
        makes 10, and the rest is for chance: the frames in which the lane shows are random.
        """
        return 16 * self.patience_cycles

    @property
    def inversion_cycles(self) -> int:
        """Cycles after which frames change from plain to inverted or back, a power of two. At half width it covers the
        longest frame twice, so no rhythm of frames is all plain or all inverted.
        """
        return max(16, 1 << (4 * self.frame.longest_cycles - 1).bit_length())

    @property
    def dead_cycles(self) -> int:
        """Most cycles from the moment when the wires of one direction or both go blank until both sides are dead: the
        side that receives nothing says HELLO after the time-out, and then the other waits in vain for the handshake.
        """
        said = self.timeout_cycles + 2 * self.frame.longest_cycles
        return said + self.flight_cycles + self.settle_cycles + said

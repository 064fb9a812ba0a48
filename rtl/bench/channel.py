"""Bench-only wires of a link in one direction: flight, flipped bits, stalls, death."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.bench.xorshift import next_random
from rtl.block import Block, Bundle, check_integers, place
from rtl.lib.delay import Delay

__all__ = ["BURST_BITS", "CHANCE_BITS", "STALL_BITS", "Channel", "Faults"]

CHANCE_BITS = 32
"""Bits of a chance, in units of 2^-32."""
BURST_BITS = 8
STALL_BITS = 16


class Faults(Bundle):
    """Settings of the faults of channels, seen from their driver; see :class:`Channel`.

    Members
    -------
    flip_rate, stall_rate : Out(32)
        Chances.
    burst : Out(8), stall_mask : Out(16)
        Wires that a burst may flip, and mask of a stall's random length.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "flip_rate": Out(CHANCE_BITS),
                "burst": Out(BURST_BITS),
                "stall_rate": Out(CHANCE_BITS),
                "stall_mask": Out(STALL_BITS),
            }
        )


class Channel(Block):
    """Wires between two adapters, one direction.

    In each cycle, with chance ``flip_rate / 2^32``, one of the wires is flipped, drawn uniformly; of the 8 wires above
    it, each whose bit in ``burst`` is set (bit 0: the next one) is flipped as well with chance 1/2. With chance
    ``stall_rate / 2^32`` the wires go blank, all 0, for 1 to ``stall_mask + 1`` cycles: what is sent then is lost.
    From the first cycle with ``cut`` on they are blank, until the reset.

    Parameters
    ----------
    wires : int
        At least 1.
    cycles : int
        Flight; 0 is a wire.

    Members
    -------
    i : In(wires), o : Out(wires)
        Ends of the wires.
    seed : In(32), reseed : In(1)
        Start of the random numbers, taken while ``reseed`` is high.
    faults : In(Faults)
        Chances and sizes of faults.
    cut : In(1)
        The channel dies.
    flip, stall : Out(1)
        Bits are flipped, or a stall begins, in this cycle.

    Raises
    ------
    ValueError
        If a parameter is no integer or out of range.
    """

    def __init__(self, *, wires: int, cycles: int) -> None:
        check_integers("Channel", minimum=1, wires=wires)
        check_integers("Channel", minimum=0, cycles=cycles)
        self._wires, self._cycles = wires, cycles
        super().__init__(
            {
                "i": In(wires),
                "o": Out(wires),
                "seed": In(32),
                "reseed": In(1),
                "faults": In(Faults()),
                "cut": In(1),
                "flip": Out(1),
                "stall": Out(1),
            },
            names={"faults": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_channel_{self._wires}x{self._cycles}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flight = Delay(width=self._wires, cycles=self._cycles, reset_less=False)
        place(m, platform, "flight", flight)
        random = Signal(64, init=0x9E3779B97F4A7C15)
        chance, low = random[32:], random[:32]
        with m.If(self.reseed):
            # The halves differ, and neither is 0.
            m.d.sync += random.eq((self.seed | 1) ^ (1 << 63) ^ (self.seed << 31))
        with m.Else():
            m.d.sync += random.eq(next_random(m, "random", random))

        blank = Signal(STALL_BITS)  # cycles of the stall that are left
        drawn = Signal(BURST_BITS + 1)
        died = Signal()
        dead = Signal()
        first = Signal(range(self._wires))
        pattern = Signal(self._wires)
        m.d.sync += died.eq(dead)
        m.d.comb += [
            dead.eq(died | self.cut),
            drawn.eq(((low[16 : 16 + BURST_BITS] & self.faults.burst) << 1) | 1),
            first.eq((low[:16] * self._wires) >> 16),
            pattern.eq(drawn << first),
            self.flip.eq((chance < self.faults.flip_rate) & ~dead & (blank == 0)),
            self.stall.eq((low < self.faults.stall_rate) & ~dead & (blank == 0)),
            flight.i.eq(self.i),
            self.o.eq(Mux(dead | (blank != 0), 0, flight.o ^ Mux(self.flip, pattern, 0))),
        ]
        with m.If(self.stall):
            m.d.sync += blank.eq((chance[:STALL_BITS] & self.faults.stall_mask) + 1)
        with m.Elif(blank != 0):
            m.d.sync += blank.eq(blank - 1)
        return m

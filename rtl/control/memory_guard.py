"""Memory guard: what passes between a die and its memory belongs to the program that runs, and stays in bounds."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.isa import MEMORY_ADDRESS_BITS
from rtl.interface.memory_port import EPOCH_BITS, MemoryPort, request_layout, response_layout

__all__ = ["MemoryGuard"]


class MemoryGuard(Block):
    """Between the arbiter and the memory port of the die.

    Each reset begins an epoch, whose number goes out with each request and comes back with its word. Words of another
    epoch were asked for before the reset, and are dropped: the memory need not be reset with the die. The number comes
    again after 16 resets: a read must not take longer than 15 of them. A request beyond ``last`` is an error. It does
    not leave the die.

    Parameters
    ----------
    word_bytes : int
        Width of the port.

    Members
    -------
    units : In(MemoryPort)
        Requests of the units. Their epoch means nothing.
    memory : Out(MemoryPort)
        Memory port of the die.
    last : In(MEMORY_ADDRESS_BITS)
        Last word of the memory.
    fetch_beyond, load_beyond, store_beyond : Out(1)
        A request of the fetch, the load unit, the store unit is beyond ``last``.
    """

    def __init__(self, *, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        super().__init__(
            {
                "units": In(MemoryPort(word_bytes)),
                "memory": Out(MemoryPort(word_bytes)),
                "last": In(MEMORY_ADDRESS_BITS),
                "fetch_beyond": Out(1),
                "load_beyond": Out(1),
                "store_beyond": Out(1),
            },
            names={"memory": ""},
        )

    @property
    def block_name(self) -> str:
        return f"memory_guard_{self._word_bytes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What survives a reset. It may begin with any value: memory is idle when power comes.
        epoch = Signal(EPOCH_BITS, reset_less=True)
        in_reset = Signal(reset_less=True)
        m.d.sync += in_reset.eq(ResetSignal())
        # In the first cycle of the reset, so that it is over for the words of the first cycle after it.
        with m.If(ResetSignal() & ~in_reset):
            m.d.sync += epoch.eq(epoch + 1)

        request = Signal(request_layout(self._word_bytes))
        wanted = request_layout(self._word_bytes)(self.units.request.payload)
        beyond = Signal()
        m.d.comb += [
            request.eq(wanted),
            request.epoch.eq(epoch),
            beyond.eq(wanted.address > self.last),
            self.memory.request.payload.eq(request),
            self.memory.request.valid.eq(self.units.request.valid & ~beyond),
            self.units.request.ready.eq(self.memory.request.ready | beyond),
            Cat(self.fetch_beyond, self.load_beyond, self.store_beyond).eq(
                Cat(wanted.tag, ~wanted.tag & ~wanted.write, wanted.write)
                & (self.units.request.valid & beyond).replicate(3)
            ),
        ]

        word = response_layout(self._word_bytes)(self.memory.response.payload)
        stale = Signal()
        m.d.comb += [
            stale.eq(word.epoch != epoch),
            self.units.response.payload.eq(word),
            self.units.response.valid.eq(self.memory.response.valid & ~stale),
            self.memory.response.ready.eq(self.units.response.ready | stale),
        ]
        return m

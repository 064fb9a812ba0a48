"""First-in first-out queue whose entries are in an SRAM: for queues of many or wide entries."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from rtl.block import Block, check_integers, place
from rtl.lib.delay import Delay
from rtl.lib.queue import Queue
from rtl.lib.sram import Sram, with_latency

__all__ = ["SramQueue"]

_BESIDES_LATENCY = 2
"""Registers besides one for each cycle from a read to its word: one in which it is written, one that is taken."""


class SramQueue(Block):
    """Queue of at least two entries; an entry can leave in the cycle after it was put in.

    With a latency of one cycle, the oldest entry is shown by a register or by the SRAM's output, so the SRAM has a word
    less than the queue has entries. With a longer one the oldest entries are in registers, in which each has its place
    from its read on: they are enough for no read to come too late. Both sides see the same in every cycle, whatever the
    latency. Neither side's valid or ready depends on the other side's.

    Parameters
    ----------
    width : int
        Bits of an entry.
    depth : int
        Entries held.
    macro : bool
        Whether the SRAM is a hard macro.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    i : In(stream)
        Ready while there is room.
    o : Out(stream)
        The oldest entry.

    Raises
    ------
    ValueError
        If ``width`` or ``sram_latency`` is no integer of at least 1, or ``depth`` none of at least 2.
    """

    def __init__(
        self, *, width: int, depth: int, macro: bool = False, sram_latency: int = SRAM_LATENCY
    ) -> None:
        check_integers("SRAM queue", minimum=1, width=width, sram_latency=sram_latency)
        check_integers("SRAM queue", minimum=2, depth=depth)
        self._width, self._depth, self._macro = width, depth, macro
        self._latency = sram_latency
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    @property
    def block_name(self) -> str:
        return with_latency(f"sram_queue_{self._depth}x{self._width}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._latency == 1:
            self._elaborate_shown_by_sram(m, platform)
        elif self._depth <= self._latency + _BESIDES_LATENCY:
            queue = Queue(width=self._width, depth=self._depth)
            place(m, platform, "entries", queue)
            connect(m, flipped(self.i), queue.i)
            connect(m, queue.o, flipped(self.o))
        else:
            self._elaborate_shown_by_registers(m, platform)
        return m

    def _elaborate_shown_by_sram(self, m: Module, platform: object) -> None:
        words = self._depth - 1
        sram = Sram(width=self._width, depth=words, macro=self._macro)
        place(m, platform, "entries", sram)
        stored = Signal(range(words + 1))
        head = Signal(range(max(words, 2)))
        tail = Signal(range(max(words, 2)))
        first = Signal(self._width, reset_less=True)  # an entry that came while none was stored
        from_sram = Signal()
        put = Signal()
        renew = Signal()
        store = Signal()
        read = Signal()
        m.d.comb += [
            self.i.ready.eq(stored != words),
            self.o.payload.eq(Mux(from_sram, sram.read_data, first)),
            put.eq(self.i.valid & self.i.ready),
            renew.eq(~self.o.valid | self.o.ready),
            read.eq(renew & (stored != 0)),
            store.eq(put & ~(renew & (stored == 0))),
            sram.write_enable.eq(store),
            sram.write_address.eq(tail),
            sram.write_data.eq(self.i.payload),
            sram.read_enable.eq(read),
            sram.read_address.eq(head),
        ]
        m.d.sync += stored.eq(stored + store - read)
        with m.If(renew):
            m.d.sync += [self.o.valid.eq(read | put), from_sram.eq(read)]
        with m.If(put & ~store):
            m.d.sync += first.eq(self.i.payload)
        with m.If(store):
            m.d.sync += tail.eq(Mux(tail == words - 1, 0, tail + 1))
        with m.If(read):
            m.d.sync += head.eq(Mux(head == words - 1, 0, head + 1))

    def _elaborate_shown_by_registers(self, m: Module, platform: object) -> None:
        """Entries go to the registers, or to the SRAM as long as it has entries or the registers are full.

        While the SRAM has entries, all registers but one are given away: so an entry that is read is the oldest one
        after as many others as there are cycles until it is there.
        """
        places = self._latency + _BESIDES_LATENCY
        words = self._depth - places + 1
        sram = Sram(width=self._width, depth=words, macro=self._macro, sram_latency=self._latency)
        place(m, platform, "entries", sram)
        registers = [Signal(self._width, name=f"entry_{n}", reset_less=True) for n in range(places)]
        level = Signal(range(self._depth + 1))
        stored = Signal(range(words + 1))  # in the SRAM, not yet read
        given = Signal(range(places + 1))  # registers of entries that are there, or are being read
        sram_head = Signal(range(words))
        sram_tail = Signal(range(words))
        head = Signal(range(places))
        tail = Signal(range(places))
        put = Signal()
        take = Signal()
        store = Signal()
        read = Signal()
        coming = Delay(width=1 + len(tail), cycles=self._latency, reset_less=False)
        place(m, platform, "coming", coming)
        m.d.comb += [
            self.i.ready.eq(level != self._depth),
            self.o.valid.eq(level != 0),
            self.o.payload.eq(Array(registers)[head]),
            put.eq(self.i.valid & self.i.ready),
            take.eq(self.o.valid & self.o.ready),
            store.eq(put & ((stored != 0) | (given == places))),
            read.eq((stored != 0) & (given != places)),
            sram.write_enable.eq(store),
            sram.write_address.eq(sram_tail),
            sram.write_data.eq(self.i.payload),
            sram.read_enable.eq(read),
            sram.read_address.eq(sram_head),
            coming.i.eq(Cat(read, tail)),
        ]
        m.d.sync += [
            level.eq(level + put - take),
            stored.eq(stored + store - read),
            given.eq(given + (read | (put & ~store)) - take),
        ]
        for n, register in enumerate(registers):
            with m.If(coming.o[0] & (coming.o[1:] == n)):
                m.d.sync += register.eq(sram.read_data)
            with m.Elif(put & ~store & (tail == n)):
                m.d.sync += register.eq(self.i.payload)
        for pointer, moves, size in (
            (sram_tail, store, words),
            (sram_head, read, words),
            (tail, read | (put & ~store), places),
            (head, take, places),
        ):
            with m.If(moves):
                m.d.sync += pointer.eq(Mux(pointer == size - 1, 0, pointer + 1))

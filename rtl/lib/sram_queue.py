"""First-in first-out queue whose entries are in an SRAM: for queues of many or wide entries."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers, place
from rtl.lib.sram import Sram

__all__ = ["SramQueue"]


class SramQueue(Block):
    """Queue of at least two entries; an entry can leave in the cycle after it was put in.

    The oldest entry is shown by a register or by the SRAM's output, so the SRAM has a word less than the queue has
    entries. Neither side's valid or ready depends on the other side's.

    Parameters
    ----------
    width : int
        Bits of an entry.
    depth : int
        Entries held.
    macro : bool
        Whether the SRAM is a hard macro.

    Members
    -------
    i : In(stream)
        Ready while there is room.
    o : Out(stream)
        The oldest entry.

    Raises
    ------
    ValueError
        If ``width`` is no integer of at least 1, or ``depth`` none of at least 2.
    """

    def __init__(self, *, width: int, depth: int, macro: bool = False) -> None:
        check_integers("SRAM queue", minimum=1, width=width)
        check_integers("SRAM queue", minimum=2, depth=depth)
        self._width, self._depth, self._macro = width, depth, macro
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    @property
    def block_name(self) -> str:
        return f"sram_queue_{self._depth}x{self._width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
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
        return m

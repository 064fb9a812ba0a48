"""Reads of an IO die that wait for memory: words of one die that follow each other become one burst."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers
from rtl.interface.axi import BURST_BYTES, LENGTH_BITS

__all__ = ["ReadBursts", "burst_layout", "read_layout"]


def read_layout(*, address_bits: int, id_bits: int) -> data.StructLayout:
    """Read of a word: its number, and the id of the die."""
    return data.StructLayout({"id": id_bits, "address": address_bits})


def burst_layout(*, address_bits: int, id_bits: int) -> data.StructLayout:
    """Read of words in ascending order: the first one, and how many follow it."""
    return data.StructLayout({"id": id_bits, "address": address_bits, "length": LENGTH_BITS})


class ReadBursts(Block):
    """Table of bursts, the oldest one first.

    A read leaves in the cycle in which it comes if no other one waits and the words asked for before have had their
    cycles on the way to the dies. Otherwise it waits, and joins the newest burst of its die if it asks for the word
    behind it: bursts grow while their words could not have left anyway. Their cycles count from the one in which memory
    is first asked for them: it may begin to read before it takes the address. The reads of one die stay in order; those
    of different dies may pass each other.

    Parameters
    ----------
    entries : int
        Most bursts that wait.
    address_bits, id_bits : int
        Of a word's number, and of an id.
    word_bytes : int
        Bytes of a word: bursts do not cross 4 KiB.
    word_cycles : int
        Cycles that a word takes on its way to the dies.

    Members
    -------
    i : In(stream), o : Out(stream)
        Reads and bursts, see :func:`read_layout` and :func:`burst_layout`.
    """

    def __init__(
        self, *, entries: int, address_bits: int, id_bits: int, word_bytes: int, word_cycles: int
    ) -> None:
        check_integers("read bursts", minimum=1, entries=entries, word_cycles=word_cycles)
        self._entries, self._word_cycles = entries, word_cycles
        self._page_words = BURST_BYTES // word_bytes
        self._read = read_layout(address_bits=address_bits, id_bits=id_bits)
        self._burst = burst_layout(address_bits=address_bits, id_bits=id_bits)
        super().__init__(
            {"i": In(stream.Signature(self._read.size)), "o": Out(stream.Signature(self._burst.size))}
        )

    @property
    def block_name(self) -> str:
        return f"read_bursts_{self._entries}x{self._page_words}_{self._word_cycles}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self._entries
        bursts = [Signal(self._burst, name=f"burst_{n}", reset_less=True) for n in range(count)]
        nexts = [Signal.like(bursts[0].address, name=f"next_{n}", reset_less=True) for n in range(count)]
        used = Signal(count)  # the oldest burst is in entry 0, and there is no gap
        pause = Signal(range((1 << LENGTH_BITS) * self._word_cycles))
        held = Signal()  # what is offered was offered before
        read = self._read(self.i.payload)
        alone = Signal(self._burst)
        oldest = self._burst(self.o.payload)
        mine = Signal(count)
        newest = Signal(count)  # the newest burst of this die
        follows = Signal(count)
        joins = Signal(count)
        passes = Signal()
        leaves = Signal()
        m.d.comb += [
            alone.id.eq(read.id),
            alone.address.eq(read.address),
            self.o.payload.eq(Mux(used[0], bursts[0], alone)),
            self.o.valid.eq((used[0] | self.i.valid) & (held | (pause == 0))),
            mine.eq(Cat(used[n] & (bursts[n].id == read.id) for n in range(count))),
            newest.eq(Cat(mine[n] & ~mine[n + 1 :].any() for n in range(count))),
            # Within 4 KiB, and a burst has at most 256 words.
            follows.eq(
                Cat(
                    (nexts[n] == read.address)
                    & (read.address[: (self._page_words - 1).bit_length()] != 0)
                    & ~bursts[n].length.all()
                    for n in range(count)
                )
            ),
            # What is offered does not change.
            joins.eq(newest & follows & Cat(~self.o.valid, *[1] * (count - 1))),
            passes.eq(~used[0] & self.o.valid & self.o.ready),
            leaves.eq(used[0] & self.o.valid & self.o.ready),
            self.i.ready.eq(joins.any() | ~used.all()),
        ]
        enters = Signal()
        left = Signal(count)
        free = Signal(count)  # the first entry that is free when the oldest burst has gone
        m.d.comb += [
            enters.eq(self.i.valid & self.i.ready & ~joins.any() & ~passes),
            left.eq(Mux(leaves, used >> 1, used)),
            free.eq(~left & Cat(1, left)[:count]),
        ]
        m.d.sync += used.eq(left | Mux(enters, free, 0))
        m.d.sync += held.eq(self.o.valid & ~self.o.ready)
        with m.If(self.o.valid & ~held):
            m.d.sync += pause.eq((oldest.length + 1) * self._word_cycles - 1)
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        # Each burst with the read that joins it, in its entry or in the one before.
        grown = [Signal(self._burst, name=f"grown_{n}") for n in range(count)]
        behind = [Signal.like(nexts[0], name=f"behind_{n}") for n in range(count)]
        for n in range(count):
            join = self.i.valid & joins[n]
            m.d.comb += [
                grown[n].id.eq(bursts[n].id),
                grown[n].address.eq(bursts[n].address),
                grown[n].length.eq(bursts[n].length + join),
                behind[n].eq(nexts[n] + join),
            ]
        for n in range(count):
            with m.If(enters & free[n]):
                m.d.sync += [bursts[n].eq(alone), nexts[n].eq(read.address + 1)]
            with m.Else():
                if n + 1 < count:
                    m.d.sync += [
                        bursts[n].eq(Mux(leaves, grown[n + 1], grown[n])),
                        nexts[n].eq(Mux(leaves, behind[n + 1], behind[n])),
                    ]
                else:
                    m.d.sync += [bursts[n].eq(grown[n]), nexts[n].eq(behind[n])]
        return m

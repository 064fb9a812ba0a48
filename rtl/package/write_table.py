"""Writes to memory that have no answer yet, and the words that they change."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers

__all__ = ["WriteTable"]


class WriteTable(Block):
    """Table of the writes without an answer. Answers come in order for each id; ids may overtake each other.

    Parameters
    ----------
    entries, address_bits, id_bits : int
        Most writes in the table, and bits of their addresses and ids; at least 1.

    Members
    -------
    put, put_address, put_id : In
        Enter a write in this cycle; not while ``full``.
    done, done_id : In
        The oldest write with this id is answered.
    address : In, hit : Out(1)
        Whether a write of the table is to this address.
    full : Out(1)
        The table is full.
    """

    def __init__(self, *, entries: int, address_bits: int, id_bits: int) -> None:
        check_integers("write table", minimum=1, entries=entries, address_bits=address_bits, id_bits=id_bits)
        self._entries, self._address_bits, self._id_bits = entries, address_bits, id_bits
        super().__init__(
            {
                "put": In(1),
                "put_address": In(address_bits),
                "put_id": In(id_bits),
                "done": In(1),
                "done_id": In(id_bits),
                "address": In(address_bits),
                "hit": Out(1),
                "full": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"write_table_{self._entries}x{self._address_bits}_{self._id_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self._entries
        addresses = [Signal(self._address_bits, name=f"address_{n}", reset_less=True) for n in range(count)]
        ids = [Signal(self._id_bits, name=f"id_{n}", reset_less=True) for n in range(count)]
        used = Signal(count)  # the oldest write is in entry 0, and there is no gap
        answered = Signal(count)
        moving = Signal(count)  # entries that the next entry moves into
        m.d.comb += [
            answered.eq(Cat(self.done & used[n] & (ids[n] == self.done_id) for n in range(count))),
            moving.eq(Cat(answered[: n + 1].any() for n in range(count))),
            self.hit.eq(reduce(or_, (used[n] & (addresses[n] == self.address) for n in range(count)))),
            self.full.eq(used.all()),
        ]
        left = Signal(count)
        free = Signal(count)  # the first entry that is free when the answered one has gone
        m.d.comb += [
            left.eq(Mux(answered.any(), used >> 1, used)),
            free.eq(~left & (Cat(1, left)[:count])),
        ]
        m.d.sync += used.eq(left | Mux(self.put, free, 0))
        for n in range(count):
            with m.If(self.put & free[n]):
                m.d.sync += [addresses[n].eq(self.put_address), ids[n].eq(self.put_id)]
            if n + 1 < count:
                with m.Elif(moving[n]):
                    m.d.sync += [addresses[n].eq(addresses[n + 1]), ids[n].eq(ids[n + 1])]
        return m

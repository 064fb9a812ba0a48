"""First-in first-out queue of commands or memory words, in registers."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block

__all__ = ["Queue"]


class Queue(Block):
    """Queue of any depth of at least 1; an entry can leave in the cycle after it was put in.

    Parameters
    ----------
    width : int
        Bits of an entry.
    depth : int
        Entries held.
    passes : bool
        Whether an empty queue shows an entry in the cycle in which it comes; its valid then depends on that of ``i``.

    Members
    -------
    i : In(stream)
        Ready while there is room.
    o : Out(stream)
        The oldest entry.

    Raises
    ------
    ValueError
        If ``depth`` is below 1.
    """

    def __init__(self, *, width: int, depth: int, passes: bool = False) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._width, self._depth, self._passes = width, depth, passes
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    @property
    def block_name(self) -> str:
        return f"queue_{self._depth}x{self._width}" + ("_passes" if self._passes else "")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._depth
        entries = Array(Signal(self._width, name=f"entry_{n}", reset_less=True) for n in range(depth))
        level = Signal(range(depth + 1))
        head = Signal(range(depth))
        tail = Signal(range(depth))
        put = Signal()
        take = Signal()
        oldest = entries[head] if depth > 1 else entries[0]
        m.d.comb += [
            self.i.ready.eq(level != depth),
            self.o.valid.eq((level != 0) | (self.i.valid if self._passes else 0)),
            put.eq(self.i.valid & self.i.ready),
            take.eq(self.o.valid & self.o.ready),
            self.o.payload.eq(Mux(level == 0, self.i.payload, oldest) if self._passes else oldest),
        ]
        m.d.sync += level.eq(level + put - take)
        with m.If(put):
            m.d.sync += (entries[tail] if depth > 1 else entries[0]).eq(self.i.payload)
            m.d.sync += tail.eq(Mux(tail == depth - 1, 0, tail + 1))
        with m.If(take):
            m.d.sync += head.eq(Mux(head == depth - 1, 0, head + 1))
        return m

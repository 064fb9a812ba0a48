"""Output port of a router: takes packets of the inputs in turn, each to its tail."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.lib.round_robin import next_in_turn

__all__ = ["RouterOutput"]


class RouterOutput(Block):
    """Arbiter and multiplexer of one output port.

    A packet keeps the output until its tail has left; then the next input after it that has a flit is served
    (round-robin), so no input waits for more than one packet of each other. A flit that was offered stays offered.

    Parameters
    ----------
    width : int
        Bits of a flit; the highest one marks a tail.
    sources : int
        Inputs, at least 1.

    Members
    -------
    i : In(stream).array(sources)
        The oldest flit of each input for this output.
    o : Out(stream)
        The output.
    """

    def __init__(self, *, width: int, sources: int) -> None:
        self._width, self._sources = width, sources
        flit = stream.Signature(width)
        super().__init__({"i": In(flit).array(sources), "o": Out(flit)})

    @property
    def block_name(self) -> str:
        return f"router_output_{self._width}x{self._sources}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        asked = Cat(port.valid for port in self.i)
        owner = Signal(self._sources, init=1)  # the input served last, as one bit
        held = Signal()  # the owner keeps the output: within a packet, or its flit is offered
        grant = Signal(self._sources)
        m.d.comb += [
            grant.eq(Mux(held, owner & asked, next_in_turn(m, "input", asked, owner))),
            self.o.valid.eq(grant.any()),
            self.o.payload.eq(reduce(or_, (Mux(grant[n], port.payload, 0) for n, port in enumerate(self.i)))),
        ]
        m.d.comb += [port.ready.eq(grant[n] & self.o.ready) for n, port in enumerate(self.i)]
        with m.If(self.o.valid):
            m.d.sync += [owner.eq(grant), held.eq(~(self.o.ready & self.o.payload[-1]))]
        return m

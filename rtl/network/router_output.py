"""Output port of a router: takes packets of the inputs in turn, each to its tail, by the weights of the inputs."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from rtl.block import Block
from rtl.lib.round_robin import next_in_turn

__all__ = ["RouterOutput"]


class RouterOutput(Block):
    """Arbiter and multiplexer of one output port.

    A packet keeps the output until its tail has left. Then the next input after it that has a flit is served
    (round-robin). A flit that was offered stays offered.

    With weights an input has as many packets in a round as its weight says: a packet costs its input a credit, inputs
    without credit are passed over, and a round ends when no input that has a flit has credit: all get their weights
    anew. An output is never idle while an input has a flit for it. A weight of 0 counts as 1: nobody waits for ever,
    and if all weights are 0, inputs take turns.

    The engine, where there is one, takes turns with all the others, packet by packet, and has no weight.

    Parameters
    ----------
    width : int
        Bits of a flit; the highest one marks a tail.
    sources : int
        Inputs, at least 1, the engine included.
    weight_bits : int
        Bits of a weight; without weights 0.
    engine : bool
        Whether the last input is the engine.

    Members
    -------
    i : In(stream).array(sources)
        The oldest flit of each input for this output.
    o : Out(stream)
        The output.
    weights : In(weight_bits).array
        Packets in a round of each input but the engine, constant while flits are under way.
    """

    def __init__(self, *, width: int, sources: int, weight_bits: int = 0, engine: bool = False) -> None:
        self._width, self._sources, self._weight_bits, self._engine = width, sources, weight_bits, engine
        flit = stream.Signature(width)
        members: dict[str, Member] = {"i": In(flit).array(sources), "o": Out(flit)}
        if weight_bits:
            members["weights"] = In(weight_bits).array(sources - engine)
        super().__init__(members)

    @property
    def block_name(self) -> str:
        weights = f"_w{self._weight_bits}" if self._weight_bits else ""
        return f"router_output_{self._width}x{self._sources}{weights}{'_engine' if self._engine else ''}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weighed = self._sources - self._engine
        asked = Cat(port.valid for port in self.i)
        owner = Signal(self._sources, init=1)  # the input served last, as one bit
        held = Signal()  # the owner keeps the output: within a packet, or its flit is offered
        grant = Signal(self._sources)
        chosen = Signal(self._sources)
        m.d.comb += [
            grant.eq(Mux(held, owner & asked, chosen)),
            self.o.valid.eq(grant.any()),
            self.o.payload.eq(reduce(or_, (Mux(grant[n], port.payload, 0) for n, port in enumerate(self.i)))),
        ]
        m.d.comb += [port.ready.eq(grant[n] & self.o.ready) for n, port in enumerate(self.i)]
        with m.If(self.o.valid):
            m.d.sync += [owner.eq(grant), held.eq(~(self.o.ready & self.o.payload[-1]))]

        last = Signal(weighed, init=1)  # the input served last, the engine apart
        candidates = self._candidates(m, asked[:weighed], chosen[:weighed] & ~held.replicate(weighed))
        turn = next_in_turn(m, "input", candidates, last)
        if not self._engine:
            m.d.comb += [last.eq(owner), chosen.eq(turn)]
            return m
        with m.If(grant[:weighed].any()):
            m.d.sync += last.eq(grant)
        own = asked[-1] & (~owner[-1] | ~asked[:weighed].any())
        m.d.comb += chosen.eq(Cat(Mux(own, 0, turn), own))
        return m

    def _candidates(self, m: Module, asked: Value, begins: Value) -> Value:
        """Inputs that may be served next, of those that have ``asked``. ``begins`` is the one that begins a packet."""
        if not self._weight_bits:
            return asked
        counts = [Signal(self._weight_bits, name=f"credit_{n}") for n in range(len(asked))]
        in_credit = Signal(len(asked))
        new_round = Signal()
        m.d.comb += [
            in_credit.eq(asked & Cat(count.any() for count in counts)),
            new_round.eq(~in_credit.any()),
        ]
        with m.If(begins.any()):
            for n, count in enumerate(counts):
                weight = self.weights[n] | ~self.weights[n].any()
                before = Mux(new_round, weight, count)
                m.d.sync += count.eq(before - begins[n])
        return Mux(new_round, asked, in_credit)

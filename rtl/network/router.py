"""Router of the network-on-package: five ports, dimension-ordered routes, wormhole, one cycle a hop."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import NopSpec
from rtl.block import Block, place
from rtl.interface.flit import PORTS, SIDES, RouterPort, flit_layout, flit_stream
from rtl.network.router_input import TURNS, RouterInput
from rtl.network.router_output import RouterOutput
from rtl.network.router_weights import WEIGHT_BITS

__all__ = ["Router"]


class Router(Block):
    """Router of a mesh; its place is an input, so all routers of a package are one module.

    A flit that enters an input port in a cycle is offered at its output port in the next one. Ready depends on
    registers alone, and valid on registers alone: no path leads through a router within a cycle, and meshes of
    them have no combinational loop.

    Where a port has no neighbour, its input's valid and its output's ready are 0. A packet must not be sent to a place
    outside the mesh: it would wait at the edge forever.

    Parameters
    ----------
    nop : NopSpec
        Width of a flit, depth of the input buffers, width of coordinates.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the router, constant while flits are under way.
    weights : In(WEIGHT_BITS).array(4)
        Packets in a round that come in by each side, see :class:`rtl.network.router_output.RouterOutput`; the die's
        weight is 1. Constant, as :func:`rtl.network.router_weights.router_weights` has them. If all are 0, inputs take
        turns.
    i : In(stream).array(5), o : Out(stream).array(5)
        Flits from and to the die and the neighbours, by :class:`rtl.interface.flit.RouterPort`.
    engine_i : In(stream).array(4)
        Packets of the die's engine that leave on each side: directly to the output, which they share with passing
        packets.
    engine_o : Out(stream).array(4)
        Packets for the engine that arrived from each side, and copies of those that pass.
    """

    def __init__(self, *, nop: NopSpec) -> None:
        self._nop = nop
        flit = flit_stream(nop)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "weights": In(WEIGHT_BITS).array(len(SIDES)),
                "i": In(flit).array(len(PORTS)),
                "o": Out(flit).array(len(PORTS)),
                "engine_i": In(flit).array(len(SIDES)),
                "engine_o": Out(flit).array(len(SIDES)),
            },
            names={
                "weights": lambda n: f"{SIDES[n].text}_weight",
                "i": lambda n: f"{PORTS[n].text}_in",
                "o": lambda n: f"{PORTS[n].text}_out",
                "engine_i": lambda n: f"engine_{SIDES[n].text}_in",
                "engine_o": lambda n: f"engine_{SIDES[n].text}_out",
            },
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        return f"router_{nop.flit_bits}x{nop.buffer_flits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inputs = {port: RouterInput(nop=self._nop, port=port) for port in PORTS}
        engines = dict(zip(SIDES, self.engine_i, strict=True))
        for port, block in inputs.items():
            place(m, platform, f"{port.text}_input", block)
            connect(m, flipped(self.i[port]), block.i)
            m.d.comb += [block.row.eq(self.row), block.col.eq(self.col)]
        weights = {RouterPort.LOCAL: 1, **dict(zip(SIDES, self.weights, strict=True))}
        for port in PORTS:
            origins = [origin for origin, turns in TURNS.items() if port in turns]
            sources = [inputs[origin].o[TURNS[origin].index(port)] for origin in origins]
            if port in SIDES:
                sources.append(flipped(engines[port]))
            output = RouterOutput(
                width=flit_layout(self._nop).size,
                sources=len(sources),
                weight_bits=WEIGHT_BITS,
                engine=port in SIDES,
            )
            place(m, platform, f"{port.text}_output", output)
            connect(m, output.o, flipped(self.o[port]))
            for source, sink in zip(sources, output.i, strict=True):
                connect(m, source, sink)
            m.d.comb += [output.weights[n].eq(weights[origin]) for n, origin in enumerate(origins)]
        for side, engine in zip(SIDES, self.engine_o, strict=True):
            connect(m, inputs[side].engine_o, flipped(engine))
        return m

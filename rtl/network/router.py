"""Router of the network-on-package: five ports, dimension-ordered routes, wormhole, one cycle a hop."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import NopSpec
from rtl.block import Block, place
from rtl.interface.flit import PORTS, SIDES, flit_layout
from rtl.network.router_input import TURNS, RouterInput
from rtl.network.router_output import RouterOutput

__all__ = ["Router"]


class Router(Block):
    """Router of a mesh; its place comes in as signals, so that all routers of a package are one module.

    A flit that enters an input port in a cycle is offered at its output port in the next one. Ready depends on
    registers alone, and valid on registers alone: no path leads through a router within a cycle, and meshes of
    them have no combinational loop.

    A port without a neighbour has its input's valid and its output's ready tied to 0. A packet must not be sent to a
    place outside the mesh: it would wait for ever at the edge.

    Parameters
    ----------
    nop : NopSpec
        Width of a flit, depth of the input buffers, width of coordinates.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the router, constant while flits are under way.
    local_in, north_in, east_in, south_in, west_in : In(stream)
        Flits from the die and from the neighbours, see :func:`rtl.interface.flit.flit_layout`.
    local_out, north_out, east_out, south_out, west_out : Out(stream)
        Flits to the die and to the neighbours.
    engine_north_in, engine_east_in, ... : In(stream)
        Packets of the die's engine that leave by that side: straight to the output, where they take turns with what
        passes.
    engine_north_out, engine_east_out, ... : Out(stream)
        Packets for the engine that came in by that side, and copies of those that pass.
    """

    def __init__(self, *, nop: NopSpec) -> None:
        self._nop = nop
        flit = stream.Signature(flit_layout(nop).size)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                **{f"{port.text}_in": In(flit) for port in PORTS},
                **{f"{port.text}_out": Out(flit) for port in PORTS},
                **{f"engine_{side.text}_in": In(flit) for side in SIDES},
                **{f"engine_{side.text}_out": Out(flit) for side in SIDES},
            }
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        return f"router_{nop.flit_bits}x{nop.buffer_flits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inputs = {port: RouterInput(nop=self._nop, port=port) for port in PORTS}
        for port, block in inputs.items():
            outside = getattr(self, f"{port.text}_in")
            place(m, platform, f"{port.text}_input", block)
            m.d.comb += [
                block.row.eq(self.row),
                block.col.eq(self.col),
                block.i.payload.eq(outside.payload),
                block.i.valid.eq(outside.valid),
                outside.ready.eq(block.i.ready),
            ]
        for port in PORTS:
            outside = getattr(self, f"{port.text}_out")
            sources = [getattr(inputs[source], f"{port.text}_o") for source in PORTS if port in TURNS[source]]
            if port in SIDES:
                sources.append(getattr(self, f"engine_{port.text}_in"))
            block = RouterOutput(width=flit_layout(self._nop).size, sources=len(sources))
            place(m, platform, f"{port.text}_output", block)
            m.d.comb += [
                outside.payload.eq(block.o.payload),
                outside.valid.eq(block.o.valid),
                block.o.ready.eq(outside.ready),
            ]
            for number, inside in enumerate(sources):
                sink = getattr(block, f"i_{number}")
                m.d.comb += [
                    sink.payload.eq(inside.payload),
                    sink.valid.eq(inside.valid),
                    inside.ready.eq(sink.ready),
                ]
        for side in SIDES:
            inside, outside = inputs[side].engine_o, getattr(self, f"engine_{side.text}_out")
            m.d.comb += [
                outside.payload.eq(inside.payload),
                outside.valid.eq(inside.valid),
                inside.ready.eq(outside.ready),
            ]
        return m

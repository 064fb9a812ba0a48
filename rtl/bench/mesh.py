"""Bench-only mesh of routers without dies: its local ports are its ports."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.specs import NopSpec
from rtl.block import Block, check_integers, place
from rtl.flit import PORTS, Port, flit_layout, opposite
from rtl.router import Router

__all__ = ["RouterMesh"]

_STEP = {Port.NORTH: (-1, 0), Port.EAST: (0, 1), Port.SOUTH: (1, 0), Port.WEST: (0, -1)}


class RouterMesh(Block):
    """``rows`` x ``cols`` routers and links without latency between them.

    Parameters
    ----------
    nop : NopSpec
        As for :class:`rtl.router.Router`.
    rows, cols : int
        At least 1, at most ``nop.longest_side``.

    Members
    -------
    in_0, in_1, ... : In(stream), out_0, out_1, ... : Out(stream)
        Local ports of the routers, numbered row by row.

    Raises
    ------
    ValueError
        If a side is no positive integer, or longer than coordinates allow.
    """

    def __init__(self, *, nop: NopSpec, rows: int, cols: int) -> None:
        check_integers("mesh", minimum=1, rows=rows, cols=cols)
        for name, value in (("rows", rows), ("cols", cols)):
            if value > nop.longest_side:
                raise ValueError(
                    f"mesh: {name} = {value}: must be at most {nop.longest_side}, which nop.coordinate_bits = "
                    f"{nop.coordinate_bits} can address"
                )
        self._nop, self._rows, self._cols = nop, rows, cols
        flit = stream.Signature(flit_layout(nop).size)
        nodes = range(rows * cols)
        super().__init__({**{f"in_{n}": In(flit) for n in nodes}, **{f"out_{n}": Out(flit) for n in nodes}})

    @property
    def block_name(self) -> str:
        nop = self._nop
        size = f"{nop.flit_bits}x{nop.buffer_flits}_c{nop.coordinate_bits}"
        return f"bench_mesh_{self._rows}x{self._cols}_{size}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = [(row, col) for row in range(self._rows) for col in range(self._cols)]
        routers = {here: Router(nop=self._nop) for here in places}
        for number, (row, col) in enumerate(places):
            router = routers[row, col]
            place(m, platform, f"router_{row}_{col}", router)
            outside, inside = getattr(self, f"in_{number}"), getattr(self, f"out_{number}")
            m.d.comb += [
                router.row.eq(row),
                router.col.eq(col),
                router.local_in.payload.eq(outside.payload),
                router.local_in.valid.eq(outside.valid),
                outside.ready.eq(router.local_in.ready),
                inside.payload.eq(router.local_out.payload),
                inside.valid.eq(router.local_out.valid),
                router.local_out.ready.eq(inside.ready),
            ]
            for port in PORTS:
                if port is Port.LOCAL:
                    continue
                neighbour = routers.get((row + _STEP[port][0], col + _STEP[port][1]))
                if neighbour is None:  # an edge: nothing comes, nothing goes, as signals are 0 by default
                    continue
                sender = getattr(router, f"{port.text}_out")
                receiver = getattr(neighbour, f"{opposite(port).text}_in")
                m.d.comb += [
                    receiver.payload.eq(sender.payload),
                    receiver.valid.eq(sender.valid),
                    sender.ready.eq(receiver.ready),
                ]
        return m

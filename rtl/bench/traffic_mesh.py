"""Bench-only top: a mesh of routers with a traffic node at each local port."""

from __future__ import annotations

from functools import reduce
from operator import add

from amaranth.hdl import Array, Module, Signal
from amaranth.lib.wiring import In, Out

from chiplet.specs import NopSpec
from rtl.bench.mesh import RouterMesh
from rtl.bench.traffic import TrafficNode
from rtl.block import Block, place

__all__ = ["TrafficMesh"]


class TrafficMesh(Block):
    """A mesh under random traffic.

    Parameters
    ----------
    nop : NopSpec
        As for the routers; ValueError if its flits are too narrow for traffic.
    rows, cols : int
        Sides of the mesh; ValueError as for :class:`rtl.bench.mesh.RouterMesh`.

    Members
    -------
    start : In(1)
        Cycles are counted, and flits generated, from its first high cycle on.
    first, last : In(32)
        Flits generated from cycle ``first`` to before cycle ``last`` are measured; none are generated after them.
    rate : In(17)
        Of every node, see :class:`rtl.bench.traffic.TrafficNode`.
    node : In(16), seed : In(32), seed_arrivals, seed_targets : In(1)
        Node, numbered row by row, and a start of its random numbers, taken while a strobe is high.
    select : In(4), value : Out(64)
        A counter of ``node``, and its value.
    received : Out(64)
        Flits received by all nodes.
    drained : Out(1)
        Cycle ``last`` has come, and as many flits were received as generated.
    """

    def __init__(self, *, nop: NopSpec, rows: int, cols: int) -> None:
        self._nop, self._rows, self._cols = nop, rows, cols
        self._mesh = RouterMesh(nop=nop, rows=rows, cols=cols)
        self._nodes = [TrafficNode(nop=nop, rows=rows, cols=cols) for _ in range(rows * cols)]
        super().__init__(
            {
                "start": In(1),
                "first": In(32),
                "last": In(32),
                "rate": In(17),
                "node": In(16),
                "seed": In(32),
                "seed_arrivals": In(1),
                "seed_targets": In(1),
                "select": In(4),
                "value": Out(64),
                "received": Out(64),
                "drained": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_traffic_{self._mesh.block_name.removeprefix('bench_')}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mesh, nodes = self._mesh, self._nodes
        now = Signal(32)
        run, measure = Signal(), Signal()
        generated = Signal(64)
        place(m, platform, "mesh", mesh)
        m.d.comb += [
            run.eq(self.start & (now < self.last)),
            measure.eq(run & (now >= self.first)),
            self.drained.eq((now >= self.last) & (generated == self.received)),
            self.value.eq(Array(node.value for node in nodes)[self.node]),
        ]
        with m.If(self.start):
            m.d.sync += now.eq(now + 1)
        for number, node in enumerate(nodes):
            place(m, platform, f"node_{number}", node)
            into, out = getattr(mesh, f"in_{number}"), getattr(mesh, f"out_{number}")
            row, col = divmod(number, self._cols)
            chosen = self.node == number
            m.d.comb += [
                node.row.eq(row),
                node.col.eq(col),
                node.now.eq(now),
                node.run.eq(run),
                node.measure.eq(measure),
                node.rate.eq(self.rate),
                node.seed.eq(self.seed),
                node.seed_arrivals.eq(self.seed_arrivals & chosen),
                node.seed_targets.eq(self.seed_targets & chosen),
                node.select.eq(self.select),
                into.payload.eq(node.o.payload),
                into.valid.eq(node.o.valid),
                node.o.ready.eq(into.ready),
                node.i.payload.eq(out.payload),
                node.i.valid.eq(out.valid),
                out.ready.eq(node.i.ready),
            ]
        m.d.sync += [
            generated.eq(generated + reduce(add, (node.generates for node in nodes))),
            self.received.eq(self.received + reduce(add, (node.receives for node in nodes))),
        ]
        return m

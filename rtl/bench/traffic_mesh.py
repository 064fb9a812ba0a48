"""Bench-only top: a mesh of routers with a traffic node at each local port."""

from __future__ import annotations

from functools import reduce
from operator import add

from amaranth.hdl import Array, Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import NopSpec
from rtl.bench.channel import Faults
from rtl.bench.cycle import TIME_BITS
from rtl.bench.router_mesh import MeshLinks, RouterMesh
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
        Sides of the mesh; ValueError as for :class:`rtl.bench.router_mesh.RouterMesh`.
    links : MeshLinks, optional
        Adapters and faulty wires; without them links are wires.

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
    faults : In(Faults), link : In(16), seed_link : In(1), cut_link : In(16)
        Only with links, as all the following: faults, a link, the strobe that takes ``seed`` for it, and the link that
        dies; see :class:`rtl.bench.router_mesh.RouterMesh`.
    cut : In(1), cut_cycle : In(32)
        Whether a link dies, and the cycle from which it is dead.
    dead : Out(1)
        A link was found dead by one of its ends.
    select_link : In(3), link_value : Out(64)
        A counter of ``link``, and its value.
    """

    def __init__(self, *, nop: NopSpec, rows: int, cols: int, links: MeshLinks | None = None) -> None:
        self._nop, self._rows, self._cols, self._links = nop, rows, cols, links
        self._mesh = RouterMesh(nop=nop, rows=rows, cols=cols, links=links)
        self._nodes = [TrafficNode(nop=nop, rows=rows, cols=cols) for _ in range(rows * cols)]
        faults = {
            "faults": In(Faults()),
            "link": In(16),
            "seed_link": In(1),
            "cut_link": In(16),
            "cut": In(1),
            "cut_cycle": In(32),
            "dead": Out(1),
            "select_link": In(3),
            "link_value": Out(64),
        }
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
                **(faults if links else {}),
            },
            names={"faults": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_traffic_{self._mesh.block_name.removeprefix('bench_')}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mesh, nodes = self._mesh, self._nodes
        now = Signal(TIME_BITS)
        run = Signal()
        measure = Signal()
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
        if self._links is not None:
            control = mesh.faults
            connect(m, flipped(self.faults), control.faults)
            m.d.comb += [
                mesh.now.eq(now),
                control.link.eq(self.link),
                control.seed.eq(self.seed),
                control.reseed.eq(self.seed_link),
                control.cut_link.eq(self.cut_link),
                control.cut.eq(self.cut & self.start & (now >= self.cut_cycle)),
                control.select.eq(self.select_link),
                self.link_value.eq(control.value),
                self.dead.eq(control.dead),
            ]
        for number, node in enumerate(nodes):
            place(m, platform, f"node_{number}", node)
            connect(m, node.o, mesh.i[number])
            connect(m, mesh.o[number], node.i)
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
            ]
        m.d.sync += [
            generated.eq(generated + reduce(add, (node.generates for node in nodes))),
            self.received.eq(self.received + reduce(add, (node.receives for node in nodes))),
        ]
        return m

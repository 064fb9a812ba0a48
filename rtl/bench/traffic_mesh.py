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
from rtl.bench.traffic import LENGTH_BITS, TrafficNode
from rtl.block import Block, place

__all__ = ["TrafficMesh"]


class TrafficMesh(Block):
    """A mesh under traffic.

    Parameters
    ----------
    nop : NopSpec
        As for the routers; ValueError if its flits are too narrow for traffic.
    rows, cols : int
        Sides of the mesh; ValueError as for :class:`rtl.bench.router_mesh.RouterMesh`.
    links : MeshLinks, optional
        Adapters and faulty wires; without them links are wires.
    trace_packets : int
        Packets of a node that can be loaded, all of them measured; 0 for random ones.

    Members
    -------
    start : In(1)
        Cycles are counted, and packets generated, from its first high cycle on.
    first, last : In(32)
        Packets generated from cycle ``first`` to before cycle ``last`` are measured; none are generated after them.
    chance : In(33), length : In(16)
        Of every node, see :class:`rtl.bench.traffic.TrafficNode`; with loaded packets ``length`` is that of one.
    loaded : In(64)
        Flits of all loaded packets.
    node : In(16), seed : In(32), seed_arrivals, seed_targets : In(1)
        Node, numbered row by row, and a start of its random numbers, taken while a strobe is high.
    target_row, target_col : In, load_target : In(1)
        Fixed target of ``node``, taken while the strobe is high.
    cycle : In(32), load_packet : In(1)
        Only with ``trace_packets``: a packet of ``node``, see :class:`rtl.bench.traffic.TrafficNode`.
    select : In(4), value : Out(64)
        A counter of ``node``, and its value.
    source : In(16), source_select : In(2), source_value : Out(64)
        A counter of what ``node`` received from ``source``, and its value.
    finished : Out(32)
        Cycle of the last flit that was received.
    received : Out(64)
        Flits received by all nodes.
    drained : Out(1)
        Cycle ``last`` has come, and as many flits were received as generated and loaded.
    faults : In(Faults), link : In(16), seed_link : In(1), cut_link : In(16)
        Only with links, as all the following: faults, a link, the strobe that takes ``seed`` for it, and the link that
        dies; see :class:`rtl.bench.router_mesh.RouterMesh`.
    cut : In(1)
        The link dies.
    dead : Out(1)
        A link was found dead by one of its ends.
    select_link : In(3), link_value : Out(64)
        A counter of ``link``, and its value.
    """

    def __init__(
        self,
        *,
        nop: NopSpec,
        rows: int,
        cols: int,
        links: MeshLinks | None = None,
        trace_packets: int = 0,
    ) -> None:
        self._nop, self._rows, self._cols, self._links = nop, rows, cols, links
        self._trace_packets = trace_packets
        self._mesh = RouterMesh(nop=nop, rows=rows, cols=cols, links=links)
        self._nodes = [
            TrafficNode(nop=nop, rows=rows, cols=cols, trace_packets=trace_packets)
            for _ in range(rows * cols)
        ]
        faults = {
            "faults": In(Faults()),
            "link": In(16),
            "seed_link": In(1),
            "cut_link": In(16),
            "cut": In(1),
            "dead": Out(1),
            "select_link": In(3),
            "link_value": Out(64),
        }
        super().__init__(
            {
                "start": In(1),
                "first": In(32),
                "last": In(32),
                "chance": In(33),
                "length": In(LENGTH_BITS),
                "loaded": In(64),
                "node": In(16),
                "seed": In(32),
                "seed_arrivals": In(1),
                "seed_targets": In(1),
                "target_row": In(nop.coordinate_bits),
                "target_col": In(nop.coordinate_bits),
                "load_target": In(1),
                **({"cycle": In(TIME_BITS), "load_packet": In(1)} if trace_packets else {}),
                "select": In(4),
                "value": Out(64),
                "source": In(16),
                "source_select": In(2),
                "source_value": Out(64),
                "finished": Out(TIME_BITS),
                "received": Out(64),
                "drained": Out(1),
                **(faults if links else {}),
            },
            names={"faults": ""},
        )

    @property
    def block_name(self) -> str:
        trace = f"_t{self._trace_packets}" if self._trace_packets else ""
        return f"bench_traffic_{self._mesh.block_name.removeprefix('bench_')}{trace}"

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
            measure.eq(self.start if self._trace_packets else run & (now >= self.first)),
            self.drained.eq((now >= self.last) & (generated + self.loaded == self.received)),
            self.value.eq(Array(node.value for node in nodes)[self.node]),
            self.source_value.eq(Array(node.source_value for node in nodes)[self.node]),
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
                control.cut.eq(self.cut),
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
                node.chance.eq(self.chance),
                node.length.eq(self.length),
                node.seed.eq(self.seed),
                node.seed_arrivals.eq(self.seed_arrivals & chosen),
                node.seed_targets.eq(self.seed_targets & chosen),
                node.target_row.eq(self.target_row),
                node.target_col.eq(self.target_col),
                node.load_target.eq(self.load_target & chosen),
                node.select.eq(self.select),
                node.source.eq(self.source),
                node.source_select.eq(self.source_select),
            ]
            if self._trace_packets:
                m.d.comb += [
                    node.cycle.eq(self.cycle),
                    node.load_packet.eq(self.load_packet & chosen),
                ]
        received = Signal(range(len(nodes) + 1))
        m.d.comb += received.eq(reduce(add, (node.receives for node in nodes)))
        with m.If(received.any()):
            m.d.sync += self.finished.eq(now)
        m.d.sync += [
            generated.eq(generated + self.length * reduce(add, (node.generates for node in nodes))),
            self.received.eq(self.received + received),
        ]
        return m

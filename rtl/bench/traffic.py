"""Bench-only traffic: a node that sends single flits to random targets, and counts what comes to it."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.specs import NopSpec
from rtl.block import Block
from rtl.flit import flit_layout

__all__ = ["TRAFFIC_COUNTERS", "TrafficNode", "traffic_layout"]

TRAFFIC_COUNTERS = (
    "generated",
    "offered",
    "received",
    "accepted",
    "measured",
    "misrouted",
    "generated_time",
    "received_time",
    "network_time",
)
"""Counters of a node in the order of their numbers, see :class:`TrafficNode`."""

TIME_BITS = 32


def traffic_layout(nop: NopSpec) -> data.StructLayout:
    """Data of a traffic flit: whether it is a measured one, and when it was offered to the network.

    Raises
    ------
    ValueError
        If a flit is too narrow for that.
    """
    fields = {"measured": 1, "entry": TIME_BITS}
    least = sum(fields.values())
    if nop.flit_bits < least:
        raise ValueError(
            f"nop.flit_bits = {nop.flit_bits}: must be at least {least} for traffic with time stamps"
        )
    rest = nop.flit_bits - least
    return data.StructLayout({**fields, "rest": rest} if rest else fields)


class TrafficNode(Block):
    """Source and sink of one node.

    While ``run`` is high, a flit is generated in each cycle with chance ``rate / 65536``; it may enter the network in
    the next one. Targets are uniform over all nodes, the node itself included. The queue of the source is a count of
    flits that wait, so it has no bound: a target is drawn when a flit comes to its head. Flits generated while
    ``measure`` is high are the measured ones; their latency from generation to reception is the difference of two
    sums of times, once all have arrived.

    Parameters
    ----------
    nop : NopSpec
        As for the routers.
    rows, cols : int
        Sides of the mesh.

    Members
    -------
    row, col : In
        Place of the node.
    now : In(32)
        The cycle.
    run, measure : In(1)
        Generate flits; they are measured ones. ``measure`` is high once, for some cycles to the end of ``run``.
    rate : In(17)
        Flits in 65536 cycles.
    seed : In(32), seed_arrivals : In(1), seed_targets : In(1)
        Start of the random numbers, not 0.
    o : Out(stream), i : In(stream)
        Flits to and from the network. The sink is always ready.
    generates, receives : Out(1)
        A flit is generated, or received, in this cycle.
    select : In(4), value : Out(64)
        Number of a counter and its value: flits ``generated`` and ``received`` in all, ``offered`` (generated) and
        ``accepted`` (received) while ``measure`` is high, ``measured`` ones received, ``misrouted`` ones received that
        belong elsewhere; for measured flits the sums of the cycles in which they could first enter the network
        (``generated_time``) and were received (``received_time``), and of the cycles in the network
        (``network_time``).
    """

    def __init__(self, *, nop: NopSpec, rows: int, cols: int) -> None:
        self._nop, self._rows, self._cols = nop, rows, cols
        traffic_layout(nop)
        flit = stream.Signature(flit_layout(nop).size)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "now": In(TIME_BITS),
                "run": In(1),
                "measure": In(1),
                "rate": In(17),
                "seed": In(32),
                "seed_arrivals": In(1),
                "seed_targets": In(1),
                "o": Out(flit),
                "i": In(flit),
                "generates": Out(1),
                "receives": Out(1),
                "select": In(4),
                "value": Out(64),
            }
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        return f"bench_traffic_{self._rows}x{self._cols}_{nop.flit_bits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flit, fields = flit_layout(self._nop), traffic_layout(self._nop)
        counts = {name: Signal(64, name=name) for name in TRAFFIC_COUNTERS}
        m.d.comb += self.value.eq(Array(counts.values())[self.select])

        arrivals, targets = Signal(32, init=1), Signal(32, init=1)
        early, late = Signal(32), Signal(32)  # waiting flits: those before the measured ones, and these
        sent = Signal()
        m.d.comb += [
            self.generates.eq(self.run & (arrivals[:16] < self.rate)),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(self.seed_arrivals):
            m.d.sync += arrivals.eq(self.seed)
        with m.Elif(self.run):
            m.d.sync += arrivals.eq(_next(m, "arrivals", arrivals))
        with m.If(self.seed_targets):
            m.d.sync += targets.eq(self.seed)
        with m.Elif(sent):
            m.d.sync += targets.eq(_next(m, "targets", targets))

        measured = Signal()
        entry = Signal(TIME_BITS)
        outgoing, content = flit(self.o.payload), fields(flit(self.o.payload).data)
        m.d.comb += [
            measured.eq(early == 0),
            self.o.valid.eq((early != 0) | (late != 0)),
            outgoing.tail.eq(1),
            outgoing.row.eq((targets[16:] * self._rows) >> 16),
            outgoing.col.eq((targets[:16] * self._cols) >> 16),
            content.measured.eq(measured),
            content.entry.eq(entry),
        ]
        m.d.sync += [
            early.eq(early + (self.generates & ~self.measure) - (sent & ~measured)),
            late.eq(late + (self.generates & self.measure) - (sent & measured)),
        ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += entry.eq(self.now + 1)
        with m.If(self.generates):
            m.d.sync += counts["generated"].eq(counts["generated"] + 1)
            with m.If(self.measure):
                m.d.sync += [
                    counts["offered"].eq(counts["offered"] + 1),
                    counts["generated_time"].eq(counts["generated_time"] + self.now + 1),
                ]

        arrived = flit(self.i.payload)
        found = fields(arrived.data)
        m.d.comb += [self.i.ready.eq(1), self.receives.eq(self.i.valid)]
        with m.If(self.receives):
            m.d.sync += [
                counts["received"].eq(counts["received"] + 1),
                counts["accepted"].eq(counts["accepted"] + self.measure),
                counts["misrouted"].eq(
                    counts["misrouted"] + ((arrived.row != self.row) | (arrived.col != self.col))
                ),
            ]
            with m.If(found.measured):
                m.d.sync += [
                    counts["measured"].eq(counts["measured"] + 1),
                    counts["received_time"].eq(counts["received_time"] + self.now),
                    counts["network_time"].eq(counts["network_time"] + (self.now - found.entry)[:TIME_BITS]),
                ]
        return m


def _next(m: Module, name: str, random: Signal) -> Value:
    """The xorshift number after ``random`` (Marsaglia 2003)."""
    spread, mixed = Signal(32, name=f"{name}_spread"), Signal(32, name=f"{name}_mixed")
    m.d.comb += [spread.eq(random ^ (random << 13)[:32]), mixed.eq(spread ^ (spread >> 17))]
    return mixed ^ (mixed << 5)[:32]

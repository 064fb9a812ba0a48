"""Bench-only traffic: a node that sends single flits to random targets, and counts the flits that it receives."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import NopSpec
from rtl.bench.cycle import TIME_BITS
from rtl.bench.xorshift import next_random
from rtl.block import Block
from rtl.interface.flit import flit_layout

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
    "wrong",
    "sent_sum",
    "received_sum",
)
"""Counters of a node in the order of their numbers, see :class:`TrafficNode`."""

CHECK_BITS = 7
"""Least bits of the check of a flit."""


def traffic_layout(nop: NopSpec) -> data.StructLayout:
    """Data of a traffic flit: whether it is measured, the cycle in which it was offered to the network, and in the
    remaining bits a check, a hash of these two and of the source and target of the flit.

    Raises
    ------
    ValueError
        If a flit is too narrow for that.
    """
    fields = {"measured": 1, "entry": TIME_BITS}
    least = sum(fields.values()) + CHECK_BITS
    if nop.flit_bits < least:
        raise ValueError(
            f"nop.flit_bits = {nop.flit_bits}: must be at least {least} for traffic with time stamps"
        )
    return data.StructLayout({**fields, "check": nop.flit_bits - sum(fields.values())})


class TrafficNode(Block):
    """Source and sink of one node.

    While ``run`` is high, a flit is generated in each cycle with chance ``rate / 65536``; it may enter the network in
    the next one. Targets are uniform over all nodes, the node itself included. The queue of the source is a count of
    flits that wait, so it has no bound: a target is drawn when a flit comes to its head. Flits generated while
    ``measure`` is high are the measured ones; their latency from generation to reception is the difference of two
    sums of times, once all have arrived. Every flit carries a hash of its contents, so that a sink sees a wrong one;
    the sums of the hashes sent and received by all nodes differ if a flit is lost and another one doubled.

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
        (``network_time``); received flits that are ``wrong``; sums of the hashes of what was sent and received
        (``sent_sum``, ``received_sum``), modulo 2^64.
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

        arrivals = Signal(32, init=1)
        targets = Signal(32, init=1)
        early = Signal(32)  # waiting flits that are not measured
        late = Signal(32)  # measured ones, behind them
        sent = Signal()
        m.d.comb += [
            self.generates.eq(self.run & (arrivals[:16] < self.rate)),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(self.seed_arrivals):
            m.d.sync += arrivals.eq(self.seed)
        with m.Elif(self.run):
            m.d.sync += arrivals.eq(next_random(m, "arrivals", arrivals))
        with m.If(self.seed_targets):
            m.d.sync += targets.eq(self.seed)
        with m.Elif(sent):
            m.d.sync += targets.eq(next_random(m, "targets", targets))

        measured = Signal()
        entry = Signal(TIME_BITS)
        outgoing, content = flit(self.o.payload), fields(flit(self.o.payload).data)
        own = _hash(m, "own", outgoing, content)
        m.d.comb += [
            measured.eq(early == 0),
            self.o.valid.eq((early != 0) | (late != 0)),
            outgoing.tail.eq(1),
            outgoing.row.eq((targets[16:] * self._rows) >> 16),
            outgoing.col.eq((targets[:16] * self._cols) >> 16),
            content.measured.eq(measured),
            content.entry.eq(entry),
            outgoing.source.eq(self.col),
            content.check.eq(_repeated(own, len(content.check))),
        ]
        m.d.sync += [
            early.eq(early + (self.generates & ~self.measure) - (sent & ~measured)),
            late.eq(late + (self.generates & self.measure) - (sent & measured)),
        ]
        with m.If(sent):
            m.d.sync += counts["sent_sum"].eq(counts["sent_sum"] + own)
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
        received = fields(arrived.data)
        expected = _hash(m, "arrived", arrived, received)
        check = Signal(len(received.check))
        m.d.comb += [
            self.i.ready.eq(1),
            self.receives.eq(self.i.valid),
            check.eq(_repeated(expected, len(check))),
        ]
        with m.If(self.receives):
            m.d.sync += [
                counts["received"].eq(counts["received"] + 1),
                counts["accepted"].eq(counts["accepted"] + self.measure),
                counts["misrouted"].eq(
                    counts["misrouted"] + ((arrived.row != self.row) | (arrived.col != self.col))
                ),
                counts["wrong"].eq(counts["wrong"] + (received.check != check)),
                counts["received_sum"].eq(counts["received_sum"] + expected),
            ]
            with m.If(received.measured):
                m.d.sync += [
                    counts["measured"].eq(counts["measured"] + 1),
                    counts["received_time"].eq(counts["received_time"] + self.now),
                    counts["network_time"].eq(
                        counts["network_time"] + (self.now - received.entry)[:TIME_BITS]
                    ),
                ]
        return m


def _hash(m: Module, name: str, flit: data.View, content: data.View) -> Value:
    """A 32-bit hash of a flit's time, source and target. Each step is invertible, so a change of one changes it."""
    known = Cat(flit.col, flit.row, flit.source, content.measured)
    bits = Signal(32, name=f"{name}_hash_0")
    m.d.comb += bits.eq(content.entry ^ (known << 5))
    for number in (1, 2):
        mixed = Signal(32, name=f"{name}_hash_{number}")
        m.d.comb += mixed.eq((bits ^ (bits >> 16)) * 0x45D9F3B)
        bits = mixed
    return bits ^ (bits >> 16)


def _repeated(bits: Value, width: int) -> Value:
    return bits.replicate(-(-width // len(bits)))[:width]

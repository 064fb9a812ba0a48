"""Bench-only traffic: a node that sends packets to other nodes, and counts the flits that it receives."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import NopSpec
from rtl.bench.cycle import TIME_BITS
from rtl.bench.xorshift import next_random
from rtl.block import Block
from rtl.interface.flit import flit_layout

__all__ = [
    "CHANCE_ONE",
    "LENGTH_BITS",
    "SOURCE_COUNTERS",
    "TRAFFIC_COUNTERS",
    "TrafficNode",
    "traffic_layout",
]

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

SOURCE_COUNTERS = ("accepted", "measured", "received_time")
"""Counters that a sink has of each source, in the order of their numbers."""

CHECK_BITS = 7
"""Least bits of the check of a flit."""

LENGTH_BITS = 16
"""Bits of the number of flits of a packet."""

CHANCE_ONE = 1 << 32
"""The chance of a packet in a cycle that is 1."""


def traffic_layout(nop: NopSpec) -> data.StructLayout:
    """Data of a traffic flit: whether it is measured, the row of its source, the cycle in which its packet was offered
    to the network, and in the remaining bits a check, a hash of these, of the source and target of the flit, and of its
    number in the packet.

    Raises
    ------
    ValueError
        If a flit is too narrow for that.
    """
    fields = {"measured": 1, "source_row": nop.coordinate_bits, "entry": TIME_BITS}
    least = sum(fields.values()) + CHECK_BITS
    if nop.flit_bits < least:
        raise ValueError(
            f"nop.flit_bits = {nop.flit_bits}: must be at least {least} for traffic with time stamps"
        )
    return data.StructLayout({**fields, "check": nop.flit_bits - sum(fields.values())})


class TrafficNode(Block):
    """Source and sink of one node.

    While ``run`` is high, a packet is generated in each cycle with chance ``chance / CHANCE_ONE``; it may enter the
    network in the next one. Targets are uniform over all nodes, the node itself included, or one fixed node. The queue
    of the source is a count of packets that wait, so it has no bound: a target is drawn when a packet comes to its
    head. Packets generated while ``measure`` is high are the measured ones; their latency from generation to the
    reception of the tail is the difference of two sums of times, once all have arrived. With ``trace_packets`` the node
    sends the packets that were loaded instead, each in the cycle after its own at the earliest; all are measured.

    Every flit carries a hash of its contents and its number in the packet, so that a sink sees a wrong one, and one out
    of order; the sums of the hashes sent and received by all nodes differ if a flit is lost and another one doubled.

    Parameters
    ----------
    nop : NopSpec
        As for the routers.
    rows, cols : int
        Sides of the mesh.
    trace_packets : int
        Packets that can be loaded; 0 for random ones.

    Members
    -------
    row, col : In
        Place of the node.
    now : In(32)
        The cycle.
    run, measure : In(1)
        Generate packets; they are measured ones. ``measure`` is high once, for some cycles to the end of ``run``.
    chance : In(33)
        Packets in CHANCE_ONE cycles.
    length : In(LENGTH_BITS)
        Flits of a packet, at least 1; those of a packet that is loaded.
    seed : In(32), seed_arrivals : In(1), seed_targets : In(1)
        Start of the random numbers, not 0.
    target_row, target_col : In, load_target : In(1)
        The fixed target, taken while ``load_target`` is high.
    cycle : In(32), load_packet : In(1)
        Only with ``trace_packets``: a packet of this cycle, ``length`` and target is loaded, behind those before it.
    o : Out(stream), i : In(stream)
        Flits to and from the network. The sink is always ready.
    generates, receives : Out(1)
        A packet is generated, or a flit received, in this cycle. Loaded packets are not generated.
    select : In(4), value : Out(64)
        Number of a counter and its value: flits ``generated`` and ``received`` in all, ``offered`` (generated) and
        ``accepted`` (received) while ``measure`` is high, ``measured`` packets received, ``misrouted`` flits received
        that belong elsewhere; for measured packets the sums of the cycles in which they could first enter the network
        (``generated_time``) and were received (``received_time``), and of the cycles in the network
        (``network_time``); received flits that are ``wrong`` or out of order; sums of the hashes of what was sent and
        received (``sent_sum``, ``received_sum``), modulo 2^64.
    source : In(16), source_select : In(2), source_value : Out(64)
        A source, the number of one of :data:`SOURCE_COUNTERS`, and its value: flits received from that source while
        ``measure`` is high, measured packets received from it, and the sum of the cycles in which they were.
    """

    def __init__(self, *, nop: NopSpec, rows: int, cols: int, trace_packets: int = 0) -> None:
        self._nop, self._rows, self._cols, self._trace_packets = nop, rows, cols, trace_packets
        traffic_layout(nop)
        flit = stream.Signature(flit_layout(nop).size)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "now": In(TIME_BITS),
                "run": In(1),
                "measure": In(1),
                "chance": In(33),
                "length": In(LENGTH_BITS),
                "seed": In(32),
                "seed_arrivals": In(1),
                "seed_targets": In(1),
                "target_row": In(nop.coordinate_bits),
                "target_col": In(nop.coordinate_bits),
                "load_target": In(1),
                **({"cycle": In(TIME_BITS), "load_packet": In(1)} if trace_packets else {}),
                "o": Out(flit),
                "i": In(flit),
                "generates": Out(1),
                "receives": Out(1),
                "select": In(4),
                "value": Out(64),
                "source": In(16),
                "source_select": In(2),
                "source_value": Out(64),
            }
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        trace = f"_t{self._trace_packets}" if self._trace_packets else ""
        return f"bench_traffic_{self._rows}x{self._cols}_{nop.flit_bits}_c{nop.coordinate_bits}{trace}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counts = {name: Signal(64, name=name) for name in TRAFFIC_COUNTERS}
        m.d.comb += self.value.eq(Array(counts.values())[self.select])
        self._send(m, counts)
        self._receive(m, counts)
        return m

    def _send(self, m: Module, counts: dict[str, Signal]) -> None:
        outgoing = flit_layout(self._nop)(self.o.payload)
        content = traffic_layout(self._nop)(outgoing.data)
        sent = Signal()
        left = Signal()  # a whole packet has left
        number = Signal(LENGTH_BITS)  # of the flit in its packet
        length = Signal(LENGTH_BITS)
        entry = Signal(TIME_BITS)
        packets = self._loaded if self._trace_packets else self._random
        packets(m, counts, length, left)
        own = _hash(m, "own", outgoing, content, number)
        m.d.comb += [
            sent.eq(self.o.valid & self.o.ready),
            left.eq(sent & outgoing.tail),
            outgoing.tail.eq(number == length - 1),
            outgoing.source.eq(self.col),
            content.source_row.eq(self.row),
            content.entry.eq(entry),
            content.check.eq(_repeated(own, len(content.check))),
        ]
        with m.If(sent):
            m.d.sync += [
                number.eq(Mux(left, 0, number + 1)),
                counts["sent_sum"].eq(counts["sent_sum"] + own),
            ]
        with m.If(~self.o.valid | left):
            m.d.sync += entry.eq(self.now + 1)

    def _random(self, m: Module, counts: dict[str, Signal], length: Signal, left: Signal) -> None:
        """Packets at random times, and where they go."""
        outgoing = flit_layout(self._nop)(self.o.payload)
        arrivals = Signal(32, init=1)
        targets = Signal(32, init=1)
        early = Signal(32)  # waiting packets that are not measured
        late = Signal(32)  # measured ones, behind them
        fixed = Signal()
        row = Signal(self._nop.coordinate_bits)
        col = Signal(self._nop.coordinate_bits)
        with m.If(self.seed_arrivals):
            m.d.sync += arrivals.eq(self.seed)
        with m.Elif(self.run):
            m.d.sync += arrivals.eq(next_random(m, "arrivals", arrivals))
        with m.If(self.seed_targets):
            m.d.sync += targets.eq(self.seed)
        with m.Elif(left):
            m.d.sync += targets.eq(next_random(m, "targets", targets))
        with m.If(self.load_target):
            m.d.sync += [fixed.eq(1), row.eq(self.target_row), col.eq(self.target_col)]
        measured = Signal()
        m.d.comb += [
            self.generates.eq(self.run & (arrivals < self.chance)),
            measured.eq(early == 0),
            length.eq(self.length),
            self.o.valid.eq((early != 0) | (late != 0)),
            outgoing.row.eq(Mux(fixed, row, (targets[16:] * self._rows) >> 16)),
            outgoing.col.eq(Mux(fixed, col, (targets[:16] * self._cols) >> 16)),
            traffic_layout(self._nop)(outgoing.data).measured.eq(measured),
        ]
        m.d.sync += [
            early.eq(early + (self.generates & ~self.measure) - (left & ~measured)),
            late.eq(late + (self.generates & self.measure) - (left & measured)),
        ]
        with m.If(self.generates):
            m.d.sync += counts["generated"].eq(counts["generated"] + self.length)
            with m.If(self.measure):
                m.d.sync += [
                    counts["offered"].eq(counts["offered"] + self.length),
                    counts["generated_time"].eq(counts["generated_time"] + self.now + 1),
                ]

    def _loaded(self, m: Module, _counts: dict[str, Signal], length: Signal, left: Signal) -> None:
        """Packets that were loaded."""
        place = self._nop.coordinate_bits
        outgoing = flit_layout(self._nop)(self.o.payload)
        layout = data.StructLayout({"cycle": TIME_BITS, "length": LENGTH_BITS, "row": place, "col": place})
        depth = max(2, self._trace_packets)
        packets = m.submodules.packets = memory.Memory(shape=unsigned(layout.size), depth=depth, init=[])
        put, get = packets.write_port(), packets.read_port(domain="comb")
        loaded = Signal(range(depth + 1))
        taken = Signal(range(depth + 1))
        packet = layout(get.data)
        m.d.comb += [
            put.addr.eq(loaded),
            put.en.eq(self.load_packet),
            put.data.eq(Cat(self.cycle, self.length, self.target_row, self.target_col)),
            get.addr.eq(taken),
            length.eq(packet.length),
            self.o.valid.eq((taken != loaded) & (packet.cycle < self.now)),
            outgoing.row.eq(packet.row),
            outgoing.col.eq(packet.col),
            traffic_layout(self._nop)(outgoing.data).measured.eq(1),
        ]
        m.d.sync += [loaded.eq(loaded + self.load_packet), taken.eq(taken + left)]

    def _receive(self, m: Module, counts: dict[str, Signal]) -> None:
        arrived = flit_layout(self._nop)(self.i.payload)
        received = traffic_layout(self._nop)(arrived.data)
        number = Signal(LENGTH_BITS)  # expected of the next flit in its packet
        packet = Cat(arrived.source, received.source_row, received.entry)
        first = Signal(len(packet))  # the same of the packet's head
        expected = _hash(m, "arrived", arrived, received, number)
        check = Signal(len(received.check))
        wrong = Signal()
        measured = Signal()
        m.d.comb += [
            self.i.ready.eq(1),
            self.receives.eq(self.i.valid),
            check.eq(_repeated(expected, len(check))),
            wrong.eq((received.check != check) | ((number != 0) & (packet != first))),
            measured.eq(received.measured & arrived.tail),
        ]
        with m.If(self.receives):
            m.d.sync += [
                number.eq(Mux(arrived.tail, 0, number + 1)),
                first.eq(packet),
                counts["received"].eq(counts["received"] + 1),
                counts["accepted"].eq(counts["accepted"] + self.measure),
                counts["misrouted"].eq(
                    counts["misrouted"] + ((arrived.row != self.row) | (arrived.col != self.col))
                ),
                counts["wrong"].eq(counts["wrong"] + wrong),
                counts["received_sum"].eq(counts["received_sum"] + expected),
            ]
            with m.If(measured):
                m.d.sync += [
                    counts["measured"].eq(counts["measured"] + 1),
                    counts["received_time"].eq(counts["received_time"] + self.now),
                    counts["network_time"].eq(
                        counts["network_time"] + (self.now - received.entry)[:TIME_BITS]
                    ),
                ]
        self._count_sources(m, received.source_row * self._cols + arrived.source, measured)

    def _count_sources(self, m: Module, source: Value, measured: Value) -> None:
        """Count what comes from each source, in a memory."""
        layout = data.StructLayout({"accepted": 32, "measured": 32, "received_time": 64})
        depth = max(2, self._rows * self._cols)
        table = m.submodules.sources = memory.Memory(shape=unsigned(layout.size), depth=depth, init=[])
        put, get, shown = table.write_port(), table.read_port(domain="comb"), table.read_port(domain="comb")
        seen = Signal(depth)  # sources that have an entry: the memory starts undefined
        before = layout(Mux(seen.bit_select(source, 1), get.data, 0))
        counted = layout(Mux(seen.bit_select(self.source, 1), shown.data, 0))
        with m.If(self.receives):
            m.d.sync += seen.bit_select(source, 1).eq(1)
        m.d.comb += [
            get.addr.eq(source),
            put.addr.eq(source),
            put.en.eq(self.receives),
            put.data.eq(
                Cat(
                    (before.accepted + self.measure)[:32],
                    (before.measured + measured)[:32],
                    (before.received_time + Mux(measured, self.now, Const(0, TIME_BITS)))[:64],
                )
            ),
            shown.addr.eq(self.source),
            self.source_value.eq(Array(counted[name] for name in SOURCE_COUNTERS)[self.source_select]),
        ]


def _hash(m: Module, name: str, flit: data.View, content: data.View, number: Value) -> Value:
    """A 32-bit hash of a flit's time, source, target and number. Each step is invertible, so a change of one changes
    it."""
    known = Cat(flit.col, flit.row, flit.source, content.measured)
    rest = Cat(number, content.source_row, flit.tail)
    bits = Signal(32, name=f"{name}_hash_0")
    m.d.comb += bits.eq(content.entry ^ (known << 5))
    for step, added in enumerate((rest, Const(0)), 1):
        mixed = Signal(32, name=f"{name}_hash_{step}")
        m.d.comb += mixed.eq(((bits ^ (bits >> 16)) * 0x45D9F3B) ^ added)
        bits = mixed
    return bits ^ (bits >> 16)


def _repeated(bits: Value, width: int) -> Value:
    return bits.replicate(-(-width // len(bits)))[:width]

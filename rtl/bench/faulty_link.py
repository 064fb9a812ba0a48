"""Bench-only link: two adapters and the wires between them, with faults and counters for each direction."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.bench.channel import Channel, Faults
from rtl.bench.cycle import TIME_BITS
from rtl.block import Block, place
from rtl.interface.flit import FlitPort
from rtl.interface.link_shape import LinkShape
from rtl.network.link import LinkPort, inversion

__all__ = ["LINK_COUNTERS", "FaultyLink"]

LINK_COUNTERS = (
    "sent",
    "received",
    "replayed",
    "crc_errors",
    "flips",
    "stalls",
    "cut_cycle",
    "dead_cycle",
)
"""Counters of a direction in the order of their numbers, see :class:`FaultyLink`."""


class FaultyLink(Block):
    """A link between two routers, a and b.

    Parameters
    ----------
    shape : LinkShape
        Of the adapters.
    flight_cycles : int
        Of the wires, at least 0.

    Members
    -------
    a, b : Out(FlitPort)
        Flits ``i`` from and ``o`` to router a, and b: those into ``a.i`` come out of ``b.o``.
    now : In(32)
        The cycle.
    seed : In(32), reseed : In(2)
        Start of the random numbers of the channel from a to b (bit 0) and of that from b to a (bit 1).
    faults : In(Faults)
        Of both channels.
    cut : In(2)
        The channel from a to b (bit 0), or that from b to a (bit 1), dies.
    dead : Out(1)
        One of the adapters has found the link dead.
    select : In(4), value : Out(64)
        Number of a counter and its value; those from b to a are 8 higher. Of a direction: flits ``sent`` for the
        first time and ``replayed`` by the sender, ``received`` by the receiver, and its ``crc_errors`` (bad frames);
        cycles with ``flips``, and ``stalls``; the cycle in which the channel died, and that in which the receiver found
        the link dead: 0 if it did not.
    """

    def __init__(self, *, shape: LinkShape, flight_cycles: int) -> None:
        self._shape, self._flight_cycles = shape, flight_cycles
        super().__init__(
            {
                "a": Out(FlitPort(shape.width)),
                "b": Out(FlitPort(shape.width)),
                "now": In(TIME_BITS),
                "seed": In(32),
                "reseed": In(2),
                "faults": In(Faults()),
                "cut": In(2),
                "dead": Out(1),
                "select": In(4),
                "value": Out(64),
            },
            names={"faults": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_link_{self._shape.text}_f{self._flight_cycles}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = [LinkPort(shape=self._shape) for _ in range(2)]
        invert = inversion(m, self._shape)
        for name, port, end in zip(("a", "b"), ports, (self.a, self.b), strict=True):
            place(m, platform, f"port_{name}", port)
            m.d.comb += port.invert.eq(invert)
            connect(m, flipped(end.i), port.i)
            connect(m, port.o, flipped(end.o))
        m.d.comb += self.dead.eq(ports[0].dead | ports[1].dead)
        values: list[Value] = []
        for way, name in enumerate(("a_to_b", "b_to_a")):
            sender, receiver = ports[way], ports[1 - way]
            channel = Channel(wires=self._shape.wires, cycles=self._flight_cycles)
            place(m, platform, name, channel)
            connect(m, flipped(self.faults), channel.faults)
            m.d.comb += [
                channel.i.eq(sender.tx.wires),
                receiver.rx.wires.eq(channel.o),
                channel.seed.eq(self.seed),
                channel.reseed.eq(self.reseed[way]),
                channel.cut.eq(self.cut[way]),
            ]
            counts = {counter: Signal(64, name=f"{name}_{counter}") for counter in LINK_COUNTERS}
            for counter, strobe in (
                ("sent", sender.sent),
                ("replayed", sender.replayed),
                ("received", receiver.received),
                ("crc_errors", receiver.crc_error),
                ("flips", channel.flip),
                ("stalls", channel.stall),
            ):
                m.d.sync += counts[counter].eq(counts[counter] + strobe)
            for cycle, came in (("cut_cycle", channel.cut), ("dead_cycle", receiver.dead)):
                with m.If(came & (counts[cycle] == 0)):
                    m.d.sync += counts[cycle].eq(self.now)
            values += counts.values()
        m.d.comb += self.value.eq(Array(values)[self.select])
        return m

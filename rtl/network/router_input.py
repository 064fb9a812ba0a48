"""Input port of a router: its flit buffer, from which each output takes its own oldest flit."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from chiplet.machine.specs import NopSpec
from rtl.block import Block
from rtl.interface.flit import RouterPort, flit_layout, flit_stream

__all__ = ["TURNS", "RouterInput"]

TURNS: dict[RouterPort, tuple[RouterPort, ...]] = {
    RouterPort.LOCAL: (
        RouterPort.LOCAL,
        RouterPort.NORTH,
        RouterPort.EAST,
        RouterPort.SOUTH,
        RouterPort.WEST,
    ),
    RouterPort.NORTH: (RouterPort.LOCAL, RouterPort.SOUTH),
    RouterPort.EAST: (RouterPort.LOCAL, RouterPort.NORTH, RouterPort.SOUTH, RouterPort.WEST),
    RouterPort.SOUTH: (RouterPort.LOCAL, RouterPort.NORTH),
    RouterPort.WEST: (RouterPort.LOCAL, RouterPort.NORTH, RouterPort.EAST, RouterPort.SOUTH),
}
"""Outputs that a flit from each input can go to: first along its row, then along its column, never back."""


class RouterInput(Block):
    """Buffer of one input port.

    The flits share the slots of the buffer. They leave in order for each output, but not overall: a flit whose output
    is busy does not hold up flits behind it that go elsewhere, and flits for several outputs can leave in one cycle.
    Slots are not shifted, so the data of a flit is written once and read once; one bit for each pair of slots says
    which of the two is older.

    A flit that the engine copies goes on once the engine has it, one cycle later at the earliest. So it never overtakes
    what the engine makes of earlier packets, such as sums that are still in its adders.

    Parameters
    ----------
    nop : NopSpec
        Width of a flit, slots, width of coordinates.
    port : RouterPort
        Which input this is, which decides its outputs.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the router.
    i : In(stream)
        Flits of whole packets, one packet after the other; ready while a slot is free.
    o : Out(stream).array
        For each of the ports in ``TURNS[port]``, the oldest flit that goes there.
    engine_o : Out(stream)
        The oldest flit for the die's engine; only where flits come from a neighbour.
    """

    def __init__(self, *, nop: NopSpec, port: RouterPort) -> None:
        self._nop, self._port = nop, port
        turns = TURNS[port]
        self._goals = [turn.text for turn in turns]
        engine: dict[str, Member] = {}
        if port is not RouterPort.LOCAL:
            self._goals.append("engine")
            engine["engine_o"] = Out(flit_stream(nop))
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "i": In(flit_stream(nop)),
                "o": Out(flit_stream(nop)).array(len(turns)),
                **engine,
            },
            names={"o": lambda n: f"{turns[n].text}_o"},
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        size = f"{nop.flit_bits}x{nop.buffer_flits}_c{nop.coordinate_bits}"
        return f"router_{self._port.text}_input_{size}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._nop.buffer_flits
        flit = flit_layout(self._nop)
        slots = [Signal(flit.size, name=f"slot_{n}", reset_less=True) for n in range(depth)]
        # The slots whose flits have still to go to each goal: an empty slot is in none of them.
        waiting = [Signal(depth, name=f"{goal}_waiting") for goal in self._goals]
        used = reduce(or_, waiting)
        # Of each slot but the last, which of those with higher numbers hold younger flits.
        younger = [Signal(depth - 1 - n, name=f"younger_{n}", reset_less=True) for n in range(depth - 1)]
        older = [
            Signal(depth, name=f"older_{n}") for n in range(depth)
        ]  # slots with flits older than this one's
        for n in range(depth):
            lower = [younger[other][n - other - 1] for other in range(n)]
            m.d.comb += older[n].eq(Cat(*lower, 0, *(~row for row in younger[n : n + 1])))

        incoming = flit(self.i.payload)
        in_packet = Signal()  # the next flit is not a head
        route = Signal(len(self._goals))
        path = Signal(len(self._goals))
        m.d.comb += [route.eq(Mux(in_packet, path, self._route())), self.i.ready.eq(~used.all())]
        take = Signal()
        m.d.comb += take.eq(self.i.valid & self.i.ready)
        with m.If(take):
            m.d.sync += [in_packet.eq(~incoming.tail), path.eq(route)]

        free = Signal(depth)
        put = Signal(depth)
        m.d.comb += [
            free.eq(~used),
            put.eq(Mux(take, free & (~free + 1)[:depth], 0)),  # into the free slot with the lowest number
        ]
        m.d.sync += [slot.eq(Mux(put[n], self.i.payload, slot)) for n, slot in enumerate(slots)]
        m.d.sync += [row.eq(Mux(put[n], 0, row | put[n + 1 :])) for n, row in enumerate(younger)]

        has_engine = self._goals[-1] == "engine"
        outputs = [*self.o, self.engine_o] if has_engine else self.o
        for goal, (name, output) in enumerate(zip(self._goals, outputs, strict=True)):
            wants = waiting[goal]
            first = Signal(depth, name=f"{name}_first")
            leaves = Signal(depth, name=f"{name}_leaves")
            # A flit that waits for the engine is not overtaken by those behind it, which may be of the same packet.
            ready_to_go = first & ~waiting[-1] if has_engine and name != "engine" else first
            m.d.comb += [
                first.eq(Cat(wants[n] & ~(wants & older[n]).any() for n in range(depth))),
                output.valid.eq(ready_to_go.any()),
                output.payload.eq(reduce(or_, (Mux(first[n], slot, 0) for n, slot in enumerate(slots)))),
                leaves.eq(Mux(output.ready, ready_to_go, 0)),
            ]
            m.d.sync += wants.eq((wants & ~leaves) | Mux(route[goal], put, 0))
        return m

    def _route(self) -> Value:
        """Outputs of a head, one bit for each goal: along the row until the column is right."""
        head = flit_layout(self._nop)(self.i.payload)
        on_col, on_row = head.col == self.col, head.row == self.row
        here = on_col & on_row
        if self._port in (RouterPort.NORTH, RouterPort.SOUTH):
            # A packet that moves along a column is in its target's column: it stops here or goes straight on.
            here = on_row
            going = {RouterPort.NORTH: ~on_row, RouterPort.SOUTH: ~on_row}
        else:
            going = {
                RouterPort.NORTH: on_col & (head.row < self.row),
                RouterPort.SOUTH: on_col & (head.row > self.row),
                RouterPort.EAST: ~on_col if self._port is RouterPort.WEST else head.col > self.col,
                RouterPort.WEST: ~on_col if self._port is RouterPort.EAST else head.col < self.col,
            }
        if self._port is RouterPort.LOCAL:
            going[RouterPort.LOCAL] = here
            return Cat(going[turn] for turn in TURNS[self._port])
        going[RouterPort.LOCAL] = here & ~head.engine
        return Cat(*(going[turn] for turn in TURNS[self._port]), head.engine & (here | head.copy))

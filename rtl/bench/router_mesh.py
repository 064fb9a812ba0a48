"""Bench-only mesh of routers without dies: its ports are the routers' local ports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module
from amaranth.lib.wiring import In, Member, Out, connect, flipped

from chiplet.machine.specs import NopSpec
from rtl.bench.channel import Faults
from rtl.bench.cycle import TIME_BITS
from rtl.bench.faulty_link import FaultyLink
from rtl.block import Block, Bundle, check_integers, place
from rtl.interface.flit import NEIGHBOUR, SIDES, FlitPort, RouterPort, flit_layout, flit_stream, opposite
from rtl.interface.link_shape import LinkShape
from rtl.network.router import Router
from rtl.network.router_weights import router_weights

__all__ = ["MeshFaults", "MeshLinks", "RouterMesh", "mesh_links"]


@dataclass(frozen=True, kw_only=True)
class MeshLinks:
    """Links of a mesh with adapters: their shape, and the flight of their wires in cycles."""

    shape: LinkShape
    flight_cycles: int


def mesh_links(rows: int, cols: int) -> tuple[tuple[int, int], ...]:
    """Source and target of each link of a mesh in the order of their numbers, nodes numbered row by row.

    Links come in pairs, there and back: first that to the east and then that to the south of each node.
    """
    links = []
    for row in range(rows):
        for col in range(cols):
            for down, right in (NEIGHBOUR[RouterPort.EAST], NEIGHBOUR[RouterPort.SOUTH]):
                if row + down < rows and col + right < cols:
                    here, there = row * cols + col, (row + down) * cols + col + right
                    links += [(here, there), (there, here)]
    return tuple(links)


class MeshFaults(Bundle):
    """Faults and counters of the links of a mesh with adapters, seen from the block that sets and reads them.

    Members
    -------
    faults : Out(Faults)
        Faults of all links, see :class:`rtl.bench.faulty_link.FaultyLink`.
    link : Out(16), seed : Out(32), reseed : Out(1)
        A link, numbered as in :func:`mesh_links`, and a start of its random numbers, taken while ``reseed`` is high.
    cut_link : Out(16), cut : Out(1)
        In a cycle with ``cut``, the wires of this link die.
    dead : In(1)
        A link was found dead by one of its ends.
    select : Out(3), value : In(64)
        A counter of ``link``, and its value.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "faults": Out(Faults()),
                "link": Out(16),
                "seed": Out(32),
                "reseed": Out(1),
                "cut_link": Out(16),
                "cut": Out(1),
                "dead": In(1),
                "select": Out(3),
                "value": In(64),
            },
            names={"faults": ""},
        )


class RouterMesh(Block):
    """``rows`` x ``cols`` routers and their links: wires without latency, or adapters with faulty wires.

    Parameters
    ----------
    nop : NopSpec
        As for :class:`rtl.network.router.Router`.
    rows, cols : int
        At least 1, at most ``nop.longest_side``.
    links : MeshLinks, optional
        Adapters; without them links are wires.
    engines : bool
        Whether the routers' ports to engines are members, too.

    Members
    -------
    i : In(stream).array, o : Out(stream).array
        Local ports of the routers, numbered row by row.
    engines : Out(FlitPort).array
        Only with ``engines``: from and to the engine of each node, a port for each side.
    dead_sides : Out(4).array
        Only with ``engines`` and adapters: sides of a node, from north on, whose link is dead.
    now : In(32), faults : In(MeshFaults)
        Only with adapters: the cycle, and their faults and counters.

    Raises
    ------
    ValueError
        If a side is no positive integer, or longer than coordinates allow.
    """

    def __init__(
        self, *, nop: NopSpec, rows: int, cols: int, links: MeshLinks | None = None, engines: bool = False
    ) -> None:
        check_integers("mesh", minimum=1, rows=rows, cols=cols)
        for name, value in (("rows", rows), ("cols", cols)):
            if value > nop.longest_side:
                raise ValueError(
                    f"mesh: {name} = {value}: must be at most {nop.longest_side}, which nop.coordinate_bits = "
                    f"{nop.coordinate_bits} can address"
                )
        self._nop, self._rows, self._cols, self._links, self._engines = nop, rows, cols, links, engines
        nodes = rows * cols
        members: dict[str, Member] = {
            "i": In(flit_stream(nop)).array(nodes),
            "o": Out(flit_stream(nop)).array(nodes),
        }
        if engines:
            members["engines"] = Out(FlitPort(flit_layout(nop).size)).array(nodes, len(SIDES))
        if engines and links:
            members["dead_sides"] = Out(len(SIDES)).array(nodes)
        if links:
            members |= {"now": In(TIME_BITS), "faults": In(MeshFaults())}
        super().__init__(
            members, names={"i": "in", "o": "out", "engines": "engine", "faults": "", "dead_sides": "dead"}
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        size = f"{nop.flit_bits}x{nop.buffer_flits}_c{nop.coordinate_bits}"
        links = f"_{self._links.shape.text}_f{self._links.flight_cycles}" if self._links else ""
        engines = "_engines" if self._engines else ""
        return f"bench_mesh_{self._rows}x{self._cols}_{size}{links}{engines}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        routers = [Router(nop=self._nop) for _ in range(self._rows * self._cols)]
        for number, router in enumerate(routers):
            row, col = divmod(number, self._cols)
            place(m, platform, f"router_{row}_{col}", router)
            weights = router_weights(self._rows, self._cols, row, col)
            m.d.comb += [router.row.eq(row), router.col.eq(col)]
            m.d.comb += [router.weights[n].eq(weights[side]) for n, side in enumerate(SIDES)]
            connect(m, flipped(self.i[number]), router.i[RouterPort.LOCAL])
            connect(m, router.o[RouterPort.LOCAL], flipped(self.o[number]))
            if self._engines:
                for n, engine in enumerate(self.engines[number]):
                    connect(m, flipped(engine.i), router.engine_i[n])
                    connect(m, router.engine_o[n], flipped(engine.o))
        # Inputs at the edges of the mesh stay unconnected: signals are 0 by default.
        faulty = []
        for here, there in mesh_links(self._rows, self._cols)[::2]:
            side = RouterPort.EAST if there == here + 1 and self._cols > 1 else RouterPort.SOUTH
            across = opposite(side)
            a, b = routers[here], routers[there]
            if self._links is None:
                connect(m, a.o[side], b.i[across])
                connect(m, b.o[across], a.i[side])
                continue
            link = FaultyLink(shape=self._links.shape, flight_cycles=self._links.flight_cycles)
            place(m, platform, f"link_{here}_{there}", link)
            connect(m, a.o[side], link.a.i)
            connect(m, b.o[across], link.b.i)
            connect(m, link.a.o, a.i[side])
            connect(m, link.b.o, b.i[across])
            faulty.append(link)
            if self._engines:
                m.d.comb += [
                    self.dead_sides[node][SIDES.index(way)].eq(link.dead)
                    for node, way in ((here, side), (there, across))
                ]
        if self._links is not None:
            self._control(m, faulty)
        return m

    def _control(self, m: Module, faulty: list[FaultyLink]) -> None:
        """Connect the faults and counters of the links."""
        control = self.faults
        for pair, link in enumerate(faulty):
            connect(m, flipped(control.faults), link.faults)
            m.d.comb += [
                link.now.eq(self.now),
                link.seed.eq(control.seed),
                link.select.eq(Cat(control.select, control.link[0])),
            ]
            for way in range(2):
                number = 2 * pair + way
                m.d.comb += [
                    link.reseed[way].eq(control.reseed & (control.link == number)),
                    link.cut[way].eq(control.cut & (control.cut_link == number)),
                ]
        if faulty:  # a mesh of one node has no links
            m.d.comb += [
                control.dead.eq(reduce(or_, (link.dead for link in faulty))),
                control.value.eq(Array(link.value for link in faulty)[control.link[1:]]),
            ]

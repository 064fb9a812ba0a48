"""Bench-only mesh of routers without dies: its local ports are its ports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from chiplet.machine.specs import NopSpec
from rtl.bench.faulty_link import FAULT_REGISTERS, FaultyLink
from rtl.block import Block, check_integers, place
from rtl.interface.flit import SIDES, RouterPort, flit_layout, opposite
from rtl.interface.link_shape import LinkShape
from rtl.lib.streams import joined
from rtl.network.router import Router

__all__ = ["MeshLinks", "RouterMesh", "fault_members", "mesh_links"]

_STEP = {RouterPort.EAST: (0, 1), RouterPort.SOUTH: (1, 0)}


@dataclass(frozen=True, kw_only=True)
class MeshLinks:
    """Links of a mesh with adapters: their shape, and the flight of their wires in cycles."""

    shape: LinkShape
    flight_cycles: int


def mesh_links(rows: int, cols: int) -> tuple[tuple[int, int], ...]:
    """Source and target of each link of a mesh in the order of their numbers, nodes numbered row by row.

    Links come in pairs, there and back: first that to the east and then that to the south of each node.
    """
    found = []
    for row in range(rows):
        for col in range(cols):
            for down, right in _STEP.values():
                if row + down < rows and col + right < cols:
                    here, there = row * cols + col, (row + down) * cols + col + right
                    found += [(here, there), (there, here)]
    return tuple(found)


def fault_members() -> dict[str, Member]:
    """Members of a mesh with adapters, see :class:`RouterMesh`."""
    return {
        "now": In(32),
        **{name: In(bits) for name, bits in FAULT_REGISTERS.items()},
        "link": In(16),
        "seed": In(32),
        "reseed": In(1),
        "cut_link": In(16),
        "cut": In(1),
        "dead": Out(1),
        "select": In(3),
        "value": Out(64),
    }


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
        The ways of the routers to engines are members, too.

    Members
    -------
    in_0, in_1, ... : In(stream), out_0, out_1, ... : Out(stream)
        Local ports of the routers, numbered row by row.
    engine_{side}_in_{n} : In(stream), engine_{side}_out_{n} : Out(stream)
        Only with ``engines``: from and to the engine of each node.
    dead_{n} : Out(4)
        Only with ``engines`` and adapters: sides of a node, from north on, whose link is dead.
    now : In(32), flip_rate, burst, stall_rate, stall_mask : In
        Only with adapters, as all the following: the cycle, and faults of all links, see
        :class:`rtl.bench.faulty_link.FaultyLink`.
    link : In(16), seed : In(32), reseed : In(1)
        A link, numbered as in :func:`mesh_links`, and a start of its random numbers, taken while ``reseed`` is high.
    cut_link : In(16), cut : In(1)
        While ``cut`` is high, the wires of this link are dead.
    dead : Out(1)
        A link was found dead by one of its ends.
    select : In(3), value : Out(64)
        A counter of ``link``, and its value.

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
        flit = stream.Signature(flit_layout(nop).size)
        nodes = range(rows * cols)
        ways: dict[str, Member] = {}
        if engines:
            for n in nodes:
                ways |= {f"engine_{side.text}_in_{n}": In(flit) for side in SIDES}
                ways |= {f"engine_{side.text}_out_{n}": Out(flit) for side in SIDES}
                if links:
                    ways[f"dead_{n}"] = Out(len(SIDES))
        faults = fault_members()
        super().__init__(
            {
                **{f"in_{n}": In(flit) for n in nodes},
                **{f"out_{n}": Out(flit) for n in nodes},
                **ways,
                **(faults if links else {}),
            }
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
            m.d.comb += [router.row.eq(row), router.col.eq(col)]
            m.d.comb += joined(getattr(self, f"in_{number}"), router.local_in)
            m.d.comb += joined(router.local_out, getattr(self, f"out_{number}"))
            for side in SIDES if self._engines else ():
                name = f"engine_{side.text}"
                m.d.comb += joined(getattr(self, f"{name}_in_{number}"), getattr(router, f"{name}_in"))
                m.d.comb += joined(getattr(router, f"{name}_out"), getattr(self, f"{name}_out_{number}"))
        # At an edge nothing comes and nothing goes, as signals are 0 by default.
        faulty = []
        for here, there in mesh_links(self._rows, self._cols)[::2]:
            side = RouterPort.EAST if there == here + 1 and self._cols > 1 else RouterPort.SOUTH
            a, b = routers[here], routers[there]
            a_out, a_in = getattr(a, f"{side.text}_out"), getattr(a, f"{side.text}_in")
            b_out, b_in = getattr(b, f"{opposite(side).text}_out"), getattr(b, f"{opposite(side).text}_in")
            if self._links is None:
                m.d.comb += joined(a_out, b_in)
                m.d.comb += joined(b_out, a_in)
                continue
            link = FaultyLink(shape=self._links.shape, flight_cycles=self._links.flight_cycles)
            place(m, platform, f"link_{here}_{there}", link)
            m.d.comb += joined(a_out, link.a_in)
            m.d.comb += joined(b_out, link.b_in)
            m.d.comb += joined(link.a_out, a_in)
            m.d.comb += joined(link.b_out, b_in)
            faulty.append(link)
            if self._engines:
                m.d.comb += [
                    getattr(self, f"dead_{node}")[SIDES.index(way)].eq(link.dead)
                    for node, way in ((here, side), (there, opposite(side)))
                ]
        if self._links is not None:
            self._control(m, faulty)
        return m

    def _control(self, m: Module, faulty: list[FaultyLink]) -> None:
        """Connect the faults and counters of the links."""
        for pair, link in enumerate(faulty):
            m.d.comb += [
                link.now.eq(self.now),
                *(getattr(link, register).eq(getattr(self, register)) for register in FAULT_REGISTERS),
                link.seed.eq(self.seed),
                link.select.eq(Cat(self.select, self.link[0])),
            ]
            for way in range(2):
                number = 2 * pair + way
                m.d.comb += [
                    link.reseed[way].eq(self.reseed & (self.link == number)),
                    link.cut[way].eq(self.cut & (self.cut_link == number)),
                ]
        if faulty:  # a mesh of one node has no links
            m.d.comb += [
                self.dead.eq(reduce(or_, (link.dead for link in faulty))),
                self.value.eq(Array(link.value for link in faulty)[self.link[1:]]),
            ]

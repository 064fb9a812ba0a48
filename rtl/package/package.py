"""The package: R x C compute dies, the IO dies at its sides, and the links between them."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Member, Out, connect, flipped

from chiplet.machine.chunks import flits_per_word
from chiplet.machine.memory_plane import IoPlace, io_place, io_places
from chiplet.machine.specs import NopSpec, PackageSpec, SystemSpec
from rtl.block import Block, Bundle, place
from rtl.die.die_map import die_map
from rtl.interface.axi import AxiPort
from rtl.interface.flit import NEIGHBOUR, SIDES, RouterPort, opposite
from rtl.interface.host_port import HostPort
from rtl.interface.io_dies import io_die_names, io_die_of, router_place
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import COUNTER_BITS, ENGINE_COUNTERS, counter_address
from rtl.lib.widths import index_bits
from rtl.network.router_weights import memory_weights
from rtl.network.side import LinkSide, connect_sides
from rtl.package.io_die import IoDie
from rtl.package.package_die import PackageDie, planes

__all__ = ["LinkEnds", "Package", "PackageHostPort", "link_count", "package_map"]


class PackageHostPort(Bundle):
    """Host port of a package, seen from the host: the registers of one die, or writes to those of all.

    Members
    -------
    die, all : Out
        Number of the die whose registers are read and written; all dies take part in a write.
    address, write, write_data, read, read_data
        As in :class:`rtl.interface.host_port.HostPort`.
    """

    def __init__(self, system: SystemSpec) -> None:
        die_bits = index_bits(system.package.dies)
        super().__init__({"die": Out(die_bits), "all": Out(1), **HostPort().members})


class LinkEnds(Bundle):
    """Ends ``a`` and ``b`` of a link as its dies see them: ``a`` is that in the west or north, or of an IO die."""

    def __init__(self, *, nop: NopSpec, link: LinkShape) -> None:
        side = LinkSide(nop=nop, link=link)
        super().__init__({"a": Out(side), "b": Out(side)})


def package_map(system: SystemSpec, *, vector: bool = False) -> dict[str, Any]:
    """What software and benches need to know about an emitted package, as JSON values.

    Everything that :func:`rtl.die.die_map.die_map` says about a die, except its memory port; the dies in the order of
    their numbers, with place, hierarchical name and IO die; the IO dies with place and the prefix of their ports.
    """
    package = system.package
    names = io_die_names(system)
    inside = die_map(system.die, system.memory, system.vector if vector else None)
    return {
        **{key: inside[key] for key in ("registers", "commands", "signals")},
        "counters": inside["counters"]
        | {
            name: {"address": counter_address(name), "bits": COUNTER_BITS, "use": use}
            for name, use in ENGINE_COUNTERS.items()
        },
        "package": {"rows": package.rows, "cols": package.cols, "io": package.io},
        "dies": [
            {
                "number": row * package.cols + col,
                "row": row,
                "col": col,
                "instance": _die_name(row, col),
                "die": f"{_die_name(row, col)}.die",
                "io_die": io_die_of(system, row, col),
            }
            for row in range(package.rows)
            for col in range(package.cols)
        ],
        "io_dies": [
            {
                "side": place.side,
                "line": place.line,
                "instance": name,
                "axi": f"{name}_m_axi_",
                "dies": [
                    number
                    for number, (row, col) in enumerate(package.places())
                    if io_place(package, row, col) == place
                ],
            }
            for place, name in names.items()
        ],
    }


def _beside(package: PackageSpec, place: IoPlace) -> tuple[int, int, RouterPort]:
    """Row and column of the die beside an IO die, from 0, and the side of it on which the IO die is."""
    side = RouterPort[place.side.upper()]
    row, col = (at - step - 1 for at, step in zip(router_place(package, place), NEIGHBOUR[side], strict=True))
    return row, col, side


def link_count(package: PackageSpec) -> int:
    """Links between dies in both planes, and those of the IO dies."""
    across, down = package.rows * (package.cols - 1), (package.rows - 1) * package.cols
    counts = {RouterPort.EAST: across, RouterPort.SOUTH: down}
    between = sum(counts.get(side, 0) for sides in planes(package).values() for side in sides)
    return between + len(io_places(package))


def _die_name(row: int, col: int) -> str:
    return f"die_{row}_{col}"


class Package(Block):
    """A whole package.

    Die (i, j), counted from 0, has number ``i * cols + j`` and sits at row i + 1 and column j + 1 of the routers. IO
    dies are beside them, see :func:`rtl.interface.io_dies.router_place`.

    Parameters
    ----------
    system : SystemSpec
        Dies, memory ports, routers, links, and the shape of the package.
    direct : bool
        Without link adapters: routers are connected to routers, which simulates faster.
    vector : bool
        With the vector units of the dies; without them it simulates faster.
    open_links : bool
        Whether the ends of all links are members, so that a bench can put wires with faults between them; not with
        ``direct``.

    Members
    -------
    host : In(PackageHostPort)
        Registers, see :mod:`rtl.control.counters`.
    axi : Out(AxiPort).array
        AXI4 manager ports of the IO dies, in the order of :func:`rtl.interface.io_dies.io_die_names`; in Verilog
        ``io_west_0_m_axi_awid`` and so on.
    done : Out(1)
        All dies are done, and all that they wrote is in memory.
    error : Out(1)
        The program of a die has met an error, such as a word that memory refuses; or a link is dead.
    links : Out(LinkEnds).array
        Only with ``open_links``: links of the collective plane in the order of their west or north end, die by die,
        that to the east first; those of the memory plane likewise; those of the IO dies.

    Raises
    ------
    ValueError
        If coordinates do not number all dies and IO dies, a memory word is wider than an AXI4 data bus or holds no
        whole number of flits, or the links cannot be made.
    """

    def __init__(
        self,
        *,
        system: SystemSpec,
        direct: bool = False,
        vector: bool = False,
        open_links: bool = False,
    ) -> None:
        self._system = system
        self._vector = system.vector if vector else None
        package, nop, memory = system.package, system.nop, system.memory
        longest = max(package.rows, package.cols) + 1
        if longest >= nop.longest_side:
            raise ValueError(
                f"nop.coordinate_bits = {nop.coordinate_bits} does not number a package of {package.rows} x "
                f"{package.cols} dies and its IO dies: must be at least {longest.bit_length()}"
            )
        flits_per_word(nop, memory)
        self._link = None if direct else LinkShape.of(system)
        self._io_dies = io_die_names(system)
        io_dies = list(self._io_dies.values())
        self._open_links = open_links
        ends: dict[str, Member] = {}
        if open_links and self._link is not None:
            ends["links"] = Out(LinkEnds(nop=nop, link=self._link)).array(link_count(package))
        super().__init__(
            {
                "host": In(PackageHostPort(system)),
                "axi": Out(AxiPort(nop=nop, memory=memory)).array(len(io_dies)),
                "done": Out(1),
                "error": Out(1),
                **ends,
            },
            names={"axi": lambda n: f"{io_dies[n]}_m_axi"},
        )

    @property
    def block_name(self) -> str:
        package, die = self._system.package, self._system.die
        return f"package_{package.rows}x{package.cols}_of_{die.rows}x{die.cols}_{die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dies = self._dies(m, platform)
        errors = [die.error for die in dies.values()]
        joined: list[tuple[Any, Any]] = []
        for plane, sides in planes(self._system.package).items():
            for (row, col), die in dies.items():
                for side in sides:
                    neighbour = dies.get((row + NEIGHBOUR[side][0], col + NEIGHBOUR[side][1]))
                    if neighbour is None:
                        continue
                    here = die.sides(plane)[side]
                    m.d.comb += here.used.eq(1)
                    if side in (RouterPort.EAST, RouterPort.SOUTH):  # both directions at once
                        joined.append((here, neighbour.sides(plane)[opposite(side)]))
        package = self._system.package
        for (end, name), axi in zip(self._io_dies.items(), self.axi, strict=True):
            io_die = IoDie(nop=self._system.nop, memory=self._system.memory, link=self._link)
            place(m, platform, name, io_die)
            row, col, side = _beside(package, end)
            near = dies[row, col].sides("mem")[side]
            joined.append((io_die.mem, near))
            connect(m, io_die.m_axi, flipped(axi))
            m.d.comb += [
                io_die.along_col.eq(side in (RouterPort.NORTH, RouterPort.SOUTH)),
                io_die.line.eq(end.line + 1),
                near.used.eq(1),
            ]
            errors.append(io_die.error)
        for number, (here, there) in enumerate(joined):
            if not self._open_links:
                connect_sides(m, here, there)
                continue
            for side, end in ((here, self.links[number].a), (there, self.links[number].b)):
                connect(m, side.tx, flipped(end.tx))
                connect(m, flipped(end.rx), side.rx)
        m.d.comb += [
            self.host.read_data.eq(reduce(or_, (die.host.read_data for die in dies.values()))),
            self.done.eq(reduce(and_, (die.done for die in dies.values()))),
            self.error.eq(reduce(or_, errors)),
        ]
        return m

    def _dies(self, m: Module, platform: object) -> dict[tuple[int, int], PackageDie]:
        """Place the dies and drive the inputs that depend on their places; return them by row and column."""
        system, host = self._system, self.host
        package = system.package
        dies = {}
        for row in range(package.rows):
            for col in range(package.cols):
                die = PackageDie(
                    die=system.die,
                    memory=system.memory,
                    nop=system.nop,
                    link=self._link,
                    vector=self._vector,
                    planes=planes(package),
                )
                place(m, platform, _die_name(row, col), die)
                io_row, io_col = router_place(package, io_place(package, row, col))
                weights = memory_weights(package, row, col)
                m.d.comb += [die.mem_weights[n].eq(weights[side]) for n, side in enumerate(SIDES)]
                m.d.comb += [
                    die.row.eq(row + 1),
                    die.col.eq(col + 1),
                    die.io_row.eq(io_row),
                    die.io_col.eq(io_col),
                    die.host_select.eq((host.die == row * package.cols + col) | (host.all & host.write)),
                    die.host.address.eq(host.address),
                    die.host.write.eq(host.write),
                    die.host.write_data.eq(host.write_data),
                    die.host.read.eq(host.read),
                ]
                dies[row, col] = die
        return dies

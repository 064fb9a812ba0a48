"""The package: R x C compute dies, the IO dies at the ends of their rows, and the links between them."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.specs import SystemSpec, flits_per_word
from rtl.block import Block, place
from rtl.die.die import die_map
from rtl.interface.axi import connect_axi, manager_members
from rtl.interface.flit import RouterPort, flit_layout, opposite
from rtl.interface.io_dies import io_die_names
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import ADDRESS_BITS, COUNTER_BITS, ENGINE_COUNTERS, counter_address
from rtl.network.side import neighbours
from rtl.package.io_die import IoDie
from rtl.package.package_die import PLANES, PackageDie, side_name

__all__ = ["Package", "host_widths", "package_map"]

_STEP = {
    RouterPort.NORTH: (-1, 0),
    RouterPort.EAST: (0, 1),
    RouterPort.SOUTH: (1, 0),
    RouterPort.WEST: (0, -1),
}


_REGISTERS = {"address": ADDRESS_BITS, "write": 1, "write_data": 32, "read": 1}


def host_widths(system: SystemSpec) -> dict[str, int]:
    """Inputs of the host port, without the prefix ``host_``, and their bits."""
    return {"die": max(1, ceil_log2(system.package.dies)), "all": 1, **_REGISTERS}


def package_map(system: SystemSpec) -> dict[str, Any]:
    """What software and benches need to know of an emitted package, as JSON values.

    All that :func:`rtl.die.die.die_map` has of a die; the dies in the order of their numbers, with place, hierarchical
    name and IO die; the IO dies with place and the prefix of their ports.
    """
    package = system.package
    names = io_die_names(system)
    inside = die_map(system.die, system.memory)
    return {
        **{key: inside[key] for key in ("registers", "commands", "signals")},
        "counters": inside["counters"]
        | {
            name: {"address": counter_address(name), "bits": COUNTER_BITS, "use": use}
            for name, use in ENGINE_COUNTERS.items()
        },
        "package": {"rows": package.rows, "cols": package.cols, "io": list(package.io_sides)},
        "dies": [
            {
                "number": row * package.cols + col,
                "row": row,
                "col": col,
                "instance": _die_name(row, col),
                "die": f"{_die_name(row, col)}.die",
                "io_die": names[row, package.io_side(col)],
            }
            for row in range(package.rows)
            for col in range(package.cols)
        ],
        "io_dies": [
            {
                "row": row,
                "side": side,
                "instance": name,
                "axi": f"{name}_m_axi_",
                "dies": [
                    row * package.cols + col for col in range(package.cols) if package.io_side(col) == side
                ],
            }
            for (row, side), name in names.items()
        ],
    }


def _die_name(row: int, col: int) -> str:
    return f"die_{row}_{col}"


class Package(Block):
    """A whole package.

    Die (i, j), counted from 0, has number ``i * cols + j`` and sits at row i + 1 and column j + 1 of the routers. The
    IO dies of its row have columns 0 and ``cols + 1``.

    Parameters
    ----------
    system : SystemSpec
        Dies, memory ports, routers, links, and the shape of the package.
    direct : bool
        Without link adapters: routers are connected to routers, which simulates faster.

    Members
    -------
    host_die : In
        Number of the die whose registers are written and read.
    host_all : In(1)
        Write to all dies at once, in the same cycle.
    host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.control.counters`.
    io_west_0_m_axi_*, io_east_0_m_axi_*, ...
        AXI4 manager port of each IO die, see :class:`rtl.package.io_die.IoDie`.
    done : Out(1)
        All dies are done, and all that they wrote is in memory.
    error : Out(1)
        A die met something that is no command, memory has refused something, or a link is dead.

    Raises
    ------
    ValueError
        If coordinates do not number all dies and IO dies, a memory word is wider than an AXI4 data bus or holds no
        whole number of flits, or the links cannot be made.
    """

    def __init__(self, *, system: SystemSpec, direct: bool = False) -> None:
        self._system = system
        package, nop, memory = system.package, system.nop, system.memory
        longest = max(package.rows, package.cols) + 1
        if longest >= nop.longest_side:
            raise ValueError(
                f"nop.coordinate_bits = {nop.coordinate_bits} does not number a package of {package.rows} x "
                f"{package.cols} dies and its IO dies: must be at least {longest.bit_length()}"
            )
        flits_per_word(nop, memory)
        self._link = None if direct else LinkShape.of(system, width=flit_layout(nop).size)
        self._io_dies = io_die_names(system)
        axi: dict[str, Any] = {}
        for name in self._io_dies.values():
            axi |= manager_members(nop=nop, memory=memory, prefix=f"{name}_m_axi_")
        super().__init__(
            {
                **{f"host_{name}": In(width) for name, width in host_widths(system).items()},
                "host_read_data": Out(32),
                **axi,
                "done": Out(1),
                "error": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        package, die = self._system.package, self._system.die
        return f"package_{package.rows}x{package.cols}_of_{die.rows}x{die.cols}_{die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dies = self._dies(m, platform)
        errors = [die.error for die in dies.values()]
        for plane, sides in PLANES.items():
            for (row, col), die in dies.items():
                for side in sides:
                    neighbour = dies.get((row + _STEP[side][0], col + _STEP[side][1]))
                    if neighbour is None:
                        continue
                    m.d.comb += getattr(die, f"{side_name(plane, side)}_used").eq(1)
                    if side in (RouterPort.EAST, RouterPort.SOUTH):  # both directions at once
                        ends = side_name(plane, side), side_name(plane, opposite(side))
                        m.d.comb += neighbours(die, ends[0], neighbour, ends[1], link=self._link)
        for (row, end), name in self._io_dies.items():
            io_die = IoDie(nop=self._system.nop, memory=self._system.memory, link=self._link)
            place(m, platform, name, io_die)
            nearest = dies[row, 0 if end == "west" else self._system.package.cols - 1]
            near = f"mem_{end}"
            m.d.comb += [
                io_die.row.eq(row + 1),
                getattr(nearest, f"{near}_used").eq(1),
                *neighbours(io_die, "mem", nearest, near, link=self._link),
                *connect_axi(io_die, self, manager_prefix="m_axi_", subordinate_prefix=f"{name}_m_axi_"),
            ]
            errors.append(io_die.error)
        m.d.comb += [
            self.host_read_data.eq(reduce(or_, (die.host_read_data for die in dies.values()))),
            self.done.eq(reduce(and_, (die.done for die in dies.values()))),
            self.error.eq(reduce(or_, errors)),
        ]
        return m

    def _dies(self, m: Module, platform: object) -> dict[tuple[int, int], PackageDie]:
        """The dies by row and column, with what depends on their place."""
        system = self._system
        package = system.package
        dies = {}
        for row in range(package.rows):
            for col in range(package.cols):
                die = PackageDie(die=system.die, memory=system.memory, nop=system.nop, link=self._link)
                place(m, platform, _die_name(row, col), die)
                west = package.io_side(col) == "west"
                m.d.comb += [
                    die.row.eq(row + 1),
                    die.col.eq(col + 1),
                    die.io_col.eq(0 if west else package.cols + 1),
                    die.host_select.eq(
                        (self.host_die == row * package.cols + col) | (self.host_all & self.host_write)
                    ),
                    *(getattr(die, f"host_{name}").eq(getattr(self, f"host_{name}")) for name in _REGISTERS),
                ]
                dies[row, col] = die
        return dies

"""Memory plane of a package: which IO die serves a die, what its packets are, and the rate that follows.

Hardware, predictions and projection read it alike. A die reads and writes whole memory words; requests and answers are
packets over the links of the plane, which are like those of the collective plane. Nothing is multicast: a die gets its
own copy of each word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import MEMORY_ADDRESS_BITS, NopSpec, PackageSpec, SystemSpec
from chiplet.vectorized.elementwise import (
    Number,
    ceil_div,
    larger,
    rounded_down,
    smaller,
)
from nop.topology import Mesh

__all__ = [
    "END_CYCLES",
    "READ_REQUEST_BITS",
    "WRITE_ANSWER_BITS",
    "IoPlace",
    "IoSide",
    "MemoryPlane",
    "io_links",
    "io_place",
    "io_places",
    "mean_hops",
    "memory_plane",
    "most_dies",
    "packet_flits",
    "write_request_bits",
]

READ_REQUEST_BITS = 1 + MEMORY_ADDRESS_BITS
"""Bits of a read request, with which a write request begins, too: that it is no write, and the number of the word."""

WRITE_ANSWER_BITS = 1
"""Bits of the answer to a write, and of a refusal: whether a write is refused."""

END_CYCLES = 3
"""Cycles that a lone read and its word spend at both ends of the plane, besides links, flits and memory."""

IoSide = Literal["west", "east", "north", "south"]
"""Side of a package."""


class IoPlace(NamedTuple):
    """Place of an IO die: a side of the package, and the row (west, east) or column (north, south), from 0."""

    side: IoSide
    line: int


def io_place(package: PackageSpec, row: int, col: int) -> IoPlace:
    """IO die that serves the die in ``row`` and ``col``, counted from 0: the nearest one at an end of its lines.

    Of two that are as near, west goes before east and north before south; of two sides that meet in a corner west goes
    before north, north before east, east before south, south before west. So a square package has as many dies on
    each side, if its rows are even in number.
    """
    west, north = 2 * col < package.cols, 2 * row < package.rows
    along_row = IoPlace("west" if west else "east", row)
    along_col = IoPlace("north" if north else "south", col)
    if package.io == "all":
        by_row, by_col = (io_links(package, row, col, place.side) for place in (along_row, along_col))
        row_first = west == north  # in these two corners the side at the end of the row goes first
        return along_row if by_row < by_col or (by_row == by_col and row_first) else along_col
    return along_row if package.io == "both" else IoPlace(package.io, row)


def io_links(package: PackageSpec, row: int, col: int, side: IoSide) -> int:
    """Links from the die in ``row`` and ``col``, counted from 0, to the IO die at an end of its row or column."""
    return {"west": col + 1, "east": package.cols - col, "north": row + 1, "south": package.rows - row}[side]


def io_places(package: PackageSpec) -> list[IoPlace]:
    """IO dies that serve any die: those of the west, east, north, south, on each side in order."""
    sides = get_args(IoSide)
    served = {io_place(package, row, col) for row, col in package.places()}
    return sorted(served, key=lambda place: (sides.index(place.side), place.line))


def most_dies(package: PackageSpec, mesh: Mesh) -> Number:
    """Most dies of ``mesh`` that one IO die serves, which is also the most links from one to a die."""
    if package.io in ("west", "east"):
        return mesh.cols
    half_cols = ceil_div(mesh.cols, 2)
    return half_cols if package.io == "both" else smaller(half_cols, ceil_div(mesh.rows, 2))


def mean_hops(package: PackageSpec, mesh: Mesh) -> Number:
    """Mean links from a die of ``mesh`` to its IO die."""
    if package.io == "all":
        return mesh.mean_edge_hops
    if package.io == "both":
        return rounded_down((mesh.cols + 1) ** 2 / 4) / mesh.cols
    return (mesh.cols + 1) / 2


def write_request_bits(word_bytes: Number) -> Number:
    """Bits of a write request: those of a read request, a strobe for each 32 bits, and the word."""
    return READ_REQUEST_BITS + word_bytes // 4 + 8 * word_bytes


def packet_flits(bits: Number, nop: NopSpec) -> Number:
    """Flits of a packet of ``bits``."""
    return ceil_div(bits, nop.flit_bits)


@dataclass(frozen=True, kw_only=True)
class MemoryPlane:
    """Packets and rates of the plane of one package, or of many with arrays.

    Attributes
    ----------
    dies
        Dies of the package.
    sharing
        Most dies that one IO die, and so its link, serves.
    hops, most_hops
        Mean and largest number of links between a die and its IO die.
    read_flits, word_flits
        Flits of a read request, and of its answer.
    write_flits, written_flits
        Flits of a write request, and of its answer.
    flits_per_cycle, hop_cycles
        Flits that a link carries in a cycle of the die, and cycles of a hop with its router.
    word_bytes, clock_hz
        Of the memory port.
    in_flight, latency_cycles
        Reads that a die keeps in flight, and cycles that memory takes for one.
    """

    dies: Number
    sharing: Number
    hops: Number
    most_hops: Number
    read_flits: Number
    word_flits: Number
    write_flits: Number
    written_flits: Number
    flits_per_cycle: Number
    hop_cycles: Number
    word_bytes: Number
    clock_hz: Number
    in_flight: Number
    latency_cycles: Number

    def link_cycles(self, reads: Number, writes: Number) -> Number:
        """Cycles of the busier direction of an IO die's link for words that are read and written over it."""
        there = reads * self.read_flits + writes * self.write_flits
        back = reads * self.word_flits + writes * self.written_flits
        return larger(there, back) / self.flits_per_cycle

    def way_cycles(self, links: Number) -> Number:
        """Cycles of a read on ``links`` links, there and back, and of the flits of its word."""
        return 2 * links * self.hop_cycles + self.word_flits / self.flits_per_cycle

    def read_cycles(self, links: Number) -> Number:
        """Cycles of a lone read over ``links`` links, besides those of memory."""
        return self.way_cycles(links) + END_CYCLES

    def seconds(self, read: Number, written: Number) -> Number:
        """Time in which each die reads and writes so many bytes, all at the same time, s.

        The busiest IO die's link sets it, or the farthest die's reads in flight. Memory answers a write before 16 more
        come to the IO die.
        """
        reads, writes = read / self.word_bytes, written / self.word_bytes
        window = reads * (self.latency_cycles + self.read_cycles(self.most_hops)) / self.in_flight
        return larger(self.sharing * self.link_cycles(reads, writes), window) / self.clock_hz

    def bytes_per_second(self, written: float = 0.0) -> Number:
        """Rate of the package, all dies alike, bytes/s; ``written`` is the share of the bytes that are written."""
        return self.dies / self.seconds(1.0 - written, written)


def memory_plane(system: SystemSpec, mesh: Mesh, *, direct: bool = False) -> MemoryPlane:
    """The plane of a package with the dies of ``mesh``, which need not be that of ``system``.

    ``direct`` leaves the link adapters out, as a simulation may.
    """
    nop, memory, clock = system.nop, system.memory, system.die.clock_hz
    flits_per_cycle: Number = 1.0
    hop_cycles: Number = system.link.router_cycles
    if not direct:
        link = link_rate(system)
        flits_per_cycle = smaller(1.0, 8 * link.bytes_per_second / nop.flit_bits / clock)
        hop_cycles = link.hop_seconds * clock
    sharing = most_dies(system.package, mesh)
    return MemoryPlane(
        dies=mesh.nodes,
        sharing=sharing,
        hops=mean_hops(system.package, mesh),
        most_hops=sharing,  # as dies lie one behind the other
        read_flits=packet_flits(READ_REQUEST_BITS, nop),
        word_flits=packet_flits(8 * memory.word_bytes, nop),
        write_flits=packet_flits(write_request_bits(memory.word_bytes), nop),
        written_flits=packet_flits(WRITE_ANSWER_BITS, nop),
        flits_per_cycle=flits_per_cycle,
        hop_cycles=hop_cycles,
        word_bytes=memory.word_bytes,
        clock_hz=clock,
        in_flight=memory.outstanding,
        latency_cycles=memory.latency_cycles,
    )

"""Memory plane of a package: which IO die serves a die, what its packets are, and the rate that follows.

Hardware, predictions and projection read it alike. A die reads and writes whole memory words; requests and answers are
packets over the links of the plane, which are like those of the collective plane. Nothing is multicast: a die gets its
own copy of each word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
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
from chiplet.vectorized.meshes import Meshes
from nop.topology import Mesh

__all__ = [
    "END_CYCLES",
    "READ_REQUEST_BITS",
    "WRITE_ANSWER_BITS",
    "IoPlace",
    "IoSide",
    "MemoryPlane",
    "dies_behind",
    "io_links",
    "io_place",
    "io_places",
    "mean_hops",
    "memory_plane",
    "most_dies",
    "most_hops",
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
    """IO die that serves the die in ``row`` and ``col``, counted from 0, at an end of its row or column.

    With one side, or both, it is at the nearer end of the row, the western one if both are as near. With ``all`` no IO
    die serves more dies than :func:`most_dies`, and dies that go the same line to different ends never pass each other.
    """
    if package.io == "all":
        return _edge_place(package.rows, package.cols, row, col)
    if package.io == "both":
        return IoPlace("west" if 2 * col < package.cols else "east", row)
    return IoPlace(package.io, row)


def io_links(package: PackageSpec, row: int, col: int, side: IoSide) -> int:
    """Links from the die in ``row`` and ``col``, counted from 0, to the IO die at an end of its row or column."""
    return {"west": col + 1, "east": package.cols - col, "north": row + 1, "south": package.rows - row}[side]


def dies_behind(package: PackageSpec, row: int, col: int) -> dict[IoSide, int]:
    """Number of dies whose requests come to the die in ``row`` and ``col``, counted from 0, by each of its sides."""
    behind: dict[IoSide, int] = {}
    for side in get_args(IoSide):
        away = _ACROSS[side]
        ahead = io_links(package, row, col, side) - 1
        step = {"west": (0, -1), "east": (0, 1), "north": (-1, 0), "south": (1, 0)}[side]
        line = [(row + n * step[0], col + n * step[1]) for n in range(1, ahead + 1)]
        behind[side] = sum(io_place(package, *die).side == away for die in line)
    return behind


def io_places(package: PackageSpec) -> list[IoPlace]:
    """IO dies that serve any die: those of the west, east, north, south, on each side in order."""
    sides = get_args(IoSide)
    served = {io_place(package, row, col) for row, col in package.places()}
    return sorted(served, key=lambda place: (sides.index(place.side), place.line))


def most_dies(package: PackageSpec, mesh: Mesh) -> Number:
    """Most dies of ``mesh`` that one IO die serves."""
    if package.io == "all":  # no fewer, as mesh.edge_links IO dies serve all
        return ceil_div(mesh.nodes, mesh.edge_links)
    return mesh.cols if package.io in ("west", "east") else ceil_div(mesh.cols, 2)


def mean_hops(package: PackageSpec, mesh: Mesh) -> Number:
    """Mean links from a die of ``mesh`` to its IO die."""
    if package.io == "all":
        return _distances(mesh).mean
    if package.io == "both":
        return rounded_down((mesh.cols + 1) ** 2 / 4) / mesh.cols
    return (mesh.cols + 1) / 2


def _distances(mesh: Mesh) -> _Distances:
    distances: _Distances = (
        mesh.each(_edge_hops) if isinstance(mesh, Meshes) else _edge_hops(mesh.rows, mesh.cols)
    )
    return distances


def most_hops(package: PackageSpec, mesh: Mesh) -> Number:
    """Most links from a die of ``mesh`` to its IO die."""
    if package.io == "all":
        return _distances(mesh).most
    return most_dies(package, mesh)  # as dies lie one behind the other


@dataclass(frozen=True)
class _Distances:
    """Mean and largest number of links between the dies of a mesh and their IO dies on all sides."""

    mean: float
    most: int


_ACROSS: dict[IoSide, IoSide] = {"west": "east", "east": "west", "north": "south", "south": "north"}
"""Side at the other end of a line."""

_TURNED: dict[IoSide, IoSide] = {"west": "north", "north": "west", "east": "south", "south": "east"}
"""Side of a mesh whose rows become columns."""


def _edge_place(rows: int, cols: int, row: int, col: int) -> IoPlace:
    """IO die of a die with IO dies on all sides: the nearer end of its row or column; see :func:`_along_rows`.

    The middle die of a line goes to the end with fewer dies, the first one if both have as many.
    """
    if rows < cols:
        side, line = _edge_place(cols, rows, col, row)
        return IoPlace(_TURNED[side], line)
    if _leaves_along_row(rows, cols, row, col):
        along = [_leaves_along_row(rows, cols, row, other) for other in range(cols)]
        return IoPlace("west" if _to_first_end(along, col) else "east", row)
    along = [not _leaves_along_row(rows, cols, other, col) for other in range(rows)]
    return IoPlace("north" if _to_first_end(along, row) else "south", col)


def _to_first_end(along: Sequence[bool], place: int) -> bool:
    """Whether the die at ``place`` goes to the first end of its line; ``along`` are the dies served along the line."""
    behind = len(along) - 1 - place
    return place < behind or (place == behind and sum(along[:place]) <= sum(along[place + 1 :]))


@lru_cache(maxsize=4096)
def _along_rows(rows: int, cols: int) -> tuple[int, ...]:
    """Number of dies in each row that are served at the ends of the row, for no fewer rows than columns.

    The others are served at the ends of their columns. With s dies for an IO die, a row has at most 2 s of them, and
    all rows together at least (rows - 2 s) cols, so that a column has at most 2 s of the others. As
    2 s (rows + cols) >= rows cols, there are always such numbers. Rows in the middle, which are far from the ends of
    the columns, have the most.
    """
    limit = ceil_div(rows * cols, 2 * (rows + cols))
    most = min(2 * limit, cols)
    from_row_ends = (cols + 1) ** 2 // 4  # links from the dies of a row to its nearer ends
    far_rows = sum(cols * _from_end(rows, row) >= from_row_ends for row in range(rows))
    left = max(far_rows * most, (rows - 2 * limit) * cols)
    numbers = [0] * rows
    for row in range((rows - 1) // 2, -1, -1):
        mirrored = rows - 1 - row
        given = min(left, most if mirrored == row else 2 * most)
        left -= given
        numbers[mirrored] += given // 2
        numbers[row] += given - given // 2
    return tuple(numbers)


def _leaves_along_row(rows: int, cols: int, row: int, col: int) -> bool:
    """Whether a die is served at an end of its row, for no fewer rows than columns.

    Columns are taken in the order 0, cols - 1, 1, cols - 2, ...: each row takes the next ones, and begins again after
    the last one. So in a row the two halves have as many or one more, and over any rows that follow each other the
    columns have as many or one more.
    """
    place = 2 * col if 2 * col < cols else 2 * (cols - 1 - col) + 1
    first, number = _row_starts(rows, cols)[row], _along_rows(rows, cols)[row]
    return (place - first) % cols < number


@lru_cache(maxsize=4096)
def _row_starts(rows: int, cols: int) -> tuple[int, ...]:
    """Columns that all rows before have taken, row by row."""
    return tuple(accumulate(_along_rows(rows, cols), initial=0))


def _from_end(length: int, place: int) -> int:
    """Links from a die of a line to the IO die at its nearer end."""
    return min(place + 1, length - place)


@lru_cache(maxsize=4096)
def _edge_hops(rows: int, cols: int) -> _Distances:
    """Links of the dies of a mesh with IO dies on all sides."""
    if rows < cols:
        return _edge_hops(cols, rows)
    numbers = _along_rows(rows, cols)
    rounds, rest = divmod(sum(numbers), cols)  # of the columns, in their order
    by_row = [(_from_end(cols, place // 2), rounds + (place < rest)) for place in range(cols)]
    by_col = [(_from_end(rows, row), cols - number) for row, number in enumerate(numbers)]
    ways = [(links, dies) for links, dies in by_row + by_col if dies]
    return _Distances(
        sum(links * dies for links, dies in ways) / (rows * cols), max(links for links, _ in ways)
    )


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
    return MemoryPlane(
        dies=mesh.nodes,
        sharing=most_dies(system.package, mesh),
        hops=mean_hops(system.package, mesh),
        most_hops=most_hops(system.package, mesh),
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

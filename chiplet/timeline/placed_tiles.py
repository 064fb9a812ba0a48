"""Where the token tiles of an operation run: a placement that takes exactly the time of its formula.

With p tiles, a tile takes c seconds on the array, v on the vector unit, and on each axis of links g for what precedes
the GEMMs and s for what follows them. The busiest resource is busy for b = max(c, v, g + s of an axis) in each tile.
The formula of :mod:`chiplet.step.overlap`, busiest + (all - busiest) / p, is (p - 1) b + S, where S is one tile on all
resources. The placement starts a tile every b seconds:

- GEMMs of tile i are at G + i b, where G is what all axes do before them, and the vector work follows at once. Neither
  meets that of another tile, as c <= b and v <= b.
- What precedes the GEMMs of the first tile runs from 0 on, axis by axis; that of a later tile has a window of b
  seconds, which ends where it would end if the tile ran without a gap. So operands are gathered one tile ahead, as the
  double buffers of the scratchpad allow.
- What follows the vector work has a window of b seconds as well, which begins there; that of the last tile runs at
  once.

The windows of an axis have b seconds each and g or s of work, g + s <= b, so that working on everything in proportion
would meet all of them. Then the earliest deadline first meets them as well (Horn, Naval Research Logistics Quarterly
21(1), 1974), each collective at the full rate of the links; it may be interrupted by another one. The last tile ends at
(p - 1) b + S.

Without overlap a tile starts when the one before it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Parts = tuple[tuple[str, float], ...]
"""Names and seconds of consecutive parts."""


@dataclass(frozen=True)
class AxisLoad:
    """What the links of an axis do for an operation, before its GEMMs and after them: seconds of all tiles."""

    before: Parts = ()
    after: Parts = ()

    @property
    def seconds(self) -> float:
        """All of it."""
        return _sum(self.before) + _sum(self.after)


@dataclass(frozen=True)
class OperationLoad:
    """Seconds that an operation takes of each resource, by the names of its parts, in ``tiles`` equal token tiles."""

    tiles: int
    gemms: Parts = ()
    vectors: Parts = ()
    axes: Mapping[str, AxisLoad] = field(default_factory=dict)

    @property
    def array(self) -> float:
        """Time of the array."""
        return _sum(self.gemms)

    @property
    def vector(self) -> float:
        """Time of the vector unit."""
        return _sum(self.vectors)

    @property
    def busiest_axis(self) -> str | None:
        """The axis with the most to do."""
        return max(self.axes, key=lambda axis: self.axes[axis].seconds, default=None)


@dataclass(frozen=True)
class Piece:
    """A part of ``count`` tiles from number ``tile`` on, on the array (``axis`` is "array"), the vector unit ("vector")
    or the links of an axis.
    """

    axis: str
    name: str
    tile: int
    count: int
    start: float
    seconds: float

    @property
    def end(self) -> float:
        """When it ends, s."""
        return self.start + self.seconds


FIRST = 4
"""Tiles at the beginning that are placed one by one, and so is the last; those between in one piece."""


def tile_groups(tiles: int) -> list[tuple[int, int]]:
    """First tile and number of tiles of what is placed in one piece."""
    if tiles <= FIRST + 2:
        return [(tile, 1) for tile in range(tiles)]
    return [*((tile, 1) for tile in range(FIRST)), (FIRST, tiles - FIRST - 1), (tiles - 1, 1)]


def place_tiles(load: OperationLoad, *, overlap: bool) -> tuple[float, list[Piece]]:
    """The time of an operation, and where its tiles run, in seconds from its start."""
    tiles = load.tiles
    gathers = {axis: _sum(one.before) / tiles for axis, one in load.axes.items()}
    scatters = {axis: _sum(one.after) / tiles for axis, one in load.axes.items()}
    array, vector = load.array / tiles, load.vector / tiles
    begin = sum(gathers.values())
    done = begin + array + vector
    one_tile = done + sum(scatters.values())
    if not overlap:
        return one_tile * tiles, _in_sequence(load, one_tile)
    every = max(array, vector, *(gathers[axis] + scatters[axis] for axis in load.axes), 0.0)
    end = (tiles - 1) * every + one_tile
    pieces: list[Piece] = []
    for tile, count in tile_groups(tiles):
        for where, parts, offset in (("array", load.gemms, begin), ("vector", load.vectors, begin + array)):
            pieces += _row(where, parts, offset + tile * every, tile, count, tiles)
    gathered, scattered = 0.0, done
    for axis, one in load.axes.items():
        jobs = []
        first, gathered = gathered, gathered + gathers[axis]
        for tile, count in tile_groups(tiles):
            # Windows: [gathered + (i - 1) b, gathered + i b], and for the first tile what it takes.
            release = gathered + (tile - 1) * every if tile else first
            deadline = gathered + (tile + count - 1) * every
            jobs += _jobs(one.before, tile, count, tiles, release, deadline)
        for tile, count in tile_groups(tiles):
            last = tile + count == tiles
            release = scattered + tile * every
            deadline = scattered + (tiles - 1) * every + scatters[axis] if last else release + count * every
            jobs += _jobs(one.after, tile, count, tiles, release, deadline)
        scattered += scatters[axis]
        pieces += _earliest_deadline_first(axis, jobs)
    return end, pieces


def _in_sequence(load: OperationLoad, one_tile: float) -> list[Piece]:
    """Tile after tile, each on one resource at a time."""
    pieces: list[Piece] = []
    before = [(axis, one.before) for axis, one in load.axes.items()]
    after = [(axis, one.after) for axis, one in load.axes.items()]
    for tile, count in tile_groups(load.tiles):
        start = tile * one_tile
        for where, parts in (*before, ("array", load.gemms), ("vector", load.vectors), *after):
            pieces += _row(where, parts, start, tile, count, load.tiles)
            start += _sum(parts) * count / load.tiles
    return pieces


def _row(where: str, parts: Parts, start: float, tile: int, count: int, tiles: int) -> list[Piece]:
    """Consecutive pieces from ``start`` on."""
    found = []
    for name, seconds in parts:
        if seconds:
            found.append(Piece(where, name, tile, count, start, seconds * count / tiles))
            start += seconds * count / tiles
    return found


@dataclass
class _Deadline:
    name: str
    tile: int
    count: int
    release: float
    deadline: float
    left: float


def _jobs(
    parts: Parts, tile: int, count: int, tiles: int, release: float, deadline: float
) -> list[_Deadline]:
    return [
        _Deadline(name, tile, count, release, deadline, seconds * count / tiles) for name, seconds in parts
    ]


def _earliest_deadline_first(axis: str, jobs: Sequence[_Deadline]) -> list[Piece]:
    """The pieces of ``jobs``, of which those with the earliest deadline run first."""
    pieces: list[Piece] = []
    waiting = [job for job in jobs if job.left > 0]
    now = 0.0
    while waiting:
        ready = [job for job in waiting if job.release <= now]
        if not ready:
            now = min(job.release for job in waiting)
            continue
        job = min(ready, key=lambda one: one.deadline)
        sooner = [one.release for one in waiting if one.release > now and one.deadline < job.deadline]
        until = min(sooner, default=now + job.left)
        if until >= now + job.left:
            seconds, until = job.left, now + job.left
            job.left = 0.0
            waiting.remove(job)
        else:
            seconds = until - now
            job.left -= seconds
        if pieces and (pieces[-1].name, pieces[-1].tile, pieces[-1].end) == (job.name, job.tile, now):
            last = pieces.pop()
            seconds, now = seconds + last.seconds, last.start
        pieces.append(Piece(axis, job.name, job.tile, job.count, now, seconds))
        now = until
    return pieces


def _sum(parts: Parts) -> float:
    return sum(seconds for _, seconds in parts)

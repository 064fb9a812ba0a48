"""The mesh of a package with at most so many dies: the quickest of those that are no strips.

All of them are too many to cost. Up to three sets are, each in one array evaluation: meshes of more than half of the
dies, with a coarse grid down to three tenths; if few dies do nearly as well, the coarse grid down to one die; and if
they still do, meshes around the best of few dies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import floor, inf, isqrt

import numpy as np

from chiplet.parallel.many import seconds_of_all, with_micro_batch
from chiplet.step.jobs import Jobs, ways_to_run
from chiplet.step.quickest_steps import quickest_steps
from chiplet.vectorized.meshes import Meshes
from nop.topology import Mesh, most_square

MOST_ASPECT = 4
"""Longer side over shorter side of a mesh, at most. DRAM is attached along the edge of a package, so that a strip of
dies would have more of it without end; substrates are no strips.
"""

FEWER = 3
"""Columns that a mesh may have less than fit beside its rows: heads and tokens may split more evenly over fewer. With
less, more dies are slower in places: ``benchmarks.more_resources`` has the counts.
"""

ROW_BITS = 6
"""Leading bits that may be set in the number of rows: all rows up to 64, and of more, 32 for each power of two, so that
the meshes of a million dies are a few hundred.
"""

COARSE_BITS = 2
"""The same for both sides of the coarse grid, which has 1, 2, 3, 4, 6, 8, 12, ... It is the same for any number of
dies: more of them never take away a mesh that did well.
"""

COARSE_SHARE = 0.3
"""The share of the dies that the coarse grid has at least in the first evaluation."""

FEW_SHARE = 0.75
"""The share of the dies that few dies are at most."""

COARSE_TOLERANCE, AROUND_TOLERANCE = 0.3, 0.15
"""What few dies may take longer than the quickest mesh, for the coarse grid to go down to one die, and then for the
meshes around the best of few dies.
"""

AROUND, BESIDE = 1.5, 2
"""Meshes around another: sides and dies within this factor; and all with sides that differ by at most so much."""

TOLERANCE = 0.01
"""What the most square mesh of all dies may take longer than the quickest one, and is still taken."""


def meshes_of(dies: int) -> list[Mesh]:
    """The meshes of at most ``dies`` dies that are costed first. The most square one of all dies comes first, unless it
    is a strip.
    """
    square = most_square(dies)
    meshes = {} if _strip(square.rows, square.cols) else {square: None}
    for rows in _sides(isqrt(MOST_ASPECT * dies), ROW_BITS):
        meshes.update((mesh, None) for mesh in _widest(rows, dies // rows) if 2 * mesh.nodes > dies)
    meshes.update((mesh, None) for mesh in coarse_meshes(dies) if mesh.nodes > COARSE_SHARE * dies)
    return list(meshes)


def all_meshes(dies: int) -> list[Mesh]:
    """All meshes of at most ``dies`` dies that are no strips."""
    sides = range(1, isqrt(MOST_ASPECT * dies) + 1)
    return _no_strips(sides, sides, dies)


def coarse_meshes(dies: int) -> list[Mesh]:
    """The coarse grid of meshes of at most ``dies`` dies."""
    sides = list(coarse_sides(isqrt(MOST_ASPECT * dies)))
    return _no_strips(sides, sides, dies)


def coarse_sides(most: int) -> Iterator[int]:
    """Sides of the coarse grid up to ``most``."""
    return _sides(most, COARSE_BITS)


def meshes_around(mesh: Mesh, dies: int) -> list[Mesh]:
    """Meshes of at most ``dies`` dies that are near ``mesh``."""
    most = min(dies, floor(AROUND * mesh.nodes))
    meshes: dict[Mesh, None] = {}
    for rows in _sides(floor(AROUND * mesh.rows), ROW_BITS):
        if AROUND * rows >= mesh.rows:
            widest = _widest(rows, min(most // rows, floor(AROUND * mesh.cols)))
            meshes.update((near, None) for near in widest)
    rows_beside, cols_beside = (
        range(max(1, side - BESIDE), side + BESIDE + 1) for side in (mesh.rows, mesh.cols)
    )
    return list(meshes | dict.fromkeys(_no_strips(rows_beside, cols_beside, dies)))


def quickest_mesh(jobs: Jobs, dies: int) -> Mesh:
    """The quickest mesh of at most ``dies`` dies for the step of ``jobs``, whose own meshes and count do not matter.

    It is the most square mesh of all dies if that is within :data:`TOLERANCE` of the quickest, and the one of the most
    dies if none fits.
    """
    square = most_square(dies)
    if jobs.system.parallel.packages > 1:
        first = meshes_of(dies)[0]
        jobs = with_micro_batch(replace(jobs, count=1, method=jobs.method.on(_many([first]))))
    seconds: dict[Mesh, float] = {}

    def cost(meshes: Sequence[Mesh]) -> None:
        seconds.update(seconds_on(jobs, [mesh for mesh in meshes if mesh not in seconds]))

    def best_of_few(tolerance: float) -> Mesh | None:
        """The quickest mesh of few dies, if it is within ``tolerance`` of the quickest of all."""
        few = [mesh for mesh in seconds if mesh.nodes <= FEW_SHARE * dies]
        best = min(few, key=seconds.__getitem__, default=None)
        near = best is not None and seconds[best] <= min(seconds.values()) * (1 + tolerance)
        return best if near else None

    cost(meshes_of(dies))
    if best_of_few(COARSE_TOLERANCE):
        cost(coarse_meshes(dies))
        few = best_of_few(AROUND_TOLERANCE)
        if few is not None:
            cost(meshes_around(few, dies))
    best = min(seconds, key=seconds.__getitem__)
    if seconds[best] == inf:
        return max(seconds, key=lambda mesh: mesh.nodes)
    return square if seconds.get(square, inf) <= seconds[best] * (1 + TOLERANCE) else best


def seconds_on(jobs: Jobs, meshes: Sequence[Mesh]) -> dict[Mesh, float]:
    """Seconds of a step on each of ``meshes``; infinite where it does not fit."""
    if not meshes:
        return {}
    on_each = replace(jobs, count=len(meshes), method=jobs.method.on(_many(meshes)))
    seconds = np.full(len(meshes), np.inf)
    with np.errstate(all="ignore"):  # candidates of a block that do not fit
        if jobs.system.parallel.packages > 1:
            return dict(zip(meshes, seconds_of_all(on_each).tolist(), strict=True))
        ways, _ = ways_to_run(on_each)
        if len(ways.rows):
            seconds[ways.rows] = np.broadcast_to(quickest_steps(ways).seconds, (len(ways.rows), 1))[:, 0]
    return dict(zip(meshes, seconds.tolist(), strict=True))


def _many(meshes: Sequence[Mesh]) -> Meshes:
    sides = np.array([(mesh.rows, mesh.cols) for mesh in meshes], dtype=np.float64)
    return Meshes(sides[:, :1], sides[:, 1:])


def _no_strips(rows: Sequence[int], cols: Sequence[int], dies: int) -> list[Mesh]:
    """Meshes of at most ``dies`` dies with any of ``rows`` and ``cols`` that are no strips."""
    sides = ((row, col) for row in rows for col in cols)
    return [Mesh(row, col) for row, col in sides if row * col <= dies and not _strip(row, col)]


def _strip(rows: int, cols: int) -> bool:
    return max(rows, cols) > MOST_ASPECT * min(rows, cols)


def _widest(rows: int, most: int) -> Iterator[Mesh]:
    """Meshes of ``rows`` rows and at most ``most`` columns that are no strips, the widest ones."""
    most = min(most, MOST_ASPECT * rows)
    for cols in range(most, max(0, most - FEWER - 1), -1):
        if not _strip(rows, cols):
            yield Mesh(rows, cols)


def _sides(most: int, bits: int) -> Iterator[int]:
    """Numbers up to ``most`` that are none but their leading ``bits`` bits and zeros."""
    side = 1
    while side <= most:
        yield side
        side += 1 << max(0, side.bit_length() - bits)

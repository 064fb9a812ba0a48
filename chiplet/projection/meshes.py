"""The mesh of a package with at most so many dies: the quickest of those that are no strips."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isqrt

from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.step.overlap import Machine
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

FEW_SHARE, FEW_TOLERANCE = 0.75, 0.05
"""If a mesh with no more than this share of the dies takes at most so much longer than the quickest, meshes of less
than half of them are costed, too.
"""

TOLERANCE = 0.01
"""What the most square mesh of all dies may take longer than the quickest one, and is still taken."""


def meshes_of(dies: int) -> list[Mesh]:
    """Meshes of more than half of ``dies`` dies and at most all, one of which is the quickest of these or nearly so.
    The most square one of all dies comes first, unless it is a strip.
    """
    square = most_square(dies)
    meshes = {} if _strip(square.rows, square.cols) else {square: None}
    for rows in range(1, isqrt(MOST_ASPECT * dies) + 1):
        most = min(dies // rows, MOST_ASPECT * rows)
        for cols in range(most, max(0, most - FEWER - 1), -1):
            if not _strip(rows, cols) and 2 * rows * cols > dies:
                meshes[Mesh(rows, cols)] = None
    return list(meshes)


def _strip(rows: int, cols: int) -> bool:
    return max(rows, cols) > MOST_ASPECT * min(rows, cols)


def quickest_mesh(
    method: Method,
    machine: Machine,
    dies: int,
    *,
    global_batch: int,
    length: int,
    mini_batch: int | None,
    optimizer: Optimizer,
) -> Mesh:
    """The quickest mesh of at most ``dies`` dies for a step by ``method``, whose own mesh does not count.

    It is the most square mesh of all dies if that is within :data:`TOLERANCE` of the quickest, and the one of the most
    dies if none fits.
    """
    square = most_square(dies)
    costed: dict[Mesh, float] = {}

    def cost(meshes: list[Mesh]) -> Mesh:
        """Cost those of ``meshes`` that are new; the quickest of all."""
        new = [mesh for mesh in meshes if mesh not in costed]
        if new:
            seconds = _seconds(
                method,
                machine,
                new,
                global_batch=global_batch,
                length=length,
                mini_batch=mini_batch,
                optimizer=optimizer,
            )
            costed.update(zip(new, seconds, strict=True))
        return min(costed, key=lambda mesh: costed[mesh])

    best = cost(meshes_of(dies))
    if costed[best] == inf:
        return max(costed, key=lambda mesh: mesh.nodes)
    limit = dies
    while limit > 1 and _few_do(limit, costed):
        limit //= 2
        best = cost(meshes_of(limit))
    return square if costed.get(square, inf) <= costed[best] * (1 + TOLERANCE) else best


def _few_do(limit: int, costed: Mapping[Mesh, float]) -> bool:
    """Whether few of ``limit`` dies do nearly as well as the quickest mesh: then still fewer may be quicker."""
    few = [seconds for mesh, seconds in costed.items() if mesh.nodes <= FEW_SHARE * limit]
    return min(few, default=inf) <= min(costed.values()) * (1 + FEW_TOLERANCE)


def _seconds(
    method: Method,
    machine: Machine,
    meshes: list[Mesh],
    *,
    global_batch: int,
    length: int,
    mini_batch: int | None,
    optimizer: Optimizer,
) -> list[float]:
    """Seconds of a step on each of ``meshes``; infinite where it does not fit."""
    import numpy as np

    from chiplet.step.jobs import Jobs, ways_to_run
    from chiplet.step.quickest_steps import quickest_steps

    sides = np.array([(mesh.rows, mesh.cols) for mesh in meshes], dtype=np.float64)
    every = Meshes(sides[:, :1], sides[:, 1:])
    jobs = Jobs(
        len(meshes),
        type(method)(method.model, every, method.switches, method.element_bytes),
        machine.system,
        machine.terms,
        global_batch,
        length,
        mini_batch,
        optimizer,
    )
    seconds = np.full(len(meshes), np.inf)
    with np.errstate(all="ignore"):  # candidates of a block that do not fit
        ways, _ = ways_to_run(jobs)
        if len(ways.rows):
            seconds[ways.rows] = np.broadcast_to(quickest_steps(ways).seconds, (len(ways.rows), 1))[:, 0]
    found: list[float] = seconds.tolist()
    return found

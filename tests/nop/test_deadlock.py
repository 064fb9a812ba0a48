"""Deadlock: dimension-ordered routes have no cycle of waits on any mesh, and a cycle is found where there is one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nop.deadlock import channel_dependencies, dependency_cycle
from nop.topology import Link, Mesh

MESHES = [(1, 1), (1, 2), (1, 7), (5, 1), (2, 2), (2, 3), (3, 2), (4, 4), (5, 3), (8, 8)]


@pytest.mark.parametrize(("rows", "cols"), MESHES)
def test_dimension_ordered_routes_have_no_cycle(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    graph = channel_dependencies(mesh)
    links = 2 * (rows * (cols - 1) + cols * (rows - 1))
    assert graph.number_of_nodes() == links + 2 * mesh.nodes
    assert dependency_cycle(graph) == []


def test_a_ring_of_routes_has_a_cycle() -> None:
    mesh = Mesh(2, 2)
    ring = [0, 1, 3, 2]

    def clockwise(source: int, target: int) -> list[Link]:
        start = ring.index(source)
        steps = (ring.index(target) - start) % len(ring)
        return [(ring[(start + n) % 4], ring[(start + n + 1) % 4]) for n in range(steps)]

    cycle = dependency_cycle(channel_dependencies(mesh, clockwise))
    assert sorted(cycle) == [(0, 1, "link"), (1, 3, "link"), (2, 0, "link"), (3, 2, "link")]


def test_routes_that_turn_as_they_like_have_a_cycle() -> None:
    mesh = Mesh(2, 2)

    def mixed(source: int, target: int) -> list[Link]:
        if (source, target) in {(0, 3), (3, 0)}:
            return mesh.route(source, target)
        row, col = divmod(source, 2)
        target_row, target_col = divmod(target, 2)
        corner = target_row * 2 + col
        path = [source, *([corner] if row != target_row else []), *([target] if col != target_col else [])]
        return list(pairwise(path))

    assert dependency_cycle(channel_dependencies(mesh, mixed))

"""Weights of a router's inputs: the nodes behind each side."""

from __future__ import annotations

from itertools import product

import pytest

from chiplet.machine.specs import PackageSpec
from nop.topology import Mesh
from rtl.interface.flit import NEIGHBOUR, SIDES, RouterPort
from rtl.network.router_weights import WEIGHT_BITS, memory_weights, router_weights


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 8), (5, 1), (3, 4), (8, 8)])
def test_a_weight_is_the_number_of_nodes_whose_routes_come_in_there(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    for row, col in product(range(rows), range(cols)):
        here = row * cols + col
        counted = {}
        for side in SIDES:
            down, right = NEIGHBOUR[side]
            inside = 0 <= row + down < rows and 0 <= col + right < cols
            before = (row + down) * cols + col + right if inside else -1
            counted[side] = sum((before, here) in mesh.route(source, here) for source in range(mesh.nodes))
        assert router_weights(rows, cols, row, col) == counted


def test_weights_of_the_memory_plane_are_the_dies_whose_requests_come_in_there() -> None:
    package = PackageSpec(rows=2, cols=5, io="both")
    near, middle = (memory_weights(package, 1, col) for col in (0, 2))
    assert near == {RouterPort.NORTH: 0, RouterPort.EAST: 2, RouterPort.SOUTH: 0, RouterPort.WEST: 0}
    assert set(middle.values()) == {0}
    long = memory_weights(PackageSpec(rows=1, cols=200, io="west"), 0, 0)
    assert long[RouterPort.EAST] == (1 << WEIGHT_BITS) - 1


def test_weights_of_large_meshes_are_scaled_and_none_is_lost() -> None:
    weights = router_weights(64, 64, 63, 1)
    assert weights == {
        RouterPort.NORTH: (1 << WEIGHT_BITS) - 1,
        RouterPort.EAST: 1,
        RouterPort.SOUTH: 0,
        RouterPort.WEST: 1,
    }

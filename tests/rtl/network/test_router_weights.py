"""Weights of a router's inputs: the nodes behind each side."""

from __future__ import annotations

from itertools import product

import pytest

from nop.topology import Mesh
from rtl.interface.flit import NEIGHBOUR, SIDES, RouterPort
from rtl.network.router_weights import WEIGHT_BITS, router_weights


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


def test_weights_of_large_meshes_are_scaled_and_none_is_lost() -> None:
    weights = router_weights(64, 64, 63, 1)
    assert weights == {
        RouterPort.NORTH: (1 << WEIGHT_BITS) - 1,
        RouterPort.EAST: 1,
        RouterPort.SOUTH: 0,
        RouterPort.WEST: 1,
    }

"""Meshes, routes and rings."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.topology import MAX_DIES, Mesh, folded_ring, most_square

SIDES = st.integers(min_value=1, max_value=9)


@pytest.mark.parametrize(
    ("dies", "shape"),
    [(1, "1x1"), (2, "1x2"), (7, "1x7"), (12, "3x4"), (16, "4x4"), (1000, "25x40"), (1024, "32x32")],
)
def test_most_square(dies: int, shape: str) -> None:
    assert str(most_square(dies)) == shape


@pytest.mark.parametrize("dies", [0, -4])
def test_no_dies_are_refused(dies: int) -> None:
    with pytest.raises(ValueError, match=f"^dies = {dies}: must be at least 1$"):
        most_square(dies)


def test_empty_mesh_is_refused() -> None:
    with pytest.raises(ValueError, match="^mesh cols = 0: must be at least 1$"):
        Mesh(3, 0)


@pytest.mark.parametrize("dies", [MAX_DIES + 1, 10**21])
def test_more_dies_than_any_package_has_are_refused(dies: int) -> None:
    """Before their divisors are looked for, which would not end."""
    with pytest.raises(ValueError, match=f"^dies = {dies}: must be at most 1048576, the most of a package$"):
        most_square(dies)
    with pytest.raises(
        ValueError, match=f"^mesh 1x{dies} has more than 1048576 dies, the most of a package$"
    ):
        Mesh(1, dies)
    assert most_square(MAX_DIES) == Mesh(1024, 1024)


@given(rows=SIDES, cols=SIDES, data=st.data())
def test_routes_are_shortest_paths(rows: int, cols: int, data: st.DataObject) -> None:
    mesh = Mesh(rows, cols)
    node = st.integers(min_value=0, max_value=mesh.nodes - 1)
    source, target = data.draw(node), data.draw(node)
    route = mesh.route(source, target)
    assert len(route) == mesh.hops(source, target)
    at = source
    for begin, end in route:
        assert begin == at
        assert mesh.hops(begin, end) == 1
        at = end
    assert at == target


@given(nodes=st.integers(min_value=1, max_value=40))
def test_folded_ring_visits_all_in_steps_of_two_hops(nodes: int) -> None:
    order = folded_ring(nodes)
    assert sorted(order) == list(range(nodes))
    assert all(abs(order[i] - order[i - 1]) <= 2 for i in range(nodes))


@given(rows=SIDES, cols=SIDES)
def test_flat_ring_visits_all_in_single_hops_where_a_cycle_exists(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    order = mesh.flat_ring()
    assert sorted(order) == list(range(mesh.nodes))
    limit = 1 if mesh.has_cycle else 2
    assert all(mesh.hops(begin, end) <= limit for begin, end in pairwise([*order, order[0]]))


@given(rows=SIDES, cols=SIDES)
def test_edge_links_are_the_sides_of_dies_without_a_neighbour(rows: int, cols: int) -> None:
    grid = nx.grid_2d_graph(rows, cols)
    assert Mesh(rows, cols).edge_links == sum(4 - grid.degree(cell) for cell in grid)

"""Routes on a torus are shortest paths."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from nop.proof.torus import Torus

SIDES = st.integers(min_value=1, max_value=9)


@given(rows=SIDES, cols=SIDES, data=st.data())
def test_routes_on_a_torus_are_shortest_paths(rows: int, cols: int, data: st.DataObject) -> None:
    torus = Torus(rows, cols)
    node = st.integers(min_value=0, max_value=torus.nodes - 1)
    source, target = data.draw(node), data.draw(node)
    grid = nx.grid_2d_graph(rows, cols, periodic=True)
    route = torus.route(source, target)
    path = [source, *(end for _, end in route)]
    assert path[-1] == target
    assert all(begin == at for at, (begin, _) in zip(path, route, strict=False))
    cells = [divmod(place, cols) for place in path]
    assert all(grid.has_edge(*pair) for pair in pairwise(cells))
    assert len(route) == torus.hops(source, target)
    assert len(route) == nx.shortest_path_length(grid, divmod(source, cols), divmod(target, cols))
    assert str(torus) == f"{rows}x{cols} torus"

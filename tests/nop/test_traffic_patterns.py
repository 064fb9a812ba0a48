"""Traffic patterns: targets on meshes of any shape, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest

from nop.topology import Mesh
from nop.traffic_patterns import PATTERNS, pattern_targets

SELF = "pattern tornado on 2x2 routers: every node would send to itself: must be a larger mesh"


def test_targets_on_a_square_mesh() -> None:
    mesh = Mesh(4, 4)
    assert pattern_targets("uniform", mesh) is None
    assert pattern_targets("hotspot", mesh, 5) == (5,) * 16
    for node in range(16):
        row, col = divmod(node, 4)
        expected = {
            "transpose": 4 * col + row,
            "bit-complement": node ^ 15,
            "tornado": 4 * ((row + 1) % 4) + (col + 1) % 4,
            "neighbour": 4 * ((row + 1) % 4) + (col + 1) % 4,
        }
        for pattern, target in expected.items():
            targets = pattern_targets(pattern, mesh)
            assert targets is not None
            assert targets[node] == target


@pytest.mark.parametrize(
    "pattern", [pattern for pattern in PATTERNS if pattern not in ("uniform", "hotspot")]
)
@pytest.mark.parametrize(("rows", "cols"), [*product(range(1, 6), repeat=2)])
def test_each_node_has_one_target_and_is_one(pattern: str, rows: int, cols: int) -> None:
    try:
        targets = pattern_targets(pattern, Mesh(rows, cols))
    except ValueError:
        own = {"transpose": min(rows, cols) == 1, "tornado": max(rows, cols) < 3}
        assert own.get(pattern, rows * cols == 1)
        return
    assert targets is not None
    assert sorted(targets) == [*range(rows * cols)]


def test_a_tornado_goes_almost_half_way_round_each_side() -> None:
    assert pattern_targets("tornado", Mesh(1, 7)) == (3, 4, 5, 6, 0, 1, 2)
    assert pattern_targets("tornado", Mesh(6, 1)) == (2, 3, 4, 5, 0, 1)


@pytest.mark.parametrize(
    ("pattern", "rows", "cols", "message"),
    [
        ("diagonal", 2, 2, f"pattern diagonal: must be one of {', '.join(PATTERNS)}"),
        ("hotspot", 2, 3, "hotspot 6: must be a node from 0 to 5"),
        (
            "tornado",
            2,
            2,
            SELF,
        ),
    ],
)
def test_what_is_not_defined_is_refused(pattern: str, rows: int, cols: int, message: str) -> None:
    with pytest.raises(ValueError, match="^(pattern|hotspot) ") as caught:
        pattern_targets(pattern, Mesh(rows, cols), 6)
    assert str(caught.value) == message

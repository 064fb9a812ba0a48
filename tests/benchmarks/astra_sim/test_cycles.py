"""Cycles of collectives in ASTRA-sim, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.astra_sim.cycles import GROUP_DELAY, collective_cycles
from chiplet.export.astra_sim import ENDPOINT_DELAY, GIGABYTE
from chiplet.export.layer_graph import DieGroup, Node
from nop.topology import Mesh

NETWORK: dict[str, list[Any]] = {
    "npus_count": [5, 3],
    "bandwidth": [10e9 / GIGABYTE, 5e9 / GIGABYTE],
    "latency": [7.0, 11.0],
}
"""Ten bytes a cycle along the rows, five along the columns."""


def cycles(axis: str, size: int, op: Any) -> int:
    return collective_cycles(
        Node(0, "step", 0.0, (), DieGroup(axis, size), op, chunk_bytes=999.5), Mesh(3, 5), NETWORK
    )


@pytest.mark.parametrize("op", ["all-gather", "reduce-scatter"])
def test_a_whole_line(op: str) -> None:
    assert cycles("row", 5, op) == 5 * ENDPOINT_DELAY + 4 * (7 + 100)
    assert cycles("column", 3, op) == 3 * ENDPOINT_DELAY + 2 * (11 + 200)


@pytest.mark.parametrize("op", ["all-gather", "reduce-scatter"])
def test_the_whole_mesh_goes_dimension_by_dimension(op: str) -> None:
    expected = 8 * ENDPOINT_DELAY + 2 * (11 + 200) + 4 * (7 + 300)
    assert cycles("torus", 15, op) == expected


def test_a_part_of_a_line_has_the_longer_delay_and_the_way_back() -> None:
    # Three of five dies: the way back is two hops, and a chunk crosses two of the three connections.
    assert cycles("row", 3, "all-gather") == 3 * GROUP_DELAY + (7 + 100) + (2 * 7 + 100)

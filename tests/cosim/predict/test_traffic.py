"""Latency of flits on an idle mesh, against the mean over all pairs."""

from __future__ import annotations

from itertools import product
from statistics import mean

import pytest

from cosim.predict.traffic import packets_latency, zero_load_latency
from nop.topology import Mesh


@pytest.mark.parametrize(("rows", "cols", "link_cycles"), [(1, 1, 0), (1, 5, 0), (4, 4, 3), (3, 7, 2)])
def test_the_mean_over_all_pairs(rows: int, cols: int, link_cycles: int) -> None:
    places = list(product(range(rows), range(cols)))
    latencies = [
        1 + (1 + link_cycles) * (abs(row - other_row) + abs(col - other_col))
        for (row, col), (other_row, other_col) in product(places, repeat=2)
    ]
    assert zero_load_latency(rows, cols, link_cycles) == pytest.approx(mean(latencies))


@pytest.mark.parametrize(
    ("rows", "cols", "flits", "frame_cycles"), [(1, 1, 3, 2), (2, 3, 8, 1), (2, 3, 8, 2)]
)
def test_packets_of_several_flits(rows: int, cols: int, flits: int, frame_cycles: int) -> None:
    mesh = Mesh(rows, cols)
    packets = [(source, target, flits) for source, target in product(range(mesh.nodes), repeat=2)]
    expected = packets_latency(mesh, packets, 2, frame_cycles=frame_cycles)
    latency = zero_load_latency(rows, cols, 2, flits=flits, frame_cycles=frame_cycles)
    assert latency == pytest.approx(expected)


def test_no_packets_have_no_latency() -> None:
    with pytest.raises(ValueError, match=r"^no packets: must be at least one$"):
        packets_latency(Mesh(1, 1), [])

"""Latency of flits on an idle mesh, against the mean over all pairs."""

from __future__ import annotations

from itertools import product
from statistics import mean

import pytest

from cosim.predict.traffic import zero_load_latency


@pytest.mark.parametrize(("rows", "cols", "link_cycles"), [(1, 1, 0), (1, 5, 0), (4, 4, 3), (3, 7, 2)])
def test_the_mean_over_all_pairs(rows: int, cols: int, link_cycles: int) -> None:
    places = list(product(range(rows), range(cols)))
    latencies = [
        1 + (1 + link_cycles) * (abs(row - other_row) + abs(col - other_col))
        for (row, col), (other_row, other_col) in product(places, repeat=2)
    ]
    assert zero_load_latency(rows, cols, link_cycles) == pytest.approx(mean(latencies))

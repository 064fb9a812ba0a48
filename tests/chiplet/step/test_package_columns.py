"""Columns of machines that take the same time on their packages."""

from __future__ import annotations

import numpy as np

from chiplet.step.package_columns import PackageColumns
from chiplet.sweep.machines import varied
from tests.chiplet.machines import PACKAGE


def test_one_column_stands_for_all_that_differ_in_prices_only() -> None:
    lanes, dollars = np.meshgrid([8, 16, 64], [100.0, 200.0], indexing="ij")
    system = varied(PACKAGE, {"link.lanes": lanes.ravel(), "cost.wafer_dollars": dollars.ravel()})
    columns = PackageColumns.of(system)
    assert columns.first is not None
    assert columns.place is not None
    assert columns.first.tolist() == [0, 2, 4]
    assert columns.place.tolist() == [0, 0, 1, 1, 2, 2]


def test_machines_that_all_differ_are_left_alone() -> None:
    system = varied(PACKAGE, {"link.lanes": np.array([8, 16, 64])})
    assert PackageColumns.of(system) == PackageColumns(None, None)

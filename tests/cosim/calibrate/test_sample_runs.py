"""Measured runs: in the order of the requests, each told, and none that is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cosim.calibrate.sample_runs import measured


@dataclass(frozen=True)
class Run:
    size: int
    mismatches: int = 0


def run(size: int) -> Run:
    return Run(size, mismatches=size // 100)


def test_records_come_in_the_order_of_the_requests() -> None:
    told: list[None] = []
    found = measured(run, [3, 1, 2], lambda _: "", workers=2, progress=lambda: told.append(None))
    assert found == [Run(3), Run(1), Run(2)]
    assert len(told) == 3


def test_a_wrong_result_is_no_measurement() -> None:
    with pytest.raises(
        ValueError, match="^run of 200 has 2 mismatches: cycles of wrong results are no measurement$"
    ):
        measured(run, [1, 200], lambda record: f"run of {record.size}", workers=1, progress=lambda: None)

"""What a run misses, and what is reused."""

from __future__ import annotations

import pytest

from cosim.backends.base import SimulationError
from cosim.records.gemm import GemmRecord
from cosim.regress.cases import GemmCase, cases
from cosim.regress.matrix import Bounds, load_regression
from cosim.regress.tasks import Finished, RegressionTask, run_task, shortfalls

SMALL = """\
configurations = [{ die.rows = 2, die.cols = 3 }]
shapes = ["3x5x4"]
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> GemmCase:
    path = tmp_path_factory.mktemp("list") / "list.toml"
    path.write_text(SMALL)
    return cases(load_regression(path))[0]


@pytest.fixture(scope="module")
def record(case: GemmCase) -> GemmRecord:
    finished = run_task(RegressionTask(case.request, ()))
    assert not finished.reused
    assert finished.record is not None
    return finished.record


def test_a_good_run(case: GemmCase, record: GemmRecord) -> None:
    bounds = Bounds(array_cycles_over_floor=8, prediction_error=0.1)
    assert shortfalls(case, Finished(record, False, ""), bounds, {case.name: record.cycles}) == []


def test_a_known_record_is_taken(case: GemmCase, record: GemmRecord) -> None:
    other = record.model_copy(update={"verilog_sha256": ""})
    assert run_task(RegressionTask(case.request, (other, record))) == Finished(record, True, "")


def test_what_a_run_falls_short_of(case: GemmCase, record: GemmRecord) -> None:
    worse = {
        "mismatches": 2,
        "array_cycles": 30,
        "floor_cycles": 21,
        "cycles": 100,
        "predicted_cycles": 90,
    }
    assert case.fits
    finished = Finished(record.model_copy(update=worse), False, "")
    mismatches = "2 of 12 results differ from the golden model"
    assert shortfalls(case, finished, Bounds(), {}) == [
        mismatches,
        "array_cycles = 30 is 9 over the floor of 21: must be at most 8",
    ]
    prediction = Bounds(array_cycles_over_floor=9, prediction_error=0.05)
    assert shortfalls(case, finished, prediction, {}) == [
        mismatches,
        "predicted_cycles = 90 is off by 10.00% of cycles = 100: must be at most 5.00%",
    ]
    loose = Bounds(array_cycles_over_floor=9)
    slower = "cycles = 100: must be at most 99, those of the baseline"
    assert shortfalls(case, finished, loose, {case.name: 99}) == [mismatches, slower]
    assert shortfalls(case, finished, loose, {case.name: 100, "another run": 1}) == [mismatches]
    cycles = Bounds(array_cycles_over_floor=9, prediction_error=0.05, prediction_cycles=9)
    assert shortfalls(case, finished, cycles, {}) == [
        mismatches,
        "predicted_cycles = 90 is off by 10.00% of cycles = 100: must be at most 5.00% or 9 cycles",
    ]
    ten = cycles.model_copy(update={"prediction_cycles": 10})
    assert shortfalls(case, finished, ten, {}) == [mismatches]
    stalled = GemmCase(case.name, case.request.model_copy(update={"stall": 0.1}), fits=False)
    assert shortfalls(stalled, finished, prediction, {}) == [mismatches]
    assert shortfalls(stalled, finished, Bounds(array_cycles_over_floor=0), {}) == [mismatches]


def test_a_simulation_that_fails_is_an_outcome(case: GemmCase, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SimulationError("the die is not done after 10 cycles")

    monkeypatch.setattr("cosim.regress.tasks.run_unless_known", fail)
    finished = run_task(RegressionTask(case.request, ()))
    assert finished == Finished(None, False, "the die is not done after 10 cycles")
    assert shortfalls(case, finished, Bounds(), {}) == ["the die is not done after 10 cycles"]

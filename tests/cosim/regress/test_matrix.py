"""Regressions: the matrix of a file, and what a run falls short of."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.backends.base import SimulationError
from cosim.program.shape import FORMS
from cosim.records.gemm import GemmRecord
from cosim.regress.matrix import (
    Bounds,
    Finished,
    GemmCase,
    RegressionTask,
    cases,
    load_regression,
    run_task,
    shortfalls,
)
from tests.hecaton.command import ROOT

SMALL = """\
configurations = [{ die.rows = 2, die.cols = 3 }, ["die.rows=3", "die.cols=2", "die.queue_depth = 2"]]
shapes = ["3x5x4"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "list.toml"
    path.write_text(text)
    return path


def test_the_matrix_of_the_acceptance_runs() -> None:
    path = ROOT / "benchmarks/regressions/gemm.toml"
    found = cases(load_regression(path))
    assert len(found) == len({case.name for case in found}) == 192
    assert all(case.fits for case in found)
    requests = [case.request for case in found]
    assert {(one.die.rows, one.die.cols) for one in requests} == {(4, 4), (8, 8), (4, 8), (5, 3)}
    assert {(one.m, one.k, one.n) for one in requests} == {
        (5, 32, 3),
        (31, 32, 31),
        (1, 1, 1),
        (37, 53, 29),
    }
    assert {one.form for one in requests} == set(FORMS)
    assert {one.die.dtype for one in requests} == {"bf16", "int8"}
    assert {one.stall for one in requests} == {0, 0.25}
    assert load_regression(path).bounds == Bounds(array_cycles_over_floor=8)


def test_configurations_are_tables_or_assignments(tmp_path: Path) -> None:
    first, second = cases(load_regression(write(tmp_path, SMALL)))
    assert first.name == "2x3 bf16 3x5x4 nn stall=0 seed=0"
    assert second.name == "3x2 bf16 die.queue_depth=2 3x5x4 nn stall=0 seed=0"
    assert (second.request.die.rows, second.request.die.queue_depth) == (3, 2)
    assert (first.request.sim, first.request.operands, first.request.seed) == ("icarus", "normal", 0)


def test_keys_of_the_file_win(tmp_path: Path) -> None:
    regression = load_regression(write(tmp_path, SMALL + 'dtypes = ["int8"]'))
    config = tmp_path / "die.toml"
    config.write_text("[die]\nrows = 7\nstages = 2\n[memory]\nlatency_cycles = 30\n")
    (case, _) = cases(regression, config=config, overrides=["die.stages=3", "die.dtype=bf16"])
    die = case.request.die
    assert (die.rows, die.stages, die.dtype, case.request.memory.latency_cycles) == (2, 3, "int8", 30)


def test_no_run_twice(tmp_path: Path) -> None:
    text = 'shapes = ["1x1x1", "1x1x1"]\nseeds = [3, 4, 3]\nconfigurations = [{}, { die.rows = 8 }]\n'
    assert [case.request.seed for case in cases(load_regression(write(tmp_path, text)))] == [3, 4]


def test_the_bound_on_array_cycles_is_for_what_fits(tmp_path: Path) -> None:
    text = 'shapes = ["1x1x1", "64x64x64"]\nconfigurations = [{ die.rows = 2, die.cols = 2, die.weight_bytes = 1024 }]'
    assert [case.fits for case in cases(load_regression(write(tmp_path, text)))] == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shapes = [", "not valid TOML: "),
        ("", "shapes is missing"),
        ("shapes = []", r"shapes = \[\]: tuple should have at least 1 item"),
        ('shapes = ["1x1x1"]\nshape = 1', "unknown key shape: the nearest known one is shapes$"),
        (
            'shapes = ["1x1x1"]\n[bounds]\narray_cycle = 1',
            r"unknown key bounds\.array_cycle: the nearest known one is bounds\.array_cycles_over_floor$",
        ),
        ('shapes = ["1x1"]', r'shapes\.0 = "1x1": must be MxKxN, as in 37x53x29$'),
        ('shapes = ["0x1x1"]', r'shapes\.0 = "0x1x1": must be MxKxN'),
        ('shapes = ["1x1x1"]\nforms = ["xx"]', r"forms\.0 = \"xx\": input should be 'nn', 'nt' or 'tn'$"),
        ('shapes = ["1x1x1"]\nseeds = [0.5]', r"seeds\.0 = 0\.5: input should be a valid integer$"),
        ('shapes = ["1x1x1"]\n[bounds]\nprediction_error = 0', r"bounds\.prediction_error = 0: "),
        (
            'shapes = ["1x1x1"]\nconfigurations = [3]',
            r"configurations\.0 = 3: must be a table of configuration keys, or a list of KEY=VALUE$",
        ),
        (
            'shapes = ["1x1x1"]\nconfigurations = [{}, { die.row = 3 }]',
            r"configurations\.1: -P die\.row=3: unknown key die\.row: the nearest known one is die\.rows$",
        ),
        ('shapes = ["1x1x1"]\nstalls = [1.5]', r"configurations\.0: stall = 1\.5: "),
        ('shapes = ["1x1x1"]\nsim = "vcs"', r"configurations\.0: --sim vcs is unknown: must be one of "),
        (
            'shapes = ["9000x9000x9000"]',
            r"configurations\.0: 9000x9000x9000 \(nn\) needs \d+ bytes of memory: ",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=f"^{path}: {message}") as refusal:
        cases(load_regression(path), source=str(path))
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=f"^{path}: not a TOML file: byte 0 is not UTF-8$"):
        load_regression(path)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> GemmCase:
    return cases(load_regression(write(tmp_path_factory.mktemp("list"), SMALL)))[0]


@pytest.fixture(scope="module")
def record(case: GemmCase) -> GemmRecord:
    finished = run_task(RegressionTask(case.request, ()))
    assert not finished.reused
    assert finished.record is not None
    return finished.record


def test_a_good_run(case: GemmCase, record: GemmRecord) -> None:
    bounds = Bounds(array_cycles_over_floor=8, prediction_error=0.1)
    assert shortfalls(case, Finished(record, False, ""), bounds) == []


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
    finished = Finished(record.model_copy(update=worse), False, "")
    mismatches = "2 of 12 results differ from the golden model"
    assert shortfalls(case, finished, Bounds()) == [
        mismatches,
        "array_cycles = 30 is 9 over the floor of 21: must be at most 8",
    ]
    prediction = Bounds(array_cycles_over_floor=9, prediction_error=0.05)
    assert shortfalls(case, finished, prediction) == [
        mismatches,
        "predicted_cycles = 90 is off by 10.00% of cycles = 100: must be at most 5.00%",
    ]
    stalled = GemmCase(case.name, case.request.model_copy(update={"stall": 0.1}), fits=False)
    assert shortfalls(stalled, finished, prediction) == [mismatches]
    assert shortfalls(stalled, finished, Bounds(array_cycles_over_floor=0)) == [mismatches]


def test_a_simulation_that_fails_is_an_outcome(case: GemmCase, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SimulationError("the die is not done after 10 cycles")

    monkeypatch.setattr("cosim.regress.matrix.run_unless_known", fail)
    finished = run_task(RegressionTask(case.request, ()))
    assert finished == Finished(None, False, "the die is not done after 10 cycles")
    assert shortfalls(case, finished, Bounds()) == ["the die is not done after 10 cycles"]

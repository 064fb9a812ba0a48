"""Regressions: the matrix of a file as runs."""

from __future__ import annotations

from pathlib import Path

from cosim.program.shape import FORMS
from cosim.regress.cases import cases
from cosim.regress.matrix import Bounds, load_baseline, load_regression, with_seed
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
    assert sum(case.fits for case in found) == 68
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
    bounds = load_regression(path).bounds
    assert bounds == Bounds(array_cycles_over_floor=2, baseline="gemm_baseline.toml")
    assert set(load_baseline(load_regression(path), path)) == {case.name for case in found}


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


def test_the_array_never_waits_in_what_fits(tmp_path: Path) -> None:
    text = 'shapes = ["1x1x1", "64x64x64"]\nconfigurations = [{ die.rows = 2, die.cols = 2, die.weight_bytes = 1024 }]'
    assert [case.fits for case in cases(load_regression(write(tmp_path, text)))] == [True, False]


LISTS = """\
[[lists]]
configuration = { die.rows = 2, die.cols = 3 }
runs = [
  { shape = "3x5x4" },
  { shape = "3x5x4", form = "tn", latency_cycles = 7, interval = 2, seed = 5 },
]
"""


def test_runs_of_a_list_have_values_of_their_own(tmp_path: Path) -> None:
    first, second = cases(load_regression(write(tmp_path, LISTS)))
    assert first.name == "2x3 bf16 3x5x4 nn stall=0 seed=0"
    assert second.name == "2x3 bf16 memory.latency_cycles=7 3x5x4 tn interval=2 stall=0 seed=5"
    request = second.request
    assert (request.m, request.k, request.n, request.form, request.seed) == (3, 5, 4, "tn", 5)
    assert (request.memory.latency_cycles, request.interval, request.stall) == (7, 2, 0)


def test_one_seed_for_all_runs(tmp_path: Path) -> None:
    regression = with_seed(load_regression(write(tmp_path, SMALL + LISTS)), 9)
    assert {case.request.seed for case in cases(regression)} == {9}


def test_intervals_are_a_part_of_the_matrix(tmp_path: Path) -> None:
    runs = cases(load_regression(write(tmp_path, 'shapes = ["1x1x1"]\nintervals = [1, 4]')))
    assert [case.request.interval for case in runs] == [1, 4]


def test_the_random_runs_are_on_many_dies() -> None:
    regression = load_regression(ROOT / "benchmarks/regressions/random.toml")
    assert sum(len(listed.runs) for listed in regression.lists) == 500
    assert len(regression.lists) == 20
    assert regression.bounds == Bounds(prediction_error=0.01, prediction_cycles=4)

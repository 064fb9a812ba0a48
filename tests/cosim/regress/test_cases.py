"""Regressions: the matrix of a file as runs."""

from __future__ import annotations

from pathlib import Path

from cosim.program.shape import FORMS
from cosim.regress.cases import cases
from cosim.regress.matrix import Bounds, load_baseline, load_regression
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


def test_the_bound_on_array_cycles_is_for_what_fits(tmp_path: Path) -> None:
    text = 'shapes = ["1x1x1", "64x64x64"]\nconfigurations = [{ die.rows = 2, die.cols = 2, die.weight_bytes = 1024 }]'
    assert [case.fits for case in cases(load_regression(write(tmp_path, text)))] == [True, False]

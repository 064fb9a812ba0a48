"""``hecaton cosim regress``: table, JSON, bounds, and a kill half-way that loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from hecaton.results.simulation_objects import RegressionRow
from tests.hecaton.command import ROOT, documented_keys, hecaton, refused

MATRIX = """\
configurations = [{ die.rows = 2, die.cols = 2 }]
shapes = ["3x5x4", "1x1x1", "4x2x2"]
stalls = [0.0, 0.25]
"""
RUNS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with the matrix; models are kept in it."""
    folder = tmp_path_factory.mktemp("regress")
    (folder / "list.toml").write_text(MATRIX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HECATON_CACHE", str(folder / "cache"))
        yield folder


def regress(folder: Path, records: str, *more: str) -> dict[str, Any]:
    done = hecaton(
        "cosim", "regress", str(folder / "list.toml"), "--records", str(folder / records), "--json", *more
    )
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def table(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows without what differs from run to run: wall-clock times, and the folder of the records."""
    return [
        {**row, "wall_seconds": None, "record": Path(row["record"]).name if row["record"] else None}
        for row in data["rows"]
    ]


def shown(folder: Path, records: str) -> str:
    """What a reader sees on stdout."""
    done = hecaton("cosim", "regress", str(folder / "list.toml"), "--records", str(folder / records))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    """Result of a regression that nothing interrupts."""
    return regress(folder, "whole")


def test_a_regression(folder: Path, whole: dict[str, Any]) -> None:
    assert set(whole) == documented_keys("cosim regress")
    assert {frozenset(row) for row in whole["rows"]} == {frozenset(RegressionRow.__annotations__)}
    assert (whole["runs"], whole["failed"], whole["reused"]) == (RUNS, 0, 0)
    assert [row["verdict"] for row in whole["rows"]] == ["good"] * RUNS
    assert [row["mismatches"] for row in whole["rows"]] == [0] * RUNS
    assert sorted(Path(row["record"]) for row in whole["rows"]) == sorted((folder / "whole").iterdir())


def test_again_nothing_is_run(folder: Path, whole: dict[str, Any]) -> None:
    again = regress(folder, "whole")
    assert again["reused"] == RUNS
    assert again["rows"] == whole["rows"]


def kill_half_way(folder: Path, records: str, more: Sequence[str]) -> int:
    """Start a regression and kill it as soon as there are two records; how many there are then."""
    place = folder / records
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "hecaton", "cosim", "regress", str(folder / "list.toml")),
            *("--records", str(place), "--json", *more),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while len(list(place.glob("[!.]*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    out, _ = process.communicate()
    assert out == b""
    return len(list(place.glob("[!.]*.json")))


def test_killed_half_way_and_started_again_it_gives_the_same_table(
    folder: Path, whole: dict[str, Any]
) -> None:
    there = kill_half_way(folder, "killed", ["--workers", "2"])
    assert 2 <= there < RUNS
    again = regress(folder, "killed")
    assert again["reused"] == there
    assert table(again) == table(whole)
    assert shown(folder, "killed") == shown(folder, "whole")


@pytest.mark.slow  # `hecaton sweep` has a quick test on such a cluster
def test_the_same_on_a_dask_cluster_of_two_workers_over_tcp(folder: Path, whole: dict[str, Any]) -> None:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address=":0"
    ) as cluster:
        scheduler = ["--scheduler", cluster.scheduler_address]
        assert scheduler[1].startswith("tcp://")
        there = kill_half_way(folder, "cluster", scheduler)
        assert 2 <= there < RUNS
        again = regress(folder, "cluster", *scheduler)
    assert again["reused"] == there
    assert table(again) == table(whole)


def test_what_falls_short_is_named(folder: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text(MATRIX.replace(', "1x1x1", "4x2x2"', "") + "[bounds]\narray_cycles_over_floor = 0\n")
    done = hecaton("cosim", "regress", str(strict), "--records", str(folder / "whole"))
    assert done.returncode == 1
    assert "2 runs" in done.stdout.splitlines()[0]
    lines = done.stderr.splitlines()
    assert lines[0].startswith("2 of 2 runs reused, ")
    assert lines[-1].startswith(
        "hecaton: error: 2 of 2 runs fall short: 2x2 bf16 3x5x4 nn stall=0 seed=0: array_cycles = "
    )
    assert "; 2x2 bf16 3x5x4 nn stall=0.25 seed=0: array_cycles = " in lines[-1]


def test_seed_and_simulator_of_the_command_line_win(folder: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.toml"
    one.write_text(
        'configurations = [{ die.rows = 2, die.cols = 2 }]\nshapes = ["1x1x1"]\nseeds = [1, 2]\nsim = "cxxrtl"\n'
    )
    options = ("--records", str(tmp_path), "--json", "--seed", "9", "--sim", "icarus")
    done = hecaton("cosim", "regress", str(one), *options)
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["seed"], row["sim"], row["verdict"]) == (9, "icarus", "good")


def test_refusals(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text('shapes = ["1x1x1"]\nforks = ["nn"]\n')
    assert (
        refused("cosim", "regress", str(path)) == f"{path}: unknown key forks: the nearest known one is forms"
    )
    assert (
        refused("cosim", "regress", str(tmp_path / "none.toml"))
        == f"{tmp_path}/none.toml: No such file or directory"
    )
    assert "exclude each other" in refused(
        "cosim", "regress", str(folder / "list.toml"), "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"
    )
    path.write_text('shapes = ["1x1x1"]\nsim = "vcs"\n')
    assert "--sim vcs is unknown" in refused("cosim", "regress", str(path))

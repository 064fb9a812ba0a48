"""``hecaton sweep``: file, front, plot, interruptions, refusals."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from chiplet.machine.config import load_system
from chiplet.sweep.axes import has_switch
from chiplet.sweep.columns import COLUMNS
from chiplet.sweep.evaluate import SweepTask
from chiplet.sweep.pareto import pareto_front
from chiplet.sweep.space import load_space, make_sweep
from hecaton.commands.studies.sweep import TASK_POINTS, _ranges
from hecaton.results.sweep_files import SweepFiles, input_columns, sweep_part
from tests.hecaton.command import documented_keys, hecaton, refused

SPACE = """
model = "tinyllama-1.1b"
method = ["hecaton", "flat-ring"]
dies = [4, 16]
constraints = ["link.lanes * link.lane_rate <= 1.1e12", "die_mm2 <= 58"]
[switches]
collective = ["ring", "chain"]
[vary]
die.rows = [32, 64, 512]
die.weight_bytes = 1048576
link.lanes = [16, 32, 64]
link.lane_rate = [16e9, 32e9]
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(SPACE, encoding="utf-8")
    return path


def test_points_front_and_plot(space: Path) -> None:
    done = hecaton("sweep", "space.toml", "-o", "out.parquet", "--json", cwd=space.parent)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("sweep")
    table = pq.read_table(space.parent / "out.parquet")
    rows = table.to_pylist()
    # Two methods, two packages, three heights, two collectives that only one method has, and 5 of 6 links.
    assert data["points"] == len(rows) == 3 * 2 * 3 * 5
    assert data["excluded"] == 4 * 2 * 3 * 6 - len(rows)
    assert data["fitting"] == sum(not row["reason"] for row in rows) > 0
    assert data["points_per_second"] == pytest.approx(data["points"] / data["seconds"])
    assert {row["reason"] for row in rows} >= {"", "falls short of die_mm2 <= 58"}
    assert all(row["step_seconds"] is not None for row in rows if not row["reason"])
    assert [row["point"] for row in rows] == sorted(row["point"] for row in rows)
    assert {(row["mesh"], row["dies"]) for row in rows} == {("2x2", 4), ("4x4", 16)}
    values = np.array([[row[name] for name in data["objectives"]] for row in rows if not row["reason"]])
    front = [row["point"] for row in rows if row["pareto"]]
    good = [row["point"] for row in rows if not row["reason"]]
    assert front == [point for point, on in zip(good, pareto_front(values), strict=True) if on]
    assert sorted(row["point"] for row in data["pareto"]) == front
    assert (space.parent / "out.png").read_bytes().startswith(b"\x89PNG")
    description = json.loads(table.schema.metadata[b"hecaton"])
    assert description["objectives"] == ["step_seconds", "energy_joules", "cost_dollars"]
    assert not list(space.parent.glob(".out*"))


def test_processes_and_one_process_write_the_same(space: Path) -> None:
    for name, workers in (("one", "1"), ("two", "2")):
        done = hecaton("sweep", str(space), "-o", f"{name}.parquet", "--workers", workers, cwd=space.parent)
        assert done.returncode == 0, done.stderr
        assert "Pareto front over step_seconds, energy_joules, cost_dollars" in done.stdout
    one, two = (pq.read_table(space.parent / f"{name}.parquet") for name in ("one", "two"))
    assert one.equals(two)


def test_a_cluster_writes_the_same(space: Path) -> None:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address=":0"
    ) as cluster:
        done = hecaton(
            "sweep",
            str(space),
            "-o",
            "far.parquet",
            "--scheduler",
            cluster.scheduler_address,
            cwd=space.parent,
        )
    assert done.returncode == 0, done.stderr
    assert hecaton("sweep", str(space), "-o", "near.parquet", cwd=space.parent).returncode == 0
    far, near = (pq.read_table(space.parent / f"{name}.parquet") for name in ("far", "near"))
    assert far.equals(near)


def test_an_interrupted_sweep_goes_on_where_it_stopped(space: Path) -> None:
    sweep = make_sweep(load_space(space), load_system(None, [], preset="package"), source="space")
    tasks = _ranges(sweep)
    output = space.parent / "out.parquet"
    files = SweepFiles(output, sweep, tasks, None)
    files.save(0, sweep_part(SweepTask(sweep, *tasks[0])))
    assert SweepFiles(output, sweep, tasks, None).missing == list(range(1, len(tasks)))
    assert not output.exists()
    message = refused("sweep", str(space), "-o", str(output), "-P", "link.latency_seconds=1e-9")
    assert message.startswith(
        f"{space.parent}/.out.parquet.parts: has parts of an interrupted sweep of another "
    )
    done = hecaton("sweep", str(space), "-o", str(output), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"] == pq.read_metadata(output).num_rows == 90
    assert not list(space.parent.glob(".out*"))


def test_a_sweep_that_fails_before_its_first_part_leaves_nothing(space: Path) -> None:
    sweep = make_sweep(load_space(space), load_system(None, [], preset="package"), source="space")
    tasks = _ranges(sweep)
    files = SweepFiles(space.parent / "out.parquet", sweep, tasks, None)
    assert list(space.parent.glob(".out*"))
    files.abandon()
    assert not list(space.parent.glob(".out*"))
    files = SweepFiles(space.parent / "out.parquet", sweep, tasks, None)
    files.save(0, sweep_part(SweepTask(sweep, *tasks[0])))
    files.abandon()
    assert SweepFiles(space.parent / "out.parquet", sweep, tasks, None).missing == list(range(1, len(tasks)))


def test_tasks_cover_all_points_once() -> None:
    spaces = Path(__file__).resolve().parents[4] / "benchmarks" / "spaces"
    for path in spaces.glob("*.toml"):
        sweep = make_sweep(load_space(path), load_system(None, [], preset="package"), source="space")
        ranges = _ranges(sweep)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == sweep.groups * sweep.group_points
        assert all(first[1] == second[0] for first, second in pairwise(ranges))
        assert max(stop - start for start, stop in ranges) <= TASK_POINTS


def test_columns_of_what_varies_are_those_of_the_points(space: Path) -> None:
    sweep = make_sweep(load_space(space), load_system(None, [], preset="package"), source="space")
    points = np.arange(sweep.groups * sweep.group_points)
    columns = {name: column.to_pylist() for name, column in input_columns(sweep, points).items()}
    assert not set(columns) & set(COLUMNS)
    for point in (0, 7, 100, len(points) - 1):
        chosen = sweep.group(point // sweep.group_points)
        assert columns["die.rows"][point] == chosen["die.rows"]
        assert columns["method"][point] == chosen["method"]
        assert columns["dies"][point] == chosen["mesh"]
        name = "switches.collective"
        there = has_switch(chosen["method"], name)
        assert columns[name][point] == (chosen[name] if there else None)


def test_a_space_where_nothing_fits_is_a_result(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text('model = "llama3.1-405b"\ndies = 1', encoding="utf-8")
    done = hecaton("sweep", str(path), "-o", str(tmp_path / "out.parquet"), "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["points"], data["fitting"], data["pareto"]) == (1, 0, [])
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert " does not fit: " in row["reason"]
    assert row["step_seconds"] is None


def test_refusals(space: Path) -> None:
    both = refused("sweep", str(space), "-o", "x.parquet", "--workers", "2", "--scheduler", "tcp://x:1")
    assert both == "--workers and --scheduler exclude each other: a cluster has its own workers"
    for name in ("x.csv", "x", "x.PARQUET"):
        assert refused("sweep", str(space), "-o", name) == (
            f"{name}: its suffix must be .parquet: the points are written in that format only"
        )
    assert refused("sweep", "missing.toml", "-o", "x.parquet") == "missing.toml: No such file or directory"
    assert refused("sweep", "/dev/zero", "-o", "x.parquet") == "/dev/zero: larger than 64 MiB"
    space.write_text('model = "llama2-7b"\n[vary]\nlink.lane = [1]', encoding="utf-8")
    assert refused("sweep", str(space), "-o", "x.parquet") == (
        f"{space}: unknown key link.lane: the nearest known one is link.lanes"
    )

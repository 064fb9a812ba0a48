"""The benchmarks work, and leave a table, its numbers and a plot. What they measure is not for a test."""

from __future__ import annotations

import json
import re
from math import inf
from pathlib import Path
from typing import Any

import pytest

from benchmarks import generation, more_resources, simulation, sweep
from benchmarks.report import markdown
from chiplet.projection.results import Projection
from chiplet.sweep.columns import of_projection
from cosim.backends.base import SimulationError
from cosim.backends.icarus import Icarus
from cosim.backends.registry import BACKENDS
from cosim.records.gemm import GemmRecord
from cosim.run.gemm import PreparedGemm


def report(folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts and rows; there are a table and a plot of them, too."""
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((folder / f"{name}.json").read_text())
    table = (folder / f"{name}.md").read_text()
    assert markdown(found["rows"]) in table
    assert found["notes"] in table
    for fact in ("machine", "processor", "cores", "load", "python", "amaranth", "seed", "date"):
        assert f"- {fact}: {found['about'][fact]}\n" in table
    return found["about"], found["rows"]


@pytest.mark.parametrize("compiled", ["cxxrtl", pytest.param("verilator", marks=pytest.mark.slow)])
def test_simulation(
    compiled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backends = {name: BACKENDS[name] for name in ("icarus", compiled)}
    monkeypatch.setattr(simulation, "BACKENDS", backends)
    assert simulation.main(["--quick", "-o", str(tmp_path), "--seed", "3"]) == 0
    about, rows = report(tmp_path, "simulation")
    assert about["seed"] == 3
    assert about["icarus"]
    die = [row for row in rows if row["design"] == "2x1"]
    names = [row["simulator"] for row in die]
    assert names[:2] == ["icarus, stock Verilog", "icarus"]
    assert names[-1] == "bare"
    assert len({row["cycles"] for row in die}) == 1
    assert all(row["cycles_per_second"] > 0 and row["cycles_per_cpu_second"] > 0 for row in rows)
    assert die[0]["to_baseline"] == die[-1]["to_bare"] == 1
    starts = {row["simulator"]: row["start_seconds"] for row in die}
    assert starts["icarus"] > 0
    assert starts["bare"] is None
    package = rows[len(die) :]
    assert [(row["design"], row["gemm"], row["simulator"]) for row in package] == [
        ("1x1 of 1x1", "2x2x2", "icarus")
    ]
    assert 0 < package[0]["array_use"] < 1
    assert capsys.readouterr().out.strip() == markdown(rows).strip()


def test_a_wrong_result_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = PreparedGemm.run

    def wrong(prepared: PreparedGemm) -> GemmRecord:
        return right(prepared).model_copy(update={"mismatches": 2})

    monkeypatch.setattr(PreparedGemm, "run", wrong)
    monkeypatch.setattr(simulation, "BACKENDS", {"icarus": Icarus()})
    assert simulation.main(["--quick", "-o", str(tmp_path)]) == 1
    assert "error: icarus, stock Verilog: 2 results differ from the golden model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_simulators_that_are_missing_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Missing(Icarus):
        name = "missing"

        def version(self) -> str:  # type: ignore[override]
            raise SimulationError("it is not installed")

    monkeypatch.setattr(simulation, "BACKENDS", {"missing": Missing()})
    monkeypatch.setattr(simulation, "Bare", Missing)
    assert simulation.main(["--quick", "-o", str(tmp_path)]) == 0
    assert "2x1 missing: left out: it is not installed" in capsys.readouterr().err
    _, rows = report(tmp_path, "simulation")
    assert [(row["simulator"], row["to_bare"]) for row in rows] == [
        ("icarus, stock Verilog", None),
        ("icarus", None),  # of the package
    ]


def test_generation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generation, "BASELINE_SECONDS", None)  # on a busy machine a minute may be too short
    assert generation.main(["--quick", "-o", str(tmp_path)]) == 0
    about, rows = report(tmp_path, "generation")
    assert [(row["array"], row["path"]) for row in rows] == [
        ("2x2", "stock Amaranth"),
        ("2x2", "hecaton"),
        ("4x4", "stock Amaranth"),
        ("4x4", "hecaton"),
    ]
    assert isinstance(about["growth"], float)
    ours = [row for row in rows if row["path"] == "hecaton"]
    # A module for each distinct block, not for each use.
    assert ours[1]["modules"] <= ours[0]["modules"] + 1
    assert all(row["bytes"] > 100_000 for row in rows)


def test_a_baseline_that_takes_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generation, "BASELINE_SECONDS", 0.0)
    assert generation.main(["--quick", "-o", str(tmp_path)]) == 0
    _, rows = report(tmp_path, "generation")
    assert [row["path"] for row in rows] == ["hecaton", "hecaton"]
    assert "It did not end within 0 s for 2x2." in (tmp_path / "generation.md").read_text()


def test_sweep(tmp_path: Path) -> None:
    assert sweep.main(["--quick", "-o", str(tmp_path), "--seed", "2"]) == 0
    about, rows = report(tmp_path, "sweep")
    assert about["seed"] == 2
    assert [(row["what"], row["path"]) for row in rows] == [
        ("quick", "single projections"),
        ("quick", "one core"),
        ("quick", "hecaton sweep"),
        ("llama3.1-405b on 1024 dies", "one projection on a given mesh"),
        ("chiplet.projection.project", "import"),
    ]
    assert [row["points"] for row in rows] == [5, 18, 18, 1, 1]
    for row in rows[1:3]:
        assert row["to_baseline"] == pytest.approx(row["per_second"] / rows[0]["per_second"])
    assert all(row["seconds"] > 0 for row in rows)


def test_another_number_than_alone_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    def wrong(found: Projection) -> dict[str, float]:
        return of_projection(found) | {"mfu": found.mfu * (1 + 1e-11)}

    monkeypatch.setattr(sweep, "of_projection", wrong)
    assert sweep.main(["--quick", "-o", str(tmp_path)]) == 1
    assert re.search(r"error: point \d+: mfu = 0\.\d+, alone 0\.\d+", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_growth_is_the_exponent_of_the_number_of_pes() -> None:
    assert generation.growth([2, 4, 8], [3.0 * size**2 for size in (2, 4, 8)]) == pytest.approx(1)
    assert generation.growth([2, 4, 8], [3.0 * size for size in (2, 4, 8)]) == pytest.approx(0.5)


def test_a_table_shows_numbers_and_what_is_missing() -> None:
    rows = [{"name": "a", "rate": 12345.6, "ratio": 0.123456, "count": 7, "other": None}]
    assert markdown(rows).splitlines()[2] == "| a | 12,346 | 0.1235 | 7 |  |"
    assert markdown([]) == ""


def test_more_resources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert more_resources.main(["--quick", "--jobs", "1", "-o", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "more_resources.json").read_text())["rows"]
    assert [row["more"] for row in rows[:2]] == ["dies", "SRAM"]
    assert all(row["steps"] > 0 and row["beyond"] == 0 and 1 <= row["worst"] <= 1.02 for row in rows)
    assert capsys.readouterr().out.strip() == markdown(rows).strip()


@pytest.mark.parametrize(
    ("seconds", "count", "worst"),
    [
        ([4.0, 2.0, 1.0], 0, 1.0),
        ([4.0, 4.04, 4.2], 1, 1.05),
        ([inf, 2.0, inf, 3.0, 1.0, 1.5], 2, 1.5),
        ([], 0, 1.0),
    ],
)
def test_what_is_beyond_the_bound(seconds: list[float], count: int, worst: float) -> None:
    steps, ratio = more_resources.beyond(seconds)
    assert steps == count
    assert ratio == pytest.approx(worst)

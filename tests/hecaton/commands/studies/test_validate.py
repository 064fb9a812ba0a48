"""``hecaton validate`` as its users run it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from tests.hecaton.command import called, refused


def test_validate_prints_every_run_with_its_error() -> None:
    done = called("validate", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert len(data["predictions"]) == 8
    assert data["mean_error"] <= 0.0365
    assert data["max_error"] <= 0.0887
    shown = called("validate")
    assert shown.returncode == 0
    assert shown.stdout.count("selective") == 4


def test_validate_refuses_an_unknown_machine() -> None:
    assert refused("validate", "--machine", "x") == (
        "unknown machine 'x': must be one of a100, b200, h100, or a TOML file"
    )


A100 = (resources.files("chiplet") / "presets" / "machines" / "a100.toml").read_text(encoding="utf-8")


def test_another_machine_needs_runs_of_its_own(tmp_path: Path) -> None:
    """It was set against the seconds of A100 nodes, with two runs marked as fitted."""
    (tmp_path / "other.toml").write_text(A100.replace('name = "a100"', 'name = "other"'))
    message = refused("validate", "--machine", "other.toml", cwd=tmp_path)
    assert message.startswith(
        "machine other.toml: no measured runs come with it: give them with --runs FILE.toml"
    )
    assert refused("validate", "--machine", "other.toml", "--runs", "a100", cwd=tmp_path) == (
        "--runs a100: measured on a100, not on other, the machine of --machine other.toml"
    )


def test_a_machine_with_its_own_runs_says_what_is_fitted(tmp_path: Path) -> None:
    runs = (resources.files("chiplet") / "presets" / "runs" / "a100.toml").read_text(encoding="utf-8")
    machine = A100.replace('name = "a100"', 'name = "other"').replace("312.0e12", "624.0e12")
    (tmp_path / "other.toml").write_text(machine)
    (tmp_path / "runs.toml").write_text(runs.replace('machine = "a100"', 'machine = "other"'))
    words = ("validate", "--machine", "other.toml", "--runs", "runs.toml")
    data = json.loads(called(*words, "--json", cwd=tmp_path).stdout)
    assert [each["fitted"] for each in data["predictions"]] == [False] * 8
    shown = called(*words, cwd=tmp_path).stdout
    assert "Steps measured on other, predicted" in shown
    assert "none of these runs" in shown


@pytest.mark.parametrize("machine", ["h100", "b200"])
def test_other_machines_have_runs_with_sources(machine: str) -> None:
    done = called("validate", "--machine", machine, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert all("NVIDIA" in each["run"]["source"] for each in data["predictions"])
    assert data["mean_error"] == data["mean_error_not_fitted"]
    assert data["efficiencies"]["gemm"] == "0.978 / (1 + 473 / smallest side)"
    shown = called("validate", "--machine", machine).stdout
    assert "measured by" in shown
    assert "NVIDIA" in shown


def test_a_machine_with_a_curve_says_so(tmp_path: Path) -> None:
    lines = [line for line in A100.splitlines() if not line.startswith(("gemm_efficiency", "gemm_half"))]
    curve = "gemm_curve = [{ size = 128, efficiency = 0.2 }, { size = 4096, efficiency = 0.9 }]"
    text = "\n".join([*lines, curve]).replace('name = "a100"', 'name = "other"')
    runs = (resources.files("chiplet") / "presets" / "runs" / "a100.toml").read_text(encoding="utf-8")
    (tmp_path / "other.toml").write_text(text)
    (tmp_path / "runs.toml").write_text(runs.replace('machine = "a100"', 'machine = "other"'))
    words = ("validate", "--machine", "other.toml", "--runs", "runs.toml")
    data = json.loads(called(*words, "--json", cwd=tmp_path).stdout)
    assert data["efficiencies"]["gemm"].startswith("curve of 2 points over smallest sides from 128 to 4096")
    assert data["machine"]["gemm_efficiency"] is None
    assert [point["size"] for point in data["machine"]["gemm_curve"]] == [128, 4096]
    assert "curve of 2 points" in called(*words, cwd=tmp_path).stdout
    assert refused(*words, "--pairs", cwd=tmp_path) == (
        "other has gemm_curve: pairs are fitted with gemm_efficiency and gemm_half"
    )


def test_validate_fits_every_pair_on_request() -> None:
    done = called("validate", "--pairs", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    fits = json.loads(done.stdout)["pairs"]
    assert len(fits) == 28
    assert {fit["gemm_efficiency"] is None for fit in fits} == {True, False}
    assert "Efficiencies from every pair of runs" in called("validate", "--pairs").stdout

"""``hecaton validate`` as its users run it."""

from __future__ import annotations

import json

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
        "unknown machine 'x': must be one of a100, or a TOML file"
    )


def test_validate_fits_every_pair_on_request() -> None:
    done = called("validate", "--pairs", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    fits = json.loads(done.stdout)["pairs"]
    assert len(fits) == 28
    assert {fit["gemm_efficiency"] is None for fit in fits} == {True, False}
    assert "Efficiencies from every pair of runs" in called("validate", "--pairs").stdout

"""The command calibrate tells the errors of array and network apart, and projections take what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chiplet.machine.calibration import Calibration
from cosim.calibrate import die as calibration
from cosim.calibrate import network as nop_calibration
from cosim.calibrate import step_terms as step_calibration
from cosim.calibrate.die import Sample
from cosim.calibrate.network import NopSample
from cosim.calibrate.step_graphs import Moved, Multiplied
from cosim.calibrate.step_terms import StepSample
from hecaton import cli
from tests.hecaton.command import documented_keys


def test_array_and_network_are_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gemms = [Sample(2, 2, 3, 4, 5, "nn", holdout=False), Sample(2, 2, 5, 3, 2, "nt", holdout=True)]
    collectives = [
        NopSample("all-gather", "chain", 2, 1, holdout=False),
        NopSample("all-reduce", "ring", 2, 5, holdout=True),
    ]
    monkeypatch.setattr(calibration, "samples", lambda *, quick: gemms)
    monkeypatch.setattr(nop_calibration, "nop_samples", lambda *, quick: collectives)
    steps = [
        StepSample(4, 4, Moved(2), holdout=False),
        StepSample(4, 4, Multiplied(4, 4, 4), holdout=False),
        StepSample(4, 4, Moved(3), holdout=True),
    ]
    monkeypatch.setattr(step_calibration, "step_samples", lambda *, quick: steps)
    path = tmp_path / "calibration.json"
    assert cli.run(["calibrate", "-o", str(path), "--workers", "1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == documented_keys("calibrate")
    assert [row["use"] for row in data["nop_samples"]] == ["fit", "holdout"]
    assert data["nop_holdout_max_relative_error"] <= 0.03
    assert {row["term"] for row in data["nop_fits"]} >= {
        "nop.hop_cycles",
        "nop.bypass_cycles",
        "nop.link_cycles",
    }
    assert data["step_holdout_max_relative_error"] <= 0.01
    assert [row["use"] for row in data["step_samples"]] == ["fit", "fit", "holdout"]
    fitted = {row["term"]: row for row in data["step_fits"]}
    assert fitted["step.memory_read"]["use"] == "fit"
    assert fitted["step.vector_pass"]["use"] == "held"
    loaded = Calibration.load(path)
    assert loaded.step is not None
    assert "memory_read" in loaded.step.model_fields_set
    assert "vector_pass" not in loaded.step.model_fields_set
    assert loaded.nop is not None
    assert loaded.provenance["nop_samples"] == 2

    options = ["--model", "tinyllama-1.1b", "--dies", "4", "--calibration", str(path), "--json"]
    assert cli.run(["project", *options]) == 0
    inputs = json.loads(capsys.readouterr().out)["measured_inputs"]
    assert [item["value"] for item in inputs if item["name"] == "link.router_cycles"] == [
        loaded.nop.hop_cycles
    ]

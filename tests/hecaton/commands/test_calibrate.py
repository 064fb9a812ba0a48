"""The command calibrate tells the errors of array and network apart, and projections take what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chiplet.machine.calibration import Calibration
from cosim.calibrate import die as calibration
from cosim.calibrate import network as nop_calibration
from cosim.calibrate.die import Sample
from cosim.calibrate.network import NopSample
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
    loaded = Calibration.load(path)
    assert loaded.nop is not None
    assert loaded.provenance["nop_samples"] == 2

    options = ["--model", "tinyllama-1.1b", "--dies", "4", "--calibration", str(path), "--json"]
    assert cli.run(["project", *options]) == 0
    inputs = json.loads(capsys.readouterr().out)["measured_inputs"]
    assert [item["value"] for item in inputs if item["name"] == "link.router_cycles"] == [
        loaded.nop.hop_cycles
    ]

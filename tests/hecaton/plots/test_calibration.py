"""The plot of a calibration hides no error."""

from __future__ import annotations

from pathlib import Path

from hecaton.plots.calibration import plot_calibration


def test_calibration_tells_the_largest_error_of_each_use(tmp_path: Path) -> None:
    rows = [
        {"use": "fit", "cycles": 100, "predicted_cycles": 101.0, "relative_error": 0.01},
        {"use": "holdout", "cycles": 1000, "predicted_cycles": 970.0, "relative_error": 0.03},
        {"use": "holdout", "cycles": 2000, "predicted_cycles": 2000.0, "relative_error": 0.0},
    ]
    plot_calibration(rows, "Cycles", tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert ">fitted: 1 runs, largest error 1.00%</text>" in text
    assert ">held out: 2 runs, largest error 3.00%</text>" in text
    assert "another memory" not in text

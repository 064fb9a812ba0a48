"""Plot of a training run: a point for each step, and the same file for the same losses."""

from __future__ import annotations

from pathlib import Path

from hecaton.plots.training import plot_loss


def test_the_curve_is_drawn_over_the_steps(tmp_path: Path) -> None:
    paths = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for path in paths:
        plot_loss([2.5, 1.0, 0.25], path, "2x2 dies, adam, rate 0.02")
    text = paths[0].read_text()
    assert text == paths[1].read_text()
    for shown in ("2x2 dies, adam, rate 0.02", ">step<", "mean cross-entropy"):
        assert shown in text

"""The plot of weak scaling shows every model and method."""

from __future__ import annotations

from pathlib import Path

from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from hecaton.plots.scaling import plot_scaling
from tests.chiplet.machines import PACKAGE


def test_scaling_shows_every_case(tmp_path: Path) -> None:
    cases = (("tinyllama-1.1b", 16), ("llama2-7b", 64))
    projections = [
        project(StepRequest(model, PACKAGE, dies=dies, method=method))
        for model, dies in cases
        for method in ("hecaton", "flat-ring")
    ]
    plot_scaling(projections, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for projection in projections:
        assert f"<!-- {projection.model}, {projection.dies} dies, {projection.method} -->" in text
        assert f"<!-- {projection.step_seconds:.4g} s -->" in text

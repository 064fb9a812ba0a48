"""The plot of weak scaling shows every model and method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.studies.results import SensitivityRow
from hecaton.plots import scaling
from hecaton.plots.figure import saved_figure
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
        assert f">{projection.model}, {projection.dies} dies, {projection.method}</text>" in text
        assert f">{projection.step_seconds:.4g} s</text>" in text


def test_every_point_of_a_panel_is_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier panel once fixed the axis that all share."""
    rows = [
        SensitivityRow(
            parameter=parameter,
            value=str(value),
            model="model",
            dies=4,
            mesh="2x2",
            method="hecaton",
            step_seconds=seconds,
            energy_joules=1.0,
            mfu=0.5,
            speedup=None,
            energy_ratio=None,
        )
        for parameter, seconds in (("link bandwidth", 2.0), ("array", 50.0))
        for value in (0.5, 1.0)
    ]
    tops: list[float] = []
    saved = saved_figure

    @contextmanager
    def watched(path: Path, width: float, height: float) -> Iterator[Figure]:
        with saved(path, width, height) as figure:
            yield figure
            tops.extend(axes.get_ylim()[1] for axes in figure.axes)

    monkeypatch.setattr(scaling, "saved_figure", watched)
    scaling.plot_sensitivity(rows, tmp_path / "plot.svg")
    assert len(tops) == 2
    assert min(tops) >= 50

"""Plots are written, and hold one bar a method and part."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.studies.compare import compare
from hecaton.plots.projection import ENERGY_PARTS, TIME_PARTS, plot_comparison
from tests.chiplet.machines import PACKAGE


@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.pdf"])
def test_comparison_in_every_format(tmp_path: Path, name: str) -> None:
    plot_comparison(compare(StepRequest("tinyllama-1.1b", PACKAGE, dies=16)), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 5_000


def test_comparison_names_methods_and_published_figures(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    comparison = compare(StepRequest("llama3.1-405b", PACKAGE, dies=1024))
    plot_comparison(comparison, path)
    text = path.read_text(encoding="utf-8")
    for name in (
        "hecaton",
        "optimus",
        "flat-ring, both ways, gathers again, no overlap",
        "published, 1024 dies (inferred): 5.29x speed, 1/3.46 energy",
    ):
        assert f">{name}</text>" in text


def test_parts_are_those_that_add_up() -> None:
    projection = project(StepRequest("tinyllama-1.1b", PACKAGE, dies=16))
    assert sum(getattr(projection.breakdown, part) for part in TIME_PARTS) == pytest.approx(
        projection.step_seconds
    )
    assert ENERGY_PARTS.keys() == projection.energy.keys()


def test_an_unknown_format_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plot.xyz: cannot write the plot: "):
        plot_comparison(compare(StepRequest("tinyllama-1.1b", PACKAGE, dies=16)), tmp_path / "plot.xyz")

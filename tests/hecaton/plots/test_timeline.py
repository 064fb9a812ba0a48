"""The plot of a step names its tracks, and shows absolute values beside shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.timeline.placed_step import timeline
from hecaton.plots.timeline import plot_timeline
from hecaton.terminal.tables import quantity
from tests.chiplet.machines import PACKAGE, package, small_model, small_package


def test_the_plot_shows_tracks_parts_and_memories(tmp_path: Path) -> None:
    accounted = account(StepRequest("tinyllama-1.1b", PACKAGE, mesh=(4, 4)))
    steps = timeline(accounted)
    plot_timeline(steps, accounted.projection, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for track in steps.tracks():
        assert (f">{track}</text>" in text) == (track not in ("step", "layers"))
    dram = accounted.projection.memory.dram
    assert f">{quantity(dram.needed_bytes, 'B')} of {quantity(dram.available_bytes, 'B')}</text>" in text
    assert f">{quantity(accounted.projection.breakdown.compute, 's')}</text>" in text
    assert ">time (s)</text>" in text


@pytest.mark.parametrize("overlap", [True, False])
def test_the_smallest_steps_have_plots(tmp_path: Path, overlap: bool) -> None:
    accounted = account(
        StepRequest(
            small_model(layers=1),
            small_package(),
            mesh=(1, 1),
            global_batch=1,
            sequence_length=1,
            switches={"overlap": overlap},
        )
    )
    plot_timeline(timeline(accounted), accounted.projection, tmp_path / "plot.svg")
    assert ">array</text>" in (tmp_path / "plot.svg").read_text()


def test_several_packages_show_their_bubble(tmp_path: Path) -> None:
    system = package("parallel.pipeline=4")
    accounted = account(StepRequest("tinyllama-1.1b", system, mesh=(2, 2), global_batch=16))
    plot_timeline(timeline(accounted), accounted.projection, tmp_path / "plot.svg")
    assert ">bubble</text>" in (tmp_path / "plot.svg").read_text()

"""The plot of a search shows what is least, in its unit, beside the ratio."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.methods.registry import METHODS
from chiplet.optimize.results import BestWay, Goal, Optimum
from hecaton.plots.optimum import GOAL_UNITS, plot_optimum
from hecaton.terminal.tables import quantity


def way(method: str, value: float, ratio: float) -> BestWay:
    return BestWay(
        method=method,
        switches={"recompute": "none" if ratio == 1 else "full"},
        mesh="2x3",
        dies=6,
        packages=1,
        data=1,
        pipeline=1,
        context=1,
        alike=(),
        value=value,
        ratio=ratio,
        decides="compute",
        share=0.9,
        step_seconds=3.0,
        tokens_per_second=10.0,
        mfu=0.5,
        energy_joules=7.0,
        cost_dollars=11.0,
        project="",
    )


@pytest.mark.parametrize("goal", GOAL_UNITS)
def test_every_way_is_shown_with_its_value(goal: Goal, tmp_path: Path) -> None:
    ways = [way(method, 12.5 * ratio, ratio) for ratio in (1.0, 1.5) for method in METHODS]
    optimum = Optimum(
        model="model", goal=goal, dies=6, packages=1, best=tuple(ways), evaluated=100, seconds=0.1
    )
    plot_optimum(optimum, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for one in ways:
        shown = f"{quantity(one.value, GOAL_UNITS[goal])} ({one.ratio:.3f} of the best)"
        assert f">{shown}</text>" in text
        assert f">{one.method}</text>" in text
    assert ">2x3, recompute full</text>" in text

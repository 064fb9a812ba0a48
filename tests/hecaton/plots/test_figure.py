"""Units, bars, and files that appear complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hecaton.plots.figure import prefixed, saved_figure, stacked_bars


@pytest.mark.parametrize(
    ("largest", "unit", "expected"),
    [
        (2.7e6, "J", (1e6, "MJ")),
        (999.0, "J", (1.0, "J")),
        (2530.0, "s", (1.0, "s")),
        (0.02, "s", (1e-3, "ms")),
        (0.0, "J", (1.0, "J")),
        (float("inf"), "J", (1.0, "J")),
    ],
)
def test_prefixed(largest: float, unit: str, expected: tuple[float, str]) -> None:
    factor, name = prefixed(largest, unit)
    assert name == expected[1]
    assert factor == pytest.approx(expected[0])


def test_bars_stack_and_leave_out_what_is_zero() -> None:
    axes = Figure().subplots()
    parts = {"array": [3.0, 1.0], "static": [0.0, 0.0], "NoP": [1.0, 2.0]}
    stacked_bars(axes, ["a", "b"], parts, dict.fromkeys(parts, "black"), ["4 s", "3 s"])
    ends = [[bar.get_x() + bar.get_width() for bar in stack] for stack in axes.containers]
    assert ends == [[3.0, 1.0], [4.0, 3.0]]
    assert [text.get_text() for text in axes.texts] == ["4 s", "3 s"]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["array", "NoP"]


def test_bars_of_nothing() -> None:
    axes = Figure().subplots()
    stacked_bars(axes, ["a"], {"array": [0.0]}, {"array": "black"}, ["0 s"])
    assert axes.get_xlim()[1] > 0


def test_a_plot_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), saved_figure(path, 2, 2):
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    with saved_figure(path, 2, 2) as figure:
        figure.text(0, 0, "new")
    assert "<!-- new -->" in path.read_text()
    with (
        pytest.raises(ValueError, match="plot.xyz: cannot write the plot: "),
        saved_figure(tmp_path / "plot.xyz", 2, 2),
    ):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["plot.svg"]

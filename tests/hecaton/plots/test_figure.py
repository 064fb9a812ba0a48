"""Units, bars, and files that appear complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from chiplet.methods.registry import METHODS
from hecaton.plots.figure import COLOURS, METHOD_LOOKS, check_plot, prefixed, saved_figure, stacked_bars


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
    assert ">new</text>" in path.read_text()
    with (
        pytest.raises(
            ValueError, match=r"plot.xyz: cannot write the plot: its suffix must be one of .pdf, .svg, "
        ),
        saved_figure(tmp_path / "plot.xyz", 2, 2),
    ):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["plot.svg"]


@pytest.mark.parametrize("name", ["plot", "plot.jpg", "plot.ps", "plot.pdf.gz"])
def test_other_formats_are_refused_before_anything_runs(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="its suffix must be one of"):
        check_plot(tmp_path / name)


def test_methods_have_looks_of_their_own() -> None:
    assert METHOD_LOOKS.keys() == METHODS.keys()
    for key in ("color", "marker", "linestyle"):
        assert len({looks[key] for looks in METHOD_LOOKS.values()}) == len(METHODS)
    assert not {looks["color"] for looks in METHOD_LOOKS.values()} & set(COLOURS.values())


def test_fonts_are_embedded_as_truetype_and_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one.pdf", "two.pdf", "one.svg", "two.svg"):
        with saved_figure(tmp_path / name, 2, 2) as figure:
            figure.text(0.1, 0.1, "words")
    content = (tmp_path / "one.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    for suffix in ("pdf", "svg"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()

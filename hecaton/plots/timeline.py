"""Plot of one training step: the timeline of a layer, the parts of the step, and its memories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, PAGE, prefixed, saved_figure
from hecaton.plots.projection import TIME_PARTS
from hecaton.terminal.tables import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chiplet.projection.results import Projection
    from chiplet.timeline.spans import Span, Timeline

TRACKS = ("mini-batches", "operations")
"""What runs, drawn above what is busy; its spans take turns in two greys."""


def plot_timeline(timeline: Timeline, projection: Projection, path: Path) -> None:
    """Draw a layer of ``timeline`` forward and backward, the beginning of it tile by tile, the parts of the step, and
    what the memories hold, into ``path`` (pdf, svg or png).
    """
    forward, backward = timeline.detail
    with saved_figure(path, PAGE, 6.2) as figure:
        grid = figure.add_gridspec(3, 2, height_ratios=(1.15, 1.15, 1))
        _layer(
            figure.add_subplot(grid[0, :]),
            timeline,
            *forward,
            "first layer, forward (pale: several mini-batches or token tiles in one piece)",
        )
        begin, end, name = _first_tiles(timeline, *forward)
        _layer(figure.add_subplot(grid[1, 0]), timeline, begin, end, name)
        _layer(figure.add_subplot(grid[1, 1]), timeline, *backward, "first layer, backward")
        _parts(figure.add_subplot(grid[2, 0]), projection)
        _memories(figure.add_subplot(grid[2, 1]), timeline, projection)
        title = f"{projection.model} on {projection.dies} dies ({projection.mesh}), {projection.method}"
        figure.suptitle(f"{title}: a step of {quantity(projection.step_seconds, 's')}")


def _first_tiles(timeline: Timeline, begin: float, end: float) -> tuple[float, float, str]:
    """Begin, end and name of the first operation, as far as each of its token tiles is drawn."""
    inside = [span for span in timeline.on("operations") if begin <= span.start < end]
    operation = min(inside, key=lambda span: span.start)
    until = operation.end
    for span in timeline.on("array"):
        if operation.start <= span.start < operation.end and span.count > 1:
            until = min(until, span.start)
    what = "first token tiles" if until < operation.end else "token tiles"
    return operation.start, until, f"{operation.name}: {what} of {operation.details['token tiles']}"


def _colour(track: str) -> str:
    if track.startswith("links"):
        return COLOURS["nop"]
    unit, *_ = track.split(",")  # the optimizer has tracks of its own
    return COLOURS[{"array": "array", "vector unit": "vector", "DRAM": "dram"}[unit]]


def _layer(axes: Axes, timeline: Timeline, begin: float, end: float, title: str) -> None:
    """The tracks from ``begin`` to ``end``. What stands for several things at once is paler."""
    tracks = [track for track in timeline.tracks() if track not in ("step", "layers")]
    factor, unit = prefixed(end - begin, "s")
    for row, track in enumerate(tracks):
        spans = [span for span in timeline.on(track) if span.end > begin and span.start < end]
        spans.sort(key=lambda span: span.start)
        for pale in (False, True):
            drawn = [(number, span) for number, span in enumerate(spans) if (span.count > 1) == pale]
            bars = [(_clip(span, begin, end, factor)) for _, span in drawn]
            greys = [("0.45", "0.7")[number % 2] for number, _ in drawn]
            axes.broken_barh(
                bars,
                (row - 0.4, 0.8),
                facecolors=greys if track in TRACKS else _colour(track),
                alpha=0.45 if pale else 1.0,
                linewidth=0,
            )
    axes.set_yticks(range(len(tracks)), tracks)
    axes.set_ylim(len(tracks) - 0.5, -0.5)
    axes.set_xlim(0, (end - begin) / factor)
    axes.set_xlabel(f"time ({unit})")
    axes.set_title(title)
    axes.grid(visible=False, axis="y")


def _clip(span: Span, begin: float, end: float, factor: float) -> tuple[float, float]:
    start, stop = max(span.start, begin), min(span.end, end)
    return (start - begin) / factor, (stop - start) / factor


def _parts(axes: Axes, projection: Projection) -> None:
    """What each part adds to the step, and how long it is busy."""
    breakdown = projection.breakdown
    busy = {"nop_exposed": "nop_busy", "vector_exposed": "vector_busy", "dram_exposed": "dram_busy"}
    parts: list[tuple[str, str, float, float | None]] = [
        (label, colour, getattr(breakdown, part), getattr(breakdown, busy[part]) if part in busy else None)
        for part, (label, colour) in TIME_PARTS.items()
    ]
    for label, seconds in (
        ("bubble", breakdown.pipeline_bubble),
        ("between packages", breakdown.fabric_exposed),
    ):
        if seconds:
            parts.append((label, "static", seconds, None))
    factor, unit = prefixed(projection.step_seconds, "s")
    for row, (_, colour, adds, whole) in enumerate(parts):
        if whole is not None:
            axes.barh(row, whole / factor, color="none", edgecolor=COLOURS[colour], linewidth=0.8, height=0.7)
        axes.barh(row, adds / factor, color=COLOURS[colour], height=0.7)
        text = (
            quantity(adds, "s") if whole is None else f"{quantity(adds, 's')} of {quantity(whole, 's')} busy"
        )
        _beside(axes, max(adds, whole or 0.0) / factor, row, text)
    axes.set_yticks(range(len(parts)), [label for label, *_ in parts])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * max(max(adds, whole or 0.0) for *_, adds, whole in parts) / factor)
    axes.set_xlabel(f"adds to the step; outline: busy ({unit})")
    axes.grid(visible=False, axis="y")


def _memories(axes: Axes, timeline: Timeline, projection: Projection) -> None:
    """The most that each memory holds, as a share of what there is, with both in bytes."""
    uses = {**projection.memory.buffers, "DRAM": projection.memory.dram}
    peaks = {name: max(level.held for level in timeline.levels if level.memory == name) for name in uses}
    names: Sequence[str] = list(uses)
    for row, name in enumerate(names):
        share = 100 * peaks[name] / uses[name].available_bytes
        axes.barh(row, share, color="0.55", height=0.7)
        text = f"{quantity(peaks[name], 'B')} of {quantity(uses[name].available_bytes, 'B')}"
        _beside(axes, share, row, text)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 200)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("most that is held (% of the memory)")
    axes.grid(visible=False, axis="y")


def _beside(axes: Axes, end: float, row: int, text: str) -> None:
    axes.annotate(text, (end, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6.5)

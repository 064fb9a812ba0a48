"""Plot of a die's scratchpad: which words hold which tensor, from step to step of the program."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, PAGE, saved_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cosim.compile.compiled_step import Buffer, DieProgram

_KINDS: dict[str, tuple[str, set[str]]] = {
    "loaded from memory": ("dram", {"LOAD"}),
    "product": ("array", {"DRAIN"}),
    "vector passes": ("vector", {"VECTOR"}),
    "collective": ("nop", {"SEND", "RECEIVE"}),
    "not of a step": ("static", set()),
}
"""What fills a buffer: its colour, and the commands that do so; the word of relays has no steps."""

MOST_NAMES = 24
"""Most bars that get the names of their tensors: those with the most room."""


def plot_scratchpad(die: DieProgram, available: int, title: str, path: Path) -> None:
    """Draw the buffers of ``die`` over its steps into ``path`` (pdf, svg or png), coloured by what fills them.

    ``available`` are the words of the scratchpad.
    """
    used = max((buffer.end for buffer in die.scratchpad), default=0)
    with saved_figure(path, PAGE, 4.2) as figure:
        axes = figure.add_subplot()
        _bars(axes, die)
        axes.set_xlim(0, len(die.steps) or 1)
        axes.set_ylim(0, 1.02 * used or 1)
        axes.set_xlabel("step of the program (commands, in order)")
        axes.set_ylabel("scratchpad (words)")
        axes.set_title(f"{title}: {used} of {available} words")
        _names(axes, die, used)
        if die.scratchpad:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=len(_KINDS))


def _bars(axes: Axes, die: DieProgram) -> None:
    kinds: dict[str, list[Buffer]] = defaultdict(list)
    for buffer in die.scratchpad:
        kinds[_kind(die, buffer)].append(buffer)
    for kind, (colour, _) in _KINDS.items():
        buffers = kinds[kind]
        if buffers:
            axes.bar(
                [buffer.first_step for buffer in buffers],
                [buffer.words for buffer in buffers],
                [_steps(buffer) for buffer in buffers],
                [buffer.word for buffer in buffers],
                align="edge",
                color=COLOURS[colour],
                edgecolor="white",
                linewidth=0.2,
                label=kind,
            )


def _kind(die: DieProgram, buffer: Buffer) -> str:
    """What fills a buffer: the first of its steps that writes into it."""
    for step in die.steps[buffer.first_step : buffer.last_step + 1]:
        for touch in step.touches:
            end = touch.first + (touch.rows - 1) * touch.pitch + touch.words
            inside = touch.first < buffer.end and buffer.word < end
            if touch.space == "scratchpad" and touch.writes and inside:
                return next(kind for kind, (_, by) in _KINDS.items() if step.opcode.name in by)
    return "not of a step"


def _steps(buffer: Buffer) -> int:
    return buffer.last_step + 1 - buffer.first_step


def _names(axes: Axes, die: DieProgram, used: int) -> None:
    """Names of tensors in bars that are large enough for them."""
    steps = len(die.steps)
    roomy = [
        buffer
        for buffer in die.scratchpad
        if buffer.words > 0.025 * used and _steps(buffer) > 0.009 * steps * len(buffer.text)
    ]
    roomy.sort(key=lambda buffer: -buffer.words * _steps(buffer))
    for buffer in roomy[:MOST_NAMES]:
        middle = buffer.first_step + _steps(buffer) / 2, buffer.word + buffer.words / 2
        axes.text(*middle, buffer.text, ha="center", va="center", fontsize=5, color="white", clip_on=True)

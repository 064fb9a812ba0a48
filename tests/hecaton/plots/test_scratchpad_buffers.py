"""The plot of a scratchpad shows every buffer, coloured by what fills it, with the names that have room."""

from __future__ import annotations

from pathlib import Path

from cosim.compile.compiled_step import Buffer, DieProgram
from cosim.compile.ordering.die_steps import DieStep, Touch
from hecaton.plots.figure import COLOURS
from hecaton.plots.scratchpad_buffers import plot_scratchpad
from rtl.interface.isa import Opcode


def writes(opcode: Opcode, first: int) -> DieStep:
    return DieStep(opcode, {}, (Touch("scratchpad", first, 2, 2, 5, writes=True),))


DIE = DieProgram(
    io_die="io_west_0",
    steps=[
        writes(Opcode.LOAD, 0),
        writes(Opcode.VECTOR, 10),
        writes(Opcode.DRAIN, 20),
        writes(Opcode.RECEIVE, 30),
        DieStep(Opcode.STORE, {}, (Touch("scratchpad", 10, 7),)),
    ],
    commands=[],
    scratchpad=[
        Buffer(name="w", layer=0, word=0, words=10, first_step=0, last_step=4),
        Buffer(name="x", tile=1, word=10, words=7, first_step=1, last_step=4),
        # Begins with a read of its neighbour: what it holds comes a step later.
        Buffer(name="sums", word=20, words=10, first_step=1, last_step=3),
        Buffer(name="sums.gathered.from.all.the.dies", word=30, words=7, first_step=3, last_step=3),
    ],
)


def test_buffers_have_the_colours_of_what_fills_them(tmp_path: Path) -> None:
    plot_scratchpad(DIE, 64, "Scratchpad of die (0, 0)", tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for colour in ("dram", "vector", "array", "nop"):
        assert text.count(f"fill: {COLOURS[colour]}") == 2  # the bar, and its entry in the legend
    for word in ("loaded from memory", "product", "vector passes", "collective", "w L0", "x T1", "sums"):
        assert f">{word}</text>" in text
    assert ">sums.gathered.from.all.the.dies</text>" not in text
    assert ">Scratchpad of die (0, 0): 37 of 64 words</text>" in text
    assert ">scratchpad (words)</text>" in text


def test_a_buffer_that_no_step_writes_is_shown(tmp_path: Path) -> None:
    relay = Buffer(name="relay", word=50, words=1, first_step=0, last_step=4)
    die = DieProgram(io_die="", steps=DIE.steps, commands=[], scratchpad=[relay])
    plot_scratchpad(die, 64, "Scratchpad", tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert ">not of a step</text>" in text
    assert f"fill: {COLOURS['static']}" in text


def test_a_program_without_buffers_has_an_empty_plot(tmp_path: Path) -> None:
    die = DieProgram(io_die="", steps=[], commands=[])
    plot_scratchpad(die, 64, "Scratchpad", tmp_path / "plot.pdf")
    assert (tmp_path / "plot.pdf").stat().st_size > 0

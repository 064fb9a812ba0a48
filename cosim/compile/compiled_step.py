"""A training step that was compiled: for each die its program, and where its tensors lie in memory and scratchpad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chiplet.graph.graph import Graph
from chiplet.graph.training.sizes import StepSizes
from chiplet.layout.storage import Storage
from chiplet.machine.specs import SystemSpec
from cosim.compile.steps import Step
from cosim.program.command import Command
from cosim.program.layout import Places

__all__ = ["Buffer", "CompiledStep", "DieProgram", "StoredTensor"]


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor in a die's memory.

    Attributes
    ----------
    name, layer, tile
        The tensor of the graph; None for one that all layers, or all token tiles, share.
    storage
        Its words: those of the memory behind the die's IO die.
    """

    name: str
    layer: int | None = None
    tile: int | None = None
    storage: Storage


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """Words of the scratchpad that hold a tensor, or a part of one, for a while.

    Attributes
    ----------
    name, layer, tile
        What it holds; None for what all layers, or all token tiles, share.
    word, words
        First word, and how many.
    first_step, last_step
        The steps of the die, by number, that are the first and the last to use it.
    """

    name: str
    layer: int | None = None
    tile: int | None = None
    word: int
    words: int
    first_step: int
    last_step: int

    @property
    def end(self) -> int:
        """First word behind it."""
        return self.word + self.words


@dataclass(frozen=True, kw_only=True)
class DieProgram:
    """What a die does in a step.

    Attributes
    ----------
    io_die
        The IO die behind which its memory lies.
    steps
        The steps, in order.
    commands
        The program: as many commands as steps, in the same order, unless semaphores need more.
    memory
        Tensors in memory, by name, layer and token tile.
    scratchpad
        Buffers, in the order of their first steps.
    constants
        Memory words of the constants, by vector program and name.
    """

    io_die: str
    steps: Sequence[Step]
    commands: Sequence[Command]
    memory: Mapping[tuple[str, int | None, int | None], StoredTensor] = field(default_factory=dict)
    scratchpad: Sequence[Buffer] = ()
    constants: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """A training step as programs of all dies of a package.

    Attributes
    ----------
    sizes, system, graph
        What was compiled, and for which package.
    dies
        In the order of their numbers.
    memory_words
        Words of the memory behind an IO die that its dies use, programs left out: the most of all IO dies.
    places
        What is taken of each memory. Programs have no place yet.
    """

    sizes: StepSizes
    system: SystemSpec
    graph: Graph
    dies: Sequence[DieProgram]
    memory_words: int
    places: Places

"""A training step that was compiled: for each die its program, and where its tensors lie in memory and scratchpad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.graph.graph import Graph
from chiplet.graph.training.sizes import StepSizes
from chiplet.layout.storage import Storage
from chiplet.machine.specs import SystemSpec
from cosim.compile.ordering.die_steps import DieStep
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

    @property
    def text(self) -> str:
        """The tensor as people read it, such as ``ffn.up.weight L0``."""
        return _text(self.name, self.layer, self.tile)

    @property
    def words(self) -> range:
        """Its words."""
        run = self.storage.run
        return range(run.word, run.word + self.storage.taken(run.rows))


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
    def text(self) -> str:
        """What it holds as people read it, such as ``scores L0 T1``."""
        return _text(self.name, self.layer, self.tile)

    @property
    def end(self) -> int:
        """First word behind it."""
        return self.word + self.words


def _text(name: str, layer: int | None, tile: int | None) -> str:
    return name + ("" if layer is None else f" L{layer}") + ("" if tile is None else f" T{tile}")


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
    steps: Sequence[DieStep]
    commands: Sequence[Command]
    memory: Mapping[tuple[str, int | None, int | None], StoredTensor] = field(default_factory=dict)
    scratchpad: Sequence[Buffer] = ()
    constants: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def step_numbers(self) -> list[int | None]:
        """The number of each command's step; None for commands that have no step, such as a SET.

        Raises
        ------
        ValueError
            If a step has no command.
        """
        numbers: list[int | None] = []
        number = 0
        for command in self.commands:
            found = number < len(self.steps) and _carries_out(command, self.steps[number])
            numbers.append(number if found else None)
            number += found
        if number < len(self.steps):
            step = self.steps[number]
            raise ValueError(f"step {number} ({step.opcode.name}, {step.label}) has no command")
        return numbers


def _carries_out(command: Command, step: DieStep) -> bool:
    """Whether a command has all that a step says; semaphores are its own."""
    return step.opcode == command.opcode and all(
        command.fields.get(name, 0) == value for name, value in step.fields.items()
    )


@dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """A training step as programs of all dies of a package.

    Attributes
    ----------
    sizes, system, graph
        What was compiled, and for which package.
    order
        Its operators in the order of all programs.
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
    order: Sequence[FusedOperators]
    dies: Sequence[DieProgram]
    memory_words: int
    places: Places

    @property
    def longest(self) -> int:
        """Commands of the longest program."""
        return max(len(die.commands) for die in self.dies)

    @property
    def program_words(self) -> list[range]:
        """Memory words of each die's program: behind all that is taken, in the order of the dies."""
        places = Places(dict(self.places.used))
        words = []
        for die in self.dies:
            count = len(die.commands) * self.system.memory.command_words
            first = places.take(die.io_die, count)
            words.append(range(first, first + count))
        return words

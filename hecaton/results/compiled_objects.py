"""The JSON object of ``hecaton compile``."""

from __future__ import annotations

from typing import TypedDict

from cosim.compile.inspection.program_sizes import BufferUse, DieSizes


class StepPrograms(TypedDict):
    """Programs of a training step.

    Attributes
    ----------
    mesh
        Rows x columns of dies.
    commands, bytes
        Of the programs of all dies.
    memory_words
        Words of the memory behind an IO die that the dies' tensors and constants take, at most.
    buffers
        Words of the scratchpad, and addresses of the operand buffers, that a die takes at most, and that are there.
    dies
        What each die takes, in the order of their numbers.
    """

    mesh: str
    commands: int
    bytes: int
    memory_words: int
    buffers: dict[str, BufferUse]
    dies: list[DieSizes]


class CompiledFiles(TypedDict):
    """Where the programs are.

    Attributes
    ----------
    files
        The programs of the dies as text and as memory contents, sizes.json with the keys below, and a picture of the
        scratchpad of the die that uses most of its own.
    """

    files: list[str]

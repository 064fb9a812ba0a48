"""One command of a program, symbolic until it is written into a memory image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chiplet.layout.block_sizes import MOST_COUNT
from chiplet.machine.specs import MemorySpec
from rtl.interface.isa import FIELDS, Opcode, check_fields, encode

__all__ = ["MOST_COUNT", "UNIT_OPCODES", "Command", "program_image"]

UNIT_OPCODES = (
    Opcode.LOAD,
    Opcode.FEED_ACTIVATION,
    Opcode.FEED_WEIGHT,
    Opcode.FEED_SUMS,
    Opcode.GEMM,
    Opcode.DRAIN,
    Opcode.STORE,
)
"""Commands that a unit of every die carries out. The command processor carries out a SET itself."""


@dataclass(frozen=True)
class Command:
    """One command of a program.

    Attributes
    ----------
    opcode
        What the command does.
    fields
        Values of its fields, see :data:`rtl.interface.isa.FIELDS`. Fields not given are 0.

    Raises
    ------
    ValueError
        If the command has no such field, or a value is out of the field's range.
    """

    opcode: Opcode
    fields: Mapping[str, int]

    def __post_init__(self) -> None:
        check_fields(self.opcode, self.fields)

    @property
    def all_fields(self) -> dict[str, int]:
        """Every field of the command in the order of its layout, including those that are 0."""
        return {name: self.fields.get(name, 0) for name in FIELDS[self.opcode] if name != "opcode"}


def program_image(commands: Iterable[Command], memory: MemorySpec) -> bytes:
    """Return the memory contents of a program: ``memory.command_words`` words for each command.

    This is the only place that encodes commands.
    """
    size = memory.command_words * memory.word_bytes
    return b"".join(encode(command.opcode, **command.fields).to_bytes(size, "little") for command in commands)

"""One command of a program, symbolic until a memory image is written."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.interface.isa import Opcode, decode, encode


@dataclass(frozen=True)
class Command:
    """One command of a program."""

    opcode: Opcode
    fields: dict[str, int]

    @property
    def bits(self) -> int:
        """The command as the die reads it."""
        return encode(self.opcode, **self.fields)

    @property
    def all_fields(self) -> dict[str, int]:
        """Every field of the command, also those that are 0."""
        return decode(self.bits)[1]

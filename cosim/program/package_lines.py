"""Collectives on the lines of a package: the programs of its dies, which have their places among the IO dies."""

from __future__ import annotations

from collections.abc import Mapping

from cosim.program.collective import AXES, LineCollective, line_commands
from rtl.interface.isa import FIELDS, SEMAPHORES, Opcode, decode, encode

__all__ = ["line_program"]

FIRST_PLACE = 1
"""Row and column of the first die: IO dies have column 0."""


def line_program(
    lines: Mapping[str, LineCollective], row: int, col: int, *, opened: bool
) -> tuple[list[int], int]:
    """Commands of the die in ``row`` and ``col``, counted from 0, and the semaphores that let it begin to send.

    ``lines`` are the line of each axis that the die is on. All semaphores are 0 at first. With ``opened`` a command
    behind those of the first part lets the die begin; else the host does. A die without neighbours on its lines has no
    command.
    """
    first: list[int] = []
    rest: list[int] = []
    gates = 0
    for axis, work in lines.items():
        found, gate = line_commands(work, AXES[axis], col if axis == "row" else row)
        first += [_placed(command) for command in found[0]]
        rest += [_placed(command) for part in found[1:] for command in part]
        gates |= gate
    if not first:
        return [], 0
    cleared = encode(Opcode.SET, mask=(1 << SEMAPHORES) - 1)
    opening = [_set(gates, 1)] if opened else []
    return [cleared, *first, *opening, *rest], gates


def _set(mask: int, value: int) -> int:
    return encode(Opcode.SET, mask=mask, **{f"value_{s}": value for s in range(SEMAPHORES) if mask >> s & 1})


def _placed(command: int) -> int:
    """The command for a line whose first die has place :data:`FIRST_PLACE` instead of 0."""
    opcode, fields = decode(command)
    if opcode == Opcode.SEND:
        fields["target"] += FIRST_PLACE
    elif fields["by_source"]:
        bits, _ = FIELDS[opcode]["base"]
        fields["base"] = (fields["base"] - FIRST_PLACE * fields["pitch"]) % (1 << bits)
    return encode(opcode, **fields)

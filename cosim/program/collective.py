"""Programs of a collective: the commands of each die of a mesh or of a package, for all lines that the die is on.

The host opens the gates of all dies in the same cycle, when the send units have their first words.
"""

from __future__ import annotations

from collections.abc import Mapping

from cosim.program.command import Command
from cosim.program.line_commands import AXES, PACKAGE_ORIGIN, LineCollective, line_commands

__all__ = ["COLLECTIVE_PHASES", "mesh_programs", "package_program"]

COLLECTIVE_PHASES = ("load", "collective", "store")
"""Phases of a collective on a package: chunks from memory into the scratchpads; the collective; back to memory."""


def mesh_programs(
    lines: Mapping[str, LineCollective], rows: int, cols: int
) -> tuple[list[list[Command]], int]:
    """Return the program of each die of a mesh, row by row, and the gates of all dies as a mask.

    ``lines`` has the line of each axis.

    Raises
    ------
    ValueError
        As :func:`line_commands`.
    """
    programs, gates = [], 0
    for row in range(rows):
        for col in range(cols):
            program, own_gates = _die_program(lines, row, col, origin=0)
            programs.append(program)
            gates |= own_gates
    return programs, gates


def package_program(lines: Mapping[str, LineCollective], row: int, col: int) -> tuple[list[Command], int]:
    """Return the program of the die of a package in ``row`` and ``col``, counted from 0, and its gates as a mask.

    ``lines`` has the line of each axis that the die is on. A die without neighbours on its lines has no command.

    Raises
    ------
    ValueError
        As :func:`line_commands`.
    """
    return _die_program(lines, row, col, origin=PACKAGE_ORIGIN)


def _die_program(
    lines: Mapping[str, LineCollective], row: int, col: int, *, origin: int
) -> tuple[list[Command], int]:
    """The commands of a die on all its lines, and its gates as a mask."""
    program: list[Command] = []
    gates = 0
    for axis, work in lines.items():
        commands = line_commands(work, AXES[axis], col if axis == "row" else row, origin=origin)
        program += commands.commands
        gates |= sum(1 << gate for gate in commands.gates)
    return program, gates

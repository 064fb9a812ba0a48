"""Programs of a collective: the commands of each die of a mesh or of a package, for all lines that the die is on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cosim.program.command import Command
from cosim.program.line_commands import AXES, PACKAGE_ORIGIN, LineCollective, line_commands
from rtl.interface.isa import Opcode

__all__ = ["COLLECTIVE_PHASES", "gate_command", "mesh_programs", "package_program"]

COLLECTIVE_PHASES = ("load", "collective", "store")
"""Phases of a collective on a package: chunks from memory into the scratchpads; the collective; back to memory."""

READ_AHEAD = 8
"""Commands between the last one of the first part and the gates: by then all units have the first word that they send,
even if all of them wanted the same bank of the scratchpad."""


class _DieCommands(NamedTuple):
    """Commands of a die on all its lines: those of the first parts, the gates that let them begin, and the others."""

    first: list[Command]
    gates: tuple[int, ...]
    later: list[Command]


def _die_commands(
    lines: Mapping[str, LineCollective], row: int, col: int, *, origin: int = 0
) -> _DieCommands:
    first: list[Command] = []
    later: list[Command] = []
    gates: tuple[int, ...] = ()
    for axis, work in lines.items():
        commands = line_commands(work, AXES[axis], col if axis == "row" else row, origin=origin)
        first += commands.parts[0]
        later += [command for part in commands.parts[1:] for command in part]
        gates += commands.gates
    return _DieCommands(first, gates, later)


def gate_command(first: Iterable[int]) -> int:
    """Number of the command that opens the gates, in dies that have ``first`` commands of the first part."""
    return max(first) + READ_AHEAD


def mesh_programs(lines: Mapping[str, LineCollective], rows: int, cols: int) -> list[list[Command]]:
    """Return the program of each die of a mesh, row by row.

    ``lines`` has the line of each axis. All programs open the gates with the command of the same number, so that all
    dies begin to send in the same cycle.

    Raises
    ------
    ValueError
        As :func:`line_commands`.
    """
    dies = [_die_commands(lines, row, col) for row in range(rows) for col in range(cols)]
    before = gate_command(len(die.first) for die in dies)
    nothing = Command(Opcode.SET, {})
    return [
        [*die.first, *[nothing] * (before - len(die.first)), _opening(die.gates), *die.later] for die in dies
    ]


def package_program(lines: Mapping[str, LineCollective], row: int, col: int) -> tuple[list[Command], int]:
    """Return the program of the die of a package in ``row`` and ``col``, counted from 0, and its gates as a mask.

    ``lines`` has the line of each axis that the die is on. The host opens the gates. A die without neighbours on its
    lines has no command.

    Raises
    ------
    ValueError
        As :func:`line_commands`.
    """
    die = _die_commands(lines, row, col, origin=PACKAGE_ORIGIN)
    return [*die.first, *die.later], sum(1 << gate for gate in die.gates)


def _opening(gates: tuple[int, ...]) -> Command:
    """The command that opens gates."""
    fields = {f"semaphore_{place}": gate for place, gate in enumerate(gates)}
    return Command(Opcode.SET, {**fields, **{f"value_{place}": 1 for place in range(len(gates))}})

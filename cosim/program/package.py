"""Work of a die of a package: its programs, and the contents of the memory behind its IO die."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.specs import SystemSpec
from cosim.jobs.package import Region
from cosim.program.command import Command
from rtl.interface.io_dies import io_die_names


def io_die_of(system: SystemSpec, row: int, col: int) -> str:
    """Name of the IO die that serves a die of the package."""
    return io_die_names(system)[row, system.package.io_side(col)]


@dataclass(kw_only=True)
class DieWork:
    """Work of a die.

    Attributes
    ----------
    io_die
        The IO die that serves the die.
    image
        Contents of the memory behind it, by the address of the first word.
    programs
        Commands of each phase.
    result
        Words to read back.
    """

    io_die: str
    image: dict[int, bytes]
    programs: list[list[Command]]
    result: Region

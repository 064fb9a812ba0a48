"""What a die of a package has to do: its programs, and what lies in memory behind its IO die."""

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
    """What a die has to do.

    Attributes
    ----------
    io_die
        The IO die that serves it.
    image
        Contents of its memory, by their first word.
    programs
        Commands of each phase.
    result
        Words to read back.
    """

    io_die: str
    image: dict[int, bytes]
    programs: list[list[Command]]
    result: Region

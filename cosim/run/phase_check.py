"""Checks of the programs of a phase on a package: all dies together, and the memories that they share."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.machine.specs import SystemSpec
from cosim.jobs.package import Program
from cosim.program.checker.die_checker import CheckedDie, refuse
from cosim.program.checker.package_checker import check_package, memory_violations
from cosim.program.checker.package_run import Grid
from cosim.program.command import Command
from cosim.program.line_commands import PACKAGE_ORIGIN
from cosim.program.package import DieWork
from rtl.interface.isa import SEMAPHORES

__all__ = ["check_phase"]


def check_phase(
    system: SystemSpec,
    work: Sequence[DieWork],
    programs: Sequence[Sequence[Command]],
    placed: Sequence[Program],
    posts: int,
    *,
    number: int,
) -> None:
    """Check the programs of phase ``number``. The first one finds no data in the scratchpads.

    Raises
    ------
    ValueError
        If they break what programs must keep.
    """
    memory = system.memory
    lies = [
        range(program.address, program.address + program.commands * memory.command_words)
        for program in placed
    ]
    checked = [
        CheckedDie(
            die=system.die,
            memory=memory,
            nop=system.nop,
            program_words=words,
            inputs=[
                range(address, address + len(image) // memory.word_bytes)
                for images in (die.image, *die.writes[: number + 1])
                for address, image in images.items()
                if address != words.start
            ],
            host_posts=[number for number in range(SEMAPHORES) if posts >> number & 1],
            scratchpad_written=number > 0,
        )
        for die, words in zip(work, lies, strict=True)
    ]
    package = system.package
    check_package(Grid(package.rows, package.cols, PACKAGE_ORIGIN), checked, programs)
    refuse(memory_violations([die.io_die for die in work], programs, lies))

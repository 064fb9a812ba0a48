"""Steps of a program for the functional model of tests: what a unit does without a break, and the orders of such steps.

The units of a die work at the same time. As long as their steps touch different words, that is the same as one step
after the other, in any order that the semaphores allow. A program is correct if its result is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cosim.program.command import UNIT_OPCODES
from rtl.interface.isa import SEMAPHORES, Opcode

__all__ = ["Order", "UnitStep", "at_random", "in_program_order", "loads_first", "members"]


@dataclass(frozen=True)
class UnitStep:
    """What a unit does without a break: a whole LOAD, one panel of a GEMM or of a STORE.

    Attributes
    ----------
    index, opcode, fields
        The command and its number in the program.
    panel
        Panel of a GEMM or STORE; 0 for a LOAD.
    """

    index: int
    opcode: Opcode
    fields: dict[str, int]
    panel: int

    @property
    def last(self) -> bool:
        """Whether the command ends with this step."""
        return self.panel == self.fields.get("panels", 1) - 1

    @property
    def needs(self) -> int:
        """Semaphores that the step takes, as a mask."""
        return (self.fields["wait"] if self.panel == 0 else 0) | self.fields.get("panel_wait", 0)

    @property
    def posts(self) -> int:
        """Semaphores that the step posts, as a mask."""
        return (self.fields["post"] if self.last else 0) | self.fields.get("panel_post", 0)

    @property
    def accumulator(self) -> int:
        """Accumulator address of the panel."""
        prefix = "accumulator_" if self.opcode == Opcode.GEMM else ""
        address = self.fields[f"{prefix}base"]
        for _ in range(self.panel):
            address += self.fields[f"{prefix}step"]
            if address == self.fields[f"{prefix}wrap"]:
                address = 0
        return address


Order = Callable[[Sequence[UnitStep]], UnitStep]
"""Chooses the next step among those that can be taken now, at most one for each unit."""


def in_program_order(steps: Sequence[UnitStep]) -> UnitStep:
    """The step of the earliest command: one command after the other, as far as semaphores allow."""
    return min(steps, key=lambda step: step.index)


def loads_first(steps: Sequence[UnitStep]) -> UnitStep:
    """Loads run as far ahead and results leave as late as they can: shows blocks that are loaded too early."""
    return min(steps, key=lambda step: UNIT_OPCODES.index(step.opcode))


def at_random(rng: np.random.Generator) -> Order:
    """Any step, chosen at random."""
    return lambda steps: steps[int(rng.integers(len(steps)))]


def members(mask: int) -> list[int]:
    """Semaphores in a mask."""
    return [s for s in range(SEMAPHORES) if mask >> s & 1]

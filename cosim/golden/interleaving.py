"""Steps of a program: what a unit of the die does at once, and the orders in which steps can be taken.

Units work at the same time. Where their steps do not touch the same places, that is the same as one step
after the other, in whatever order the semaphores allow: a program is right if its result does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtl.interface.isa import SEMAPHORES, Opcode

__all__ = ["INTERLEAVED_UNITS", "Order", "Step", "at_random", "in_program_order", "loads_first", "members"]

INTERLEAVED_UNITS = (Opcode.LOAD, Opcode.GEMM, Opcode.STORE)
"""Commands that go to a unit of their own. A SET is carried out as it is handed out."""


@dataclass(frozen=True)
class Step:
    """What a unit does at once: a whole LOAD, one panel of a GEMM or of a STORE.

    Attributes
    ----------
    index, opcode, fields
        The command, and its place in the program.
    panel
        Panel of a GEMM or STORE; 0 for a LOAD.
    """

    index: int
    opcode: Opcode
    fields: dict[str, int]
    panel: int

    @property
    def last(self) -> bool:
        """The command is over after this step."""
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


Order = Callable[[Sequence[Step]], Step]
"""Chooses the next of the steps that could be taken now, one for each unit at most."""


def in_program_order(steps: Sequence[Step]) -> Step:
    """The step of the earliest command: one command after the other, as far as the semaphores allow."""
    return min(steps, key=lambda step: step.index)


def loads_first(steps: Sequence[Step]) -> Step:
    """Loads run as far ahead, and results leave as late, as they may: shows blocks that come too early."""
    return min(steps, key=lambda step: INTERLEAVED_UNITS.index(step.opcode))


def at_random(rng: np.random.Generator) -> Order:
    """Any step, as the random numbers say."""
    return lambda steps: steps[int(rng.integers(len(steps)))]


def members(mask: int) -> list[int]:
    """Semaphores in a mask."""
    return [s for s in range(SEMAPHORES) if mask >> s & 1]

"""Steps of a program for the functional model of tests: what a unit does without a break, and the orders of such steps.

The units of a die work at the same time. As long as their steps touch different words, that is the same as one step
after the other, in any order that the semaphores allow. A program is correct if its result is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cosim.program.command import UNIT_OPCODES, Command
from rtl.interface.isa import Opcode

__all__ = ["Order", "UnitStep", "at_random", "in_program_order", "loads_first", "steps_of"]


@dataclass(frozen=True)
class UnitStep:
    """What a unit does without a break: a row of a block, a panel of a GEMM, or a pass.

    Attributes
    ----------
    index, opcode, fields
        The command and its number in the program.
    panel, row
        Panel, 0 if the command has none; row of the panel or block, 0 for a GEMM or a pass.
    """

    index: int
    opcode: Opcode
    fields: dict[str, int]
    panel: int
    row: int

    @property
    def panels(self) -> int:
        """Panels of the command."""
        return self.fields.get("panels", 1)

    @property
    def rows(self) -> int:
        """Rows of each panel that are steps of their own."""
        return 1 if self.opcode == Opcode.VECTOR else self.fields.get("rows", 1)

    @property
    def last_panel(self) -> bool:
        """Whether it belongs to the command's last panel."""
        return self.panel == self.panels - 1

    @property
    def last(self) -> bool:
        """Whether the command ends with this step."""
        return self.last_panel and self.row == self.rows - 1

    @property
    def needs(self) -> set[int]:
        """Semaphores that the step takes."""
        first = self.row == 0
        return self._numbers(
            ("wait_0", self.panel == 0 and first),
            ("wait_1", self.panel == 0 and first),
            ("wait_2", self.panel == 0 and first),
            ("panel_wait", first),
            ("row_wait", True),
        )

    @property
    def posts(self) -> set[int]:
        """Semaphores that the step posts."""
        return self._numbers(
            ("post_0", self.last),
            ("post_1", self.last),
            ("panel_post", self.row == self.rows - 1),
            ("row_post", self.last_panel),
        )

    def _numbers(self, *fields: tuple[str, bool]) -> set[int]:
        return {self.fields.get(name, 0) for name, applies in fields if applies} - {0}

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


def steps_of(index: int, command: Command) -> Iterator[UnitStep]:
    """The steps of command number ``index``, in order."""
    first = UnitStep(index, command.opcode, command.all_fields, 0, 0)
    for panel in range(first.panels):
        for row in range(first.rows):
            yield UnitStep(index, command.opcode, first.fields, panel, row)


Order = Callable[[Sequence[UnitStep]], UnitStep]
"""Chooses the next step among those that can be taken now, at most one for each unit."""


def in_program_order(steps: Sequence[UnitStep]) -> UnitStep:
    """The step of the earliest command: one command after the other, as far as semaphores allow."""
    return min(steps, key=lambda step: step.index)


def loads_first(steps: Sequence[UnitStep]) -> UnitStep:
    """Loads and feeds run as far ahead and results leave as late as they can: shows what comes too early."""
    return min(steps, key=lambda step: UNIT_OPCODES.index(step.opcode))


def at_random(rng: np.random.Generator) -> Order:
    """Any step, chosen at random."""
    return lambda steps: steps[int(rng.integers(len(steps)))]

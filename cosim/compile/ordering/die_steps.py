"""Steps of a die: commands without their semaphores, with the words that they read and write.

Steps are in the order in which the program hands them out. Every order of the units that keeps reads and writes of the
same word in this order leaves the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rtl.interface.isa import Opcode, Side

__all__ = ["AddressSpace", "DieStep", "Touch", "Unit"]

AddressSpace = Literal["memory", "scratchpad", "activation", "weight", "accumulator"]
"""A memory or a buffer: words of the memory and of the scratchpad, addresses of the operand buffers, rows of sums."""


class Unit(NamedTuple):
    """What carries out a command: the unit of an opcode, and of a side if the engine has one for each."""

    opcode: Opcode
    side: Side | None = None


class Touch(NamedTuple):
    """Places that a step reads, or writes: ``rows`` times ``words`` of them from ``first`` on, ``pitch`` apart."""

    space: AddressSpace
    first: int
    words: int
    rows: int = 1
    pitch: int = 0
    writes: bool = False


@dataclass(frozen=True)
class DieStep:
    """A command without its semaphores.

    Attributes
    ----------
    opcode, fields
        The command.
    touches
        What it reads and writes.
    label
        The operator that it belongs to, with layer and token tile, for people.
    group
        Steps of one group order themselves: those of a collective on a die.
    local
        Semaphores that a group uses by itself, by field: names that are the same where the same one is meant.
    panels
        A GEMM hands each panel to the DRAIN right behind it in this number of panels; 0: it does not. A DRAIN has the
        same number as its GEMM.
    """

    opcode: Opcode
    fields: Mapping[str, int]
    touches: tuple[Touch, ...]
    label: str = ""
    group: int | None = None
    local: Mapping[str, str] = field(default_factory=dict)
    panels: int = 0

    @property
    def unit(self) -> Unit:
        """The unit that carries it out."""
        if self.opcode in (Opcode.SEND, Opcode.RECEIVE):
            return Unit(self.opcode, Side(self.fields["side"]))
        return Unit(self.opcode)

"""How a sequence is shared out over packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from chiplet.machine.parallel_specs import ParallelSpec


@dataclass(frozen=True)
class ContextShare:
    """``packages`` have as many tokens of each sequence; keys and values of the others come block by block in a
    ``ring``, or are all there before the attention begins.
    """

    packages: int = 1
    ring: bool = False

    @classmethod
    def of(cls, spec: ParallelSpec) -> Self:
        """How the packages of ``spec`` share a sequence."""
        return cls(spec.context, spec.context > 1 and spec.exchange == "ring")

    @property
    def blocks_at_once(self) -> int:
        """Blocks of keys of other packages that a die works on at a time."""
        return min(1, self.packages - 1) if self.ring else self.packages - 1


WHOLE = ContextShare()
"""Whole sequences on one package."""

"""Sizes of the blocks of a product that are worth a try, and the cycles of a tile."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.specs import COUNT_BITS, DieSpec

__all__ = ["MOST_COUNT", "Form", "block_sizes", "tile_cycles"]

Form = Literal["nn", "nt", "tn"]
"""How the operands of a product are stored: ``nn`` X W, ``nt`` dY W^T, ``tn`` X^T dY."""

MOST_COUNT = (1 << COUNT_BITS) - 1
"""Largest count that a command can hold, and most commands of a program."""


def tile_cycles(die: DieSpec, m: int) -> int:
    """Cycles of one stationary tile with ``m`` activation rows."""
    return max(m, die.rows, die.stages)


def block_sizes(size: int, align: int) -> list[int]:
    """Block sizes to try: the whole dimension, and balanced parts of it in multiples of ``align``."""
    sizes = {size}
    parts = 2
    while True:
        block = -(-size // (parts * align)) * align
        if block < size:
            sizes.add(block)
        if block <= align:
            return sorted((block for block in sizes if block <= MOST_COUNT), reverse=True)
        parts += max(1, parts // 4)

"""Places of blocks in an operand buffer: which step finds its block where, and which steps need it loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BlockUse", "place_blocks"]


@dataclass(frozen=True, kw_only=True)
class BlockUse:
    """Where a step finds its block.

    Attributes
    ----------
    base
        First address of the buffer.
    load
        Whether the block is loaded for this step.
    wait
        Whether its place has to be free first.
    free
        Whether another block waits for the place after this step.
    """

    base: int
    load: bool
    wait: bool
    free: bool


def place_blocks(keys: Sequence[object], *, copies: int, size: int) -> list[BlockUse]:
    """Give the block of each step one of ``copies`` places of ``size`` addresses.

    A new block replaces the least recently used one. So places become free in the order in which loads take them, and a
    counting semaphore is enough.
    """
    held: dict[object, int] = {}
    places = []
    loads = []
    waits = []
    for key in keys:
        loads.append(key not in held)
        waits.append(key not in held and len(held) == copies)
        if key in held:
            copy = held.pop(key)
        elif len(held) < copies:
            copy = len(held)
        else:
            copy = held.pop(next(iter(held)))
        held[key] = copy
        places.append(copy)
    uses = []
    loaded_next = [False] * copies
    for copy, load, wait in zip(reversed(places), reversed(loads), reversed(waits), strict=True):
        uses.append(BlockUse(base=copy * size, load=load, wait=wait, free=loaded_next[copy]))
        loaded_next[copy] = load
    return uses[::-1]

"""Commands that load the weights of a die, which stay in its buffer for all tiles, part by part."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.command import Command
from cosim.program.layout import Matrix
from cosim.program.operand_feed import OperandFeed, feed_in_turn
from cosim.program.shape import Shape
from cosim.program.staging import Staging
from rtl.interface.isa import Opcode

__all__ = ["WeightPart", "weight_parts"]


@dataclass(frozen=True, kw_only=True)
class WeightPart:
    """Panels of the weights, and the commands that bring them into the buffer."""

    panel: int
    panels: int
    commands: list[Command]


def weight_parts(
    die: DieSpec,
    memory: MemorySpec,
    shape: Shape,
    matrix: Matrix,
    *,
    base: int,
    words: int,
    loaded: int,
    place_free: int,
    fed: int,
) -> list[WeightPart]:
    """Return the parts of the weights of a GEMM of ``shape``.

    Parameters
    ----------
    matrix
        The stored weights in memory.
    base, words
        Words of the scratchpad that they pass, at most those of the matrix.
    loaded, place_free, fed
        Semaphores: a row is in the scratchpad; a place there is free again; a part is in the buffer.
    """
    per_word = memory.word_bytes // die.element_bytes
    width = math.lcm(die.cols, per_word)
    least = min(words, -(-min(matrix.cols, width) // per_word))
    total = matrix.rows * matrix.pitch
    feed = OperandFeed(
        opcode=Opcode.FEED_WEIGHT,
        matrix=matrix,
        staging=Staging(base=base, words=words, row_words=least, total=total, places=3),
        lanes=die.cols,
        turned=shape.weight_column,
        width=width,
        per_word=per_word,
        loaded=loaded,
        place_free=place_free,
        fed=fed,
        free=0,
    )
    parts = []
    for left in range(0, shape.n, width):
        cols = min(width, shape.n - left)
        whole = ((0, shape.k), (0, shape.n))
        region = feed.region(whole, (0, shape.k), (left, cols), base=0, wait=False)
        commands = list(feed_in_turn([region]))
        parts.append(WeightPart(panel=left // die.cols, panels=-(-cols // die.cols), commands=commands))
    return parts

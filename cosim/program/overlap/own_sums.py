"""Commands that drain and store the sums of a block that stays on its die."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.command import Command
from cosim.program.layout import Matrix
from cosim.program.staging import Staging
from rtl.interface.isa import Opcode

__all__ = ["store_own_sums"]


def store_own_sums(
    die: DieSpec,
    memory: MemorySpec,
    y: Matrix,
    *,
    base: int,
    words: int,
    panel_done: int,
    drained: int,
    place_free: int,
) -> Iterator[Command]:
    """Commands for the sums ``y``, whose panels lie one behind the other in the accumulator buffer.

    Parameters
    ----------
    base, words
        Words of the scratchpad that they pass.
    panel_done, drained, place_free
        Semaphores: a panel is summed; a row is in the scratchpad; a place there is free again.
    """
    per_word = memory.word_bytes // 4
    panels = -(-y.cols // die.cols)
    unit = math.lcm(die.cols, per_word) // die.cols
    widest = -(-min(unit * die.cols, y.cols) // per_word)
    staging = Staging(base=base, words=words, row_words=widest, total=y.rows * y.pitch, places=2)
    for panel in range(0, panels, unit):
        count = min(unit, panels - panel)
        cols = min(y.cols, (panel + count) * die.cols) - panel * die.cols
        row_words = -(-cols // per_word)
        height = min(y.rows, staging.most_words // row_words)
        for row in range(0, y.rows, height):
            rows = min(height, y.rows - row)
            place = staging.take(rows * row_words)
            yield Command(
                Opcode.DRAIN,
                {
                    "wait_0": place_free if place.wait else 0,
                    "row_post": drained,
                    "panel_wait": panel_done if row == 0 else 0,
                    "base": panel * y.rows + row,
                    "step": y.rows,
                    "rows": rows,
                    "panels": count,
                    "last_cols": cols - (count - 1) * die.cols,
                    "target": place.base,
                    "target_pitch": row_words,
                },
            )
            yield Command(
                Opcode.STORE,
                {
                    "row_wait": drained,
                    "post_0": place_free if place.ring else 0,
                    "base": place.base,
                    "pitch": row_words,
                    "rows": rows,
                    "words": row_words,
                    "address": y.address + row * y.pitch + panel * die.cols // per_word,
                    "memory_pitch": y.pitch,
                },
            )

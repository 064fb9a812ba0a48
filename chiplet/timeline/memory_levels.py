"""What the memories hold over time: what the schedule reserves for each pass, with its peaks in the projection."""

from __future__ import annotations

from collections.abc import Iterator

from chiplet.projection.project import Accounted
from chiplet.schedule.buffers import saved_bytes_per_token
from chiplet.schedule.fit import buffer_uses
from chiplet.timeline.spans import MemoryLevel

DRAM_HELD = "DRAM"
"""The levels of the package's DRAM; those of a die's buffers have the names of the projection."""


class MemoryLevels:
    """What the buffers of a die and the DRAM of the package hold.

    A block keeps its mini-batch and room for the largest token tile in the scratchpad, its weights in the weight buffer
    and its weight gradients in the accumulator buffer. Weights of the next block are loaded in the second half of a
    pass, gradients of the block before stored in the first half, if both fit at once. DRAM has the training state, and
    what layers save for the backward pass; on several packages it is drawn with the most that is held at once.
    """

    def __init__(self, accounted: Accounted, sequences: int) -> None:
        self.blocks = {block.block.label: block for block in accounted.schedule.blocks}
        method, schedule = accounted.method, accounted.schedule
        self._needed = float(schedule.dram.needed)
        per_token = saved_bytes_per_token(
            method.model, schedule.length, method.switches.recompute, method.element_bytes
        )
        self._saved = (
            0.0 if accounted.parallel is not None else float(per_token * schedule.length * sequences)
        )

    def of_pass(self, block: str, direction: str, start: float, seconds: float) -> Iterator[MemoryLevel]:
        """The buffers in a pass of the block with the label ``block`` over one layer."""
        schedule = self.blocks[block]
        weights, activations, sums = (float(use.needed) for use in schedule.buffers)
        memory = schedule.memory
        own_weights, _, own_sums = (
            float(use.needed) for use in buffer_uses(memory, schedule.batch, schedule.tile_limit)
        )
        half = start + seconds / 2
        yield MemoryLevel("scratchpad", start, activations)
        yield MemoryLevel("weight_buffer", start, own_weights)
        if direction == "forward":
            yield MemoryLevel("accumulator_buffer", start, float(memory.panel_bytes))
        else:
            yield MemoryLevel("accumulator_buffer", start, sums)
            if own_sums != sums:
                yield MemoryLevel("accumulator_buffer", half, own_sums)
        if own_weights != weights:
            yield MemoryLevel("weight_buffer", half, weights)

    def saved(self, share: float, start: float) -> MemoryLevel:
        """DRAM with ``share`` of what a round saves."""
        return MemoryLevel(DRAM_HELD, start, self._needed - self._saved * (1 - share))

    def after(self, start: float) -> Iterator[MemoryLevel]:
        """Nothing of a layer is left."""
        yield self.saved(0.0, start)
        for name in ("scratchpad", "weight_buffer", "accumulator_buffer"):
            yield MemoryLevel(name, start, 0.0)

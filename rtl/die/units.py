"""Units of a die that take commands."""

from __future__ import annotations

from typing import Any

from chiplet.machine.specs import DieSpec, MemorySpec, function_lanes, vector_lanes
from chiplet.machine.vector_specs import VectorSpec
from rtl.compute.array_unit import ArrayUnit
from rtl.memory.drain_unit import DrainUnit
from rtl.memory.feed_sums_unit import FeedSumsUnit
from rtl.memory.feed_unit import FeedUnit
from rtl.memory.load_unit import LoadUnit
from rtl.memory.store_unit import StoreUnit
from rtl.vector.vector_shape import VectorShape
from rtl.vector.vector_unit import VectorUnit

__all__ = ["die_units"]


def die_units(*, die: DieSpec, memory: MemorySpec, vector: VectorSpec | None, depth: int) -> dict[str, Any]:
    """The units of a die by the names that the command processor has for them, apart from those of the engine.

    Each has ``command``, ``semaphores``, ``idle``, and ports with the names of its counters. ``depth`` is that of the
    scratchpad.
    """
    latency = die.sram_latency
    words = {"depth": depth, "word_bytes": memory.word_bytes, "sram_latency": latency}

    def feed(lanes: int, buffer_depth: int) -> FeedUnit:
        return FeedUnit(
            lanes=lanes,
            width=die.element_bits,
            depth=buffer_depth,
            scratchpad_depth=depth,
            word_bytes=memory.word_bytes,
            sram_latency=latency,
        )

    def vector_unit(vector: VectorSpec) -> VectorUnit:
        shape = VectorShape(
            **words,
            lanes=vector_lanes(vector, memory),
            function_lanes=function_lanes(vector, memory),
            adder_stages=die.stages,
            multiplier_stages=vector.multiplier_stages,
            function_stages=vector.function_stages,
        )
        return VectorUnit(shape=shape)

    return {
        "load": LoadUnit(memory=memory, depth=depth),
        "feed_activation": feed(die.rows, die.activation_depth),
        "feed_weight": feed(die.cols, die.weight_depth),
        "feed_sums": FeedSumsUnit(die=die, **words),
        "array": ArrayUnit(die=die, sram_latency=latency, multiplier_stages=die.multiplier_stages),
        "drain": DrainUnit(die=die, **words),
        **({"vector": vector_unit(vector)} if vector else {}),
        "store": StoreUnit(memory=memory, depth=depth, sram_latency=latency),
    }

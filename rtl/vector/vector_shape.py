"""Sizes of a vector unit."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.vector_specs import VectorSpec
from rtl.block import check_integers
from rtl.lib.sram import with_latency

__all__ = ["VectorShape"]


@dataclass(frozen=True, kw_only=True)
class VectorShape:
    """Sizes that all parts of a vector unit share.

    Attributes
    ----------
    depth, word_bytes : int
        Words of the scratchpad, and bytes of a word.
    lanes, function_lanes : int
        Powers of two; function lanes divide lanes, and lanes divide the 32-bit values of a word.
    adder_stages, multiplier_stages, function_stages : int
        Register stages: 1 to 4, 1 to 4, 1 to 13.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Raises
    ------
    ValueError
        If a size is not a positive integer, lanes are no powers of two, or do not divide as they have to.
    """

    depth: int
    word_bytes: int
    lanes: int
    function_lanes: int
    adder_stages: int
    multiplier_stages: int = VectorSpec.model_fields["multiplier_stages"].default
    function_stages: int = VectorSpec.model_fields["function_stages"].default
    sram_latency: int = SRAM_LATENCY

    def __post_init__(self) -> None:
        check_integers("vector unit", minimum=1, **vars(self))
        for name, part, whole in (
            ("lanes", self.lanes, self.word_bytes // 4),
            ("function_lanes", self.function_lanes, self.lanes),
        ):
            if part & (part - 1) or whole % part:
                raise ValueError(f"vector unit: {name} = {part}: must be a power of two that divides {whole}")

    @property
    def text(self) -> str:
        """Part of the names of blocks of this shape."""
        stages = f"p{self.adder_stages}_{self.multiplier_stages}_{self.function_stages}"
        lanes = f"l{self.lanes}_{self.function_lanes}"
        return with_latency(f"{self.depth}x{self.word_bytes}_{lanes}_{stages}", self.sram_latency)

"""The vector unit: a frozen and validated model."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel

MOST_MULTIPLIER_STAGES = 4
"""Most register stages of a multiplier of the vector unit: halves of the product, their sum, normalise, round."""

MOST_FUNCTION_STAGES = 13
"""Most register stages of a function lane."""


class VectorSpec(StrictModel):
    """Vector unit of a die with bf16 operands: passes over the scratchpad, one word of 32-bit results a cycle."""

    lanes: Annotated[
        int,
        Field(ge=0, le=64, description="lanes, a power of two; 0: as many as 32-bit values of a memory word"),
    ] = 0
    function_lanes: Annotated[
        int,
        Field(ge=0, le=64, description="lanes that evaluate functions, a power of two; 0: as many as lanes"),
    ] = 0
    multiplier_stages: Annotated[
        int, Field(ge=1, le=MOST_MULTIPLIER_STAGES, description="pipeline stages of its multipliers")
    ] = 2
    function_stages: Annotated[
        int, Field(ge=1, le=MOST_FUNCTION_STAGES, description="pipeline stages of its function lanes")
    ] = 5

    @model_validator(mode="after")
    def _powers_of_two(self) -> Self:
        for name, value in (("lanes", self.lanes), ("function_lanes", self.function_lanes)):
            if value & (value - 1):
                raise ValueError(f"{name} = {value} is no power of two: must be one of 1, 2, 4, ... 64, or 0")
        if 0 < self.lanes < self.function_lanes:
            raise ValueError(
                f"function_lanes = {self.function_lanes} is more than lanes: must be at most {self.lanes}"
            )
        return self

"""How deep a die is pipelined besides its adders: what the keys of the configuration allow, and are unless set."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

__all__ = ["DEPTHS", "MULTIPLIER_STAGES", "SRAM_LATENCY", "MultiplierStages", "SramLatency"]

SRAM_LATENCY = 1
"""Cycles from a read of an SRAM to its word."""

SramLatency = Annotated[
    int, Field(ge=1, le=3, description="cycles from a read to its word, in all SRAMs of the die")
]

MULTIPLIER_STAGES = 1
"""Register stages of the multipliers of the array."""

MultiplierStages = Annotated[int, Field(ge=1, le=2, description="pipeline stages of the multiplier in a PE")]

DEPTHS = {"sram_latency": SRAM_LATENCY, "multiplier_stages": MULTIPLIER_STAGES}
"""Keys of the die that packages are predicted for one value of, and this value."""

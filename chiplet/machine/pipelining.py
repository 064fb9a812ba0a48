"""How deep a die is pipelined besides its adders: what the keys of the configuration are unless they are set."""

from __future__ import annotations

__all__ = [
    "DEPTHS",
    "MOST_MULTIPLIER_STAGES",
    "MOST_SRAM_LATENCY",
    "MULTIPLIER_STAGES",
    "SRAM_LATENCY",
]

SRAM_LATENCY = 1
"""Cycles from a read of an SRAM to its word."""

MOST_SRAM_LATENCY = 3

MULTIPLIER_STAGES = 1
"""Register stages of the multipliers of the array."""

MOST_MULTIPLIER_STAGES = 2


DEPTHS = {"sram_latency": SRAM_LATENCY, "multiplier_stages": MULTIPLIER_STAGES}
"""Keys of the die that packages are predicted for one value of, and this value."""

"""How deep a die is pipelined: parameters of the blocks that make it, no configuration keys yet."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.vector_specs import VECTOR_FUNCTION_STAGES, VECTOR_MULTIPLIER_STAGES

__all__ = ["DEFAULT_PIPELINING", "MULTIPLIER_STAGES", "SRAM_LATENCY", "Pipelining"]

SRAM_LATENCY = 1
"""Cycles from a read of an SRAM to its word, which predictions count on."""

MULTIPLIER_STAGES = 1
"""Register stages of the multipliers of the array, which predictions count on."""


@dataclass(frozen=True, kw_only=True)
class Pipelining:
    """Register stages of a die besides those of its adders, which are ``die.stages``.

    Attributes
    ----------
    sram_latency : int
        Cycles from a read of an SRAM to its word, at least 1: of all SRAMs of the die. More of them let no unit wait
        more often: they only delay the first word.
    multiplier_stages : int
        Register stages of the array's multipliers, 1 or 2.
    vector_multiplier_stages, function_stages : int
        Register stages of the vector unit's multipliers, 1 to 3, and of its function lanes, 1 to 7.
    """

    sram_latency: int = SRAM_LATENCY
    multiplier_stages: int = MULTIPLIER_STAGES
    vector_multiplier_stages: int = VECTOR_MULTIPLIER_STAGES
    function_stages: int = VECTOR_FUNCTION_STAGES


DEFAULT_PIPELINING = Pipelining()
"""What a die is made with unless its maker asks for more, and what predictions count on."""

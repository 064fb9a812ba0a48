"""How deep a die is pipelined besides its adders: what the keys of the configuration are unless they are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chiplet.machine.specs import DieSpec

__all__ = [
    "MOST_MULTIPLIER_STAGES",
    "MOST_SRAM_LATENCY",
    "MULTIPLIER_STAGES",
    "SRAM_LATENCY",
    "check_predicted",
    "deeper_keys",
]

SRAM_LATENCY = 1
"""Cycles from a read of an SRAM to its word."""

MOST_SRAM_LATENCY = 3

MULTIPLIER_STAGES = 1
"""Register stages of the multipliers of the array."""

MOST_MULTIPLIER_STAGES = 2


def deeper_keys(die: DieSpec) -> str:
    """Keys of ``die`` that make it deeper than packages are predicted for, with their values; empty for none."""
    depths = {
        "sram_latency": (die.sram_latency, SRAM_LATENCY),
        "multiplier_stages": (die.multiplier_stages, MULTIPLIER_STAGES),
    }
    return ", ".join(f"die.{name} = {value}" for name, (value, least) in depths.items() if value > least)


def check_predicted(die: DieSpec, what: str) -> None:
    """Raise ``ValueError``, in one line, if ``what`` does not follow the depth of ``die``."""
    deeper = deeper_keys(die)
    if deeper:
        raise ValueError(
            f"{deeper}: {what} count on die.sram_latency = {SRAM_LATENCY} and die.multiplier_stages = "
            f"{MULTIPLIER_STAGES}"
        )

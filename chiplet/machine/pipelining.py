"""How deep a die is pipelined besides its adders: what the keys of the configuration are unless they are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chiplet.machine.specs import DieSpec

__all__ = [
    "DEPTHS",
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


DEPTHS = {"sram_latency": SRAM_LATENCY, "multiplier_stages": MULTIPLIER_STAGES}
"""Keys of the die that packages are predicted for one value of, and this value."""


def deeper_keys(die: DieSpec) -> str:
    """Keys of ``die`` that make it deeper than packages are predicted for, with their values; empty for none."""
    values = {name: getattr(die, name) for name in DEPTHS}
    return ", ".join(f"die.{name} = {value}" for name, value in values.items() if value > DEPTHS[name])


def check_predicted(die: DieSpec, what: str) -> None:
    """Raise ``ValueError``, in one line, if ``what`` does not follow the depth of ``die``."""
    deeper = deeper_keys(die)
    if deeper:
        raise ValueError(
            f"{deeper}: {what} count on die.sram_latency = {SRAM_LATENCY} and die.multiplier_stages = "
            f"{MULTIPLIER_STAGES}"
        )

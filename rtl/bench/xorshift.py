"""Bench-only random numbers: xorshift registers."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value

__all__ = ["next_random"]

_SHIFTS = {32: (13, 17, 5), 64: (13, 7, 17)}


def next_random(m: Module, name: str, random: Signal) -> Value:
    """The xorshift number after ``random``, of 32 or 64 bits and not 0 (Marsaglia, Journal of Statistical Software
    8(14), 2003). ``name`` is for the signals between.
    """
    width = len(random)
    left, right, last = _SHIFTS[width]
    spread = Signal(width, name=f"{name}_spread")
    mixed = Signal(width, name=f"{name}_mixed")
    m.d.comb += [
        spread.eq(random ^ (random << left)[:width]),
        mixed.eq(spread ^ (spread >> right)),
    ]
    return mixed ^ (mixed << last)[:width]

"""Round-robin: which of the requesters is served next."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["next_in_turn"]


def next_in_turn(m: Module, name: str, asked: Value, last: Value) -> Value:
    """Mask with the first bit set in ``asked`` above the one bit of ``last``, wrapping around; 0 if none is set.

    ``name`` is a prefix for the names of the wires that are added to ``m``.
    """
    size = len(asked)
    behind = Signal(size, name=f"{name}_behind")  # the last one
    m.d.comb += behind.eq(asked & _above_lowest(m, f"{name}_last", last))
    # Both may be the ones, so that neither waits for the other.
    ways = []
    for way, mask in (("behind", behind), ("asked", asked)):
        lowest = Signal(size, name=f"{name}_{way}_lowest")
        m.d.comb += lowest.eq(mask & ~_above_lowest(m, f"{name}_{way}", mask))
        ways.append(lowest)
    return Mux(behind.any(), *ways)


def _above_lowest(m: Module, name: str, mask: Value) -> Value:
    """The bits above the lowest one of ``mask``: as many steps as the logarithm of the bits, as a chain is longer."""
    size = len(mask)
    reached: Value = (mask << 1)[:size]
    distance = 1
    while distance < size:
        further = Signal(size, name=f"{name}_{distance}")
        m.d.comb += further.eq(reached | reached << distance)
        reached, distance = further, 2 * distance
    return reached

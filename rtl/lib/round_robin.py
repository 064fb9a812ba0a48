"""Round-robin: which of the requesters is served next."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

__all__ = ["next_in_turn"]


def next_in_turn(m: Module, name: str, asked: Value, last: Value) -> Value:
    """Mask with the first bit set in ``asked`` above the one bit of ``last``, wrapping around; 0 if none is set.

    ``name`` is a prefix for the names of the wires that are added to ``m``.
    """
    size = len(asked)
    after = Signal(size, name=f"{name}_after")  # those behind the last one
    turn = Signal(size, name=f"{name}_turn")
    m.d.comb += [
        after.eq(Cat(last[:n].any() if n else 0 for n in range(size))),
        turn.eq(Mux((asked & after).any(), asked & after, asked)),
    ]
    return turn & (~turn + 1)[:size]  # its lowest bit

"""Rotation of the lanes of a vector by a variable amount."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.block import Block, check_integers


class Rotate(Block):
    """Lanes rotated down: lane l of ``o`` is lane (l + ``amount``) mod ``lanes`` of ``i``, combinationally.

    A barrel shifter of ceil(log2(lanes)) stages; stage s rotates the whole vector by 2 ** s lanes or not at
    all, so any number of lanes works. Rotation by -x is rotation by ``lanes`` - x; an ``amount`` above
    ``lanes`` wraps.

    Parameters
    ----------
    lanes
        Lanes of the vector, at least 1; lane 0 is in the lowest bits.
    width
        Bits of a lane, at least 1.

    Members
    -------
    i
        ``In(lanes * width)``
    amount
        ``In(max(1, ceil(log2(lanes))))``; of a single lane it means nothing.
    o
        ``Out(lanes * width)``

    Raises
    ------
    ValueError
        If a parameter is no integer or too small.
    """

    def __init__(self, *, lanes: int, width: int) -> None:
        check_integers("Rotate", minimum=1, lanes=lanes, width=width)
        self._lanes = lanes
        self._width = width
        super().__init__(
            {
                "i": In(lanes * width),
                "amount": In(max(1, ceil_log2(lanes))),
                "o": Out(lanes * width),
            }
        )

    @property
    def block_name(self) -> str:
        return f"rotate_{self._lanes}x{self._width}"

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        vector: Value = self.i
        for stage in range(ceil_log2(self._lanes)):
            rotated = Signal.like(self.i, name=f"stage_{stage}")
            by = (1 << stage) % self._lanes * self._width
            m.d.comb += rotated.eq(Mux(self.amount[stage], vector.rotate_right(by), vector))
            vector = rotated
        m.d.comb += self.o.eq(vector)
        return m

"""Delays of vectors: all lanes by the same number of cycles, or each lane by more than the one before."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers, place

_REGISTER_BITS = 1 << 16
"""Widest vector that IEEE 1364 promises; longer delays are cut into several registers."""
_BLOCK_CYCLES = 32
"""From this power of two on, delays of lanes are blocks of their own."""


def delayed(m: Module, value: Value, *, cycles: int, name: str, reset_less: bool) -> Value:
    """``value`` of ``cycles`` cycles ago, itself for 0, out of as few and as wide shift registers as possible."""
    width = len(value)
    chunk = max(1, _REGISTER_BITS // width)
    for first in range(0, cycles, chunk):
        length = min(chunk, cycles - first)
        suffix = f"_{first}" if first else ""
        register = Signal(width * length, name=f"{name}{suffix}", reset_less=reset_less)
        m.d.sync += register.eq(Cat(value, register[: width * (length - 1)]))
        value = register[width * (length - 1) :]
    return value


class Delay(Block):
    """A vector, some cycles later: ``o`` is the ``i`` of ``cycles`` cycles ago.

    Parameters
    ----------
    width
        Bits of the vector, at least 1.
    cycles
        Cycles of delay; 0 is a wire.
    reset_less
        Whether data survive a reset. False resets all stages to 0, as flags need. They start as 0 either way.

    Members
    -------
    i
        ``In(width)``
    o
        ``Out(width)``

    Raises
    ------
    ValueError
        If ``width`` or ``cycles`` is no integer or too small.
    """

    def __init__(self, *, width: int, cycles: int, reset_less: bool = True) -> None:
        check_integers("Delay", minimum=1, width=width)
        check_integers("Delay", minimum=0, cycles=cycles)
        self._width = width
        self._cycles = cycles
        self._reset_less = reset_less
        super().__init__({"i": In(width), "o": Out(width)})

    @property
    def block_name(self) -> str:
        return f"delay_{self._width}x{self._cycles}{'' if self._reset_less else '_reset'}"

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.d.comb += self.o.eq(
            delayed(m, self.i, cycles=self._cycles, name="stages", reset_less=self._reset_less)
        )
        return m


class Skew(Block):
    """A vector of lanes whose lane l comes l * ``per_lane`` cycles later: a wavefront.

    Data survive a reset. Long delays are made of :class:`Delay` blocks that many lanes have in common, so that text and
    time of generation do not grow with the square of the lanes.

    Parameters
    ----------
    lanes
        Lanes of the vector, at least 1; lane 0 is in the lowest bits and is not delayed.
    width
        Bits of a lane, at least 1.
    per_lane
        Cycles from a lane to the next; 0 is a wire.

    Members
    -------
    i
        ``In(lanes * width)``
    o
        ``Out(lanes * width)``

    Raises
    ------
    ValueError
        If a parameter is no integer or too small.
    """

    def __init__(self, *, lanes: int, width: int, per_lane: int) -> None:
        check_integers("Skew", minimum=1, lanes=lanes, width=width)
        check_integers("Skew", minimum=0, per_lane=per_lane)
        self._lanes = lanes
        self._width = width
        self._per_lane = per_lane
        super().__init__({"i": In(lanes * width), "o": Out(lanes * width)})

    @property
    def block_name(self) -> str:
        return f"skew_{self._lanes}x{self._width}_{self._per_lane}"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes = []
        for lane in range(self._lanes):
            value: Value = self.i.word_select(lane, self._width)
            cycles = lane * self._per_lane
            short = cycles % _BLOCK_CYCLES
            value = delayed(m, value, cycles=short, name=f"lane_{lane}", reset_less=True)
            for bit in range(_BLOCK_CYCLES.bit_length() - 1, cycles.bit_length()):
                if cycles >> bit & 1:
                    later = Delay(width=self._width, cycles=1 << bit)
                    place(m, platform, f"lane_{lane}_{1 << bit}", later)
                    m.d.comb += later.i.eq(value)
                    value = later.o
            lanes.append(value)
        m.d.comb += self.o.eq(Cat(lanes))
        return m

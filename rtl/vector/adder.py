"""fp32 adder that also gives the larger one of two numbers."""

from __future__ import annotations

from amaranth.hdl import EnableInserter, Module
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.compute.mac import check_arithmetic, total

__all__ = ["MaxAdder"]


class MaxAdder(Block):
    """``o`` is the sum, or the larger one, of the ``a`` and ``b`` of ``stages`` enabled cycles ago.

    Parameters
    ----------
    stages
        Register stages, 1 to 4. A new pair enters in every enabled cycle.

    Members
    -------
    enable : In(1)
        Registers change.
    maximum : In(1)
        The larger one instead of the sum: a NaN if one is; -0 is less than +0.
    a, b : In(32), o : Out(32)
        Patterns of fp32.

    Raises
    ------
    ValueError
        If ``stages`` is out of range.
    """

    def __init__(self, *, stages: int) -> None:
        check_arithmetic("MaxAdder", dtype="bf16", stages=stages)
        self._stages = stages
        super().__init__({"enable": In(1), "maximum": In(1), "a": In(32), "b": In(32), "o": Out(32)})

    @property
    def block_name(self) -> str:
        return f"max_adder_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sum_ = total(m, self.a, self.b, dtype="bf16", stages=self._stages, maximum=self.maximum)
        m.d.comb += self.o.eq(sum_)
        return EnableInserter(self.enable)(m)

"""The two-operand operations of one lane."""

from __future__ import annotations

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out

from rtl.block import Block, place
from rtl.vector.adder import MaxAdder
from rtl.vector.multiplier import Multiplier

__all__ = ["LaneOperation"]


class LaneOperation(Block):
    """``o`` is a * b of ``multiplier_stages`` enabled cycles ago, or a + b or the larger one of ``adder_stages`` ago.

    Members
    -------
    enable : In(1)
        Registers change.
    multiply, maximum : In(1)
        Which operation; they hold while numbers are inside.
    a, b : In(32), o : Out(32)
        Patterns of fp32.
    """

    def __init__(self, *, adder_stages: int, multiplier_stages: int) -> None:
        self._adder_stages, self._multiplier_stages = adder_stages, multiplier_stages
        super().__init__(
            {
                "enable": In(1),
                "multiply": In(1),
                "maximum": In(1),
                "a": In(32),
                "b": In(32),
                "o": Out(32),
            }
        )

    @property
    def block_name(self) -> str:
        return f"lane_operation_p{self._adder_stages}_{self._multiplier_stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        adder = MaxAdder(stages=self._adder_stages)
        multiplier = Multiplier(stages=self._multiplier_stages)
        for name, block in (("adder", adder), ("multiplier", multiplier)):
            place(m, platform, name, block)
            m.d.comb += [block.enable.eq(self.enable), block.a.eq(self.a), block.b.eq(self.b)]
        m.d.comb += [
            adder.maximum.eq(self.maximum),
            self.o.eq(Mux(self.multiply, multiplier.o, adder.o)),
        ]
        return m

"""The functions of a beat: as many lanes at a time as there are function lanes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block, place
from rtl.vector.function_lane import FunctionLane

__all__ = ["FunctionStage"]


class FunctionStage(Block):
    """``o`` is the function of the ``values`` that came ``stages`` + lanes / function lanes - 1 enabled cycles ago.

    Members
    -------
    enable : In(1)
        Registers change.
    which : In(3)
        A :class:`rtl.interface.vector_operations.Function`; holds while values are inside.
    valid : In(1), values : In(32 * lanes)
        A beat; the next one comes lanes / function lanes enabled cycles later at the earliest.
    o : Out(32 * lanes)
    """

    def __init__(self, *, lanes: int, function_lanes: int, stages: int) -> None:
        self._lanes, self._function_lanes, self._stages = lanes, function_lanes, stages
        super().__init__(
            {
                "enable": In(1),
                "which": In(3),
                "valid": In(1),
                "values": In(32 * lanes),
                "o": Out(32 * lanes),
            }
        )

    @property
    def block_name(self) -> str:
        return f"function_stage_{self._function_lanes}of{self._lanes}_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        turns = self._lanes // self._function_lanes
        width = 32 * self._function_lanes
        group: Value = self.values
        turn = Signal(range(max(turns, 2)))  # which part of the beat enters
        if turns > 1:
            waiting = Signal(32 * self._lanes - width, reset_less=True)
            with m.If(self.enable & (turn == 0)):
                m.d.sync += [waiting.eq(self.values[width:]), turn.eq(self.valid)]
            with m.Elif(self.enable):
                m.d.sync += turn.eq(Mux(turn == turns - 1, 0, turn + 1))
            group = Mux(
                turn == 0, self.values[:width], Cat(self.values[:width], waiting).word_select(turn, width)
            )
        results = []
        for n in range(self._function_lanes):
            lane = FunctionLane(stages=self._stages)
            place(m, platform, f"lane_{n}", lane)
            m.d.comb += [
                lane.enable.eq(self.enable),
                lane.which.eq(self.which),
                lane.x.eq(group.word_select(n, 32)),
            ]
            results.append(lane.o)
        # The parts before the last one are those of the cycles before.
        parts: list[Value] = [Cat(results)]
        for n in range(turns - 1):
            earlier = Signal(width, name=f"earlier_{n}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += earlier.eq(parts[0])
            parts.insert(0, earlier)
        m.d.comb += self.o.eq(Cat(parts))
        return m

"""Sums and maxima of rows, a beat a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block, place
from rtl.vector.adder import MaxAdder

__all__ = ["RowReducer"]

PARTIAL_SUMS = 4
"""Partial sums of a row: as many as an adder may have stages, so that each beat's sum is there four beats later."""

_MINUS_INF = 0xFF80_0000


class RowReducer(Block):
    """Reduces rows of beats of ``lanes`` values.

    A tree adds the values of a beat, those half the lanes apart first. Beat k of a row is added to partial sum k mod 4,
    which starts at +0; at the end of the row the partial sums are added as (0 + 2) + (1 + 3). Maxima go the same way
    and start at -Inf. Values beyond the end of a row are +0, or -Inf.

    Members
    -------
    enable : In(1)
        Registers change.
    maximum : In(1)
        Maxima instead of sums; holds while values are inside.
    valid, row_end, pass_end : In(1), mask : In(lanes), values : In(32 * lanes)
        A beat, whether it is the last one of its row and of the pass, and which lanes count.
    row_valid, last : Out(1), o : Out(32)
        A row's result, and whether it is the last one of the pass; taken in an enabled cycle.
    """

    def __init__(self, *, lanes: int, stages: int) -> None:
        self._lanes, self._stages = lanes, stages
        super().__init__(
            {
                "enable": In(1),
                "maximum": In(1),
                "valid": In(1),
                "row_end": In(1),
                "pass_end": In(1),
                "mask": In(lanes),
                "values": In(32 * lanes),
                "row_valid": Out(1),
                "last": Out(1),
                "o": Out(32),
            }
        )

    @property
    def block_name(self) -> str:
        return f"row_reducer_l{self._lanes}_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        neutral = Signal(32)
        m.d.comb += neutral.eq(Mux(self.maximum, _MINUS_INF, 0))

        def later(name: str, value: Value, stages: int) -> Value:
            """``value`` of ``stages`` enabled cycles ago."""
            for n in range(stages):
                register = Signal(len(value), name=f"{name}_{n}")
                with m.If(self.enable):
                    m.d.sync += register.eq(value)
                value = register
            return value

        def added(name: str, a: Value, b: Value) -> Value:
            adder = MaxAdder(stages=self._stages)
            place(m, platform, name, adder)
            m.d.comb += [
                adder.enable.eq(self.enable),
                adder.maximum.eq(self.maximum),
                adder.a.eq(a),
                adder.b.eq(b),
            ]
            return adder.o

        values: list[Value] = [
            Mux(self.mask[n], self.values.word_select(n, 32), neutral) for n in range(self._lanes)
        ]
        level = 0
        while len(values) > 1:
            half = len(values) // 2
            values = [added(f"tree_{level}_{n}", values[n], values[n + half]) for n in range(half)]
            level += 1
        tags = later("tree_tags", Cat(self.valid, self.row_end, self.pass_end), level * self._stages)
        beat, row_end, pass_end = tags[0], tags[1], tags[2]

        # The partial sum of a beat four beats ago may leave the adder in this very cycle.
        number = Signal(range(PARTIAL_SUMS))
        first = Signal(init=1)  # of its partial sum in this row
        with m.If(self.enable & beat):
            m.d.sync += [
                number.eq(Mux(row_end, 0, number + 1)),
                first.eq(row_end | (first & (number != PARTIAL_SUMS - 1))),
            ]
        partial = [Signal(32, name=f"partial_{n}", reset_less=True) for n in range(PARTIAL_SUMS)]
        summed = Signal(32)
        done = later("sum_tags", Cat(beat, row_end, pass_end, first, number), self._stages)
        done_beat, done_row, done_pass, done_first, done_number = (
            done[0],
            done[1],
            done[2],
            done[3],
            done[4:],
        )
        addend = Signal(32)
        stored = Signal(32)
        with m.Switch(number):
            for n in range(PARTIAL_SUMS):
                with m.Case(n):
                    m.d.comb += stored.eq(partial[n])
        m.d.comb += [
            addend.eq(Mux(first, neutral, Mux(done_beat & (done_number == number), summed, stored))),
            summed.eq(added("partial_adder", addend, values[0])),
        ]
        folded = []
        for n in range(PARTIAL_SUMS):
            with m.If(self.enable & done_beat & (done_number == n)):
                m.d.sync += partial[n].eq(summed)
            value = Signal(32, name=f"row_{n}")
            m.d.comb += value.eq(
                Mux(done_number == n, summed, Mux(done_first & (done_number < n), neutral, partial[n]))
            )
            folded.append(value)
        pairs = [added(f"fold_{n}", folded[n], folded[n + 2]) for n in range(2)]
        m.d.comb += self.o.eq(added("fold", *pairs))
        end = later("fold_tags", Cat(done_beat & done_row, done_pass), 2 * self._stages)
        m.d.comb += [self.row_valid.eq(end[0]), self.last.eq(end[1])]
        return m

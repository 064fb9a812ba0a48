"""One lane that evaluates functions: exponent and fraction apart, a table, a quadratic polynomial in integers."""

from __future__ import annotations

from amaranth.hdl import C, Cat, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.vector_specs import MOST_FUNCTION_STAGES
from rtl.block import Block, check_integers, place
from rtl.interface.function_tables import (
    CONSTANT_BITS,
    FACTOR_BITS,
    LINEAR_BITS,
    LN_2,
    LOG2_E,
    OFFSET_BITS,
    RESULT_BITS,
    SQUARE_BITS,
)
from rtl.interface.vector_operations import Function
from rtl.vector.function_table import FunctionTable

__all__ = ["FunctionLane"]

_FRACTION = 23
_BIAS = 127
_INF = 0x7F80_0000
_NAN = 0x7FC0_0000
_MINUS_INF = 0xFF80_0000
_HALF = 12
"""Bits of the lower half of a significand."""
_HALF_OFFSET = OFFSET_BITS // 2
_GUARD = RESULT_BITS - _FRACTION

_FURTHER = ("fixed", "product", "terms", "size", "square", "shift")
"""Steps that more than seven stages cut besides, the one that shortens the longest stage first."""

_CUTS: dict[int, frozenset[str]] = {
    1: frozenset(),
    2: frozenset({"lookup"}),
    3: frozenset({"split", "slope"}),
    4: frozenset({"scale", "lookup", "value"}),
    5: frozenset({"scale", "lookup", "slope", "value"}),
    6: frozenset({"scale", "split", "lookup", "slope", "value"}),
    7: frozenset({"scale", "split", "lookup", "slope", "value", "normalise"}),
    **{
        8 + n: frozenset({"scale", "split", "lookup", "slope", "value", "normalise", *_FURTHER[: n + 1]})
        for n in range(len(_FURTHER))
    },
}
"""For each number of stages, the steps that registers follow, apart from the last one."""


class FunctionLane(Block):
    """``o`` is the function of the ``x`` of ``stages`` enabled cycles ago; every bit is that of the golden model.

    Parameters
    ----------
    stages
        Register stages, 1 to 13. A new number enters in every enabled cycle.

    Members
    -------
    enable : In(1)
        Registers change.
    which : In(3)
        A :class:`rtl.interface.vector_operations.Function`; ``NONE`` means nothing. Holds while numbers are inside.
    x : In(32), o : Out(32)
        Patterns of fp32.

    Raises
    ------
    ValueError
        If ``stages`` is out of range.
    """

    def __init__(self, *, stages: int) -> None:
        check_integers("function lane", minimum=1, stages=stages)
        if stages > MOST_FUNCTION_STAGES:
            raise ValueError(f"function lane: stages = {stages}: must be at most {MOST_FUNCTION_STAGES}")
        self._stages = stages
        super().__init__({"enable": In(1), "which": In(3), "x": In(32), "o": Out(32)})

    @property
    def block_name(self) -> str:
        return f"function_lane_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def wire(name: str, value: Value, *, registered: bool = False) -> Signal:
            signal = Signal(value.shape(), name=name, reset_less=True)
            m.d["sync" if registered else "comb"] += signal.eq(value)
            return signal

        def cut(step: str, **values: Value) -> list[Signal]:
            """What the next step needs, behind registers if a cut follows ``step``."""
            registered = step in _CUTS[self._stages]
            return [wire(f"{step}_{name}", value, registered=registered) for name, value in values.items()]

        f = self.which
        powers = wire("powers", (f == Function.EXP) | (f == Function.EXP2))
        is_recip, is_rsqrt = wire("is_recip", f == Function.RECIP), wire("is_rsqrt", f == Function.RSQRT)
        is_log = wire("is_log", f == Function.LOG)

        # Scale: the significand times log2(e), with one bit below the 23 of the fraction, which rounds.
        significand = Cat(self.x[:_FRACTION], C(1, 1))
        low, high, x = cut(
            "product", low=significand[:_HALF] * C(LOG2_E), high=significand[_HALF:] * C(LOG2_E), x=self.x
        )
        significand = Cat(x[:_FRACTION], C(1, 1))
        scaled = Mux(f == Function.EXP, low + (high << _HALF), significand << FACTOR_BITS)
        scaled, x = cut("scale", wide=scaled[FACTOR_BITS - 7 : FACTOR_BITS + 25], x=x)

        # Split into a fraction and what becomes the exponent, biased; and the results that need no table.
        exponent = x[23:31]
        places = wire("places", (_BIAS + 6 - exponent)[:8])  # means nothing if large
        shifted, x = cut("shift", shifted=Mux((exponent == 0) | (places >= 32), 0, scaled >> places[:5]), x=x)
        sign, exponent, fraction = x[31], x[23:31], x[:23]
        zero, infinite = exponent == 0, exponent == 0xFF
        nan = wire("nan", x[:31] > _INF)
        large = exponent >= _BIAS + 7  # of powers: beyond 128
        magnitude = wire("magnitude", (shifted + 1)[1:33])
        t = wire("t", Mux(sign, -magnitude, magnitude)[:33].as_signed())
        ones = fraction == 0
        even = exponent[0]  # the exponent without bias, as the bias is odd
        exact = wire("exact", ones & (is_recip | is_log | (is_rsqrt & even)))
        half = wire("half", (exponent - _BIAS) >> 1)
        new_exponent = Signal(10, name="new_exponent")
        special = wire(
            "special",
            nan | Mux(powers, large, zero | infinite) | (sign & (is_rsqrt | is_log)),
        )
        signed_infinity = Cat(C(_INF, 31), sign)
        value = Signal(32, name="special_value")
        with m.If(nan):
            m.d.comb += value.eq(_NAN)
        with m.Elif(powers):
            m.d.comb += value.eq(Mux(sign, 0, _INF))
        with m.Elif(is_recip):
            m.d.comb += value.eq(Mux(zero, signed_infinity, sign << 31))
        with m.Elif(zero):
            m.d.comb += value.eq(Mux(is_log, _MINUS_INF, signed_infinity))
        with m.Elif(sign):
            m.d.comb += value.eq(_NAN)
        with m.Else():
            m.d.comb += value.eq(Mux(is_log, _INF, 0))
        with m.If(powers):
            m.d.comb += new_exponent.eq((t >> _FRACTION) + _BIAS)
        with m.Elif(is_recip):
            m.d.comb += new_exponent.eq(2 * _BIAS - 1 + exact - exponent)
        with m.Elif(is_rsqrt):
            m.d.comb += new_exponent.eq(_BIAS - 1 + exact - half)
        with m.Else():
            m.d.comb += new_exponent.eq(exponent - _BIAS)
        negative = sign & is_recip
        fraction, exponent, exact, odd, negative, special, other = cut(
            "split",
            fraction=Mux(powers, t[:_FRACTION], fraction),
            exponent=new_exponent.as_signed(),
            exact=exact,
            odd=~even,
            negative=negative,
            special=special,
            other=value,
        )

        # Look up, and evaluate; exact ones take the value of the interval's left end, which is 0 or 1.
        table = FunctionTable()
        place(m, platform, "coefficients", table)
        m.d.comb += [
            table.which.eq(f),
            table.odd.eq(odd),
            table.index.eq(fraction[OFFSET_BITS:]),
        ]
        offset = Cat(fraction[: OFFSET_BITS - 1], ~fraction[OFFSET_BITS - 1]).as_signed()
        c0, c1, c2, offset, *carried = cut(
            "lookup",
            c0=table.c0,
            c1=table.c1,
            c2=table.c2,
            offset=offset,
            exponent=exponent,
            exact=exact,
            negative=negative,
            special=special,
            other=other,
        )
        names = ("exponent", "exact", "negative", "special", "other")
        square, c0, c1, offset, *carried = cut(
            "square",
            square=c2 * offset >> SQUARE_BITS,
            c0=c0,
            c1=c1,
            offset=offset,
            **dict(zip(names, carried, strict=True)),
        )
        slope, c0, offset, *carried = cut(
            "slope",
            slope=(c1 + square)[: len(c1) + 1].as_signed(),
            c0=c0,
            offset=offset,
            **dict(zip(names, carried, strict=True)),
        )
        low, high, c0, *carried = cut(
            "terms",
            low=slope * offset[:_HALF_OFFSET],
            high=slope * offset[_HALF_OFFSET:].as_signed(),
            c0=c0,
            **dict(zip(names, carried, strict=True)),
        )
        exponent, exact, negative, special, other = carried
        polynomial = (c0 + (low + (high << _HALF_OFFSET) >> LINEAR_BITS))[:27]
        value, exponent, negative, special, other = cut(
            "value",
            value=Mux(exact, Mux(is_log, 0, 1 << RESULT_BITS), polynomial),
            exponent=exponent,
            negative=negative,
            special=special,
            other=other,
        )

        # Logarithm: the exponent times ln(2) as well, and the leading one to the top. 34 bits with the sign.
        names = ("value", "exponent", "negative", "special", "other")
        fixed, *carried = cut(
            "fixed",
            fixed=(exponent[:8].as_signed() * C(LN_2) + (value << CONSTANT_BITS - RESULT_BITS))[:34],
            **dict(zip(names, (value, exponent, negative, special, other), strict=True)),
        )
        size, below, *carried = cut(
            "size",
            size=Mux(fixed[33], -fixed, fixed)[:34],
            below=fixed[33],
            **dict(zip(names, carried, strict=True)),
        )
        value, exponent, negative, special, other = carried
        left: Value = size
        zeros: list[Value] = []
        for count in (32, 16, 8, 4, 2, 1):
            empty = wire(f"empty_{count}", left[34 - count :] == 0)
            left = wire(f"left_{count}", Mux(empty, left << count, left)[:34])
            zeros.insert(0, empty)
        # Below the leading one the 26 bits of a value, of which the lowest says whether any of those below it is set.
        log_value = Cat(left[: 34 - RESULT_BITS].any(), left[34 - RESULT_BITS : 33])
        log_exponent = (33 - CONSTANT_BITS + _BIAS) - Cat(zeros)
        value, exponent, negative, special, other = cut(
            "normalise",
            value=Mux(is_log, log_value, value[:RESULT_BITS]),
            exponent=Mux(is_log, log_exponent, exponent)[:10].as_signed(),
            negative=Mux(is_log, below, negative),
            special=special | (is_log & (size == 0)),
            other=Mux(is_log & (size == 0) & ~special, 0, other),
        )

        # Round to nearest even.
        up = Mux(value[_GUARD], 1 << _GUARD - 1, (1 << _GUARD - 1) - 1)
        rounded = wire("rounded", (Cat(value, exponent).as_signed() + up)[_GUARD:])
        field = rounded[_FRACTION:].as_signed()
        finite = Mux(field < 1, 0, Mux(field >= 0xFF, _INF, rounded[:31]))
        result = Mux(special, other, Cat(finite[:31], negative))
        m.d.comb += self.o.eq(wire("result", result, registered=True))
        return EnableInserter(self.enable)(m)

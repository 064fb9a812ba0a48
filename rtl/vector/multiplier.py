"""fp32 multiplier with the rules of ``docs/numerics.md``."""

from __future__ import annotations

from amaranth.hdl import C, Cat, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.vector_specs import MOST_MULTIPLIER_STAGES
from rtl.block import Block, check_integers

__all__ = ["Multiplier"]

_FRACTION = 23
_HALF = 12
"""Bits of the lower half of a significand."""
_BIAS = 127
_INF = 0x7F80_0000
_NAN = 0x7FC0_0000

_CUTS: dict[int, frozenset[str]] = {
    1: frozenset(),
    2: frozenset({"multiply"}),
    3: frozenset({"multiply", "normalise"}),
    4: frozenset({"halves", "multiply", "normalise"}),
}
"""For each number of stages, the steps that registers follow, apart from the last one."""


class Multiplier(Block):
    """``o`` is the product of the ``a`` and ``b`` of ``stages`` enabled cycles ago.

    A product below 2^-126 is a signed zero, except one that rounds to 2^-126 where numbers end at multiples of 2^-149:
    from 2^-126 - 2^-150 on.

    Parameters
    ----------
    stages
        Register stages, 1 to 4. A new pair enters in every enabled cycle.

    Members
    -------
    enable : In(1)
        Registers change.
    a, b : In(32), o : Out(32)
        Patterns of fp32.

    Raises
    ------
    ValueError
        If ``stages`` is out of range.
    """

    def __init__(self, *, stages: int) -> None:
        check_integers("multiplier", minimum=1, stages=stages)
        if stages > MOST_MULTIPLIER_STAGES:
            raise ValueError(f"multiplier: stages = {stages}: must be at most {MOST_MULTIPLIER_STAGES}")
        self._stages = stages
        super().__init__({"enable": In(1), "a": In(32), "b": In(32), "o": Out(32)})

    @property
    def block_name(self) -> str:
        return f"multiplier_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def wire(name: str, value: Value, *, registered: bool = False) -> Signal:
            signal = Signal(len(value), name=name, reset_less=True)
            m.d["sync" if registered else "comb"] += signal.eq(value)
            return signal

        def cut(step: str, **values: Value) -> list[Signal]:
            """What the next step needs, behind registers if a cut follows ``step``."""
            registered = step in _CUTS[self._stages]
            return [wire(f"{step}_{name}", value, registered=registered) for name, value in values.items()]

        exponent_a, exponent_b = self.a[23:31], self.b[23:31]
        zero = wire("zero", (exponent_a == 0) | (exponent_b == 0))
        a, b = (Cat(value[:_FRACTION], C(1, 1)) for value in (self.a, self.b))
        low, high, exponent, *flags = cut(
            "halves",
            low=a * b[:_HALF],
            high=a * b[_HALF:],
            exponent=exponent_a + exponent_b,  # biased twice
            sign=self.a[31] ^ self.b[31],
            zero=zero,
            inf=(exponent_a == 0xFF) | (exponent_b == 0xFF),
            nan=(self.a[:31] > _INF) | (self.b[:31] > _INF) | zero,  # if inf
        )
        product, exponent, sign, zero, inf, nan = cut(
            "multiply",
            product=(low + (high << _HALF))[:48],
            exponent=exponent,
            **dict(zip(("sign", "zero", "inf", "nan"), flags, strict=True)),
        )
        carry = product[47]
        significand, half, sticky, exponent, sign, zero, inf, nan = cut(
            "normalise",
            significand=Mux(carry, product[24:], product[23:47]),
            half=Mux(carry, product[23], product[22]),
            sticky=product[:22].any() | (carry & product[22]),
            exponent=(exponent + carry)[:9],
            sign=sign,
            zero=zero,
            inf=inf,
            nan=nan,
        )
        # Below 2^-126 the last place is 2^-149: all ones lie at least half of it above the last number there.
        up = (half & (sticky | significand[0])) | ((exponent == _BIAS) & significand.all())
        rounded = wire("rounded", significand[:_FRACTION] + up)
        # What the exponent makes of the result, as it is and one more: the fraction, which decides, comes late.
        ways = [
            wire(
                f"way_{more}",
                Cat(
                    (exponent + more - _BIAS)[:8],
                    exponent + more < _BIAS + 1,
                    exponent + more >= _BIAS + 0xFF,
                ),
            )
            for more in (0, 1)
        ]
        way = wire("way", Mux(rounded[_FRACTION], ways[1], ways[0]))
        finite = Mux(way[8], 0, Mux(way[9], _INF, Cat(rounded[:_FRACTION], way[:8])))
        result = Mux(
            inf,
            Mux(nan, _NAN, Cat(C(_INF, 31), sign)),
            Cat(Mux(zero, 0, finite)[:31], sign),
        )
        m.d.comb += self.o.eq(wire("result", result, registered=True))
        return EnableInserter(self.enable)(m)

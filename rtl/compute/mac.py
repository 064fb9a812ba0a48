"""Arithmetic of the multiply-add: bf16 x bf16 -> fp32 and int8 x int8 -> int32.

fp32 rounds to nearest, ties to even; subnormals are signed zeros at inputs and outputs; the only NaN that
comes out is ``0x7FC00000``; infinities follow IEEE 754. int32 wraps modulo 2 ** 32. ``docs/numerics.md`` says
why numpy float32 reproduces every bit.

The functions here add logic to a module that exists already, so that a PE stays one Verilog module;
:class:`Adder` is the same sum as a block of its own, for accumulators.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import MULTIPLIER_STAGES
from chiplet.machine.specs import Dtype
from rtl.block import Block

OPERAND_BITS: dict[Dtype, int] = {"bf16": 16, "int8": 8}
"""Width of one operand."""

PRODUCT_BITS: dict[Dtype, int] = {"bf16": 24, "int8": 16}
"""Width of one product: of a bf16 one, whose fp32 pattern always ends in 8 zeros, the upper 24 bits."""

MAX_STAGES = 4
"""Most register stages of an adder: align, add, normalise, round."""

MOST_MULTIPLIER_STAGES = 2
"""Most register stages of a multiplier of the array: multiply, normalise."""

_NAN = 0x7FC0_0000
_INF = 0x7F80_0000
_FRACTION = 23
_GUARD = 3
"""Bits below the significand in the sum: guard, round, sticky."""

_CUTS: dict[int, frozenset[str]] = {
    1: frozenset(),
    2: frozenset({"add"}),
    3: frozenset({"align", "add"}),
    4: frozenset({"align", "add", "normalise"}),
}
"""For each number of stages, the steps of the fp32 adder that registers follow, apart from the last step."""


def with_multiplier(name: str, multiplier_stages: int) -> str:
    """Name of a block whose multipliers have these stages: ``name`` with a suffix, without one for a single stage."""
    return name if multiplier_stages == 1 else f"{name}_m{multiplier_stages}"


def check_arithmetic(
    what: str, *, dtype: object, stages: object, multiplier_stages: object = MULTIPLIER_STAGES
) -> None:
    """Refuse an unknown operand type or number of stages.

    Raises
    ------
    ValueError
        Naming ``what``, the parameter, its value and the values allowed.
    """
    if dtype not in OPERAND_BITS:
        raise ValueError(f"{what}: dtype = {dtype!r}: must be one of {', '.join(OPERAND_BITS)}")
    for name, value, most in (
        ("stages", stages, MAX_STAGES),
        ("multiplier_stages", multiplier_stages, MOST_MULTIPLIER_STAGES),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(f"{what}: {name} = {value!r}: must be an integer from 1 to {most}")


def product(m: Module, a: Value, b: Value, *, dtype: Dtype, registered: bool = False) -> Value:
    """``a * b`` of two operands (:data:`OPERAND_BITS`), in :data:`PRODUCT_BITS` bits.

    Combinational, or with registers behind the multiplication itself: of the operands of the cycle before then.
    """
    make = _bf16_product if dtype == "bf16" else _int8_product
    return make(m, a, b, registered)


def widen(value: Value, *, dtype: Dtype) -> Value:
    """The 32-bit addend (fp32 pattern or int32) that a product of :func:`product` stands for."""
    if dtype == "bf16":
        return Cat(C(0, 32 - PRODUCT_BITS[dtype]), value)
    extension = 32 - PRODUCT_BITS[dtype]
    return Cat(value, Mux(value[-1], C(-1, extension), C(0, extension)))


def rounded_bf16(value: Value) -> Value:
    """The bf16 pattern of an fp32 value: nearest, ties to even; subnormals are signed zeros; NaN is ``0x7FC0``."""
    exponent = value[_FRACTION:31]
    nearest = (value + 0x7FFF + value[16])[16:32]
    finite = Mux(exponent == 0, Cat(C(0, 15), value[31]), nearest)
    return Mux(exponent.all() & value[:_FRACTION].any(), C(_NAN >> 16, 16), finite)


def total(m: Module, a: Value, b: Value, *, dtype: Dtype, stages: int, maximum: Value | None = None) -> Value:
    """``a + b`` of the 32-bit values of ``stages`` cycles ago; a new sum starts every cycle.

    Where ``maximum``, which only fp32 has, is high, it is the larger one instead: a NaN if one is, and +0 of two zeros
    unless both are -0.
    """
    return _fp32_sum(m, a, b, stages, maximum) if dtype == "bf16" else _int32_sum(m, a, b, stages)


class Bf16Rounding(Block):
    """:func:`rounded_bf16` as a block of its own, for rows of sums.

    Members
    -------
    i : In(32), o : Out(16)
        An fp32 value, and its bf16 pattern in the same cycle.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(32), "o": Out(16)})

    @property
    def block_name(self) -> str:
        return "bf16_rounding"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(rounded_bf16(self.i))
        return m


class Adder(Block):
    """Pipelined adder: ``o`` is ``a + b`` of ``stages`` cycles ago, in fp32 (``bf16``) or int32 (``int8``).

    Parameters
    ----------
    dtype
        Operand type of the die: ``bf16`` adds fp32 patterns, ``int8`` adds int32 values modulo 2 ** 32.
    stages
        Register stages, 1 to 4. A new pair enters every cycle; data registers have no reset.
    """

    def __init__(self, *, dtype: Dtype, stages: int) -> None:
        check_arithmetic("Adder", dtype=dtype, stages=stages)
        self.dtype: Dtype = dtype
        self.stages = stages
        super().__init__({"a": In(32), "b": In(32), "o": Out(32)})

    @property
    def block_name(self) -> str:
        return f"adder_{self.dtype}_p{self.stages}"

    @property
    def clocked(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(total(m, self.a, self.b, dtype=self.dtype, stages=self.stages))
        return m


def _wire(m: Module, name: str, value: Value, *, registered: bool = False) -> Signal:
    """``value`` under a name, as a wire or behind a register without reset.

    Results that are used twice get a wire, or their logic would be written twice. Slices and concatenations
    get none: they would become wires driven piece by piece, which event-driven simulators are slow at.
    """
    wire = Signal(len(value), name=name, reset_less=True)
    if registered:
        m.d.sync += wire.eq(value)
    else:
        m.d.comb += wire.eq(value)
    return wire


def _int8_product(m: Module, a: Value, b: Value, registered: bool) -> Value:
    return _wire(m, "product", a.as_signed() * b.as_signed(), registered=registered)


def _int32_sum(m: Module, a: Value, b: Value, stages: int) -> Value:
    value: Value = _wire(m, "sum_0", a + b)[:32]
    for stage in range(1, stages + 1):
        value = _wire(m, f"sum_{stage}", value, registered=True)
    return value


def _bf16_product(m: Module, a: Value, b: Value, registered: bool) -> Value:
    """Upper 24 bits of the fp32 product: sign, 8 bits exponent, 15 bits fraction; exact, so never rounded."""

    def cut(name: str, value: Value) -> Value:
        return _wire(m, f"multiplied_{name}", value, registered=True) if registered else value

    exponent_a, exponent_b = a[7:15], b[7:15]
    significand = _wire(m, "significand", Cat(a[:7], C(1, 1)) * Cat(b[:7], C(1, 1)), registered=registered)
    carry = significand[15]
    fraction = Mux(carry, significand[:15], Cat(C(0, 1), significand[:14]))
    exponent = _wire(m, "exponent", cut("exponent", exponent_a + exponent_b) + carry)  # biased twice: by 254

    special = cut("special", (exponent_a == 0xFF) | (exponent_b == 0xFF))
    zero = _wire(m, "zero", (exponent_a == 0) | (exponent_b == 0))
    nan = cut("nan", (a[:15] > _INF >> 16) | (b[:15] > _INF >> 16) | zero)
    underflow = cut("zero", zero) | (exponent < 127 + 1)
    overflow = exponent >= 127 + 255
    finite = Mux(overflow, _INF >> 8, Cat(fraction, (exponent - 127)[:8]))
    sign = cut("sign", a[15] ^ b[15])
    return Mux(
        special,
        Mux(nan, _NAN >> 8, Cat(C(_INF >> 8, 23), sign)),
        Cat(Mux(underflow, 0, finite)[:23], sign),
    )


def _fp32_sum(m: Module, a: Value, b: Value, stages: int, maximum: Value | None) -> Value:
    """fp32 sum in four steps: align, add, normalise, round; :data:`_CUTS` says where registers sit."""

    def cut(step: str, **values: Value) -> list[Value]:
        """What the next step needs, behind registers if a cut follows ``step``."""
        if step not in _CUTS[stages]:
            return list(values.values())
        return [_wire(m, f"{step}_{name}", value, registered=True) for name, value in values.items()]

    # Align: the operand of larger magnitude stays, the other one moves right by the difference of exponents.
    ordered = _wire(m, "ordered", Mux(a[:31] < b[:31], Cat(a, b), Cat(b, a)))
    little, big = ordered[:32], ordered[32:]
    exponent_big, exponent_little = big[23:31], little[23:31]
    subtract = _wire(m, "subtract", a[31] ^ b[31])
    # 25 places below the significand are kept apart. A significand that moves further is wholly below the
    # round bit: there its top bit alone is sticky, and beyond those places it cannot change the rounded sum.
    significand_little = Mux(exponent_little == 0, 0, Cat(little[:_FRACTION], C(1, 1)))
    moved = _wire(m, "moved", Cat(C(0, 25), significand_little) >> (exponent_big - exponent_little)[:8])
    sticky = _wire(m, "sticky", moved[:23].any())
    # The lowest bit carries subtract into the sum: the one that completes the two's complement.
    aligned = Cat(C(0, 1), sticky, moved[23:])
    addend = Cat(Mux(subtract, ~aligned, aligned), subtract)
    # Two zeros are negative only if both are. A NaN operand is always the big one.
    sign = _wire(m, "sign", Mux(exponent_big == 0, a[31] & b[31], big[31]))
    mixed = subtract & (exponent_little == 0xFF)
    if maximum is not None:
        # A big operand below zero is not the larger one; the larger one plus nothing is the result.
        little_wins = maximum & big[31] & (big[:31] <= _INF)
        big = _wire(m, "larger", Mux(little_wins, little, big))
        addend, sign, mixed = Mux(maximum, 0, addend), Mux(maximum, big[31], sign), mixed & ~maximum
    significand, addend, exponent, sign, nan, inf = cut(
        "align",
        significand=big[:_FRACTION],
        addend=addend,
        exponent=big[23:31],
        sign=sign,
        nan=big[:_FRACTION].any() | mixed,  # if inf
        inf=big[23:31] == 0xFF,
    )

    # Add.
    both = _wire(m, "both", Cat(C(1, 1), C(0, _GUARD), significand, C(1, 1), C(0, 1)) + addend)
    value, exponent, sign, nan, inf = cut(
        "add", value=both[1:29], exponent=exponent, sign=sign, nan=nan, inf=inf
    )

    # Normalise: move left until the top bit is set; it stays clear only if the sum cancelled to zero. The bit above
    # each step says whether it moved.
    zeros: list[Value] = []
    for places in (16, 8, 4, 2, 1):
        left = Cat(C(0, places), value[:-places], C(1, 1))
        step = _wire(m, f"left_{places}", Mux(value[-places:] == 0, left, Cat(value, C(0, 1))))
        value = step[:-1]
        zeros.insert(0, step[-1])
    scale = _wire(m, "scale", exponent - Cat(zeros))  # below 0 in its top bit
    value, exponent, underflow, sign, nan, inf = cut(
        "normalise",
        value=value[:27],
        exponent=scale[:8],
        # A sum below the normal range is exact, so it can be flushed before rounding.
        underflow=scale[-1] | ~value[27],
        sign=sign & value[27],
        nan=nan,
        inf=inf,
    )

    # Round: 7 + the last kept bit, added to the 4 bits below it, carries exactly when nearest-even rounds up.
    # The exponent gains one because the top bit stands one place above that of the big operand.
    exponent_one = 1 << _GUARD + 1 + _FRACTION
    nudge = Mux(value[_GUARD + 1], exponent_one + 8, exponent_one + 7)
    rounded = _wire(m, "rounded", Cat(value, exponent) + nudge)[_GUARD + 1 :]
    finite = Mux(rounded >= _INF, _INF, rounded[:31])
    magnitude = Mux(underflow, 0, finite)
    result = Mux(inf, Mux(nan, _NAN, Cat(C(_INF, 31), sign)), Cat(magnitude[:31], sign))
    return _wire(m, "sum", result, registered=True)

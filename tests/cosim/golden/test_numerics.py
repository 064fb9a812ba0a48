"""The numpy operations against exact rational arithmetic, which shares nothing with them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.golden.numerics import (
    CANONICAL_NAN,
    bf16_mul,
    bf16_to_float32,
    float32_to_bf16,
    flush,
    fp32_add,
    fp32_patterns,
    fp32_values,
)

many = settings(max_examples=500)

NAN, INF, MAX, TINY = int(CANONICAL_NAN), 0x7F80_0000, 0x7F7F_FFFF, 0x0080_0000
SIGN = 0x8000_0000

Number = Fraction | None
"""An exact value; None stands for infinity."""


def decode(bits: int) -> tuple[int, Number] | None:
    """Sign and magnitude of an fp32 pattern, subnormals as zero; None for NaN."""
    sign, exponent, fraction = bits >> 31, bits >> 23 & 0xFF, bits & 0x7F_FFFF
    if exponent == 0xFF:
        return None if fraction else (sign, None)
    if exponent == 0:
        return sign, Fraction(0)
    return sign, Fraction(fraction | 1 << 23) * Fraction(2) ** (exponent - 150)


def encode(sign: int, magnitude: Fraction, *, fraction_bits: int = 23) -> int:
    """Nearest pattern of fp32 (or of bf16, in the upper half), ties to even; below the normal range zero."""
    if magnitude == 0:
        return sign << 31
    exponent = 0
    while magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while magnitude < Fraction(2) ** exponent:
        exponent -= 1
    steps = round(magnitude / Fraction(2) ** (exponent - fraction_bits))  # Python rounds ties to even
    if steps == 2 << fraction_bits:
        exponent, steps = exponent + 1, 1 << fraction_bits
    if exponent > 127:
        return sign << 31 | INF
    if exponent < -126:
        return sign << 31
    return sign << 31 | exponent + 127 << 23 | steps - (1 << fraction_bits) << 23 - fraction_bits


def exact_add(a: int, b: int) -> int:
    left, right = decode(a), decode(b)
    if left is None or right is None:
        return NAN
    if left[1] is None or right[1] is None:
        if left[1] is None and right[1] is None and left[0] != right[0]:
            return NAN
        return (left if left[1] is None else right)[0] << 31 | INF
    value = (-1) ** left[0] * left[1] + (-1) ** right[0] * right[1]
    if value == 0:
        return (left[0] & right[0]) << 31
    return encode(int(value < 0), abs(value))


def exact_mul(a: int, b: int) -> int:
    left, right = decode(a << 16), decode(b << 16)
    if left is None or right is None:
        return NAN
    sign = left[0] ^ right[0]
    if left[1] is None or right[1] is None:
        return NAN if 0 in (left[1], right[1]) else sign << 31 | INF
    return encode(sign, left[1] * right[1])


def near(exponents: st.SearchStrategy[int]) -> st.SearchStrategy[int]:
    return st.builds(
        lambda sign, exponent, fraction: sign << 31 | exponent << 23 | fraction,
        st.integers(0, 1),
        exponents,
        st.integers(0, 0x7F_FFFF) | st.sampled_from([0, 1, 0x40_0000, 0x3F_FFFF, 0x7F_FFFF]),
    )


FP32 = st.one_of(
    near(st.integers(0, 255)),
    near(st.integers(125, 129)),
    near(st.integers(100, 154)),
    near(st.integers(0, 3)),
    near(st.integers(252, 255)),
)
BF16 = FP32.map(lambda bits: bits >> 16)


def u32(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint32)


def u16(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint16)


@many
@given(FP32, FP32)
def test_add_is_the_rounded_exact_sum(a: int, b: int) -> None:
    assert int(fp32_add(u32(a), u32(b))[0]) == exact_add(a, b)


@many
@given(FP32, st.integers(-3, 3))
def test_add_of_neighbours_cancels_exactly(a: int, step: int) -> None:
    b = (a ^ SIGN) + step & 0xFFFF_FFFF
    assert int(fp32_add(u32(a), u32(b))[0]) == exact_add(a, b)


@many
@given(BF16, BF16)
def test_multiply_is_the_rounded_exact_product(a: int, b: int) -> None:
    assert int(bf16_mul(u16(a), u16(b))[0]) == exact_mul(a, b)


@many
@given(BF16, BF16)
def test_low_byte_of_a_product_is_zero(a: int, b: int) -> None:
    assert int(bf16_mul(u16(a), u16(b))[0]) & 0xFF == 0


@many
@given(FP32)
def test_cast_to_bf16_is_the_nearest_value(bits: int) -> None:
    decoded = decode(bits)
    if decoded is None:
        want = NAN
    else:
        sign, magnitude = decoded
        want = bits if magnitude is None else encode(sign, magnitude, fraction_bits=7)
    assert int(float32_to_bf16(fp32_values(u32(bits)))[0]) == want >> 16


def test_every_bf16_pattern_survives_the_round_trip() -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    values = bf16_to_float32(patterns)
    want = np.where(patterns & 0x7F80 == 0, patterns & 0x8000, patterns)
    want = np.where(np.isnan(values), 0x7FC0, want)
    assert np.array_equal(float32_to_bf16(values), want)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        (0, 0, 0),
        (SIGN, SIGN, SIGN),
        (SIGN, 0, 0),
        (SIGN | 1, SIGN | 1, SIGN),  # subnormals are zeros of their sign
        (1, SIGN | TINY, SIGN | TINY),
        (TINY, SIGN | TINY + 1, SIGN),  # a subnormal difference is a signed zero
        (MAX, MAX, INF),
        (MAX, 0x7300_0000, INF),  # half a unit in the last place: the tie rounds up to infinity
        (MAX, 0x72FF_FFFF, MAX),
        (INF, SIGN | INF, NAN),
        (INF, SIGN | MAX, INF),
        (0xFFC1_2345, 0, NAN),  # the payload and sign of a NaN are lost
        (0x3F80_0000, 0x3380_0000, 0x3F80_0000),  # tie to even, down
        (0x3F80_0001, 0x3380_0000, 0x3F80_0002),  # tie to even, up
        (0x3F80_0000, 0xB300_0000, 0x3F80_0000),  # below 1.0 the last place is half as large: tie to even
        (0x3F80_0000, 0xB300_0001, 0x3F7F_FFFF),
    ],
)
def test_add_corners(a: int, b: int, want: int) -> None:
    assert int(fp32_add(u32(a), u32(b))[0]) == want == exact_add(a, b)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        (0x8000, 0x3F80, SIGN),
        (0x0001, 0x7F7F, 0),
        (0x0080, 0x3F80, TINY),
        (0x0080, 0xBF7F, SIGN),  # just below the normal range
        (0x7F7F, 0x4000, INF),
        (0x7F80, 0x8000, NAN),
        (0x7F80, 0x0001, NAN),  # infinity times a flushed subnormal
        (0x7F80, 0xBF80, SIGN | INF),
        (0xFF81, 0x0000, NAN),
    ],
)
def test_multiply_corners(a: int, b: int, want: int) -> None:
    assert int(bf16_mul(u16(a), u16(b))[0]) == want == exact_mul(a, b)


def test_operations_broadcast() -> None:
    a, b = u16(0x3F80, 0x4000, 0x4040), u16(0x3F80, 0xC000)
    product = bf16_mul(a[:, None], b[None, :])
    assert product.shape == (3, 2)
    assert product.dtype == np.uint32
    assert fp32_values(product).tolist() == [[1, -2], [2, -4], [3, -6]]


def test_flush_keeps_signs_and_everything_normal() -> None:
    bits = u32(0, SIGN, 1, SIGN | 1, 0x7F_FFFF, SIGN | 0x7F_FFFF, TINY, INF, SIGN | INF, NAN)
    want = u32(0, SIGN, 0, SIGN, 0, SIGN, TINY, INF, SIGN | INF, NAN)
    assert np.array_equal(fp32_patterns(flush(fp32_values(bits))), want)


def test_wrong_element_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^bf16 patterns have dtype int64: must be uint16$"):
        bf16_mul([1], u16(1))
    with pytest.raises(TypeError, match=r"^fp32 patterns have dtype uint16: must be uint32$"):
        fp32_add(u32(1), u16(1))
    with pytest.raises(TypeError, match=r"^values have dtype float64: must be float32$"):
        float32_to_bf16([1.0])

"""Functions of the vector unit in numpy, bit for bit: the integers of :mod:`rtl.interface.function_tables`.

Each function takes and returns fp32 patterns (``uint32``). ``docs/numerics.md`` describes the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosim.golden.numerics import CANONICAL_NAN, flush, fp32_patterns, fp32_values
from rtl.interface.function_tables import (
    CONSTANT_BITS,
    FACTOR_BITS,
    LINEAR_BITS,
    LN_2,
    LOG2_E,
    OFFSET_BITS,
    RESULT_BITS,
    SQUARE_BITS,
    TABLES,
)

__all__ = ["FUNCTIONS", "Patterns"]

Patterns = NDArray[np.uint32]
"""Patterns of fp32 numbers."""

_Integers = NDArray[np.int64]
_FRACTION = 23
_BIAS = 127
_INFINITE = 255
_TABLES = {name: np.array(entries, np.int64) for name, entries in TABLES.items()}


def _parts(x: ArrayLike) -> tuple[Patterns, _Integers, _Integers, NDArray[np.bool_]]:
    """Flushed patterns; exponent field, fraction and sign of each."""
    patterns = fp32_patterns(flush(fp32_values(x)))
    wide = patterns.astype(np.int64)
    return patterns, wide >> _FRACTION & 0xFF, wide & (1 << _FRACTION) - 1, wide >> 31 == 1


def _value(table: str, fraction: _Integers) -> _Integers:
    """The table's function of a fraction of 23 bits, in units of 2 ** -26."""
    c0, c1, c2 = (column[fraction >> OFFSET_BITS] for column in _TABLES[table].T)
    d = (fraction & (1 << OFFSET_BITS) - 1) - (1 << OFFSET_BITS - 1)
    slope = c1 + (c2 * d >> SQUARE_BITS)
    value: _Integers = c0 + (slope * d >> LINEAR_BITS)
    return value


def _number(exponent: _Integers, value: _Integers) -> _Integers:
    """Pattern of the positive number with this exponent field and value in units of 2 ** -26, from 1 up to 2."""
    guard = RESULT_BITS - _FRACTION
    half = (1 << guard - 1) - 1 + (value >> guard & 1)
    rounded = (exponent - 1 << _FRACTION) + (value + half >> guard)
    field = rounded >> _FRACTION
    return np.where(field < 1, 0, np.where(field >= _INFINITE, _INFINITE << _FRACTION, rounded))


def _choose(
    patterns: Patterns, result: _Integers, *cases: tuple[NDArray[np.bool_], int | _Integers]
) -> Patterns:
    """The result, or that of the first case that applies; of a NaN a NaN."""
    for where, value in reversed(cases):
        result = np.where(where, value, result)
    return np.where(patterns & 0x7FFF_FFFF > 0x7F80_0000, CANONICAL_NAN, result.astype(np.uint32))


def _power(x: ArrayLike, factor: int) -> Patterns:
    """2 ** (x * factor / 2 ** FACTOR_BITS)."""
    patterns, exponent, fraction, negative = _parts(x)
    power = exponent - _BIAS
    # |x| * factor with one bit below the fraction of 23 that counts, which rounds.
    wide = (fraction + (1 << _FRACTION)) * factor >> FACTOR_BITS - 7
    shifted = wide >> np.clip(6 - power, 0, 63)
    magnitude = np.where(exponent == 0, 0, shifted + 1 >> 1)
    t = np.where(negative, -magnitude, magnitude)
    value = _value("EXP2", t & (1 << _FRACTION) - 1)
    result = _number((t >> _FRACTION) + _BIAS, value)
    # From 128 on the result is beyond all fp32, whatever the fraction.
    return _choose(patterns, result, (power >= 7, np.where(negative, 0, _INFINITE << _FRACTION)))


def exp(x: ArrayLike) -> Patterns:
    """e ** x."""
    return _power(x, LOG2_E)


def exp2(x: ArrayLike) -> Patterns:
    """2 ** x."""
    return _power(x, 1 << FACTOR_BITS)


def recip(x: ArrayLike) -> Patterns:
    """1 / x; exact for powers of two."""
    patterns, exponent, fraction, negative = _parts(x)
    exact = fraction == 0
    value = np.where(exact, 1 << RESULT_BITS, _value("RECIPROCAL", fraction))
    result = _number(2 * _BIAS - 1 + exact - exponent, value)
    infinite = _INFINITE << _FRACTION
    magnitude = np.where(exponent == 0, infinite, np.where(exponent == _INFINITE, 0, result))
    return _choose(patterns, magnitude + (negative.astype(np.int64) << 31))


def rsqrt(x: ArrayLike) -> Patterns:
    """1 / sqrt(x); exact for powers of four. Infinite for zeros, with their sign; NaN for numbers below zero."""
    patterns, exponent, fraction, negative = _parts(x)
    even = exponent % 2 == 1  # as the bias is odd
    exact = even & (fraction == 0)
    table = np.where(even, _value("RSQRT", fraction), _value("RSQRT_ODD", fraction))
    value = np.where(exact, 1 << RESULT_BITS, table)
    result = _number(_BIAS - 1 + exact - (exponent - _BIAS >> 1), value)
    infinite = _INFINITE << _FRACTION
    return _choose(
        patterns,
        result,
        (exponent == 0, infinite + (negative.astype(np.int64) << 31)),
        (negative, int(CANONICAL_NAN)),
        (exponent == _INFINITE, 0),
    )


def log(x: ArrayLike) -> Patterns:
    """Natural logarithm; 0 for 1. -Inf for zeros, NaN for numbers below zero."""
    patterns, exponent, fraction, negative = _parts(x)
    value = np.where(fraction == 0, 0, _value("LOG", fraction))
    fixed = (exponent - _BIAS) * LN_2 + (value << CONSTANT_BITS - RESULT_BITS)
    # At most 34 bits, so exact in float64; the cast rounds once.
    result = (fixed.astype(np.float64) * 2.0**-CONSTANT_BITS).astype(np.float32).view(np.uint32)
    return _choose(
        patterns,
        result.astype(np.int64),
        (exponent == 0, 0xFF80_0000),
        (negative, int(CANONICAL_NAN)),
        (exponent == _INFINITE, _INFINITE << _FRACTION),
    )


FUNCTIONS: Mapping[str, Callable[[ArrayLike], Patterns]] = {
    "exp": exp,
    "exp2": exp2,
    "recip": recip,
    "rsqrt": rsqrt,
    "log": log,
}
"""Functions by their names in :data:`chiplet.graph.vector_pass.Function`."""

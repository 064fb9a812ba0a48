"""The die's floating-point operations in numpy, bit for bit: bf16 and fp32 with subnormals flushed, one NaN.

Patterns are ``uint16`` (bf16) and ``uint32`` (fp32) arrays. Every function takes arrays of any shape and
broadcasts.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

CANONICAL_NAN = np.uint32(0x7FC0_0000)
"""Pattern of the only NaN that an fp32 operation of the die returns."""

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal
"""Smallest magnitude of bf16 and of fp32 that is not flushed: 2 ** -126."""

Float32s = NDArray[np.float32]


def _patterns(values: ArrayLike, dtype: Any, what: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype != dtype:
        raise TypeError(f"{what} have dtype {array.dtype}: must be {np.dtype(dtype)}")
    return array


def bf16_to_float32(patterns: ArrayLike) -> Float32s:
    """Values of bf16 patterns (``uint16``); exact, subnormals and NaN payloads kept.

    Raises
    ------
    TypeError
        If the patterns are not ``uint16``.
    """
    return (_patterns(patterns, np.uint16, "bf16 patterns").astype(np.uint32) << 16).view(np.float32)


def float32_to_bf16(values: ArrayLike) -> NDArray[np.uint16]:
    """bf16 patterns of ``float32`` values: subnormals flushed, nearest, ties to even, canonical NaN.

    Raises
    ------
    TypeError
        If the values are not ``float32``.
    """
    with np.errstate(all="ignore"):
        rounded = flush(values).astype(ml_dtypes.bfloat16).astype(np.float32)
    return (fp32_patterns(rounded) >> 16).astype(np.uint16)


def fp32_values(patterns: ArrayLike) -> Float32s:
    """fp32 patterns (``uint32``) as ``float32`` values, bits unchanged.

    Raises
    ------
    TypeError
        If the patterns are not ``uint32``.
    """
    return _patterns(patterns, np.uint32, "fp32 patterns").view(np.float32)


def fp32_patterns(values: ArrayLike) -> NDArray[np.uint32]:
    """Patterns of ``float32`` values; every NaN becomes the canonical one.

    Raises
    ------
    TypeError
        If the values are not ``float32``.
    """
    array = _patterns(values, np.float32, "values")
    return np.where(np.isnan(array), CANONICAL_NAN, array.view(np.uint32))


def flush(values: ArrayLike) -> Float32s:
    """``float32`` values with every subnormal replaced by the zero of its sign.

    Raises
    ------
    TypeError
        If the values are not ``float32``.
    """
    array = _patterns(values, np.float32, "values")
    return np.where(np.abs(array) < SMALLEST_NORMAL, np.copysign(np.float32(0), array), array)


def add(a: Float32s, b: Float32s) -> Float32s:
    """The die's fp32 sum of ``float32`` values that are flushed already; a NaN is not canonical yet."""
    with np.errstate(all="ignore"):
        return flush(np.add(a, b, dtype=np.float32))


def multiply(a: Float32s, b: Float32s) -> Float32s:
    """The die's product of ``float32`` values that are flushed already; a NaN is not canonical yet."""
    with np.errstate(all="ignore"):
        return flush(np.multiply(a, b, dtype=np.float32))


def fp32_add(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint32]:
    """The die's fp32 sum of two arrays of fp32 patterns (``uint32``).

    Raises
    ------
    TypeError
        If the patterns are not ``uint32``.
    """
    return fp32_patterns(add(flush(fp32_values(a)), flush(fp32_values(b))))


def bf16_mul(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint32]:
    """The die's product of two arrays of bf16 patterns (``uint16``), as fp32 patterns.

    Raises
    ------
    TypeError
        If the patterns are not ``uint16``.
    """
    return fp32_patterns(multiply(flush(bf16_to_float32(a)), flush(bf16_to_float32(b))))

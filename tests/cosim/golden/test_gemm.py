"""The golden GEMM against scalar loops in the documented order, and its corners."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.layout.block_sizes import Form
from cosim.golden.gemm import bf16_sums, gemm
from cosim.golden.numerics import (
    bf16_mul,
    bf16_to_float32,
    float32_to_bf16,
    fp32_add,
    fp32_patterns,
    fp32_values,
)
from cosim.program.shape import gemm_forms

many = settings(max_examples=200)

SIZES = st.sampled_from([1, 2, 3, 5, 7, 8, 13])


def scalar_gemm(a: np.ndarray, b: np.ndarray, rows: int) -> np.ndarray:
    """The documented order, one element and one operation at a time."""
    out = np.zeros((a.shape[0], b.shape[1]), np.uint32)
    for m, n in np.ndindex(*out.shape):
        sums = []
        for start in range(0, a.shape[1], rows):
            tile_sum = np.zeros(1, np.uint32)
            for k in range(min(start + rows, a.shape[1]) - 1, start - 1, -1):
                tile_sum = fp32_add(tile_sum, bf16_mul(a[m, k : k + 1], b[k, n : n + 1]))
            sums.append(tile_sum)
        total = sums[0]
        for tile_sum in sums[1:]:
            total = fp32_add(total, tile_sum)
        out[m, n] = total[0]
    return out


def patterns(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> np.ndarray:
    if kind == "normal":
        return float32_to_bf16(rng.standard_normal(shape).astype(np.float32))
    if kind == "bits":
        return rng.integers(0, 1 << 16, shape).astype(np.uint16)
    return rng.choice(np.array([0, 0x8000, 1, 0x80, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F], np.uint16), shape)


@many
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["normal", "bits", "corners"]), st.integers(0, 1 << 32))
def test_bf16_matches_scalar_loops(m: int, k: int, n: int, rows: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = min(m, 5), min(n, 5)
    a, b = patterns(rng, (m, k), kind), patterns(rng, (k, n), kind)
    got = gemm(a, b, rows=rows, dtype="bf16")
    assert got.dtype == np.uint32
    assert np.array_equal(got, scalar_gemm(a, b, rows))


@many
@given(
    st.lists(SIZES, min_size=1, max_size=4),
    SIZES,
    st.sampled_from(["normal", "bits"]),
    st.integers(0, 1 << 32),
)
def test_tiles_begin_anew_with_each_piece(pieces: list[int], rows: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = patterns(rng, (3, sum(pieces)), kind), patterns(rng, (sum(pieces), 2), kind)
    total, first = np.zeros((3, 2), np.float32), 0
    for length in pieces:
        some = slice(first, first + length)
        total, first = bf16_sums(a[:, some], b[some], rows, total), first + length
    got = bf16_sums(a, b, rows, np.zeros((3, 2), np.float32), pieces)
    assert np.array_equal(fp32_patterns(got), fp32_patterns(total))


@many
@given(SIZES, st.integers(1, 9), st.integers(-80, -40), st.integers(-66, -62), st.integers(0, 1 << 32))
def test_sums_near_the_smallest_normal_number_are_flushed(
    rows: int, k: int, low: int, total: int, seed: int
) -> None:
    """Products around 2 ** -112 times 2 ** -14: whether any of them has to be flushed depends on the exponents."""
    rng = np.random.default_rng(seed)
    other = 2 * total - low + 16
    a, b = (
        float32_to_bf16(np.ldexp(rng.uniform(-2, 2, shape), exponent).astype(np.float32))
        for shape, exponent in (((3, k), low), ((k, 2), other - rng.integers(0, 3)))
    )
    assert np.array_equal(gemm(a, b, rows=rows, dtype="bf16"), scalar_gemm(a, b, rows))


@many
@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 1 << 32))
def test_int8_is_the_sum_modulo_2_32(m: int, k: int, n: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-128, 128, (m, k)).astype(np.int8)
    b = rng.integers(-128, 128, (k, n)).astype(np.int8)
    got = gemm(a, b, rows=rows, dtype="int8")
    assert got.dtype == np.int32
    assert got.tolist() == (a.astype(object) @ b.astype(object)).tolist()


def test_int8_wraps() -> None:
    k = 1 << 17
    a, b = np.full((1, k), -128, np.int8), np.full((k, 1), -128, np.int8)
    assert gemm(a, b, rows=8, dtype="int8").tolist() == [[-(1 << 31)]]


def test_products_of_a_tile_are_added_in_descending_k() -> None:
    # 2 ** 24 swallows a 1 that comes after it, so the order shows.
    row = float32_to_bf16(np.array([[2.0**24, 1.0, 1.0]], np.float32))
    ones = float32_to_bf16(np.ones((3, 1), np.float32))
    assert fp32_values(gemm(row, ones, rows=3, dtype="bf16"))[0, 0] == 2.0**24 + 2
    assert fp32_values(gemm(row[:, ::-1], ones, rows=3, dtype="bf16"))[0, 0] == 2.0**24


def test_tile_sums_are_added_in_ascending_order() -> None:
    row = float32_to_bf16(np.array([[2.0**24, 1.0, 1.0]], np.float32))
    ones = float32_to_bf16(np.ones((3, 1), np.float32))
    assert fp32_values(gemm(row, ones, rows=1, dtype="bf16"))[0, 0] == 2.0**24
    assert fp32_values(gemm(row[:, ::-1], ones, rows=1, dtype="bf16"))[0, 0] == 2.0**24 + 2


def test_a_sum_starts_at_plus_zero() -> None:
    minus_zero = np.array([[0x8000]], np.uint16)
    one = np.array([[0x3F80]], np.uint16)
    assert gemm(minus_zero, one, rows=4, dtype="bf16").tolist() == [[0]]


def test_nan_and_infinity() -> None:
    a = np.array([[0x7F80, 0xFF80], [0x7F80, 0x3F80], [0x7F80, 0x0000], [0xFF81, 0x0000]], np.uint16)
    b = np.array([[0x3F80], [0x3F80]], np.uint16)
    got = gemm(a, b, rows=2, dtype="bf16")[:, 0].tolist()
    assert got == [0x7FC0_0000, 0x7F80_0000, 0x7F80_0000, 0x7FC0_0000]


def test_large_gemm_is_close_to_float64() -> None:
    rng = np.random.default_rng(5)
    a, b = patterns(rng, (128, 256), "normal"), patterns(rng, (256, 256), "normal")
    got = fp32_values(gemm(a, b, rows=16, dtype="bf16"))
    want = bf16_to_float32(a).astype(np.float64) @ bf16_to_float32(b).astype(np.float64)
    assert np.abs(got - want).max() < 1e-4


@pytest.mark.parametrize("form", ["nn", "nt", "tn"])
def test_forms(form: Form) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(-9, 9, (3, 5)).astype(np.int8), rng.integers(-9, 9, (5, 7)).astype(np.int8)
    stored_a = a.T.copy() if form == "tn" else a
    stored_b = b.T.copy() if form == "nt" else b
    logical_a, logical_b = gemm_forms(stored_a, stored_b, form=form)
    assert np.array_equal(logical_a, a)
    assert np.array_equal(logical_b, b)
    want = a.astype(np.int32) @ b.astype(np.int32)
    assert np.array_equal(gemm(logical_a, logical_b, rows=2, dtype="int8"), want)


def zeros(*shape: int, of: Any = np.uint16) -> np.ndarray:
    return np.zeros(shape, of)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (
            zeros(2, 3),
            zeros(4, 2),
            {},
            "gemm: a is 2 x 3 and b is 4 x 2 in form nn: K = 3 of a must equal K = 4 of b",
        ),
        (zeros(2, 3), zeros(3), {}, "gemm: b has 1 dimensions: must have 2"),
        (zeros(2, 3), zeros(3, 2), {"rows": 0}, "gemm: rows = 0: must be an integer of at least 1"),
        (zeros(2, 3), zeros(3, 2), {"rows": 2.0}, "gemm: rows = 2.0: must be an integer of at least 1"),
        (zeros(2, 3), zeros(3, 2), {"dtype": "fp8"}, "gemm: dtype = 'fp8': must be one of bf16, int8"),
        (zeros(2, 3), zeros(3, 2), {"dtype": "int8"}, "gemm: a has elements uint16: must be int8 for int8"),
        (zeros(2, 3), zeros(3, 2, of=np.int8), {}, "gemm: b has elements int8: must be uint16 for bf16"),
        (zeros(2, 0), zeros(0, 2), {}, "gemm: a is 2 x 0: each dimension must be at least 1"),
    ],
)
def test_bad_arguments_are_named(a: np.ndarray, b: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gemm(a, b, **{"rows": 2, "dtype": "bf16", **options})


def test_unknown_form_is_named() -> None:
    with pytest.raises(ValueError, match=r"^gemm: form = 'tt': must be one of nn, nt, tn$"):
        gemm_forms(zeros(2, 2), zeros(2, 2), form="tt")  # type: ignore[arg-type]

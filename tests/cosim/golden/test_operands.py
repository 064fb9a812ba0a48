"""Operands: seeded, with the corners of bf16 among them, and the same after their way through memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import bf16_to_float32
from cosim.golden.operands import random_operand
from cosim.program.layout import Matrix, pack, unpack

WORDS = st.sampled_from([4, 8, 32, 256])
SIZES = st.integers(1, 20)


@settings(max_examples=100)
@given(SIZES, SIZES, WORDS, st.sampled_from(["bf16", "int8"]))
def test_pack_fills_rows_up_to_whole_words(rows: int, cols: int, word_bytes: int, dtype: Dtype) -> None:
    values = random_operand(np.random.default_rng(0), rows, cols, dtype=dtype, operands="normal")
    per_word = word_bytes // values.dtype.itemsize
    matrix = Matrix(address=3, rows=rows, cols=cols, pitch=-(-cols // per_word))
    content = pack(values, matrix, word_bytes=word_bytes)
    assert len(content) == (matrix.end - matrix.address) * word_bytes
    for row in range(rows):
        start = row * matrix.pitch * word_bytes
        line = content[start : start + matrix.pitch * word_bytes]
        assert line == values[row].tobytes() + bytes(len(line) - cols * values.dtype.itemsize)


def test_pack_is_little_endian() -> None:
    matrix = Matrix(address=0, rows=1, cols=2, pitch=2)
    assert pack(np.array([[0x3F80, 0x0102]], np.uint16), matrix, word_bytes=4) == b"\x80\x3f\x02\x01\0\0\0\0"


@settings(max_examples=100)
@given(SIZES, SIZES, WORDS)
def test_unpack_drops_what_fills_the_rows(rows: int, cols: int, word_bytes: int) -> None:
    pitch = -(-cols * 4 // word_bytes)
    sums = np.random.default_rng(1).integers(0, 1 << 32, (rows, pitch * word_bytes // 4), np.uint32)
    matrix = Matrix(address=0, rows=rows, cols=cols, pitch=pitch)
    assert np.array_equal(unpack(sums.tobytes(), matrix, dtype="bf16"), sums[:, :cols])
    assert np.array_equal(unpack(sums.tobytes(), matrix, dtype="int8"), sums[:, :cols].view(np.int32))


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_the_seed_decides(dtype: Dtype) -> None:
    first, again, other = (
        random_operand(np.random.default_rng(seed), 9, 7, dtype=dtype, operands="special")
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_int8_takes_all_values() -> None:
    values = random_operand(np.random.default_rng(0), 100, 100, dtype="int8", operands="normal")
    assert values.dtype == np.int8
    assert set(values.ravel().tolist()) == set(range(-128, 128))


def test_normal_operands_are_finite_and_not_subnormal() -> None:
    values = bf16_to_float32(
        random_operand(np.random.default_rng(0), 100, 100, dtype="bf16", operands="normal")
    )
    assert np.isfinite(values).all()
    assert abs(float(values.mean())) < 0.05
    assert abs(float(values.std()) - 1) < 0.05


def test_special_operands_have_every_corner() -> None:
    values = random_operand(np.random.default_rng(0), 200, 200, dtype="bf16", operands="special")
    exponent, fraction = values >> 7 & 0xFF, values & 0x7F
    assert {0x0000, 0x8000} <= set(values.ravel().tolist())
    assert ((exponent == 0) & (fraction != 0)).any()
    assert {0x7F80, 0xFF80} <= set(values.ravel().tolist())
    assert ((exponent == 255) & (fraction != 0)).any()
    assert {0x7F7F, 0xFF7F} <= set(values.ravel().tolist())

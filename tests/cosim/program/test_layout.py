"""Layout in memory: matrices fill whole words, and no two allocations share a word."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import Dtype
from cosim.golden.operands import random_operand
from cosim.program.layout import OPERAND_TYPE, RESULT_TYPE, Matrix, Places, pack, unpack

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


def test_every_operand_type_has_a_result_type() -> None:
    assert set(OPERAND_TYPE) == set(RESULT_TYPE)


def test_words_behind_each_io_die_are_allocated_once() -> None:
    places = Places()
    assert [places.take("io_west_0", words) for words in (3, 0, 5)] == [0, 3, 3]
    assert places.take("io_east_0", 2) == 0
    assert places.used == {"io_west_0": 8, "io_east_0": 2}

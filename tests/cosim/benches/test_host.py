"""Words by the back door: their values, and which of their bits are undefined."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cocotb.types import LogicArray

from cosim.benches.host import read_words


@pytest.mark.parametrize(
    ("undefined", "bits"),
    [
        ("X" * 32, 0xFFFFFFFF),
        ("Z" * 32, 0xFFFFFFFF),
        ("1" * 31 + "X", 1),
        ("X" + "0" * 31, 1 << 31),
    ],
)
def test_a_word_with_an_undefined_bit_differs_from_all_values(undefined: str, bits: int) -> None:
    words = [LogicArray("1" * 32), LogicArray(undefined), LogicArray(5, 32), LogicArray(0, 32)]
    values, unknown = read_words(SimpleNamespace(value=word) for word in words)
    assert unknown == [0, bits, 0, 0]
    assert [values[0], *values[2:]] == [0xFFFFFFFF, 5, 0]

"""Words by the back door with their undefined bits, and counters of one word or two."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from cocotb.types import LogicArray

from cosim.benches import host
from cosim.benches.host import read_counters, read_words
from rtl.interface.register_map import COUNTERS, counter_address


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


@pytest.mark.parametrize(("cycles", "macs"), [(16383, 16383 << 18), (16384, 1 << 32), (1 << 32, 1 << 50)])
def test_counters_have_all_their_bits(cycles: int, macs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array of 512 x 512 counts up to 2^18 multiply-adds a cycle."""
    counted = {name: number for number, name in enumerate(COUNTERS)} | {"cycles": cycles, "macs": macs}
    registers = {
        counter_address(name) + word: value >> 32 * word & 0xFFFF_FFFF
        for name, value in counted.items()
        for word in range(2)
    }

    async def read(dut: None, addresses: Sequence[int]) -> list[int]:
        return [registers[address] for address in addresses]

    monkeypatch.setattr(host, "read_registers", read)
    assert asyncio.run(read_counters(None)) == counted

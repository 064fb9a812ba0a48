"""What benches do at a host port, and how they read memory words."""

from __future__ import annotations

from typing import Any

from cocotb.triggers import ReadOnly, RisingEdge
from cocotb.types import LogicArray

from rtl.interface.register_map import COUNTERS, ENGINE_COUNTERS, STATUS, counter_address

__all__ = ["read_counters", "read_register", "read_words", "state_of", "write_register"]

DONE = 2
ERROR_BIT = 4


async def write_register(dut: Any, address: int, value: int) -> None:
    """Write a register of the die, in the next cycle."""
    dut.host_address.value = address
    dut.host_write_data.value = value
    dut.host_write.value = 1
    await RisingEdge(dut.clk)
    dut.host_write.value = 0


async def read_register(dut: Any, address: int) -> int:
    """Read a register of the die."""
    dut.host_address.value = address
    dut.host_read.value = 1
    await RisingEdge(dut.clk)
    dut.host_read.value = 0
    await ReadOnly()
    value: int = dut.host_read_data.value.to_unsigned()
    await RisingEdge(dut.clk)
    return value


async def state_of(dut: Any, most_cycles: int) -> str | None:
    """What keeps the die from being done, as a predicate, or None if it is done."""
    status = await read_register(dut, STATUS)
    if status == DONE:
        return None
    return (
        "met a word that is no command" if status & ERROR_BIT else f"is not done after {most_cycles} cycles"
    )


async def read_counters(dut: Any, *, engine: bool = False) -> dict[str, int]:
    """Every counter of the die, which has an engine or not."""
    counters = {}
    for name in (*COUNTERS, *(ENGINE_COUNTERS if engine else ())):
        low = await read_register(dut, counter_address(name))
        high = await read_register(dut, counter_address(name) + 1)
        counters[name] = high << 32 | low
    return counters


def read_words(contents: Any, address: int, words: int) -> tuple[list[int], list[int]]:
    """Words of a memory by the back door, and which of their bits are undefined."""
    found: list[LogicArray] = [contents[place].value for place in range(address, address + words)]
    return (
        [_bits(word, "1") for word in found],
        [0 if word.is_resolvable else _bits(word, "XxZzUuWw-") for word in found],
    )


def _bits(word: LogicArray, ones: str) -> int:
    """The bits of a word that are one of ``ones``, as a number."""
    if word.is_resolvable and ones == "1":
        return word.to_unsigned()
    return int("".join("1" if bit in ones else "0" for bit in str(word)), 2)

"""What all benches do: reset, registers at a host port, settings of memories, words by the back door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer
from cocotb.types import LogicArray

from cosim.jobs.base import CLOCK_NS, ProgramJob
from rtl.interface.error_codes import ERROR_UNITS, error_text
from rtl.interface.register_map import (
    COUNTERS,
    ENGINE_COUNTERS,
    ERROR,
    LINKS,
    MEMORY_LAST,
    POST,
    POST_HIGH,
    SIDES,
    STATUS,
    WAITING,
    WATCHDOG,
    counter_address,
)

__all__ = [
    "clear",
    "failure_of",
    "post_semaphores",
    "read_counters",
    "read_links",
    "read_register",
    "read_selected",
    "read_words",
    "release_reset",
    "set_limits",
    "set_memory",
    "write_register",
]

DONE = 2
FAILED_LINK_BIT = 4
"""Of the status of a die: a link in the north has failed; then those of the other sides."""
MOST_COUNTED = 512 * 512
"""What a counter can grow by in a cycle: the multiply-adds of the largest array."""


def clear(dut: Any, inputs: Iterable[str]) -> None:
    """Set inputs of the bench to 0."""
    for name in inputs:
        getattr(dut, name).value = 0


def set_memory(dut: Any, job: ProgramJob) -> None:
    """Set how the memories behave. They take the seed during the reset."""
    dut.memory_latency.value = job.latency
    dut.memory_interval.value = job.interval
    dut.memory_stall.value = job.stall
    dut.memory_seed.value = job.seed
    dut.memory_reseed.value = 1


async def release_reset(dut: Any) -> None:
    """Start the clock and end the reset after 3 cycles."""
    # The first edge must see the reset: what has none would keep an undefined value for ever.
    await Timer(CLOCK_NS, unit="ns")
    # The clock of the interface layer: cocotb would call a clock in Python twice a cycle.
    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0


async def write_register(dut: Any, address: int, value: int) -> None:
    """Write a register of the die, in the next cycle."""
    dut.host_address.value = address
    dut.host_write_data.value = value
    dut.host_write.value = 1
    await RisingEdge(dut.clk)
    dut.host_write.value = 0


async def read_register(dut: Any, address: int) -> int:
    """Read a register of the die."""
    (value,) = await read_registers(dut, [address])
    return value


async def read_registers(dut: Any, addresses: Sequence[int]) -> list[int]:
    """Read registers of the die, one a cycle: most cycles of a short run are reads of its counters."""
    values: list[int] = []
    dut.host_read.value = 1
    dut.host_address.value = addresses[0]
    for following in (*addresses[1:], None):
        await RisingEdge(dut.clk)
        if following is None:
            dut.host_read.value = 0
        else:
            dut.host_address.value = following
        await ReadOnly()
        values.append(dut.host_read_data.value.to_unsigned())
    await RisingEdge(dut.clk)
    return values


async def set_limits(dut: Any, *, memory_words: int, most_cycles: int) -> None:
    """Tell a die the size of its memory, and its watchdog how long to wait: a quarter of ``most_cycles``."""
    await write_register(dut, MEMORY_LAST, memory_words - 1)
    await write_register(dut, WATCHDOG, max(1, most_cycles // 4))


async def post_semaphores(dut: Any, mask: int) -> None:
    """Post the semaphores whose bit in ``mask`` is 1, in one cycle or in two."""
    if mask & 0xFFFF_FFFF:
        await write_register(dut, POST, mask & 0xFFFF_FFFF)
    if mask >> 32:
        await write_register(dut, POST_HIGH, mask >> 32)


async def failure_of(dut: Any, most_cycles: int) -> str | None:
    """Why the die is not done, in words, or None if it is done."""
    status = await read_register(dut, STATUS)
    if status == DONE:
        return None
    error = await read_register(dut, ERROR)
    waiting = await read_register(dut, WAITING)
    if error:
        failure = error_text(error & 15, error >> 8 & 31)
    elif status >> FAILED_LINK_BIT:
        places = [*(f"in the {side}" for side in SIDES), "in the memory plane"]
        failed = [place for n, place in enumerate(places) if status >> FAILED_LINK_BIT + n & 1]
        failure = f"has a link that failed {' and '.join(failed)}"
    else:
        failure = f"is not done after {most_cycles} cycles"
    units = [name for n, name in enumerate(ERROR_UNITS) if waiting >> n & 1]
    return f"{failure}; waiting for semaphores: {', '.join(units)}" if units else failure


async def read_links(dut: Any) -> list[int]:
    """The registers of the die's links: those of the collective plane by sides, then those of the memory plane."""
    return await read_registers(dut, range(LINKS, LINKS + 2 * len(SIDES)))


async def read_counters(dut: Any, *, engine: bool = False) -> dict[str, int]:
    """Every counter of the die, those of the engine included if it has one.

    Upper words are read only after so many cycles that one of them can be other than 0.
    """
    names = (*COUNTERS, *(ENGINE_COUNTERS if engine else ()))
    addresses = [counter_address(name) for name in names]
    low, high = await read_registers(dut, [counter_address("cycles"), counter_address("cycles") + 1])
    lower = await read_registers(dut, addresses)
    upper = [0] * len(names)
    if (high << 32 | low) * MOST_COUNTED >= 1 << 32:
        upper = await read_registers(dut, [address + 1 for address in addresses])
    return {name: high << 32 | low for name, low, high in zip(names, lower, upper, strict=True)}


async def read_selected(
    dut: Any, number: Any, count: int, select: Any, value: Any, names: Sequence[str]
) -> list[dict[str, int]]:
    """Read the counters ``names`` of ``count`` units: ``number`` selects the unit, ``select`` its counter."""
    counters: list[dict[str, int]] = []
    for unit in range(count):
        number.value = unit
        counters.append({})
        for place, name in enumerate(names):
            select.value = place
            await RisingEdge(dut.clk)
            await ReadOnly()
            counters[unit][name] = value.value.to_unsigned()
            await RisingEdge(dut.clk)
    return counters


def read_words(places: Iterable[Any]) -> tuple[list[int], list[int]]:
    """Words of a memory by the back door, and which of their bits are undefined."""
    words: list[LogicArray] = [place.value for place in places]
    return (
        [_bits(word, "1") for word in words],
        [0 if word.is_resolvable else _bits(word, "XxZzUuWw-") for word in words],
    )


def _bits(word: LogicArray, ones: str) -> int:
    """The bits of a word that are one of ``ones``, as a number."""
    if word.is_resolvable and ones == "1":
        return word.to_unsigned()
    return int("".join("1" if bit in ones else "0" for bit in str(word)), 2)

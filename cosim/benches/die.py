"""Bench of one die: load memory and program by the back door, start, wait for done, read counters and result.

Python is not in the cycle loop. What to do comes as a :class:`cosim.job.Job` in the folder of the run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, Timer
from cocotb.types import LogicArray

from cosim.benches.observer import Observer
from cosim.job import (
    CLOCK_NS,
    FOLDER_VARIABLE,
    PROGRESS_CYCLES,
    Job,
    Outcome,
    image_words,
    save_changes,
    save_progress,
)
from rtl.counters import COMMANDS, CONTROL, COUNTERS, PROGRAM, STATUS, counter_address


async def _write(dut: Any, address: int, value: int) -> None:
    dut.host_address.value = address
    dut.host_write_data.value = value
    dut.host_write.value = 1
    await RisingEdge(dut.clk)
    dut.host_write.value = 0


async def _read(dut: Any, address: int) -> int:
    dut.host_address.value = address
    dut.host_read.value = 1
    await RisingEdge(dut.clk)
    dut.host_read.value = 0
    await ReadOnly()
    value: int = dut.host_read_data.value.to_unsigned()
    await RisingEdge(dut.clk)
    return value


@cocotb.test()
async def run_program(dut: Any) -> None:
    """Run the program of the job; a result is written only if the die says done."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = Job.load(folder)
    for name in ("address", "write", "write_data", "read"):
        getattr(dut, f"host_{name}").value = 0
    dut.memory_latency.value = job.latency
    dut.memory_interval.value = job.interval
    dut.memory_stall.value = job.stall
    dut.memory_seed.value = job.seed
    dut.memory_reseed.value = 1
    dut.rst.value = 1

    contents = dut.memory.contents
    for address, word in image_words(folder, word_bytes=job.word_bytes):
        contents[address].value = word

    # The clock of the interface layer: that of Python would be called twice a cycle.
    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    dut.memory_reseed.value = 0
    observer = Observer(dut, job.observed)
    await _write(dut, PROGRAM, job.program_address)
    await _write(dut, COMMANDS, job.commands)
    await _write(dut, CONTROL, 1)
    start = time.perf_counter()
    for cycles in range(0, job.most_cycles, PROGRESS_CYCLES):
        save_progress(folder, cycles)
        await First(RisingEdge(dut.done), RisingEdge(dut.error), Timer(CLOCK_NS * PROGRESS_CYCLES, unit="ns"))
        if dut.done.value or dut.error.value:
            break
    seconds = time.perf_counter() - start
    await RisingEdge(dut.clk)
    status = await _read(dut, STATUS)
    if status != 2:
        state = (
            "met a word that is no command" if status & 4 else f"is not done after {job.most_cycles} cycles"
        )
        raise RuntimeError(f"the die {state}")

    counters = {}
    for name in COUNTERS:
        low = await _read(dut, counter_address(name))
        high = await _read(dut, counter_address(name) + 1)
        counters[name] = high << 32 | low
    if job.observed:
        save_changes(folder, observer.changes)
    places = range(job.result_address, job.result_address + job.result_words)
    words = [contents[address].value for address in places]
    Outcome(counters=counters, seconds=seconds).save(
        folder,
        [_bits(word, "1") for word in words],
        [0 if word.is_resolvable else _bits(word, "XxZzUuWw-") for word in words],
        word_bytes=job.word_bytes,
    )


def _bits(word: LogicArray, ones: str) -> int:
    """The bits of a word that are one of ``ones``, as a number."""
    if word.is_resolvable and ones == "1":
        return word.to_unsigned()
    return int("".join("1" if bit in ones else "0" for bit in str(word)), 2)

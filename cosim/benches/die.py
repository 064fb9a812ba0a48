"""Bench of one die: load memory and program by the back door, start, wait for done, read counters and result.

Python is not in the cycle loop. What to do comes as a :class:`cosim.jobs.die.DieJob` in the folder of the run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from cosim.benches.host import read_counters, read_words, state_of, write_register
from cosim.benches.observer import Observer
from cosim.jobs.die import (
    CLOCK_NS,
    FOLDER_VARIABLE,
    PROGRESS_CYCLES,
    DieJob,
    Outcome,
    image_words,
    save_changes,
    save_progress,
)
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM


@cocotb.test()
async def run_program(dut: Any) -> None:
    """Run the program of the job; a result is written only if the die says done."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = DieJob.load(folder)
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
    await write_register(dut, PROGRAM, job.program_address)
    await write_register(dut, COMMANDS, job.commands)
    await write_register(dut, CONTROL, 1)
    started, start = time.time(), time.perf_counter()
    for cycles in range(0, job.most_cycles, PROGRESS_CYCLES):
        save_progress(folder, cycles)
        await First(RisingEdge(dut.done), RisingEdge(dut.error), Timer(CLOCK_NS * PROGRESS_CYCLES, unit="ns"))
        if dut.done.value or dut.error.value:
            break
    seconds = time.perf_counter() - start
    await RisingEdge(dut.clk)
    state = await state_of(dut, job.most_cycles)
    if state:
        raise RuntimeError(f"the die {state}")

    counters = await read_counters(dut)
    if job.observed:
        save_changes(folder, observer.changes)
    words, undefined = read_words(contents, job.result_address, job.result_words)
    Outcome(counters=counters, seconds=seconds, started=started).save(
        folder, words, undefined, word_bytes=job.word_bytes
    )

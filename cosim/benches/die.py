"""Bench of one die: load memory and program by the back door, start, wait for done, read counters and result.

Python is not in the cycle loop. The job is a :class:`cosim.jobs.die.DieJob`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

from cosim.benches.host import (
    clear,
    failure_of,
    read_counters,
    read_words,
    release_reset,
    set_limits,
    set_memory,
    write_register,
)
from cosim.benches.observer import Observer
from cosim.jobs.base import CLOCK_NS, FOLDER_VARIABLE
from cosim.jobs.die import PROGRESS_CYCLES, DieJob, DieOutcome
from cosim.jobs.folder import image_words, save_changes, save_progress, save_result
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM


@cocotb.test()
async def run_program(dut: Any) -> None:
    """Run the program of the job. The outcome is written only if the die is done."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = DieJob.load(folder)
    clear(dut, ("host_address", "host_write", "host_write_data", "host_read"))
    set_memory(dut, job)
    dut.rst.value = 1

    contents = dut.memory.contents
    for address, word in image_words(folder, word_bytes=job.word_bytes):
        contents[address].value = word

    await release_reset(dut)
    dut.memory_reseed.value = 0
    observer = Observer(dut, job.observed)
    await set_limits(dut, memory_words=job.memory_words, most_cycles=job.most_cycles)
    await write_register(dut, PROGRAM, job.program_address)
    await write_register(dut, COMMANDS, job.commands)
    await write_register(dut, CONTROL, 1)
    started, start, cpu_start = time.time(), time.perf_counter(), time.process_time()
    for cycles in range(0, job.most_cycles, PROGRESS_CYCLES):
        save_progress(folder, cycles)
        await First(RisingEdge(dut.done), RisingEdge(dut.error), Timer(CLOCK_NS * PROGRESS_CYCLES, unit="ns"))
        if dut.done.value or dut.error.value:
            break
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    await RisingEdge(dut.clk)
    failure = await failure_of(dut, job.most_cycles)
    if failure:
        raise RuntimeError(f"the die: {failure}")

    counters = await read_counters(dut)
    if job.observed:
        save_changes(folder, observer.changes)
    result = range(job.result_address, job.result_address + job.result_words)
    save_result(folder, 0, *read_words(contents[address] for address in result), word_bytes=job.word_bytes)
    DieOutcome(counters=counters, seconds=seconds, cpu_seconds=cpu_seconds, started=started).save(folder)

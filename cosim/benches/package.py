"""Bench of a package: load memories by the back door, start all dies at once, wait for done, read counters and results.

Python is not in the cycle loop. What to do comes as a :class:`cosim.package_job.PackageJob` in the folder of the run.
"""

from __future__ import annotations

import os
from functools import reduce
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from cosim.benches.host import read_counters, read_words, state_of, write_register
from cosim.job import CLOCK_NS, FOLDER_VARIABLE, PROGRESS_CYCLES, image_words, save_progress
from cosim.package_job import PackageJob, PackageOutcome
from rtl.register_map import COMMANDS, CONTROL, PROGRAM


@cocotb.test()
async def run_programs(dut: Any) -> None:
    """Run the programs of the job; results are written only if every die says done."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = PackageJob.load(folder)
    for name in ("die", "all", "address", "write", "write_data", "read"):
        getattr(dut, f"host_{name}").value = 0
    dut.memory_latency.value = job.latency
    dut.memory_interval.value = job.interval
    dut.memory_stall.value = job.stall
    dut.memory_seed.value = job.seed
    dut.memory_reseed.value = 1
    dut.rst.value = 1

    memories = {io_die: reduce(getattr, path.split("."), dut) for io_die, path in job.contents.items()}
    for io_die, contents in memories.items():
        for address, word in image_words(folder / io_die, word_bytes=job.word_bytes):
            contents[address].value = word

    # The clock of the interface layer: that of Python would be called twice a cycle.
    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    dut.memory_reseed.value = 0
    for program in job.programs:
        dut.host_die.value = program.die
        await write_register(dut, PROGRAM, program.address)
        await write_register(dut, COMMANDS, program.commands)
    dut.host_all.value = 1
    await write_register(dut, CONTROL, 1)
    dut.host_all.value = 0
    for cycles in range(0, job.most_cycles, PROGRESS_CYCLES):
        save_progress(folder, cycles)
        await First(RisingEdge(dut.done), RisingEdge(dut.error), Timer(CLOCK_NS * PROGRESS_CYCLES, unit="ns"))
        if dut.done.value or dut.error.value:
            break
    await RisingEdge(dut.clk)
    failed = bool(dut.error.value)

    counters: list[dict[str, int]] = []
    for program in job.programs:
        dut.host_die.value = program.die
        state = await state_of(dut, job.most_cycles)
        if state:
            raise RuntimeError(f"die {program.die} {state}")
        counters.append(await read_counters(dut, engine=True))
    if failed:
        raise RuntimeError("a memory has refused a request, or a link is dead")

    found = [read_words(memories[region.io_die], region.address, region.words) for region in job.results]
    PackageOutcome(
        counters=counters,
        results=[
            (_bytes(words, job.word_bytes), _bytes(unknown, job.word_bytes)) for words, unknown in found
        ],
    ).save(folder)


def _bytes(words: list[int], word_bytes: int) -> bytes:
    return b"".join(word.to_bytes(word_bytes, "little") for word in words)

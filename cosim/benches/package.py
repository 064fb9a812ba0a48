"""Bench of a package: load memories by the back door, run phases on all dies at once, read counters and results.

Python is not in the cycle loop. What to do comes as a :class:`cosim.jobs.package.PackageJob` in the folder of the run.
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
from cosim.benches.observer import Observer
from cosim.jobs.die import CLOCK_NS, FOLDER_VARIABLE, image_words, save_changes, save_progress
from cosim.jobs.package import PackageJob, PackageOutcome, Phase, PhaseOutcome
from rtl.interface.register_map import COMMANDS, CONTROL, POST, PROGRAM


@cocotb.test()
async def run_programs(dut: Any) -> None:
    """Run the phases of the job; results are written only if every die says done in each."""
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
    observer = Observer(dut, job.observed)
    phases = []
    for number, phase in enumerate(job.phases):
        save_progress(folder, number)
        phases.append(await _run_phase(dut, phase, job.counts))

    found = [read_words(memories[region.io_die], region.address, region.words) for region in job.results]
    PackageOutcome(
        phases=phases,
        results=[
            (_bytes(words, job.word_bytes), _bytes(unknown, job.word_bytes)) for words, unknown in found
        ],
    ).save(folder)
    if job.observed:
        save_changes(folder, observer.changes)


async def _run_phase(dut: Any, phase: Phase, counts: dict[str, dict[str, str]]) -> PhaseOutcome:
    """Start the programs of a phase in the same cycle, wait until all dies are done, and read what they counted."""
    before = _axi_counts(dut, counts)
    for die, program in enumerate(phase.programs):
        dut.host_die.value = die
        await write_register(dut, PROGRAM, program.address)
        await write_register(dut, COMMANDS, program.commands)
    dut.host_all.value = 1
    await write_register(dut, CONTROL, 1)
    if phase.posts:
        await ClockCycles(dut.clk, phase.post_after)
        await write_register(dut, POST, phase.posts)
    dut.host_all.value = 0
    await RisingEdge(dut.clk)
    if not (dut.done.value or dut.error.value):
        limit = Timer(CLOCK_NS * phase.most_cycles, unit="ns")
        await First(RisingEdge(dut.done), RisingEdge(dut.error), limit)
    await RisingEdge(dut.clk)
    failed = bool(dut.error.value)

    counters: list[dict[str, int]] = []
    for die in range(len(phase.programs)):
        dut.host_die.value = die
        state = await state_of(dut, phase.most_cycles)
        if state:
            raise RuntimeError(f"{phase.name}: die {die} {state}")
        counters.append(await read_counters(dut, engine=True))
    if failed:
        raise RuntimeError(f"{phase.name}: a memory has refused a request, or a link is dead")
    after = _axi_counts(dut, counts)
    moved = {
        io_die: {name: after[io_die][name] - count for name, count in words.items()}
        for io_die, words in before.items()
    }
    return PhaseOutcome(counters=counters, axi=moved)


def _axi_counts(dut: Any, counts: dict[str, dict[str, str]]) -> dict[str, dict[str, int]]:
    """Words that have passed each AXI port since reset."""
    return {
        io_die: {name: getattr(dut, port).value.to_unsigned() for name, port in ports.items()}
        for io_die, ports in counts.items()
    }


def _bytes(words: list[int], word_bytes: int) -> bytes:
    return b"".join(word.to_bytes(word_bytes, "little") for word in words)

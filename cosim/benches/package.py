"""Bench of a package: write memories by the back door, run phases on all dies at once, read counters and results.

Python is not in the cycle loop. The job is a :class:`cosim.jobs.package.PackageJob`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from cosim.benches.faulty_links import cut_links, cycle_now, seed_links
from cosim.benches.host import (
    FAILED_LINK_BIT,
    clear,
    failure_of,
    post_semaphores,
    read_counters,
    read_links,
    read_register,
    read_words,
    release_reset,
    set_limits,
    set_memory,
    write_register,
)
from cosim.benches.observer import Observer
from cosim.jobs.base import CLOCK_NS, FOLDER_VARIABLE
from cosim.jobs.folder import image_words, save_changes, save_progress, save_result
from cosim.jobs.mesh import Cut
from cosim.jobs.package import (
    LinkOutcome,
    PackageJob,
    PackageOutcome,
    Phase,
    PhaseOutcome,
    phase_folder,
)
from rtl.interface.register_map import COMMANDS, CONTROL, ERROR, PROGRAM, STATUS


@cocotb.test()
async def run_programs(dut: Any) -> None:
    """Run the phases of the job. The outcome is written only if every die is done in every phase, or links that were to
    die have died.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = PackageJob.load(folder)
    clear(dut, (f"host_{name}" for name in ("die", "all", "address", "write", "write_data", "read")))
    set_memory(dut, job)
    links = job.link_job
    if links is not None:
        clear(dut, ("link", "seed", "reseed", "cut", "cut_link", "select"))
        for name, value in links.registers.items():
            getattr(dut, name).value = value
    dut.rst.value = 1

    memories = {io_die: reduce(getattr, path.split("."), dut) for io_die, path in job.contents.items()}
    for io_die, contents in memories.items():
        _write(contents, folder / io_die, job)

    await release_reset(dut)
    dut.memory_reseed.value = 0
    if links is not None:
        await seed_links(dut, links.links, job.seed)
    if job.link_start:
        await ClockCycles(dut.clk, job.link_start)
    observer = Observer(dut, job.observed)
    phases = []
    late: list[int | None] = []
    for number, phase in enumerate(job.phases):
        save_progress(folder, number)
        own = phase_folder(folder, number)
        for io_die, contents in memories.items():
            _write(contents, own / io_die, job)
        outcome = await _run_phase(dut, phase, job, late)
        if outcome is None:
            break
        phases.append(outcome)
        own.mkdir(exist_ok=True)
        for read, region in enumerate(phase.reads):
            contents = memories[region.io_die]
            places = (contents[address] for address in range(region.address, region.address + region.words))
            save_result(own, read, *read_words(places), word_bytes=job.word_bytes)
    faults = (
        {}
        if links is None
        else {name: getattr(dut, name).value.to_unsigned() for name in ("flips", "stalls")}
    )
    ends = []
    for die in range(len(job.phases[0].programs) if job.phases else 0):
        dut.host_die.value = die
        ends.append(tuple(await read_links(dut)))
    found = LinkOutcome(**faults, late=tuple(late), ends=tuple(ends))
    PackageOutcome(phases=phases, links=found, reads=[]).save(folder)
    if job.observed and not late:
        save_changes(folder, observer.changes)


def _write(contents: Any, images: Path, job: PackageJob) -> None:
    """Write the images in a folder into a memory by the back door."""
    for address, word in image_words(images, word_bytes=job.word_bytes):
        contents[address].value = word


async def _run_phase(dut: Any, phase: Phase, job: PackageJob, late: list[int | None]) -> PhaseOutcome | None:
    """Start the programs of a phase in the same cycle, wait until all dies are done, and read the counters.

    If links die, returns None, and ``late`` gets what :class:`cosim.jobs.package.LinkOutcome` says.

    Raises RuntimeError with what a die reports if one is not done: first one that reports an error.
    """
    before = _axi_counts(dut, job.counts)
    for die, program in enumerate(phase.programs):
        dut.host_die.value = die
        await write_register(dut, PROGRAM, program.address)
        await write_register(dut, COMMANDS, program.commands)
    dut.host_all.value = 1
    await set_limits(dut, memory_words=job.memory_words, most_cycles=phase.most_cycles)
    await write_register(dut, CONTROL, 1)
    start, cpu_start = time.perf_counter(), time.process_time()
    if phase.posts:
        await ClockCycles(dut.clk, phase.post_after)
        await post_semaphores(dut, phase.posts)
    dut.host_all.value = 0
    ended = (RisingEdge(dut.done), RisingEdge(dut.error))
    links = job.link_job if phase.links_die else None
    died = [] if links is None else await cut_links(dut, links.cuts, *ended)
    await RisingEdge(dut.clk)
    if links is not None and died:
        late += await _found(dut, links.cuts, died, links.dead_cycles)
        return None
    if not (dut.done.value or dut.error.value):
        await First(*ended, Timer(CLOCK_NS * phase.most_cycles, unit="ns"))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    await RisingEdge(dut.clk)
    failed = bool(dut.error.value)

    failures: list[tuple[bool, str]] = []
    for die in range(len(phase.programs)):
        dut.host_die.value = die
        failure = await failure_of(dut, phase.most_cycles)
        if failure:
            error = await read_register(dut, ERROR)
            failures.append((not error, f"{phase.name}: die {die}: {failure}"))
    if failures:
        raise RuntimeError(min(failures)[1])
    counters: list[dict[str, int]] = []
    for die in range(len(phase.programs)):
        dut.host_die.value = die
        counters.append(await read_counters(dut, engine=True))
    if failed:
        raise RuntimeError(f"{phase.name}: a memory refused a request, or a link is dead")
    after = _axi_counts(dut, job.counts)
    moved = {
        io_die: {name: after[io_die][name] - count for name, count in words.items()}
        for io_die, words in before.items()
    }
    return PhaseOutcome(counters=counters, axi=moved, seconds=seconds, cpu_seconds=cpu_seconds)


async def _found(dut: Any, cuts: Sequence[Cut], died: Sequence[int], bound: int) -> list[int | None]:
    """Cycles from the death of each link until the die that receives by it reports a dead link; None if that is not
    within the bound. Reports are read one after the other, which takes 2 cycles each.
    """
    late: list[int | None] = [None for _ in died]
    if not dut.error.value:
        await First(RisingEdge(dut.error), ClockCycles(dut.clk, bound))
    while None in late and cycle_now() <= died[-1] + bound:
        for number, (cut, when) in enumerate(zip(cuts, died, strict=False)):
            if late[number] is None:
                dut.host_die.value = cut.target
                if await read_register(dut, STATUS) >> FAILED_LINK_BIT + cut.side & 1:
                    late[number] = cycle_now() - when
    return late


def _axi_counts(dut: Any, counts: dict[str, dict[str, str]]) -> dict[str, dict[str, int]]:
    """Words transferred at each AXI port since reset."""
    return {
        io_die: {name: getattr(dut, port).value.to_unsigned() for name, port in ports.items()}
        for io_die, ports in counts.items()
    }

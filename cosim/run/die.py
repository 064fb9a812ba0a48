"""Co-simulation of one die: its program on a bench with a memory, whatever the program computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.backends.base import Backend
from cosim.jobs.die import DieJob, DieOutcome
from cosim.jobs.folder import ResultWords, load_result, save_image
from cosim.observe.observation import Observation, ObservedDie
from cosim.program.checker.die_checker import CheckedDie, check_program
from cosim.program.command import Command, program_image
from cosim.run.designs import emitted_once
from cosim.run.simulation import (
    Progress,
    Simulated,
    Simulation,
    bench_depth,
    built_memory,
    least_depth,
    nonzero_seed,
    stall_threshold,
    with_inferred_sram,
)
from rtl.bench.die import DieBench
from rtl.emit.emitter import Emitted

__all__ = ["DieRun", "DieSimulated", "die_bench", "emit_bench"]

DieSimulated = Simulated[tuple[dict[str, int], ResultWords]]
"""The counters of the die and the words of its results, with the origin of both."""


def emit_bench(
    die: DieSpec, memory: MemorySpec, memory_words: int, *, vector: VectorSpec | None = None
) -> Emitted:
    """Return the Verilog of a die with a memory of at least ``memory_words``."""
    return emitted_once(
        DieBench,
        die=with_inferred_sram(die),
        memory=built_memory(memory),
        vector=vector,
        memory_depth=bench_depth(memory_words, memory),
    )


def die_bench(die: DieSpec, memory: MemorySpec, memory_words: int) -> DieBench:
    """Return a die with a memory of ``memory_words``, rounded up to a power of two, for tools that write all of it."""
    return DieBench(die=with_inferred_sram(die), memory=memory, memory_depth=least_depth(memory_words))


@dataclass(frozen=True, kw_only=True)
class DieRun:
    """A program to run on one die.

    Attributes
    ----------
    die, memory, vector
        The machine; without ``vector`` the die has no vector unit.
    commands
        The program.
    memory_words, program_address
        Words of memory in use, and the first one of the program.
    inputs, results
        Words of memory that hold inputs at the start, and results at the end.
    interval, stall, seed
        Of the memory, see :mod:`cosim.records.base`.
    """

    die: DieSpec
    memory: MemorySpec
    vector: VectorSpec | None = None
    commands: Sequence[Command]
    memory_words: int
    program_address: int
    inputs: range
    results: range
    interval: int
    stall: float
    seed: int

    def check(self) -> None:
        """Raise ValueError if the program breaks what a program must keep."""
        checked = CheckedDie(
            die=self.die,
            memory=self.memory,
            memory_words=self.memory_words,
            program_words=range(self.program_address, self.memory_words),
            inputs=[self.inputs],
        )
        check_program(checked, self.commands)

    def emit(self) -> Emitted:
        """Return the Verilog of the bench."""
        return emit_bench(self.die, self.memory, self.memory_words, vector=self.vector)

    def simulate(
        self,
        simulator: Backend,
        images: Mapping[int, bytes],
        *,
        predicted: float,
        most_cycles: int,
        title: str,
        observation: Observation,
        progress: Progress | None,
    ) -> DieSimulated:
        """Run the program.

        Parameters
        ----------
        simulator
            What runs it.
        images
            Contents of memory at the start but for the program, by the words at which they begin.
        predicted
            Cycles, for the progress.
        most_cycles
            Cycles after which the run is given up.
        title
            Name of the run in traces.
        observation, progress
            What else to keep of the run, and who is told the completed fraction of it.

        Raises
        ------
        SimulationError
            If the simulator is missing, or the die does not finish.
        OSError
            If a file of the observation cannot be written.
        """
        memory = self.memory
        program = program_image(self.commands, memory)

        def write_inputs(folder: Path, observed: list[str]) -> None:
            DieJob(
                word_bytes=memory.word_bytes,
                memory_words=bench_depth(self.memory_words, memory),
                program_address=self.program_address,
                commands=len(self.commands),
                result_address=self.results.start,
                result_words=len(self.results),
                latency=memory.latency_cycles,
                interval=self.interval,
                stall=stall_threshold(self.stall),
                seed=nonzero_seed(self.seed, 32),
                most_cycles=most_cycles,
                observed=observed,
            ).save(folder)
            save_image(folder, {**images, self.program_address: program})

        return Simulation(
            bench="cosim.benches.die",
            emit=self.emit,
            write_inputs=write_inputs,
            load_outcome=_load,
            total_progress=predicted,
            dies=[ObservedDie(path="die", commands=self.commands, vector=self.vector is not None)],
            command_words=memory.command_words,
            title=title,
        ).run(simulator, observation=observation, progress=progress)


def _load(folder: Path) -> tuple[dict[str, int], ResultWords]:
    return DieOutcome.load(folder).counters, load_result(folder)

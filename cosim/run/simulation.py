"""One way to run a bench: emit, build, write the inputs, simulate, load the outcome, keep what is observed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import Generic, TypeVar

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import Backend
from cosim.jobs.base import FOLDER_VARIABLE
from cosim.jobs.folder import load_progress
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.records.base import Provenance
from rtl.emit.emitter import Emitted
from rtl.processes.temporary import temporary_folder

__all__ = [
    "Progress",
    "Simulated",
    "Simulation",
    "bench_depth",
    "built_memory",
    "check_dies",
    "least_depth",
    "nonzero_seed",
    "stall_threshold",
    "with_inferred_sram",
]

Outcome = TypeVar("Outcome")

Progress = Callable[[float], None]
"""Is called periodically with the completed fraction of a run, 0 to 1."""

MAX_DIES = 256
"""Larger meshes and packages take hours to build, and show nothing that smaller ones do not."""

BENCH_BYTES, BENCH_WORDS = 1 << 26, 1 << 21
"""Bytes of all memories of a bench together, and most words of each, unless a workload needs more. Words that a run
does not touch cost it next to nothing."""
WATCH_SECONDS = 0.5


def check_dies(where: str, rows: int, cols: int) -> None:
    """Raise ValueError if ``rows`` x ``cols`` dies are too many for a simulation; the message begins with ``where``."""
    if rows * cols > MAX_DIES:
        raise ValueError(f"{where}: {rows} x {cols} dies: must be at most {MAX_DIES} for a simulation")


def nonzero_seed(seed: int, bits: int) -> int:
    """The memories' seed for the seed of a run: 1 to ``2 ** bits - 1``, because their generator would stay at 0.

    With several memories, each adds its number to a 31-bit seed, so that no sum wraps to 0.
    """
    return seed % ((1 << bits) - 1) + 1


def with_inferred_sram(die: DieSpec) -> DieSpec:
    """The die with inferred SRAMs: they behave like macros, which have no contents in a simulation."""
    return die.model_copy(update={"sram": "inferred"})


def bench_depth(memory_words: int, memory: MemorySpec, *, memories: int = 1) -> int:
    """Depth of each of a bench's ``memories``, which holds ``memory_words``.

    It is the same for all workloads within :data:`BENCH_BYTES` and :data:`BENCH_WORDS`, so that one design serves them;
    beyond these, the next power of two.
    """
    shared = BENCH_BYTES // memory.word_bytes >> (memories - 1).bit_length()
    return max(min(shared, BENCH_WORDS), least_depth(memory_words))


def least_depth(memory_words: int) -> int:
    """``memory_words``, rounded up to a power of two."""
    return 1 << (memory_words - 1).bit_length()


def built_memory(memory: MemorySpec) -> MemorySpec:
    """What a design depends on of its memory. The rest, such as the latency, is an input of the bench."""
    return MemorySpec(word_bytes=memory.word_bytes, outstanding=memory.outstanding)


def stall_threshold(probability: float) -> int:
    """The memories' setting for a probability of stalls: a memory stalls if 16 random bits are below it."""
    return round(probability * 65536)


@dataclass(frozen=True, kw_only=True)
class Simulated(Generic[Outcome]):
    """A simulation that has ended: what the bench measured, and the fields that a record says about its origin."""

    outcome: Outcome
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class Simulation(Generic[Outcome]):
    """A bench to simulate.

    Attributes
    ----------
    bench
        Name of the cocotb module.
    emit
        Returns the Verilog of the design.
    write_inputs
        Writes job, programs and data into the folder of the run. The second argument is the names of the signals
        that the bench has to observe.
    load_outcome
        Reads from the folder of the run what the bench measured.
    total_progress
        Progress, as the bench reports it, at the end of the run.
    dies
        Dies that can be observed.
    command_words
        Memory words of a command.
    title
        Name of the run in traces.
    """

    bench: str
    emit: Callable[[], Emitted]
    write_inputs: Callable[[Path, list[str]], None]
    load_outcome: Callable[[Path], Outcome]
    total_progress: float = 1.0
    dies: Sequence[ObservedDie] = ()
    command_words: int = 1
    title: str = ""

    def run(
        self, simulator: Backend, *, observation: Observation = NOTHING, progress: Progress | None = None
    ) -> Simulated[Outcome]:
        """Simulate the bench in a folder of its own.

        ``simulator`` is as :meth:`cosim.observe.observation.Observation.instrument` returned it. ``observation`` says
        what else to keep of the run.

        Raises
        ------
        ValueError
            If the design cannot be made.
        SimulationError
            If the simulator is missing, or the bench ends without an outcome.
        OSError
            If a file of the observation cannot be written.
        """
        with temporary_folder() as folder:
            self.write_inputs(folder, observation.signals(self.dies))
            emitted = self.emit()
            model = simulator.build(emitted)
            start = time.perf_counter()
            with _watched(folder, self.total_progress, progress):
                simulator.run(model, emitted.top, self.bench, folder, {FOLDER_VARIABLE: str(folder)})
            wall_seconds = time.perf_counter() - start
            outcome = self.load_outcome(folder)
            observation.keep(
                folder,
                simulator,
                emitted,
                self.dies,
                command_words=self.command_words,
                title=self.title,
            )
        return Simulated(
            outcome=outcome,
            provenance=Provenance(
                sim=simulator.name,
                simulator_version=simulator.version(),
                hecaton_version=version("hecaton"),
                verilog_sha256=emitted.sha256,
                wall_seconds=wall_seconds,
            ),
        )


@contextmanager
def _watched(folder: Path, total: float, progress: Progress | None) -> Iterator[None]:
    """Call ``progress`` periodically with the fraction of ``total`` that the bench in ``folder`` has completed."""
    if progress is None:
        yield
        return
    ended = Event()

    def report() -> None:
        while not ended.wait(WATCH_SECONDS):
            progress(min(1.0, load_progress(folder) / total))

    watcher = Thread(target=report, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()

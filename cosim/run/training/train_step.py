"""Training on a package: the compiled step, again and again; every stored word is compared with the golden run.

Weights and optimizer state stay in the memories behind the IO dies. Between steps the host writes tokens, labels and
scalars, and starts the programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiplet.dataflow.package_play import StepTerms
from chiplet.dataflow.predicted_step import PredictedStep, predicted_step
from chiplet.graph.graph import TensorKey
from chiplet.graph.sharding import DiePlace
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.specs import vector_lanes
from cosim.backends.base import Backend
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.inspection.check import check_step
from cosim.golden.interpreter import Interpreter
from cosim.golden.numerics import fp32_values
from cosim.golden.package_interpreter import run_package
from cosim.golden.training.golden_step import GoldenTraining, Parameter
from cosim.golden.training.shards import joined, places
from cosim.golden.training.step_trace import StepTrace
from cosim.jobs.folder import ResultWords
from cosim.observe.activity import LinkActivity, activity_signals, link_activity
from cosim.observe.observation import NOTHING, Observation
from cosim.program.command import Command
from cosim.program.layout import Places
from cosim.program.package import DieWork
from cosim.records.links import FaultyLinks
from cosim.run import package as package_run
from cosim.run.package import PackageRun, PreparedPackage, die_path
from cosim.run.simulation import Progress
from cosim.run.training.step_bound import most_step_cycles
from cosim.run.training.training_memory import LOSS, TrainingMemory, Words

__all__ = ["PreparedTraining", "StepWords", "TrainingRun", "golden_training", "prepare"]

StepWords = list[dict[TensorKey, ResultWords]]
"""What was read behind a step: for each die the words of tensors."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A package that has trained.

    Attributes
    ----------
    losses
        Mean loss of each step.
    first, last
        Tensors as they were stored after the first and the last step, whole, by name and layer: fp32 values.
    words
        Words that were compared with the golden run, and how many of them differ.
    activity
        Of the links of each die in the last step, if the run was simulated.
    package
        What was measured; None without a simulator.
    """

    losses: list[float]
    first: dict[Parameter, NDArray[np.float32]]
    last: dict[Parameter, NDArray[np.float32]]
    words: Words
    activity: list[LinkActivity] = field(default_factory=list)
    package: PackageRun | None = None

    @property
    def mismatches(self) -> int:
        """Words that differ from the golden run."""
        return self.words.mismatches


def golden_training(
    compiled: CompiledStep,
    weights: Mapping[Parameter, ArrayLike],
    settings: ConstantSettings,
    *,
    rope_theta: float = 10000.0,
) -> GoldenTraining:
    """The golden run of a compiled step with initial ``weights``.

    Raises
    ------
    ValueError
        As :class:`cosim.golden.training.golden_step.GoldenTraining`.
    """
    system = compiled.system
    return GoldenTraining(
        compiled.sizes,
        weights,
        array_rows=system.die.rows,
        lanes=vector_lanes(system.vector, system.memory),
        settings=settings,
        rope_theta=rope_theta,
    )


@dataclass(frozen=True, kw_only=True)
class PreparedTraining:
    """Training of a compiled step that is ready to run.

    Attributes
    ----------
    compiled, golden, memory
        The step, its golden run, and the memories.
    steps
        Steps to take.
    work
        Programs and images of each die.
    programs
        What runs them; None: the interpreter, in ``order``.
    predicted
        Prediction of a step without stalls and faults.
    """

    compiled: CompiledStep
    golden: GoldenTraining
    memory: TrainingMemory
    steps: int
    work: Sequence[DieWork]
    programs: PreparedPackage | None
    predicted: PredictedStep

    def run(self, progress: Progress | None = None) -> TrainingRun:
        """Train on the generated package, and compare. Once only, as the golden run takes the same steps.

        ``progress`` is called periodically with the completed fraction of the steps.

        Raises
        ------
        ValueError, SimulationError, OSError
            As :meth:`cosim.run.package.PreparedPackage.run`.
        """
        assert self.programs is not None
        run = self.programs.run(progress)
        dies = range(len(self.work))
        found = [
            [
                dict(zip(self._results(number, step), run.reads[_name(step)][number], strict=True))
                for number in dies
            ]
            for step in range(self.steps)
        ]
        activity = [
            link_activity(run.changes, die_path(self.compiled.system, number), self.steps - 1)
            for number in dies
        ]
        return self._compared(found, activity=activity, package=run)

    def interpret(self, *, order: Callable[[int], int] | None = None) -> TrainingRun:
        """The same in numpy, by :func:`cosim.golden.package_interpreter.run_package`, whose ``order`` it takes.

        Raises
        ------
        ProgramError
            If a program does what no program may do.
        """
        system = self.compiled.system
        words = max(
            address + len(content) // system.memory.word_bytes
            for work in self.work
            for address, content in work.image.items()
        )
        words = max(words, self.compiled.memory_words)
        dies = [
            Interpreter(die=system.die, memory=system.memory, words=words, vector=system.vector)
            for _ in self.work
        ]
        found: list[StepWords] = []
        for step in range(self.steps):
            for die, work in zip(dies, self.work, strict=True):
                die.clear()
                for images in (*([work.image] if step == 0 else []), work.writes[step]):
                    for address, content in images.items():
                        die.write_memory(address, content)
            run_package(system, dies, [work.programs[step] for work in self.work], order=order)
            found.append(
                [
                    {key: self._interpreted(die, number, key) for key in self._results(number, step)}
                    for number, die in enumerate(dies)
                ]
            )
        return self._compared(found)

    def _interpreted(self, die: Interpreter, number: int, key: TensorKey) -> ResultWords:
        region = self.memory.region(number, key)
        return die.result(region.address, region.words)

    def _results(self, number: int, step: int) -> list[TensorKey]:
        return self.memory.results(number, everything=step in (0, self.steps - 1))

    def _compared(self, found: Sequence[StepWords], **measured: Any) -> TrainingRun:
        """Let the golden run take the same steps, and compare what is stored."""
        losses: list[float] = []
        wholes: list[dict[Parameter, NDArray[np.float32]]] = []
        words = Words(0, 0)
        for step, of_dies in enumerate(found):
            trace = StepTrace()
            self.golden.step(*self.memory.batch(step), trace=trace)
            tensors: dict[TensorKey, dict[int, NDArray[Any]]] = {}
            for number, results in enumerate(of_dies):
                for key, read in results.items():
                    values, some = self.memory.compared(number, key, read, trace)
                    words = Words(*(a + b for a, b in zip(words, some, strict=True)))
                    tensors.setdefault(key, {})[number] = values
            losses.append(float(fp32_values(tensors[TensorKey(LOSS)][0])[0, 0]) / self.compiled.sizes.tokens)
            wholes.append(self._whole(tensors))
        return TrainingRun(losses=losses, first=wholes[0], last=wholes[-1], words=words, **measured)

    def _whole(
        self, tensors: Mapping[TensorKey, Mapping[int, NDArray[Any]]]
    ) -> dict[Parameter, NDArray[np.float32]]:
        """Whole tensors of sums that are no token tile's."""
        sizes = self.compiled.sizes
        dies: list[DiePlace] = places(sizes, sizes.tile_shapes[0])
        whole = {}
        for key, shards in tensors.items():
            tensor = self.compiled.graph.tensors[key.name]
            if key.tile is None and tensor.element == "fp32":
                held = [shards.get(number, _nothing(tensor.shape(die))) for number, die in enumerate(dies)]
                whole[Parameter(key.name, key.layer)] = fp32_values(joined(tensor, held, dies))
        return whole


def prepare(
    compiled: CompiledStep,
    golden: GoldenTraining,
    tokens: NDArray[np.integer],
    simulator: Backend | None = None,
    observation: Observation = NOTHING,
    *,
    direct: bool = False,
    stall: float = 0.0,
    interval: int = 1,
    seed: int = 0,
    links: FaultyLinks | None = None,
    terms: StepTerms | None = None,
    title: str = "training",
) -> PreparedTraining:
    """Fill the memories for steps on ``tokens``, (steps, sequences, length + 1), and check the programs.

    Parameters
    ----------
    compiled
        The step.
    golden
        From :func:`golden_training`; it has taken no step yet.
    tokens
        Integers below the vocabulary. Each is the label of the one before it.
    simulator
        What runs the generated package; without it there is only :meth:`PreparedTraining.interpret`.
    observation, direct, stall, interval, seed, links, title
        As for :func:`cosim.run.package.prepare`. A step is given up by
        :func:`cosim.run.training.step_bound.most_step_cycles`.
    terms
        Terms of the prediction, by default the design's.

    Raises
    ------
    ValueError
        As :func:`cosim.compile.inspection.check.check_step` and :func:`cosim.run.package.prepare`.
    """
    memory = TrainingMemory(compiled, golden, tokens)
    steps = len(tokens)
    work = []
    for number, die in enumerate(compiled.dies):
        program: list[Command] = [*die.commands]
        work.append(
            DieWork(
                io_die=die.io_die,
                image=memory.image(number),
                programs=[program] * steps,
                writes=[memory.writes(number, step) for step in range(steps)],
                reads=[
                    [
                        memory.region(number, key)
                        for key in memory.results(number, everything=step in (0, steps - 1))
                    ]
                    for step in range(steps)
                ],
            )
        )
    predicted = predicted_step(
        compiled.graph, compiled.sizes, compiled.system, terms, order=compiled.order, direct=direct
    )
    programs = None
    if simulator is not None:
        check_step(compiled)
        programs = package_run.prepare(
            compiled.system,
            [_name(step) for step in range(steps)],
            work,
            Places({**compiled.places.used}),
            simulator,
            observation,
            direct=direct,
            stall=stall,
            interval=interval,
            seed=seed,
            title=title,
            links=links,
            links_die=_name(0),
            watched=[
                signal
                for number in range(len(work))
                for signal in activity_signals(die_path(compiled.system, number))
            ],
        )
        most = most_step_cycles(
            predicted.cycles, compiled.system, stall=stall, interval=interval, links=links
        )
        phases = [replace(phase, most_cycles=int(min(phase.most_cycles, most))) for phase in programs.phases]
        programs = replace(programs, phases=phases)
    return PreparedTraining(
        compiled=compiled,
        golden=golden,
        memory=memory,
        steps=steps,
        work=work,
        programs=programs,
        predicted=predicted,
    )


def _name(step: int) -> str:
    return f"step {step + 1}"


def _nothing(shape: tuple[int, int]) -> NDArray[np.uint32]:
    """What a die without words of a tensor holds of it."""
    return np.zeros(shape, np.uint32)

"""The training of a demo: its model, its package, and what runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.dataflow.predicted_step import PredictedStep
from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.machine.specs import SystemSpec
from chiplet.workload.pretrained_model import PretrainedModel
from cosim.backends.base import SimulationError
from cosim.backends.compiler import compiler
from cosim.backends.registry import backend
from cosim.compile.compiler import compile_step
from cosim.records.train_step import TrainStepRequest
from cosim.run.training.train_step import PreparedTraining
from cosim.run.training.training_inputs import initial_weights, training_tokens
from cosim.run.training.training_request import prepare_request, training_request

__all__ = ["DemoTraining", "DemoTrainingRun"]


@dataclass(frozen=True, kw_only=True)
class DemoTraining:
    """``steps`` training steps of ``model`` on a ``mesh`` (rows, columns) of dies with an ``array`` (rows, columns).

    A step has ``batch`` sequences of ``sequence`` tokens in ``tiles`` token tiles.
    """

    mesh: tuple[int, int]
    array: tuple[int, int]
    model: ModelSizes
    sequence: int
    batch: int
    tiles: int
    steps: int
    learning_rate: float
    optimizer: Optimizer = "adam"

    @property
    def assignments(self) -> list[str]:
        """Configuration keys of the machine, behind those of the demo."""
        return [
            *self._die,
            *(f"package.{name}={size}" for name, size in zip(_ROWS_COLS, self.mesh, strict=True)),
        ]

    @property
    def _die(self) -> list[str]:
        sizes = (f"die.{name}={size}" for name, size in zip(_ROWS_COLS, self.array, strict=True))
        return [*sizes, "die.dtype=bf16"]

    def words(self, options: Sequence[str], *, seed: int, sim: str) -> list[object]:
        """Words of the command that runs it. ``options`` are those of the machine."""
        model = self.model
        rows, cols = self.mesh
        words: list[object] = ["cosim", "train-step", "--mesh", f"{rows}x{cols}"]
        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab"):
            words += [f"--{name.replace('_', '-')}", getattr(model, name)]
        words += ["--tied"] if model.tied else []
        for name in ("sequence", "batch", "tiles", "steps", "optimizer", "learning_rate"):
            words += [f"--{name.replace('_', '-')}", getattr(self, name)]
        words += ["--seed", seed] if seed else []
        words += ["--sim", sim, "--direct", *options]
        return words + [word for key in self._die for word in ("-P", key)]

    def prepared(self, system: SystemSpec, *, seed: int, sim: str) -> DemoTrainingRun:
        """The training on ``system``, ready to run.

        A demo on Icarus trains with CXXRTL, which is as exact and quick enough for a package; without its C++ compiler
        with the interpreter.

        Raises
        ------
        ValueError
            If the step does not fit ``system``.
        """
        sizes = StepSizes(
            model=self.model,
            rows=self.mesh[0],
            cols=self.mesh[1],
            sequences=self.batch,
            length=self.sequence,
            tiles=self.tiles,
            optimizer=self.optimizer,
            algorithm="chain",
            dtype=system.die.dtype,
        )
        simulator: str | None = sim
        missing = ""
        if sim == "icarus":
            try:
                backend("cxxrtl").version()
                compiler("cxxrtl")  # may have gone since the version was asked for
            except SimulationError as error:
                simulator, missing = None, str(error)
            else:
                simulator = "cxxrtl"
        compiled = compile_step(sizes, system)
        tokens = training_tokens(sizes, self.steps, None, seed=seed)
        weights = initial_weights(self.model, None, seed=seed)
        request = training_request(
            sizes,
            system,
            weights,
            tokens,
            norm_epsilon=PretrainedModel(self.model).norm_epsilon,
            rope_theta=PretrainedModel(self.model).rope_theta,
            learning_rate=self.learning_rate,
            seed=seed,
            sim=simulator or sim,
            direct=True,
        )
        prepared = prepare_request(
            request, compiled, weights, tokens, None if simulator is None else backend(simulator)
        )
        return DemoTrainingRun(request, prepared, simulator, missing)


_ROWS_COLS = ("rows", "cols")


@dataclass(frozen=True)
class DemoTrainingRun:
    """A training that is ready to run: its request, its programs, and the simulator; None for the interpreter, and what
    is ``missing`` for a simulator.
    """

    request: TrainStepRequest
    prepared: PreparedTraining
    simulator: str | None
    missing: str

    @property
    def predicted(self) -> PredictedStep:
        """Cycles of a step, as the terms of the design predict them."""
        return self.prepared.predicted

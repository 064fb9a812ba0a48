"""Training as it was requested: the request of a run, and what it asks for, ready to run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.dataflow.package_play import StepTerms
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.specs import SystemSpec
from cosim.backends.base import Backend
from cosim.compile.compiled_step import CompiledStep
from cosim.golden.training.golden_step import Weights
from cosim.observe.observation import NOTHING, Observation
from cosim.records.train_step import TrainStepRequest, train_step_request
from cosim.run.training.train_step import PreparedTraining, golden_training, prepare
from cosim.run.training.training_inputs import digest_of

__all__ = ["prepare_request", "training_request"]

_MODEL = ("hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab", "tied")


def training_request(
    sizes: StepSizes, system: SystemSpec, weights: Weights, tokens: NDArray[np.integer], **fields: Any
) -> TrainStepRequest:
    """The request of steps with ``sizes`` on ``tokens``, (steps, sequences, length + 1).

    ``fields`` are all that the others do not say.

    Raises
    ------
    ValueError
        With one line for a value that is out of range.
    """
    return train_step_request(
        **{name: getattr(sizes.model, name) for name in _MODEL},
        sequence=sizes.length,
        batch=sizes.sequences,
        tiles=sizes.tiles,
        steps=len(tokens),
        optimizer=sizes.optimizer,
        weights_sha256=digest_of(*weights.values()),
        tokens_sha256=digest_of(tokens),
        system=system,
        **fields,
    )


def prepare_request(
    request: TrainStepRequest,
    compiled: CompiledStep,
    weights: Weights,
    tokens: NDArray[np.integer],
    simulator: Backend | None = None,
    observation: Observation = NOTHING,
    *,
    terms: StepTerms | None = None,
) -> PreparedTraining:
    """Training as :func:`training_request` says: ``compiled`` is its step, the others are what it was made of.

    ``terms`` are those of the prediction, by default the design's.

    Raises
    ------
    ValueError
        As :func:`cosim.run.training.train_step.prepare`.
    """
    settings = ConstantSettings(norm_epsilon=request.norm_epsilon, rate=request.learning_rate)
    golden = golden_training(compiled, weights, settings, rope_theta=request.rope_theta)
    return prepare(
        compiled,
        golden,
        tokens,
        simulator,
        observation,
        direct=request.direct,
        stall=request.stall,
        interval=request.interval,
        seed=request.seed,
        links=request.links,
        terms=terms,
        title=f"training of {request.file_stem.removeprefix('train_')}",
    )

"""Trained weights, gradients, optimizer state and losses as one safetensors file, by the names of a Llama."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import ModelSizes
from cosim.golden.training.golden_step import Parameter
from cosim.golden.training.pretrained import check_safetensors, published, save_tensors
from cosim.run.training.train_step import TrainingRun
from rtl.emit.output_files import check_output

__all__ = ["check_dump", "save_dump", "training_tensors"]

SUFFIX = ".safetensors"


def check_dump(path: Path) -> None:
    """Refuse what :func:`save_dump` cannot write.

    Raises
    ------
    ValueError
        If the suffix is another one, ``path`` is not a plain file, or the package safetensors is missing.
    OSError
        If it cannot be written.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: cannot write the dump: its suffix must be {SUFFIX}")
    check_safetensors()
    check_output(path)


def training_tensors(model: ModelSizes, run: TrainingRun) -> dict[str, NDArray[Any]]:
    """Tensors of a run by name.

    Weights after the last step have the names of the published model. The optimizer's moments have them behind
    ``optimizer.m.`` and ``optimizer.v.``; the gradients of the first step, if they were stored, behind ``gradient.``;
    ``losses`` has one of each step.
    """
    parameters = [name for name in run.last if name.tensor.endswith((".weight", ".gain"))]
    tensors: dict[str, NDArray[Any]] = {**published(model, {name: run.last[name] for name in parameters})}
    for prefix, part, values in (
        ("gradient", "gradient", run.first),
        ("optimizer.m", "m", run.last),
        ("optimizer.v", "v", run.last),
    ):
        there = _beside(parameters, part, values)
        if len(there) == len(parameters):
            tensors |= {f"{prefix}.{name}": value for name, value in published(model, there).items()}
    return {**tensors, "losses": np.array(run.losses)}


def save_dump(path: Path, model: ModelSizes, run: TrainingRun) -> None:
    """Write the tensors of a run. Raises OSError if they cannot be written; nothing is left half-written then."""
    save_tensors(path, training_tensors(model, run))


def _beside(
    parameters: list[Parameter], part: str, values: Mapping[Parameter, NDArray[Any]]
) -> dict[Parameter, NDArray[Any]]:
    """What belongs to each parameter, such as its gradient, of those that are there."""
    names = {
        name: Parameter(f"{name.tensor.removesuffix('.weight')}.{part}", name.layer) for name in parameters
    }
    return {name: values[other] for name, other in names.items() if other in values}

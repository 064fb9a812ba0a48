"""Small models for tests of training: weights, tokens, golden runs, and what these are held against."""

from __future__ import annotations

from typing import Any

import numpy as np

from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from cosim.golden.training.golden_step import GoldenTraining, Parameter, Weights
from cosim.golden.training.initial import random_weights
from cosim.golden.training.reference import Named
from cosim.golden.training.reference_names import named, reference_of

__all__ = [
    "golden_of",
    "gradients_of",
    "named",
    "random_tokens",
    "random_weights",
    "reference_of",
]


def random_tokens(sizes: StepSizes, *, seed: int = 1) -> tuple[Any, Any]:
    """Tokens, and the next token of each as labels."""
    rng = np.random.default_rng(seed)
    text = rng.integers(0, sizes.model.vocab, (sizes.sequences, sizes.length + 1))
    return text[:, :-1], text[:, 1:]


def golden_of(
    sizes: StepSizes, weights: Weights, *, rate: float = 0.0, rows: int = 4, lanes: int = 4
) -> GoldenTraining:
    return GoldenTraining(sizes, weights, array_rows=rows, lanes=lanes, settings=ConstantSettings(rate=rate))


def gradients_of(golden: GoldenTraining) -> Named:
    """Gradients at the end of the golden step, by the reference's names."""
    whole: Weights = {}
    for name, layer in golden.parameters:
        tensor = name if name.endswith("gain") else name.removesuffix(".weight")
        whole[Parameter(name, layer)] = golden.whole(f"{tensor}.gradient", layer)
    return named(whole)

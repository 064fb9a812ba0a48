"""The float64 reference against finite differences, and its optimizers against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from cosim.golden.training.reference import adam, sgd
from tests.cosim.golden.training.models import named, random_tokens, random_weights, reference_of


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_are_those_of_finite_differences(tied: bool) -> None:
    sizes = ModelSizes(hidden=6, heads=4, kv_heads=2, head_dim=2, ffn=5, layers=2, vocab=7, tied=tied)
    step = StepSizes(model=sizes, rows=1, cols=1, sequences=2, length=4)
    model, weights = reference_of(sizes), named(random_weights(sizes))
    tokens, labels = random_tokens(step)
    loss, gradients = model.gradients(weights, tokens, labels)
    assert loss == model.loss(weights, tokens, labels)
    assert gradients.keys() == weights.keys()
    rng = np.random.default_rng(3)
    for name, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape)
        direction /= np.linalg.norm(direction)

        def at(distance: float, name: str = name, direction: Any = direction) -> float:
            return model.loss({**weights, name: weights[name] + distance * direction}, tokens, labels)

        d = 1e-3  # five points: the error is of the fourth order
        slope = (8 * (at(d) - at(-d)) - (at(2 * d) - at(-2 * d))) / (12 * d)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-9), name


def test_optimizers() -> None:
    weights, gradients = {"w": np.array([1.0, -2.0])}, {"w": np.array([0.5, -4.0])}
    assert sgd(weights, gradients, rate=0.1)["w"] == pytest.approx([0.95, -1.6])
    zeros = {"w": np.zeros(2)}
    after, (m, v) = adam(weights, gradients, (zeros, zeros), step=1, rate=0.1)
    # The first step of Adam is the rate against the sign of the gradient.
    assert after["w"] == pytest.approx([0.9, -1.9], abs=1e-7)
    assert m["w"] == pytest.approx([0.05, -0.4])
    assert v["w"] == pytest.approx([0.00025, 0.016])

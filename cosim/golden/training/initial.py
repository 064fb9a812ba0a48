"""What a model starts from without a checkpoint: random weights, and a text that it can learn by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from cosim.golden.training.golden_step import Parameter, Weights

__all__ = ["random_weights", "repeated_tokens"]

_LAYER = (
    "attention.gain",
    "ffn.gain",
    *(f"attention.{name}.weight" for name in "qkvo"),
    *(f"ffn.{name}.weight" for name in ("gate", "up", "down")),
)


def random_weights(model: ModelSizes, *, seed: int = 0) -> Weights:
    """Weights of about half of 1 / sqrt(inputs), embeddings of about a half, gains around 1."""
    rng = np.random.default_rng(seed)
    h, q, kv = model.hidden, model.heads * model.head_dim, model.kv_heads * model.head_dim
    shapes = {"q": (h, q), "k": (h, kv), "v": (h, kv), "o": (q, h)}
    shapes |= {"gate": (h, model.ffn), "up": (h, model.ffn), "down": (model.ffn, h)}

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) / 2).astype(np.float32)

    weights: Weights = {Parameter("embedding.weight"): normal(model.vocab, h)}
    if not model.tied:
        weights[Parameter("head.weight")] = normal(h, model.vocab) / np.float32(np.sqrt(h))
    weights[Parameter("head.gain")] = 1 + normal(h, 1) / 5
    for layer in range(model.layers):
        for name in _LAYER:
            _, kind, *_ = name.split(".")
            value = (
                1 + normal(h, 1) / 5
                if kind == "gain"
                else normal(*shapes[kind]) / np.float32(shapes[kind][0] ** 0.5)
            )
            weights[Parameter(name, layer)] = value
    return weights


def repeated_tokens(sizes: StepSizes, steps: int, *, seed: int = 0) -> NDArray[np.int64]:
    """(steps, sequences, length + 1) random tokens, the same in each step, so that the loss can fall."""
    rng = np.random.default_rng(seed)
    text = rng.integers(0, sizes.model.vocab, (1, sizes.sequences, sizes.length + 1))
    return text.repeat(steps, axis=0)

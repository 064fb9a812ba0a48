"""Weights and tokens without files, and digests of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from cosim.run.training.training_inputs import digest_of, initial_weights, training_tokens

MODEL = ModelSizes(hidden=4, heads=2, kv_heads=1, head_dim=2, ffn=5, layers=1, vocab=7)


def test_without_files_they_are_those_of_a_seed() -> None:
    sizes = StepSizes(model=MODEL, rows=1, cols=1, sequences=2, length=30)
    tokens = training_tokens(sizes, 3, None, seed=1)
    assert tokens.shape == (3, 2, 31)
    assert all(np.array_equal(step, tokens[0]) for step in tokens)
    assert (tokens.min(), tokens.max()) == (0, 6)
    assert not np.array_equal(tokens, training_tokens(sizes, 3, None, seed=2))
    first, again, other = (initial_weights(MODEL, None, seed=seed) for seed in (1, 1, 2))
    assert digest_of(*first.values()) == digest_of(*again.values()) != digest_of(*other.values())


def test_a_digest_depends_on_type_shape_and_elements() -> None:
    array = np.arange(6, dtype=np.int32)
    others: list[NDArray[Any]] = [array, array.astype(np.int64), array.reshape(2, 3), array + 1]
    assert len({digest_of(other) for other in others}) == len(others)

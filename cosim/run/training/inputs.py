"""Weights and tokens of a training run: from files, or random ones of a seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from cosim.golden.training.golden_step import Weights
from cosim.golden.training.initial import random_weights, repeated_tokens
from cosim.golden.training.pretrained import load_weights

__all__ = ["digest_of", "initial_weights", "training_tokens"]


def initial_weights(model: ModelSizes, where: Path | None, *, seed: int) -> Weights:
    """Weights of a safetensors file or of a folder with some, or random ones.

    Raises
    ------
    ValueError
        As :func:`cosim.golden.training.pretrained.load_weights`.
    """
    return random_weights(model, seed=seed) if where is None else load_weights(where, model)


def training_tokens(sizes: StepSizes, steps: int, where: Path | None, *, seed: int) -> NDArray[np.integer]:
    """(steps, sequences, length + 1) tokens of an ``.npy`` file, or random ones that are the same in each step.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds other than integers of this shape below the vocabulary.
    """
    if where is None:
        return repeated_tokens(sizes, steps, seed=seed)
    try:
        tokens = np.load(where, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or "not an .npy file of numbers"
        raise ValueError(f"{where}: cannot read the tokens: {reason}") from None
    shape = (steps, sizes.sequences, sizes.length + 1)
    if not isinstance(tokens, np.ndarray) or not np.issubdtype(tokens.dtype, np.integer):
        kind = getattr(tokens, "dtype", "several arrays")
        raise ValueError(f"{where}: tokens are {kind}: must be integers")
    if tokens.shape != shape:
        raise ValueError(
            f"{where}: tokens have shape {tokens.shape}: must be steps x batch x (sequence + 1) = {shape}"
        )
    if tokens.min() < 0 or tokens.max() >= sizes.model.vocab:
        raise ValueError(
            f"{where}: tokens from {tokens.min()} to {tokens.max()}: must be from 0 to {sizes.model.vocab - 1}"
        )
    return tokens


def digest_of(*arrays: NDArray[np.generic]) -> str:
    """SHA-256 of arrays: their types, shapes and elements."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()

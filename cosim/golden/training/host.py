"""What the host writes into memory: constants, rotary tables, tokens and labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_constants import ConstantSettings, constants
from chiplet.graph.vector_program import VectorProgram
from cosim.golden.numerics import float32_to_bf16
from cosim.golden.training.die_operators import Values

__all__ = ["checked_tokens", "constant_patterns", "fixed_tensors", "tile_tensors"]


def constant_patterns(
    program: VectorProgram, sizes: StepSizes, settings: ConstantSettings
) -> Mapping[str, Values]:
    """Constants of a program whose rows, where they matter, are those of the residual stream."""
    values = constants(program, rows=sizes.tokens, cols=sizes.model.hidden, settings=settings)
    return {name: np.array(np.float32(value)).view(np.uint32) for name, value in values.items()}


def fixed_tensors(sizes: StepSizes) -> dict[str, Values]:
    """Whole tensors that the host writes once, beside weights: a row of ones for each column of dies."""
    if not sizes.model.tied:
        return {}
    return {"head.ones": float32_to_bf16(np.ones((sizes.cols, sizes.model.vocab), np.float32))}


def tile_tensors(
    sizes: StepSizes, tokens: NDArray[np.integer], labels: NDArray[np.integer], *, rope_theta: float
) -> dict[str, Values]:
    """Whole tensors of a token tile: its tokens and labels, and cosines and sines of their positions' angles.

    ``tokens`` and ``labels`` are (sequences, length). Position p turns feature k of a half of d / 2 by
    p rope_theta ** (-2 k / d) (arXiv 2104.09864); queries are scaled by 1 / sqrt(d), too.
    """
    half = sizes.model.head_dim // 2
    angles = np.arange(sizes.length)[:, None] * rope_theta ** (-np.arange(half) / half)
    tables = {}
    for part, scale in (("q", 1 / np.sqrt(sizes.model.head_dim)), ("k", 1.0)):
        for name, function in (("cos", np.cos), ("sin", np.sin)):
            table = np.tile(scale * function(angles), (len(tokens), 1))
            tables[f"attention.{part}_{name}"] = table.astype(np.float32).view(np.uint32)
    return {
        "tokens": tokens.reshape(-1, 1).astype(np.uint32),
        "labels": labels.reshape(-1, 1).astype(np.uint32),
        **tables,
    }


def checked_tokens(name: str, values: NDArray[np.integer], sizes: StepSizes) -> NDArray[np.integer]:
    """``values`` if they are tokens of a batch. Raises ValueError otherwise."""
    shape = (sizes.sequences, sizes.length)
    if values.shape != shape or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"golden training: {name} are {values.dtype} of shape {values.shape}: must be integers of {shape}"
        )
    if values.min() < 0 or values.max() >= sizes.model.vocab:
        raise ValueError(
            f"golden training: {name} from {values.min()} to {values.max()}: "
            f"must be from 0 to {sizes.model.vocab - 1}"
        )
    return values

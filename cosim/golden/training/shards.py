"""Whole tensors cut into what the dies hold, and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.sharding import DiePlace, ShardedTensor, TileShape
from chiplet.graph.training.sizes import StepSizes

__all__ = ["joined", "places", "sharded", "whole_shape"]


def places(sizes: StepSizes, tile: TileShape) -> list[DiePlace]:
    """All dies with the tile that they work on, in the order of their numbers."""
    return [
        DiePlace(sizes.rows, sizes.cols, row, col, sizes.algorithm, tile)
        for row in range(sizes.rows)
        for col in range(sizes.cols)
    ]


def whole_shape(tensor: ShardedTensor, die: DiePlace) -> tuple[int, int]:
    """Rows and columns of all parts together."""
    return len(tensor.rows.whole.part(die)), len(tensor.cols.whole.part(die))


def sharded(tensor: ShardedTensor, whole: NDArray[Any], dies: Sequence[DiePlace]) -> list[NDArray[Any]]:
    """What each die holds of ``whole``."""
    return [
        whole[rows.start : rows.stop, cols.start : cols.stop]
        for rows, cols in ((tensor.rows.part(die), tensor.cols.part(die)) for die in dies)
    ]


def joined(tensor: ShardedTensor, shards: Sequence[NDArray[Any]], dies: Sequence[DiePlace]) -> NDArray[Any]:
    """The whole tensor; of what several dies hold, the last one's."""
    whole = np.zeros(whole_shape(tensor, dies[0]), shards[0].dtype)
    for die, shard in zip(dies, shards, strict=True):
        rows, cols = tensor.rows.part(die), tensor.cols.part(die)
        whole[rows.start : rows.stop, cols.start : cols.stop] = shard
    return whole

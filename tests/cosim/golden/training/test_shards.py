"""Shards of the graph are those that the programs of a package have."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.graph.sharding import DiePlace, Features, TileShape, Tokens
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.machine.specs import PackageSpec
from cosim.golden.training.shards import joined, places, sharded, whole_shape
from cosim.program.distribution import share_of
from cosim.program.shape import Shape
from nop.collectives import Algorithm


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9),
    st.sampled_from(["ring", "chain"]),
)  # fmt: skip
def test_a_linear_is_cut_as_the_programs_of_a_package_cut_it(
    rows: int, cols: int, tokens: int, h_in: int, h_out: int, algorithm: Algorithm
) -> None:
    package = PackageSpec(rows=rows, cols=cols)
    for row, col in product(range(rows), range(cols)):
        share = share_of(package, Shape(m=tokens, k=h_in, n=h_out, form="nn"), algorithm, row, col)
        die = DiePlace(rows, cols, row, col, algorithm, TileShape(tokens, 1))
        assert share.a[1] == Features("column", h_in).part(die)
        assert share.b == (Features("column", h_in).part(die), Features("row", h_out).part(die))
        assert share.a_tiles.rows(col) == Tokens("row").part(die)
        assert share.y == (Tokens("column").part(die), Features("row", h_out).part(die))


@pytest.mark.parametrize("mesh", [(1, 1), (2, 3), (3, 4)])
def test_shards_are_joined_to_the_whole(mesh: tuple[int, int]) -> None:
    model = ModelSizes(hidden=7, heads=4, kv_heads=2, head_dim=2, ffn=9, layers=1, vocab=11)
    sizes = StepSizes(model=model, rows=mesh[0], cols=mesh[1], sequences=3, length=2)
    dies = places(sizes, sizes.tile_shapes[0])
    for tensor in training_step(sizes).tensors.values():
        shape = whole_shape(tensor, dies[0])
        whole = np.arange(shape[0] * shape[1]).reshape(shape)
        shards = sharded(tensor, whole, dies)
        assert [shard.shape for shard in shards] == [tensor.shape(die) for die in dies]
        assert np.array_equal(joined(tensor, shards, dies), whole)

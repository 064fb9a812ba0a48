"""Blocks cover a product in order, and begin where operands can be cut."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.layout.product_blocks import Dimension, ProductBlocks, Range, panel_blocks, product_cut
from chiplet.layout.product_choice import cut_product
from chiplet.machine.specs import DieSpec, MemorySpec
from tests.cosim.compile.products.products import Case, Words, cases, product

DIE = DieSpec(rows=4, cols=4)
MEMORY = MemorySpec(word_bytes=32)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([1, 3, 4, 12])), min_size=1, max_size=5),
    st.sampled_from([1, 4, 6]),
    st.integers(0, 60),
)
def test_blocks_cover_a_dimension(pieces: list[tuple[int, int]], align: int, more: int) -> None:
    ends = list(accumulate(cols for cols, _ in pieces))
    starts = [0, *ends[:-1]]
    dimension = Dimension(ends[-1], tuple(zip(starts, (unit for _, unit in pieces), strict=True)), align)
    most = align + more
    blocks = dimension.blocks(most)
    assert [at for block in blocks for at in range(block.start, block.start + block.size)] == list(
        range(ends[-1])
    )
    for start, size in blocks:
        assert 0 < size <= most
        piece = max(at for at in starts if at <= start)
        assert (start - piece) % align == 0
        for at, unit in dimension.starts:
            if start < at < start + size:
                assert (at - start) % unit == 0


@given(cases(most=1), st.integers(1, 20))
def test_panels_cover_the_columns(case: Case, more: int) -> None:
    (one,), cols = case.products, case.die.cols
    cut = product_cut(case.die, case.memory, one)
    most = cut.n_align // cols + more
    blocks = panel_blocks(case.die, cut, most)
    columns = [
        column
        for block in blocks
        for segment in block.segments
        for column in range(segment.start, segment.start + segment.cols)
    ]
    assert columns == list(range(one.y.cols))
    for block in blocks:
        panels = [-(-segment.cols // cols) for segment in block.segments]
        assert [segment.panel for segment in block.segments] == list(accumulate(panels[:-1], initial=0))
        assert block.panels == sum(panels) <= most


def test_neighbours_share_an_operand() -> None:
    """Blocks of b come back in turned order, if a block has all of K."""
    m, n = (
        (Range(0, 4), Range(4, 4)),
        panel_blocks(DIE, product_cut(DIE, MEMORY, product(Words(32), "nn", 8, 4, 64)), 4),
    )
    assert len(n) == 4
    one_k = ProductBlocks(m, n, ((Range(0, 4),),))
    assert list(one_k.in_order()) == [*((m[0], of) for of in n), *((m[1], of) for of in reversed(n))]
    two_k = ProductBlocks(m, n, ((Range(0, 4), Range(4, 4)),))
    assert list(two_k.in_order()) == [(rows, of) for rows in m for of in n]


def test_tiles_begin_anew_with_each_piece() -> None:
    """Pieces of 8 share a block on an array of 4 rows; a piece of 6 ends one."""
    cut = product_cut(DIE, MEMORY, product(Words(32), "nn", 4, 30, 4, k_pieces=[8, 8, 6, 8]))
    assert cut.k[0].blocks(100) == (Range(0, 22), Range(22, 8))


@pytest.mark.parametrize("most", [1, 2])
def test_blocks_take_half_a_buffer_where_they_can(most: int) -> None:
    """A whole product that takes more than half of a buffer is cut: parts are fed while the array works on others."""
    die = DieSpec(
        rows=4, cols=4, activation_bytes=2 * 4 * 64 * most, weight_bytes=1 << 16, accumulator_bytes=1 << 16
    )
    blocks = cut_product(die, MEMORY, product_cut(die, MEMORY, product(Words(32), "nn", 64, 4, 64)))
    assert max(block.size for block in blocks.m) <= die.activation_depth // 2

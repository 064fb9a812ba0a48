"""Words that no row fills: with the elements they make up all words up to whole flits, and no element is cleared."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chiplet.layout.storage import matrix_storage, value_storage
from chiplet.layout.words_to_clear import WordBlock, words_behind, words_of_ends, words_of_gaps


def words_of(block: WordBlock) -> list[int]:
    return [
        block.word + row * block.pitch + number for row in range(block.rows) for number in range(block.words)
    ]


@given(
    pieces=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    rows=st.integers(0, 5),
    spare=st.integers(0, 3),
    first=st.integers(0, 20),
)
def test_words_of_a_matrix_are_full_or_cleared_at_their_ends(
    pieces: list[int], rows: int, spare: int, first: int
) -> None:
    storage = matrix_storage("bf16", 8, rows, pieces, first)
    storage = replace(storage, pitch=storage.pitch + spare)
    full = [
        first + row * storage.pitch + piece.word + number
        for row in range(rows)
        for piece in storage.pieces
        for number in range(piece.cols * 2 // 8)
    ]
    cleared = [
        word
        for block in (*words_of_ends(storage), *words_of_gaps(storage), *words_behind(storage, rows, 90))
        for word in words_of(block)
    ]
    assert sorted(full + cleared) == list(range(first, first + max(90, rows * storage.pitch)))


@given(count=st.integers(0, 20), first=st.integers(0, 20))
def test_values_are_side_by_side(count: int, first: int) -> None:
    storage = value_storage("fp32", 8, count, first)
    blocks = (*words_of_ends(storage), *words_behind(storage, count, 12))
    assert not [*words_of_gaps(storage)]
    cleared = [word for block in blocks for word in words_of(block)]
    assert cleared == list(range(first + count * 4 // 8, first + 12))


def test_a_block_fits_a_command() -> None:
    blocks = [*words_behind(value_storage("fp32", 8, 0), 0, 100_000)]
    assert [block.words * 2 for block in blocks[:-1]] == [65_534] * (len(blocks) - 1)
    assert sum(block.words for block in blocks) == 100_000

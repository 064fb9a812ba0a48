"""Products of a die whose parts disagree are refused by name; pieces and runs without gaps are one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from chiplet.layout.block_sizes import Form
from chiplet.layout.storage import (
    Piece,
    RowRun,
    Storage,
    joined_pieces,
    joined_runs,
    matrix_storage,
    value_storage,
)
from cosim.compile.products.die_product import DieProduct, word_of
from cosim.program.shape import Shape
from tests.cosim.compile.products.products import Words, product

NN = product(Words(32), "nn", 4, 6, 10)
ONE = product(Words(32), "nn", 4, 6, 1)
NT = product(Words(32), "nt", 4, 6, 10, k_pieces=[2, 4])


def with_b(of: DieProduct, b: Storage) -> DieProduct:
    return replace(of, terms=((of.terms[0][0], b),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: replace(NN, terms=()), "product: has no terms: must have at least one"),
        (lambda: product(Words(32), cast(Form, "tt"), 4, 6, 10), "form = 'tt': must be one of nn, nt, tn"),
        (
            lambda: with_b(NN, matrix_storage("bf16", 32, 7, [10])),
            "term 0 sums 6 of a and 7 of b: must be as many",
        ),
        (lambda: with_b(NN, matrix_storage("bf16", 32, 6, [9])), "term 0 is 4 x 9: must be 4 x 10 as y"),
        (lambda: with_b(NN, matrix_storage("fp32", 32, 6, [10])), "b of term 0 is fp32: must be bf16"),
        (
            lambda: with_b(NT, matrix_storage("bf16", 32, 10, [6])),
            r"columns of term 0 are in pieces of \[2, 4\] and \[6\]: must be the same",
        ),
        (lambda: replace(NN, start=matrix_storage("bf16", 32, 4, [10])), "start is bf16: must be fp32"),
        (
            lambda: replace(NN, start=matrix_storage("fp32", 32, 4, [9])),
            "start is 4 x 9: must be 4 x 10 as y",
        ),
        (lambda: replace(NN, y=matrix_storage("int32", 32, 4, [10])), "y is int32: must be fp32 or bf16"),
        (
            lambda: replace(NN, y=Words(32).matrix("fp32", [10], [1, 3])),
            "y has 2 runs of rows: must have one",
        ),
        (lambda: replace(ONE, y=value_storage("fp32", 32, 4)), "y has values of rows side by side"),
    ],
)
def test_what_disagrees_is_refused(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=message):
        change()


def test_shapes_are_those_of_the_terms() -> None:
    assert NN.shapes == (Shape(m=4, k=6, n=10, form="nn"),)
    assert product(Words(32), "tn", 4, 6, 10).shapes == (Shape(m=4, k=6, n=10, form="tn"),)


def test_pieces_without_gaps_are_one() -> None:
    storage = matrix_storage("bf16", 32, 4, [16, 16, 8, 16])
    assert joined_pieces(storage) == [Piece(0, 40, 0), Piece(40, 16, 3)]
    assert [word_of(storage, col) for col in (0, 16, 32, 40)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="column 36 of a row .* begins no word"):
        word_of(storage, 36)


def test_runs_without_gaps_are_one() -> None:
    storage = matrix_storage("bf16", 32, 4, [32])
    runs = (RowRun(0, 2, 0), RowRun(2, 2, 4), RowRun(4, 3, 20))
    assert joined_runs(replace(storage, runs=runs)) == [RowRun(0, 4, 0), RowRun(4, 3, 20)]

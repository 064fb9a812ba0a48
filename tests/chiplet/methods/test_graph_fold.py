"""What descriptions come to with sizes: on each die, on all dies, for one machine and for many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.graph.descriptions import (
    attention_operators,
    linear_operators,
    norm_operators,
    vocabulary_operators,
    weight_operators,
)
from chiplet.graph.descriptions.description import KV_HEADS, TOKENS
from chiplet.graph.vector_work import program_work
from chiplet.methods.graph_fold import collectives, products, runs

SIZES = st.fixed_dictionaries({name: st.integers(1, 5000) for name in (TOKENS, "inputs", "outputs")})
DIES = st.fixed_dictionaries({axis: st.integers(1, 40) for axis in ("row", "column")})


@pytest.mark.parametrize("type_b", [False, True])
@given(sizes=SIZES, dies=DIES)
def test_a_linear_moves_and_multiplies_what_docs_say(
    sizes: dict[str, int], dies: dict[str, int], type_b: bool
) -> None:
    """A mean die of all, gathered over the columns of the mesh or its rows; the busiest one multiplies."""
    m, h_in, h_out = sizes[TOKENS], sizes["inputs"], sizes["outputs"]
    gather, scatter = ("column", "row") if type_b else ("row", "column")
    nodes = dies["row"] * dies["column"]
    both = linear_operators.FORWARD, linear_operators.BACKWARD
    moved = [of for one in both for of in collectives(one, type_b=type_b)]
    assert [(of.op, of.axis) for of in moved] == [
        ("all-gather", gather),
        ("reduce-scatter", scatter),
        ("all-gather", scatter),
        ("reduce-scatter", gather),
        ("all-gather", gather),
    ]
    expected = [m * h_in, m * h_out, m * h_out, m * h_in, m * h_in]
    assert [of.chunk.of(sizes, dies) for of in moved] == [elements / nodes for elements in expected]
    assert [of.sums for of in moved] == [of.op == "reduce-scatter" for of in moved]
    k, n = -(-h_in // dies[scatter]), -(-h_out // dies[gather])
    gemms = [of for one in both for of in products(one, type_b=type_b)]
    assert [of.sizes(sizes, dies) for of in gemms] == [(m, k, n), (m, n, k), (k, m, n)]
    assert [of.split for of in gemms] == ["m", "m", "k"]
    assert {of.work(sizes) for of in gemms} == {m * h_in * h_out}


@given(cases=st.lists(st.tuples(SIZES, DIES), min_size=1, max_size=4))
def test_arrays_have_the_numbers_of_each_machine(cases: list[tuple[dict[str, int], dict[str, int]]]) -> None:
    many_sizes, many_dies = (
        {name: np.array([float(case[part][name]) for case in cases]) for name in cases[0][part]}
        for part in (0, 1)
    )
    for number, (sizes, dies) in enumerate(cases):
        for of in collectives(linear_operators.BACKWARD):
            assert of.chunk.of(many_sizes, many_dies)[number] == of.chunk.of(sizes, dies)
        for gemm in products(linear_operators.BACKWARD):
            many = gemm.sizes(many_sizes, many_dies)
            assert tuple(size[()] if size.ndim == 0 else size[number] for size in many) == gemm.sizes(
                sizes, dies
            )


def test_sums_and_values_beside_features_are_one_a_token() -> None:
    dies = {"row": 4, "column": 2}
    forward, backward = (
        [(of.op, of.axis, of.chunk.of({TOKENS: 96, "norm sums": 1}, dies)) for of in collectives(description)]
        for description in (norm_operators.FORWARD, norm_operators.BACKWARD)
    )
    assert forward == [("all-gather", "row", 24), ("reduce-scatter", "column", 48)]
    assert backward == [("all-gather", "column", 48), ("reduce-scatter", "row", 24)]
    loss = [of.chunk.of({TOKENS: 96, "columns": 4}, dies) for of in collectives(vocabulary_operators.LOSS)]
    assert loss == [48] * 3
    shares = [
        of.chunk.of({"inputs": 32, KV_HEADS: 16}, dies) for of in collectives(linear_operators.REPLICAS)
    ]
    assert shares == [32 * 16 / 8] * 2


def test_an_attention_multiplies_what_its_forms_say() -> None:
    sizes = {TOKENS: 7, "tokens of keys": 5, "keys": 5, "key features": 3, "value features": 2}
    whole = {"row": 1, "column": 1}
    both = attention_operators.FORWARD, attention_operators.BACKWARD
    assert {of.name: of.sizes(sizes, whole) for one in both for of in products(one)} == {
        "product_qk": (7, 3, 5),
        "product_pv": (7, 5, 2),
        "product_dp": (7, 2, 5),
        "product_dv": (5, 7, 2),
        "product_dq": (7, 5, 3),
        "product_dk": (5, 7, 3),
    }
    assert [(of.name, of.work, of.elements.of(sizes, whole)) for one in both for of in runs(one)] == [
        ("softmax", program_work("softmax"), 35),
        ("softmax_backward", program_work("softmax-backward"), 35),
    ]


def test_passes_over_values_of_rows_are_left_out() -> None:
    assert [of.name for of in runs(norm_operators.FORWARD)] == ["norm"]
    counted = [of.name for of in runs(vocabulary_operators.LOSS)]
    assert counted == ["scale_logits", "cross_entropy", "cross_entropy_backward", "norm_product"]


def test_rows_of_the_embedding_and_gains_move_what_docs_say() -> None:
    sizes, dies = {TOKENS: 96, "features": 32, "inputs": 32, "columns": 4}, {"row": 4, "column": 2}
    both = vocabulary_operators.EMBEDDING_FORWARD, vocabulary_operators.EMBEDDING_BACKWARD
    rows = [of for description in both for of in collectives(description)]
    assert [(of.op, of.axis, of.chunk.of(sizes, dies)) for of in rows] == [
        ("reduce-scatter", "row", 96 * 32 / 8),
        ("all-gather", "row", 96 * 32 / 8),
    ]
    for description in (weight_operators.GAIN, weight_operators.GAIN_TIED):
        (parts,) = collectives(description)
        assert (parts.op, parts.axis, parts.chunk.of(sizes, dies)) == ("all-gather", "row", 32 / 2)

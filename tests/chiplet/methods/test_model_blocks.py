"""Blocks with more than two linears: latent attention, and an embedding of another width than the layers."""

from __future__ import annotations

import pytest

from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch, Operation
from nop.topology import Mesh
from tests.chiplet.machines import LATENT, small_model

ROWS, COLS, TOKENS = 4, 2, 128
BATCH = Batch(tokens=TOKENS, sequences=8, length=16)
CHAIN = [(96, 20 + 14 + 4), (20, 8 * 12), (14, 8 * (8 + 10))]
"""Inputs and outputs of the linears before the scores: latent features, Q, and K with V."""
OUTPUT = (8 * 10, 96)


def method_of(model: Llm, name: str) -> Method:
    return METHODS[name](
        model, Mesh(ROWS, COLS), make_switches(name, {"gather_again": True} if name != "optimus" else {}), 2
    )


def received(operations: tuple[Operation, ...]) -> float:
    return sum(step.elements for operation in operations for step in operation.comms)


def test_linears_of_latent_attention_cross_the_package_as_all_linears_do() -> None:
    """Hecaton: inputs along the rows and sums down the columns; beside them a sum for each norm, before the block and
    of both latent features, and the rotary keys that all heads share.
    """
    method = method_of(small_model(**LATENT), "hecaton")
    passes = method.passes(method.blocks()[0], BATCH)
    dies = ROWS * COLS
    type_a = sum(h_in * (COLS - 1) + h_out * (ROWS - 1) for h_in, h_out in CHAIN)
    type_b = OUTPUT[0] * (ROWS - 1) + OUTPUT[1] * (COLS - 1)
    shared = 4 * (COLS - 1)
    linears = TOKENS * (type_a + type_b + shared) / dies
    norms = (
        3 * TOKENS * ((COLS - 1) / COLS + (ROWS - 1) / ROWS)
    )  # gathered on one side, added up on the other
    assert received(passes.forward) == pytest.approx(linears + norms)
    again = TOKENS * (sum(h_in for h_in, _ in CHAIN) * (COLS - 1) + OUTPUT[0] * (ROWS - 1)) / dies
    assert received(passes.backward) == pytest.approx(linears + again + norms)


@pytest.mark.parametrize("name", ["flat-ring", "torus-ring"])
def test_rings_gather_latent_features(name: str) -> None:
    method = method_of(small_model(**LATENT), name)
    passes = method.passes(method.blocks()[0], BATCH)
    others = (ROWS * COLS - 1) / (ROWS * COLS)
    gathered = sum(h_in for h_in, _ in CHAIN)
    assert received(passes.forward) == pytest.approx(TOKENS * others * (gathered + 4 + OUTPUT[1]))
    assert received(passes.backward) == pytest.approx(TOKENS * others * (2 * gathered + 4 + OUTPUT[1]))


def test_dies_that_share_a_head_sum_the_gradients_of_what_is_split_by_heads() -> None:
    model = small_model(**LATENT)
    method = METHODS["flat-ring"](model, Mesh(4, 4), make_switches("flat-ring", None), 2)
    attention = method.blocks()[0]
    by_heads = sum(h_in * h_out for h_in, h_out in [*CHAIN[1:], OUTPUT])
    assert method.weights_per_die(attention) == pytest.approx(96 * 38 / 16 + by_heads / 8)
    (scatter, gather) = method.replica_comms(attention)
    assert scatter.group == gather.group == 2
    assert scatter.elements == pytest.approx(by_heads / 8 / 2)


@pytest.mark.parametrize("name", METHODS)
def test_weights_of_all_dies_are_those_of_the_layer(name: str) -> None:
    for changes in (LATENT, {"embedding_features": 40}):
        model = small_model(**changes)
        method = method_of(model, name)
        attention = next(block for block in method.blocks() if block.name == "attention")
        # As many heads as dies: nothing is replicated but K and V of grouped queries.
        if model.latent is not None:
            assert method.weights_per_die(attention) * 8 == pytest.approx(model.attention_weights)


@pytest.mark.parametrize("name", METHODS)
def test_a_narrow_embedding_has_linears_in_and_out(name: str) -> None:
    method = method_of(small_model(embedding_features=40), name)
    entry, *_, head = method.blocks()
    assert [linear.name for linear in head.first] == ["out", "head"]
    for block, macs in ((entry, 40 * 96), (head, 96 * 40 + 40 * 101)):
        passes = method.passes(block, BATCH)
        for operations, times in ((passes.forward, 1), (passes.backward, 2)):
            found = sum(gemm.macs for operation in operations for gemm in operation.gemms)
            assert found == times * TOKENS * macs
    loss = [step for operation in method.passes(head, BATCH).forward for step in operation.vectors]
    assert [(step.name, step.total) for step in loss] == [("norm", TOKENS * 96), ("loss", TOKENS * 101)]

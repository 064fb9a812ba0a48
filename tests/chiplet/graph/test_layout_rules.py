"""Graphs whose layouts do not agree are refused: changes of one tensor or operator of a right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chiplet.graph.graph import Graph
from chiplet.graph.operators import Operator
from chiplet.graph.sharding import Features, KvHeads, Tokens
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step

MODEL = ModelSizes(hidden=6, heads=4, kv_heads=2, head_dim=2, ffn=8, layers=1, vocab=9)
GRAPH = training_step(StepSizes(model=MODEL, rows=2, cols=2, sequences=2, length=3))
QUERIES, KEYS = Features("row", 8, 2), KvHeads("row", 4, 2, 4)


@pytest.mark.parametrize(
    ("tensor", "changes", "message"),
    [
        ("ffn.gate.partial", {"partial": None}, "ffn.gate.product: ffn.gate.partial holds partial sums"),
        ("ffn.down.gradient", {"partial": "row"}, "ffn.down.gradient holds complete sums"),
        ("ffn.x_all", {"rows": Tokens("row")}, "ffn.x_all must be ffn.x with whole rows"),
        (
            "ffn.gate.sums",
            {"rows": Tokens("row")},
            "ffn.gate.partial must hold partial sums along the column",
        ),
        ("ffn.gate.operand", {"cols": Features("column", 8)}, "ffn.gate.partial must be of the operands'"),
        ("ffn.gate.operand", {"rows": Features(None, 6)}, "must agree in what is summed"),
        ("attention.values", {"element": "fp32"}, "attention.values is fp32: must be bf16"),
        (
            "attention.k.gradient",
            {"cols": Features("row", 4, 2, piece=1)},
            "must be of the operands' dimensions",
        ),
        ("attention.k_turned", {"cols": KEYS}, "attention.k_turned must be in pieces of half a unit"),
        (
            "attention.mixed",
            {"cols": replace(QUERIES, piece=1)},
            "attention.values and attention.mixed must be in pieces of one length",
        ),
        ("attention.do", {"cols": replace(QUERIES, piece=1)}, "matrices must be in pieces of one length"),
    ],
)
def test_a_wrong_layout_is_named(tensor: str, changes: dict[str, Any], message: str) -> None:
    tensors = {**GRAPH.tensors, tensor: replace(GRAPH.tensors[tensor], **changes)}
    with pytest.raises(ValueError, match=message):
        replace(GRAPH, tensors=tensors)


def test_both_operands_of_a_product_are_cut_alike_where_it_sums() -> None:
    names = ("attention.o.dx_partial", "attention.o.dx", "attention.do")
    cut = {name: replace(GRAPH.tensors[name], cols=replace(QUERIES, piece=1)) for name in names}
    with pytest.raises(
        ValueError, match=r"attention\.do and attention\.values must be in pieces of one length"
    ):
        replace(GRAPH, tensors={**GRAPH.tensors, **cut})


def test_operators_have_names_of_their_own() -> None:
    first = GRAPH.sections[0]
    twice: tuple[Operator, ...] = (*first.operators, first.operators[0])
    with pytest.raises(ValueError, match="operator load_ends is there twice"):
        Graph(2, 2, "ring", 1, GRAPH.tensors, (replace(first, operators=twice), *GRAPH.sections[1:]))


def test_tiles_run_one_after_the_other_and_layers_turn_round() -> None:
    model = replace(MODEL, layers=3)
    graph = training_step(StepSizes(model=model, rows=1, cols=1, sequences=2, length=2, tiles=2))
    order = [*graph.order(2)]
    assert [(i.tile, i.layer) for i in order if i.operator.name == "ffn.down.product"] == [
        (tile, layer) for tile in range(2) for layer in range(3)
    ]
    assert [i.layer for i in order if i.operator.name == "ffn.down.product_dx"] == [2, 1, 0] * 2
    assert [i.tile for i in order if i.operator.name == "ffn.down.update"] == [None] * 3

"""Predicted cycles of a training step: the sums of what units do are those of the graph, and nothing takes less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.dataflow import predicted_step as module
from chiplet.dataflow.predicted_step import PredictedStep, predicted_step
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from tests.chiplet.dataflow.steps import machine

MODEL = ModelSizes(hidden=16, heads=2, kv_heads=1, head_dim=8, ffn=24, layers=1, vocab=16)
SIZES = StepSizes(model=MODEL, rows=1, cols=1, sequences=4, length=8)


def predicted(sizes: StepSizes, **die: Any) -> PredictedStep:
    return predicted_step(training_step(sizes), sizes, machine(sizes.rows, sizes.cols, **die), direct=True)


def vectors(sizes: StepSizes, rows: int = 4, cols: int = 4) -> int:
    """Activation vectors of a step on one die, of heads and sizes that fill tiles of the array, from the formulas."""
    model, m = sizes.model, sizes.tokens
    q, kv, width = model.heads * model.head_dim, model.kv_heads * model.head_dim, model.head_dim

    def product(m: int, k: int, n: int) -> int:
        return m * -(-k // rows) * -(-n // cols)

    linears = [(model.hidden, q), (model.hidden, kv), (model.hidden, kv), (q, model.hidden)]
    linears += [(model.hidden, model.ffn)] * 2 + [(model.ffn, model.hidden)]
    each = [
        product(m, h_in, h_out) + product(m, h_out, h_in) + product(h_in, m, h_out) for h_in, h_out in linears
    ]
    s = sizes.length
    head = 2 * product(s, width, s) + product(s, s, width) * 2 + 2 * product(s, s, width)
    ends = 2 * (product(m, model.vocab, model.hidden)) - product(m, model.vocab, model.hidden)
    ends += product(model.vocab, m, model.hidden)  # the embedding and its gradient
    ends += product(m, model.hidden, model.vocab) + product(m, model.vocab, model.hidden)
    ends += product(model.hidden, m, model.vocab)
    return model.layers * (sum(each) + sizes.sequences * model.heads * head) + ends


@pytest.mark.parametrize("tiles", [1, 2, 4])
def test_the_array_takes_the_vectors_of_all_products(tiles: int) -> None:
    sizes = replace(SIZES, tiles=tiles)
    assert predicted(sizes).units["array"] == vectors(sizes)


@settings(max_examples=4)
@given(
    st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
    st.sampled_from([16, 24]),
    st.sampled_from(["sgd", "adam"]),
    st.integers(4, 16),
)
def test_tiles_and_queues_change_no_sum_of_work(mesh: Any, hidden: int, optimizer: Any, queue: int) -> None:
    sizes = replace(
        SIZES, rows=mesh[0], cols=mesh[1], model=replace(MODEL, hidden=hidden), optimizer=optimizer
    )
    one, several = predicted(sizes), predicted(replace(sizes, tiles=2), queue_depth=queue)
    assert several.units["array"] == one.units["array"]
    assert several.units["store"] == one.units["store"]
    for step in (one, several):
        assert step.cycles > max(step.units.values())


def test_links_carry_nothing_on_one_die_and_the_same_in_any_number_of_tiles() -> None:
    alone = predicted(SIZES).units
    assert alone["row links"] == alone["column links"] == 0
    tiled = [predicted(replace(SIZES, rows=2, cols=2, tiles=tiles)).units for tiles in (1, 2)]
    # Columns of two dies take tiles of whole words here; sums of squares fill words on either side.
    assert tiled[0]["row links"] > 0
    assert tiled[0]["column links"] > 0
    assert tiled[1]["row links"] >= tiled[0]["row links"]


def test_more_layers_take_longer_and_adapters_too() -> None:
    graph = training_step(SIZES)
    wires = predicted_step(graph, SIZES, machine(1, 1), direct=True)
    assert predicted_step(graph, SIZES, machine(1, 1)).cycles > wires.cycles
    deeper = replace(SIZES, model=replace(MODEL, layers=2))
    assert predicted(deeper).cycles > 1.5 * wires.cycles


def test_another_play_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that is busy with loads, which the commands of all dies come over: one play's times suit the next."""
    model = ModelSizes(hidden=16, heads=6, kv_heads=2, head_dim=2, ffn=12, layers=1, vocab=11, tied=True)
    sizes = StepSizes(model=model, rows=2, cols=1, sequences=5, length=3, tiles=2, optimizer="sgd")
    two = predicted(sizes)
    for plays in (3, 4):
        monkeypatch.setattr(module, "PLAYS", plays)
        assert predicted(sizes).cycles == pytest.approx(two.cycles, rel=0.02)

"""The time of a projection is a closed form; beside it the cycles of the same step, played operator by operator."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from chiplet.dataflow.predicted_step import predicted_step
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.machine.config import load_configuration
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.schedule.buffers import Optimizer
from chiplet.workload.llm import from_config

FILLED, BOUND = 0.94, 0.02
"""Of steps with arrays that are busy for so much of the time: by how much the closed form may differ."""

NEARLY_FILLED, NEARLY_BOUND = 0.9, 0.05
"""The same of steps that wait a little more: docs/training.md has the differences and what they come from."""


class Case(NamedTuple):
    """Mesh, features, heads, layers, tokens of a sequence, token tiles, height and width of the arrays, and optimizer.

    The step has eight sequences, the FFN twice the features, and the vocabulary as many.
    """

    rows: int
    cols: int
    hidden: int
    heads: int
    layers: int
    length: int
    tiles: int
    array: int = 4
    optimizer: Optimizer = "adam"

    @property
    def embedding_cycles(self) -> int:
        """Cycles of the array for both products of the embedding, which the projection does not count: rows that stream
        through so many stationary tiles, of tokens x vocabulary x features, and of vocabulary x tokens x features.
        """
        tokens, size = 8 * self.length, self.array
        vocab, features = -(-self.hidden // self.cols), -(-self.hidden // self.rows)
        forward = tokens * -(-vocab // size) * -(-features // size)
        return forward + vocab * -(-tokens // size) * -(-features // size)


def cycles_of(case: Case) -> tuple[float, int, float]:
    """Cycles by the closed form, those of the played step, and in how much of these the busiest array works."""
    overrides = [f"package.rows={case.rows}", f"package.cols={case.cols}", f"die.rows={case.array}"]
    overrides += [f"die.cols={case.array}", "die.scratchpad_bytes=8388608", "die.queue_depth=16"]
    system = load_configuration(None, overrides, preset="bench").system
    config = {
        "model_type": "llama",
        "hidden_size": case.hidden,
        "intermediate_size": 2 * case.hidden,
        "num_hidden_layers": case.layers,
        "num_attention_heads": case.heads,
        "vocab_size": case.hidden,
        "max_position_embeddings": 64,
        "hidden_act": "silu",
    }
    projected = project(
        StepRequest(
            from_config(config, name="small", where="small"),
            system,
            global_batch=8,
            sequence_length=case.length,
            switches={"collective": "chain"},
            optimizer=case.optimizer,
        )
    )
    sizes = StepSizes.on_package(
        ModelSizes(
            hidden=case.hidden,
            heads=case.heads,
            kv_heads=case.heads,
            head_dim=case.hidden // case.heads,
            ffn=2 * case.hidden,
            layers=case.layers,
            vocab=case.hidden,
        ),
        system,
        sequences=8,
        length=case.length,
        tiles=case.tiles,
        optimizer=case.optimizer,
    )
    predicted = predicted_step(training_step(sizes), sizes, system)
    closed = projected.step_seconds * system.die.clock_hz + case.embedding_cycles
    return closed, predicted.cycles, predicted.units["array"] / predicted.cycles


@pytest.mark.parametrize(
    "case",
    [
        Case(1, 1, 32, 2, 1, 16, 4),
        Case(1, 1, 32, 2, 4, 16, 4),
        Case(1, 1, 64, 4, 1, 32, 1, optimizer="sgd"),
        Case(1, 2, 64, 4, 1, 32, 4),
        Case(2, 1, 64, 4, 1, 32, 4, optimizer="sgd"),
        Case(2, 2, 64, 4, 1, 32, 4),
        Case(2, 2, 64, 4, 1, 32, 1, optimizer="sgd"),
        Case(2, 4, 64, 4, 1, 32, 4, optimizer="sgd"),
        *(
            pytest.param(case, marks=pytest.mark.slow)
            for case in (
                Case(1, 1, 60, 2, 1, 24, 4, optimizer="sgd"),
                Case(1, 1, 64, 4, 3, 16, 4),
                Case(1, 2, 64, 4, 1, 32, 1),
                Case(1, 2, 64, 4, 3, 16, 4, optimizer="sgd"),
                Case(2, 1, 64, 4, 3, 16, 4),
                Case(2, 1, 72, 3, 1, 18, 4),
                Case(2, 2, 64, 4, 2, 32, 4),
                Case(2, 2, 64, 4, 4, 16, 4),
                Case(2, 3, 96, 6, 1, 32, 4),
                Case(2, 4, 96, 4, 1, 32, 4, optimizer="sgd"),
            )
        ),
    ],
)
def test_the_closed_form_is_the_played_step_where_arrays_are_filled(case: Case) -> None:
    closed, played, array = cycles_of(case)
    assert array > FILLED
    assert closed == pytest.approx(played, rel=BOUND)


@pytest.mark.parametrize(
    "case",
    [
        Case(2, 2, 32, 4, 1, 16, 4),
        Case(2, 3, 48, 6, 1, 32, 4),
        Case(2, 4, 64, 4, 1, 32, 1, optimizer="sgd"),
        *(
            pytest.param(case, marks=pytest.mark.slow)
            for case in (
                Case(1, 1, 128, 8, 2, 32, 1, 8, "sgd"),
                Case(1, 2, 128, 8, 2, 32, 1, 8, "sgd"),
                Case(2, 3, 48, 6, 3, 16, 4, optimizer="sgd"),
                Case(2, 4, 64, 4, 3, 16, 4),
            )
        ),
    ],
)
def test_it_is_near_where_they_are_nearly_filled(case: Case) -> None:
    closed, played, array = cycles_of(case)
    assert array > NEARLY_FILLED
    assert closed == pytest.approx(played, rel=NEARLY_BOUND)

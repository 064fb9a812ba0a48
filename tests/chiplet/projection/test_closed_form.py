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
from chiplet.workload.llm import from_config

BOUND = 0.1
"""Of steps that fill the arrays; docs/training.md has the differences and what they come from."""


class Case(NamedTuple):
    """Mesh, features, heads, layers, tokens of a sequence, and token tiles.

    The step has eight sequences, the FFN twice the features, and the vocabulary as many.
    """

    rows: int
    cols: int
    hidden: int
    heads: int
    layers: int
    length: int
    tiles: int


@pytest.mark.parametrize(
    "case",
    [
        Case(1, 1, 32, 2, 1, 16, 4),
        Case(1, 1, 32, 2, 4, 16, 4),
        Case(1, 2, 64, 4, 1, 32, 4),
        Case(2, 2, 32, 4, 1, 16, 4),
        Case(2, 2, 64, 4, 1, 32, 1),
    ],
)
def test_the_closed_form_is_near_the_played_step(case: Case) -> None:
    overrides = [f"package.rows={case.rows}", f"package.cols={case.cols}"]
    overrides += ["die.rows=4", "die.cols=4", "die.scratchpad_bytes=8388608", "die.queue_depth=16"]
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
    model = from_config(config, name="small", where="small")
    switches = {"collective": "chain"}
    found = project(
        StepRequest(model, system, global_batch=8, sequence_length=case.length, switches=switches)
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
        optimizer="adam",
    )
    predicted = predicted_step(training_step(sizes), sizes, system)
    assert predicted.units["array"] > 0.85 * predicted.cycles  # it fills the arrays
    assert found.step_seconds * system.die.clock_hz == pytest.approx(predicted.cycles, rel=BOUND)

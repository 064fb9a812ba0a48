"""Options of a training step: the model as published or by its sizes, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chiplet.graph.training.sizes import ModelSizes
from chiplet.machine.config import load_configuration
from hecaton.terminal.training_options import TrainingOptions

SIZES = TrainingOptions(hidden=12, heads=4, kv_heads=2, ffn=10, layers=2, vocab=9, mesh="2x3")
PUBLISHED: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 12, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6,
    "intermediate_size": 10, "num_hidden_layers": 2, "vocab_size": 9, "hidden_act": "silu", "rms_norm_eps": 1e-4,
    "rope_theta": 500.0, "tie_word_embeddings": True, "max_position_embeddings": 64,
}  # fmt: skip


def test_sizes_and_a_configuration_give_the_same_model(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PUBLISHED))
    published = TrainingOptions(model=str(path)).read()
    by_sizes = replace(SIZES, head_dim=6, tied=True).read()
    assert published.sizes == by_sizes.sizes
    assert (published.norm_epsilon, published.rope_theta) == (1e-4, 500.0)


def test_what_is_not_given_follows_from_the_heads() -> None:
    options = replace(SIZES, hidden=16, kv_heads=None)
    assert options.read().sizes == ModelSizes(
        hidden=16, heads=4, kv_heads=4, head_dim=4, ffn=10, layers=2, vocab=9
    )


def test_a_step_is_as_large_as_its_options_and_the_package() -> None:
    options = replace(SIZES, hidden=16, sequence=5, batch=3, tiles=2, optimizer="adam")
    assert options.assignments == ["package.rows=2", "package.cols=3"]
    system = load_configuration(None, options.assignments, preset="bench").system
    sizes = options.sizes(options.read(), system)
    assert (sizes.rows, sizes.cols, sizes.sequences, sizes.length, sizes.tiles) == (2, 3, 3, 5, 2)
    assert (sizes.optimizer, sizes.algorithm) == ("adam", "chain")
    with pytest.raises(ValueError, match="tiles = 4: must be at most the 3 sequences"):
        replace(options, tiles=4).sizes(options.read(), system)
    with pytest.raises(ValueError, match="optimizer = 'lion': must be one of sgd, adam"):
        replace(options, optimizer="lion").sizes(options.read(), system)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TrainingOptions(), "without --model, its sizes are needed: --hidden is missing"),
        (replace(SIZES, vocab=None), "without --model, its sizes are needed: --vocab is missing"),
        (
            TrainingOptions(model="llama2-7b", kv_heads=4),
            "--model llama2-7b has sizes of its own: leave out --kv-heads",
        ),
        (replace(SIZES, hidden=10), "--hidden 10 is no multiple of --heads 4: --head-dim is needed"),
        (replace(SIZES, kv_heads=3), "heads = 4: must be a multiple of kv_heads = 3"),
        (SIZES, "head_dim = 3: must be even"),
        (TrainingOptions(model="gpt3-175b"), "gpt3-175b: a training step does not have"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(options: TrainingOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options.read()

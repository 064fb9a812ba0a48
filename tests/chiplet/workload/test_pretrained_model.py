"""Published models that a training step can be made of; others are refused by the part that it has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chiplet.workload.llm import load_model
from chiplet.workload.pretrained_model import model_sizes, read_pretrained
from tests.chiplet.workload.pretrained_folder import folder_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "does not have biases"),
        ({"hidden_act": "gelu"}, "does not have an FFN that is no gated SiLU"),
        ({"model_type": "granite"}, "model_type = 'granite': must be one of llama, mistral"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, r"rotary angles are scaled \(llama3\)"),
    ],
)
def test_models_with_other_parts_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pretrained(folder_of(tmp_path, **changes))


def test_a_model_is_a_file_a_folder_or_a_preset(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert read_pretrained(folder / "config.json") == read_pretrained(str(folder)) == read_pretrained(folder)
    preset = read_pretrained("tinyllama-1.1b")
    assert (preset.sizes.hidden, preset.norm_epsilon, preset.rope_theta) == (2048, 1e-5, 10000.0)
    with pytest.raises(ValueError, match="preset llama3.1-405b: rotary angles are scaled"):
        read_pretrained("llama3.1-405b")
    with pytest.raises(ValueError, match="no such model configuration"):
        read_pretrained(tmp_path / "other.json")


def test_presets_are_models_that_train_or_are_refused() -> None:
    assert model_sizes(load_model("llama2-7b")).heads == 32
    with pytest.raises(ValueError, match="gpt3-175b: a training step does not have"):
        model_sizes(load_model("gpt3-175b"))

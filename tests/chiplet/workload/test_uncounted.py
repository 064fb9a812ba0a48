"""What a projection leaves out of a model stands among its assumed inputs."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.workload.experts import Experts
from chiplet.workload.llm import from_config, load_model, model_names
from chiplet.workload.uncounted import uncounted_inputs
from tests.chiplet.machines import small_model, small_package


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"window": 16, "full_layers": (1,)}, "window", 16),
        ({"qkv_bias": True}, "biases", 2 * (96 + 2 * 24)),
        ({"ffn_bias": True, "output_bias": True}, "biases", 2 * (96 + 400 + 96)),
        ({"head_bias": True}, "biases", 101),
        ({"parallel": True}, "parallel_blocks", 2),
        ({"norms_after": True}, "norm_sums", 1),
        ({"qk_norm": "features"}, "norm_sums", 1),
        ({"embedding_norm": True}, "embedding_norm", 96),
        ({"linear_positions": True, "rotary": 0}, "linear_positions", 8),
        ({"sinks": True}, "sinks", 8),
        ({"activation": "gelu_pytorch_tanh"}, "activation", 200),
        ({"gated": False, "activation": "relu"}, "activation", 200),
        ({"uncounted": (("attn_logit_softcapping", 50.0),)}, "attn_logit_softcapping", 50),
        ({"unknown": ("colour", "taste")}, "unknown_keys", 2),
        ({"part": "text_config of llava"}, "part", small_model().parameters),
    ],
)
def test_each_part_that_is_left_out_is_an_assumed_input(
    changes: dict[str, Any], name: str, value: float
) -> None:
    request = StepRequest(small_model(**changes), small_package(), mesh=(2, 2), global_batch=4)
    found = [entry for entry in project(request).assumed_inputs if entry.name.startswith("model.")]
    assert [(entry.name, entry.value, entry.status) for entry in found] == [
        (f"model.{name}", value, "assumed")
    ]
    assert len(found[0].source) > 20


def test_what_is_assumed_of_experts_is_said() -> None:
    experts = Experts(count=8, active=2, ffn=40)
    found = uncounted_inputs(small_model(experts=experts), 64)
    assert [(entry.name, entry.value) for entry in found] == [
        ("model.expert_imbalance", 1.0),
        ("model.expert_choice", 2.0),
    ]


def test_a_window_that_no_sequence_leaves_is_none() -> None:
    model = small_model(window=16)
    assert uncounted_inputs(model, 16) == []
    assert [entry.name for entry in uncounted_inputs(model, 17)] == ["model.window"]


def test_models_with_all_their_work_counted_have_none() -> None:
    found = {
        name: [entry.name for entry in uncounted_inputs(load_model(name), 2048)] for name in model_names()
    }
    assert found == {name: [] for name in model_names() if name != "gpt3-175b"} | {
        "gpt3-175b": ["model.biases"]
    }


@pytest.mark.parametrize(
    ("key", "usual", "names"),
    [
        (
            "attn_logit_softcapping",
            None,
            ["model.norm_sums", "model.activation", "model.final_logit_softcapping"],
        ),
        (
            "final_logit_softcapping",
            30.0,
            [
                "model.norm_sums",
                "model.activation",
                "model.attn_logit_softcapping",
                "model.final_logit_softcapping",
            ],
        ),
    ],
)
def test_caps_are_left_out_by_name_unless_they_are_off(
    key: str, usual: float | None, names: list[str]
) -> None:
    values = {
        "model_type": "gemma2",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "intermediate_size": 96,
        "vocab_size": 100,
        key: usual,
    }
    model = from_config(values, name="c", where="c.json")
    assert [entry.name for entry in uncounted_inputs(model, 64)] == names

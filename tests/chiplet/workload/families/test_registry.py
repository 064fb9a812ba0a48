"""Reading of configurations: by ``model_type``, with nothing ignored that changes shape or work."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.workload.families.registry import MODEL_TYPES
from chiplet.workload.llm import Llm, from_config
from tests.chiplet.workload.published_models import PUBLISHED
from tests.chiplet.workload.small_configs import LLAMA
from tests.tree import ROOT

FALCON = {
    "model_type": "falcon",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "vocab_size": 100,
}


def read(values: Any) -> Llm:
    return from_config(values, name="c", where="c.json")


def refusal(values: Any) -> str:
    with pytest.raises(ValueError, match="c.json") as found:
        read(values)
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize("model", PUBLISHED, ids=[model.hub_id for model in PUBLISHED])
def test_a_file_without_a_type_is_refused_with_the_families(model: Any) -> None:
    values = {key: value for key, value in model.config.items() if key != "model_type"}
    assert refusal(values) == f"c.json: model_type is missing: must be one of {', '.join(MODEL_TYPES)}"


def test_an_unknown_family_is_refused_with_the_families() -> None:
    expected = f"c.json: model_type 'bert': must be one of {', '.join(MODEL_TYPES)}"
    assert refusal({**LLAMA, "model_type": "bert"}) == expected
    assert refusal({**LLAMA, "model_type": ["llama"]}).startswith("c.json: model_type ['llama']: must be")


def test_the_language_part_of_a_larger_model_is_read_and_said() -> None:
    inner = {**LLAMA, "vocab_size": 101}
    found = read({"model_type": "llava", "text_config": inner, "vision_config": {"hidden_size": 1024}})
    assert found.parameters == read(inner).parameters
    assert found.part == "text_config of llava"
    tied = read({"model_type": "llava", "text_config": inner, "tie_word_embeddings": True})
    assert tied.parameters == found.parameters - 101 * 64
    without = {key: value for key, value in inner.items() if key != "model_type"}
    message = refusal({"model_type": "llava", "text_config": without})
    assert message.startswith("c.json: model_type of text_config is missing: must be one of llama, ")
    message = refusal({"model_type": "llava", "text_config": {**inner, "vocab_size": 0}})
    assert message == "c.json: text_config: vocab_size = 0: must be a positive integer"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_local_experts", 8),
        ("num_experts_per_tok", 2),
        ("n_routed_experts", 64),
        ("moe_intermediate_size", 128),
        ("sliding_window", 4096),
        ("layer_types", ["sliding_attention"]),
        ("multi_query", True),
        ("new_decoder_architecture", True),
        ("parallel_attn", True),
        ("use_parallel_residual", True),
        ("alibi", True),
        ("qk_norm", True),
        ("use_qk_norm", True),
        ("qkv_bias", True),
        ("use_bias", True),
        ("kv_lora_rank", 512),
        ("cross_attention_layers", [3]),
        ("word_embed_proj_dim", 32),
        ("attn_logit_softcapping", 50.0),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("mamba_d_state", 16),
        ("some_future_gate", "on"),
    ],
)
def test_keys_that_change_shape_or_work_are_refused_by_name_where_they_do_not_belong(
    key: str, value: Any
) -> None:
    message = refusal({**LLAMA, key: value})
    assert message.startswith(f"c.json: {key} = {value!r}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_local_experts", None),
        ("sliding_window", None),
        ("multi_query", False),
        ("attention_dropout", 0.1),
        ("embd_pdrop", 0.1),
        ("bos_token_id", 1),
        ("eos_token_id", [1, 2]),
        ("initializer_range", 0.02),
        ("rms_norm_eps", 1e-5),
        ("torch_dtype", "bfloat16"),
        ("dtype", "float16"),
        ("rope_theta", 5e5),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("pretraining_tp", 2),
        ("use_cache", True),
        ("architectures", ["LlamaForCausalLM"]),
        ("_name_or_path", "somewhere"),
        ("_attn_implementation_autoset", True),
        ("summary_first_dropout", 0.1),
        ("layer_norm_epsilon", 1e-5),
        ("image_token_index", 7),
        ("transformers_version", "4.40.0"),
        ("quantization_config", {"bits": 4}),
    ],
)
def test_keys_without_effect_change_nothing(key: str, value: Any) -> None:
    assert read({**LLAMA, key: value}) == read(LLAMA)


def test_unknown_keys_without_a_word_of_shape_are_kept() -> None:
    assert read({**LLAMA, "favourite_colour": "blue"}).unknown == ("favourite_colour",)


def test_biases_of_llama_are_counted() -> None:
    """All of q, k, v and o, and of gate, up and down; the first were those of q, k and v only."""
    values = {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 11008,
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }
    plain = read(values).parameters
    attention = read({**values, "attention_bias": True})
    both = read({**values, "attention_bias": True, "mlp_bias": True})
    assert attention.parameters - plain == 32 * 4 * 4096
    assert both.parameters == 6_739_775_488
    assert both.bias_parameters == both.parameters - plain


@pytest.mark.parametrize(
    ("changes", "kv_heads", "norms", "parallel"),
    [
        ({}, 1, 1, True),
        ({"multi_query": False}, 8, 1, True),
        ({"new_decoder_architecture": True, "num_kv_heads": 4}, 4, 2, True),
        ({"new_decoder_architecture": True, "n_head_kv": 2, "num_ln_in_parallel_attn": 1}, 2, 1, True),
        ({"parallel_attn": False}, 1, 2, False),
    ],
)
def test_falcon_has_its_heads_and_norms(
    changes: dict[str, Any], kv_heads: int, norms: int, parallel: bool
) -> None:
    found = read({**FALCON, **changes})
    assert (found.kv_heads, found.norms, found.parallel) == (kv_heads, norms, parallel)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**FALCON, "n_head": 4}, "c.json: num_attention_heads = 8 and n_head = 4: must agree"),
        ({**LLAMA, "mlp_bias": "yes"}, "c.json: mlp_bias = 'yes': must be true or false"),
        ({**LLAMA, "hidden_act": 3}, "c.json: hidden_act = 3: must be a string"),
        ({**LLAMA, "rope_scaling": []}, "c.json: rope_scaling = []: must be an object"),
        (
            {**LLAMA, "partial_rotary_factor": "all"},
            "c.json: partial_rotary_factor = 'all': must be a number",
        ),
        ({**LLAMA, "partial_rotary_factor": 2.0}, "c.json: a head has 8 features, 16 of them rotary"),
        (
            {**LLAMA, "model_type": "gemma2", "layer_types": ["linear_attention"]},
            "c.json: layer_types = 'linear_attention': cannot be counted; must be sliding_attention or full_attention",
        ),
        (
            {**LLAMA, "model_type": "mixtral", "num_experts_per_tok": 9},
            "c.json: a token uses 9 experts, but there are 8",
        ),
        ({**LLAMA, "vocab_size": 10**10}, "c.json: vocab_size = 10000000000: must be at most 1,000,000,000"),
        (
            {**LLAMA, "num_hidden_layers": 10**6},
            "c.json: num_hidden_layers = 1000000: must be at most 100,000",
        ),
        (
            {**LLAMA, "rope_parameters": {"partial_rotary_factor": []}},
            "c.json: rope_parameters: partial_rotary_factor = []: must be a number",
        ),
        (
            {**LLAMA, "partial_rotary_factor": float("inf")},
            "c.json: partial_rotary_factor = inf: must be a number",
        ),
        (
            {**LLAMA, "model_type": "gemma2", "layer_types": ["full_attention"]},
            "c.json: layer_types = ['full_attention']: must have one entry for each of 3 layers",
        ),
        (
            {**LLAMA, "model_type": "phi3", "full_attn_mod": 2},
            "c.json: full_attn_mod = 2: cannot be counted; must be 1",
        ),
        (
            {**LLAMA, "model_type": "starcoder2", "mlp_type": "gated"},
            "c.json: mlp_type = 'gated': cannot be counted; must be 'default'",
        ),
        (
            {**LLAMA, "model_type": "qwen2_moe", "mlp_only_layers": 3},
            "c.json: mlp_only_layers = 3: must be a list of layers",
        ),
    ],
)
def test_values_that_cannot_be_used_are_refused_in_one_line(values: Any, message: str) -> None:
    assert refusal(values) == message


@pytest.mark.parametrize(
    ("kind", "changes", "window", "full"),
    [
        ("mistral", {}, 4096, ()),
        ("mistral", {"sliding_window": None}, None, ()),
        ("phi3", {}, None, ()),
        ("qwen2", {"sliding_window": 16}, None, ()),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}, 16, (0,)),
        ("qwen3_moe", {"sliding_window": 16, "use_sliding_window": True}, 16, ()),
        ("qwen2_moe", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 2}, 16, (1, 2)),
        ("gemma2", {}, 4096, (1,)),
        ("gemma2", {"layer_types": ["full_attention"] * 3}, None, ()),
        ("gemma2", {"layer_types": ["full_attention"] * 2 + ["sliding_attention"]}, 4096, (0, 1)),
        ("gemma3_text", {"sliding_window_pattern": 2}, 4096, (1,)),
        ("llama4_text", {"intermediate_size_mlp": 8, "no_rope_layers": [1, 0, 1]}, 8192, (1,)),
        ("llama4_text", {"intermediate_size_mlp": 8, "no_rope_layer_interval": 2}, 8192, (1,)),
    ],
)
def test_windows_follow_the_rule_of_the_family(
    kind: str, changes: dict[str, Any], window: int | None, full: tuple[int, ...]
) -> None:
    found = read({**LLAMA, "model_type": kind, **changes})
    assert (found.window, found.full_layers) == (window, full)
    assert found.window_layers == (0 if window is None else 3 - len(full))


@pytest.mark.parametrize(
    ("kind", "changes", "layers"),
    [
        ("mixtral", {}, [0, 1, 2]),
        ("qwen3_moe", {"decoder_sparse_step": 2}, [1]),
        ("qwen2_moe", {"mlp_only_layers": [0, 7]}, [1, 2]),
        ("qwen2_moe", {"mlp_only_layers": [0, 1, 2]}, []),
        ("llama4_text", {"intermediate_size_mlp": 8, "interleave_moe_layer_step": 2}, [1]),
        ("llama4_text", {"intermediate_size_mlp": 8, "moe_layers": [0, 2, 9]}, [0, 2]),
        ("deepseek_v3", {"num_key_value_heads": 8}, []),
        ("deepseek_v3", {"num_key_value_heads": 8, "first_k_dense_replace": 1, "moe_layer_freq": 2}, [2]),
        ("deepseek_v3", {"num_key_value_heads": 8, "first_k_dense_replace": 0, "n_routed_experts": None}, []),
        ("deepseek_v2", {"num_key_value_heads": 8, "n_routed_experts": None}, []),
    ],
)
def test_experts_are_in_the_layers_that_the_family_says(
    kind: str, changes: dict[str, Any], layers: list[int]
) -> None:
    found = read({**LLAMA, "model_type": kind, **changes})
    numbers = [number for kind in found.ffn_kinds if kind.layer.experts for number in sorted(kind.numbers)]
    assert numbers == layers
    assert found.expert_layers == len(layers)


@given(
    layers=st.integers(1, 12),
    first=st.integers(0, 12),
    experts=st.integers(1, 9),
    active=st.integers(1, 9),
    shared=st.integers(0, 3),
)
def test_experts_add_up_layer_by_layer(
    layers: int, first: int, experts: int, active: int, shared: int
) -> None:
    """DeepSeek's: the first layers are dense, and shared experts are as wide as so many routed ones."""
    active = min(active, experts)
    values = {
        "model_type": "deepseek_v2",
        "hidden_size": 12,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "vocab_size": 10,
        "kv_lora_rank": 5,
        "q_lora_rank": 7,
        "qk_nope_head_dim": 4,
        "qk_rope_head_dim": 2,
        "v_head_dim": 3,
        "n_routed_experts": experts,
        "n_shared_experts": shared,
        "num_experts_per_tok": active,
        "moe_intermediate_size": 6,
        "first_k_dense_replace": first,
    }
    queries = 12 * 7 + 7 + 7 * 2 * (4 + 2)
    attention = queries + 12 * (5 + 2) + 5 + 5 * 2 * (4 + 3) + 2 * 3 * 12
    sparse = max(0, layers - first)
    for used, counted in ((experts, "parameters"), (active, "active_parameters")):
        ffn = (layers - sparse) * 3 * 12 * 40 + sparse * ((used + shared) * 3 * 12 * 6 + experts * 12)
        total = 2 * 10 * 12 + 12 + layers * (attention + 2 * 12) + ffn
        assert getattr(read(values), counted) == total


def test_names_of_refused_values_are_short() -> None:
    message = refusal({**LLAMA, "cross_attention_layers": list(range(1000))})
    assert re.search(r"= \[0, 1, .*\.\.\.: may change", message)
    assert len(message) < 250


def test_the_page_of_models_names_the_families() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| .+ \| (yes|read and counted).* \|$", page, re.MULTILINE)
    named = {name: how for cell, how in rows for name in re.findall(r"`(\w+)`", cell)}
    assert set(named) == set(MODEL_TYPES)
    assert set(named.values()) == {"yes"}

"""Families with the keys of LLaMA: ``hidden_size``, ``num_key_value_heads``, ``intermediate_size``, ...

Each family is a row of a table. Defaults are those of its configuration class in ``transformers``, and biases, norms
and shapes those of its modeling file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chiplet.workload.families.config_keys import MOST_LAYERS, ConfigKeys
from chiplet.workload.families.mixtures import (
    deepseek_v2_experts,
    deepseek_v3_experts,
    gpt_oss_experts,
    llama4_experts,
    mixtral_experts,
    qwen2_experts,
    qwen3_experts,
)
from chiplet.workload.families.windows import WindowRule, read_window
from chiplet.workload.latent import LatentAttention

Bias = bool | tuple[str, bool]
"""Whether linears have biases: always or never, or the key that says so with its default."""

_ATTENTION_KEY = ("attention_bias", False)


@dataclass(frozen=True)
class Traits:
    """What makes a family: its defaults, and what its layers have.

    ``sizes`` are defaults of keys that published files of the family leave out; ``expected`` are keys with the only
    value that is counted, and ``uncounted`` numbers whose work is not.
    """

    kv_heads: int | None = None
    head_dim: int | None = None
    positions: int = 2048
    tied: bool = False
    activation: str = "silu"
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    gated: bool = True
    qkv_bias: Bias = _ATTENTION_KEY
    output_bias: Bias = _ATTENTION_KEY
    ffn_bias: Bias = False
    norms: int = 2
    norms_after: bool = False
    qk_norm: Literal["none", "heads", "features", "unweighted"] = "none"
    windows: WindowRule = "none"
    window: int | None = None
    sinks: bool = False
    experts: Callable[[ConfigKeys, int], dict[str, Any]] | None = None
    dense_ffn: str = "intermediate_size"
    latent: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    uncounted: Mapping[str, float] = field(default_factory=dict)


_QWEN2 = Traits(
    kv_heads=32,
    positions=32768,
    qkv_bias=True,
    output_bias=False,
    windows="switched-upper",
    window=4096,
)
_GEMMA = Traits(kv_heads=16, head_dim=256, positions=8192, tied=True, activation="gelu_pytorch_tanh")
_CAPPED = {"attn_logit_softcapping": 0.0, "final_logit_softcapping": 0.0}

TRAITS: dict[str, Traits] = {
    "llama": Traits(ffn_bias=("mlp_bias", False)),
    "mistral": Traits(
        kv_heads=8, positions=131072, qkv_bias=False, output_bias=False, windows="all", window=4096
    ),
    "mixtral": Traits(
        kv_heads=8,
        positions=131072,
        qkv_bias=False,
        output_bias=False,
        windows="all",
        experts=mixtral_experts,
    ),
    "qwen2": _QWEN2,
    "qwen3": Traits(
        kv_heads=32,
        head_dim=128,
        positions=32768,
        qk_norm="heads",
        windows="switched-upper",
        window=4096,
    ),
    "qwen2_moe": Traits(
        kv_heads=16,
        positions=32768,
        qkv_bias=("qkv_bias", True),
        output_bias=False,
        windows="switched-even",
        window=4096,
        experts=qwen2_experts,
    ),
    "qwen3_moe": Traits(
        kv_heads=4,
        positions=32768,
        qk_norm="heads",
        windows="switched",
        window=4096,
        experts=qwen3_experts,
    ),
    "gemma": _GEMMA,
    "gemma2": Traits(
        kv_heads=4,
        head_dim=256,
        positions=8192,
        tied=True,
        activation="gelu_pytorch_tanh",
        norms=4,
        norms_after=True,
        windows="even",
        window=4096,
        uncounted={"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    ),
    "gemma3_text": Traits(
        kv_heads=4,
        head_dim=256,
        positions=131072,
        tied=True,
        activation="gelu_pytorch_tanh",
        norms=4,
        norms_after=True,
        qk_norm="heads",
        windows="pattern",
        window=4096,
        sizes={
            "vocab_size": 262208,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
        },
        uncounted=_CAPPED,
    ),
    "phi3": Traits(
        positions=4096,
        qkv_bias=False,
        output_bias=False,
        windows="all",
        expected={"full_attn_mod": (1,), "interpolate_factor": (1,)},
    ),
    "granite": Traits(
        ffn_bias=("mlp_bias", False),
        uncounted={
            "embedding_multiplier": 1.0,
            "logits_scaling": 1.0,
            "residual_multiplier": 1.0,
            "attention_multiplier": 1.0,
        },
    ),
    "olmo2": Traits(norms_after=True, qk_norm="features"),
    "starcoder2": Traits(
        kv_heads=2,
        positions=4096,
        tied=True,
        activation="gelu_pytorch_tanh",
        norm="layernorm",
        gated=False,
        qkv_bias=("use_bias", True),
        output_bias=("use_bias", True),
        ffn_bias=("use_bias", True),
        windows="all",
        expected={"mlp_type": ("default",), "norm_type": ("layer_norm",)},
    ),
    "gpt_oss": Traits(
        kv_heads=8,
        head_dim=64,
        positions=131072,
        qkv_bias=("attention_bias", True),
        output_bias=("attention_bias", True),
        windows="even",
        window=128,
        sinks=True,
        experts=gpt_oss_experts,
    ),
    "llama4_text": Traits(
        kv_heads=8,
        head_dim=128,
        positions=131072,
        qk_norm="unweighted",
        windows="chunks",
        window=8192,
        experts=llama4_experts,
        dense_ffn="intermediate_size_mlp",
        sizes={
            "vocab_size": 202048,
            "hidden_size": 5120,
            "intermediate_size_mlp": 16384,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
        },
    ),
    "deepseek_v2": Traits(latent=True, experts=deepseek_v2_experts),
    "deepseek_v3": Traits(
        positions=4096,
        latent=True,
        experts=deepseek_v3_experts,
        uncounted={"num_nextn_predict_layers": 0.0},
    ),
}
"""Families by ``model_type``."""


def read_llama_like(keys: ConfigKeys, traits: Traits) -> dict[str, Any]:
    """Fields of :class:`chiplet.workload.llm.Llm` for a family with ``traits``.

    Raises
    ------
    ValueError
        In one line, for keys that are missing, of the wrong type, or not to be counted.
    """
    sizes = traits.sizes
    hidden = keys.size("hidden_size", default=sizes.get("hidden_size"))
    heads = keys.size("num_attention_heads", default=sizes.get("num_attention_heads"))
    layers = keys.size("num_hidden_layers", default=sizes.get("num_hidden_layers"), most=MOST_LAYERS)
    for key, allowed in traits.expected.items():
        keys.expect(key, *allowed)
    fields: dict[str, Any] = {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "ffn": keys.size(traits.dense_ffn, default=sizes.get(traits.dense_ffn)),
        "gated": traits.gated,
        "activation": keys.text(
            "hidden_activation", "hidden_act", "activation_function", default=traits.activation
        ),
        "vocab": keys.size("vocab_size", default=sizes.get("vocab_size")),
        "norm": traits.norm,
        "norms": traits.norms,
        "norms_after": traits.norms_after,
        "ffn_bias": _bias(keys, traits.ffn_bias),
        "sinks": traits.sinks,
        "max_positions": keys.size("max_position_embeddings", default=traits.positions),
        "tied": keys.flag("tie_word_embeddings", traits.tied),
        "uncounted": tuple(
            (key, value)
            for key, default in traits.uncounted.items()
            if (value := keys.amount(key, default)) != _NOTHING.get(key, 0.0)
        ),
    }
    fields |= read_window(keys, layers, traits.windows, traits.window)
    if traits.experts is not None:
        fields |= traits.experts(keys, layers)
    return fields | (_latent(keys, heads) if traits.latent else _heads(keys, traits, hidden, heads))


_NOTHING = {
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
}
"""Values of uncounted keys that make no work, where that is not 0."""


def _heads(keys: ConfigKeys, traits: Traits, hidden: int, heads: int) -> dict[str, Any]:
    """Fields of attention with query, key and value heads."""
    kv_heads = keys.optional("num_key_value_heads", traits.kv_heads) or heads
    keys.divided("num_attention_heads / num_key_value_heads", heads, kv_heads)
    head_dim = keys.optional("head_dim", traits.head_dim) or keys.divided(
        "hidden_size / num_attention_heads", hidden, heads
    )
    qk_norm = traits.qk_norm
    if qk_norm == "unweighted" and not keys.flag("use_qk_norm", True):
        qk_norm = "none"
    return {
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "rotary": rotary_features(keys, head_dim, 1.0),
        "qkv_bias": _bias(keys, traits.qkv_bias),
        "output_bias": _bias(keys, traits.output_bias),
        "qk_norm": qk_norm,
    }


def _latent(keys: ConfigKeys, heads: int) -> dict[str, Any]:
    """Fields of multi-head latent attention, in which every head has keys and values of its own."""
    keys.size("num_key_value_heads", "num_attention_heads", default=heads)
    keys.expect("mlp_bias", False)
    keys.optional("head_dim", None)  # that of the rotary features, or of both
    keys.optional("qk_head_dim", None)
    latent = LatentAttention(
        query_rank=keys.optional("q_lora_rank", 1536) or 0,
        value_rank=keys.size("kv_lora_rank", default=512),
        fixed_dim=keys.size("qk_nope_head_dim", default=128),
        rotary_dim=keys.size("qk_rope_head_dim", default=64),
        value_dim=keys.size("v_head_dim", default=128),
        bias=keys.flag("attention_bias", False),
    )
    head_dim = latent.fixed_dim + latent.rotary_dim
    return {"kv_heads": heads, "head_dim": head_dim, "rotary": latent.rotary_dim, "latent": latent}


def rotary_features(keys: ConfigKeys, head_dim: int, default: float, *names: str) -> int:
    """Features of a head that have rotary positions, of ``head_dim``: a share, ``default`` where the file has none."""
    share = default
    for section in ("rope_scaling", "rope_parameters"):
        share = ConfigKeys(keys.section(section), keys.place(section)).number("partial_rotary_factor", share)
    for name in ("partial_rotary_factor", *names):
        share = keys.number(name, share)
    return int(head_dim * share)


def _bias(keys: ConfigKeys, bias: Bias) -> bool:
    return bias if isinstance(bias, bool) else keys.flag(*bias)

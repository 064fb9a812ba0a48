"""Families that descend from GPT-2 and GPT-NeoX, each with keys of its own: no gate, LayerNorm, often biases.

Defaults are those of the configuration classes of ``transformers``, shapes those of the modeling files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chiplet.workload.families.config_keys import MOST_LAYERS, ConfigKeys
from chiplet.workload.families.llama_like import rotary_features


def _gpt2(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "n_embd", "n_layer", "n_head")
    positions = keys.size("n_positions", default=1024)
    return fields | {
        "ffn": keys.size("n_inner", default=4 * fields["hidden"]),
        "activation": keys.text("activation_function", default="gelu_new"),
        "qkv_bias": True,
        "output_bias": True,
        "ffn_bias": True,
        "learned_positions": positions,
        "rotary": 0,
        "max_positions": positions,
        "tied": keys.flag("tie_word_embeddings", True),
    }


def _gptj(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "n_embd", "n_layer", "n_head")
    return fields | {
        "ffn": keys.size("n_inner", default=4 * fields["hidden"]),
        "activation": keys.text("activation_function", default="gelu_new"),
        "ffn_bias": True,
        "head_bias": True,
        "norms": 1,
        "parallel": True,
        "rotary": keys.optional("rotary_dim", 64) or fields["head_dim"],
        "max_positions": keys.size("n_positions", default=2048),
        "tied": keys.flag("tie_word_embeddings", False),
    }


def _gpt_neox(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "hidden_size", "num_hidden_layers", "num_attention_heads")
    bias = keys.flag("attention_bias", True)
    return fields | {
        "ffn": keys.size("intermediate_size"),
        "activation": keys.text("hidden_act", default="gelu"),
        "qkv_bias": bias,
        "output_bias": bias,
        "ffn_bias": True,
        "parallel": keys.flag("use_parallel_residual", True),
        "rotary": rotary_features(keys, fields["head_dim"], 0.25, "rotary_pct"),
        "max_positions": keys.size("max_position_embeddings", default=2048),
        "tied": keys.flag("tie_word_embeddings", False),
    }


def _falcon(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "hidden_size n_embed", "num_hidden_layers n_layer", "num_attention_heads n_head")
    newer, parallel = keys.flag("new_decoder_architecture", False), keys.flag("parallel_attn", True)
    several = keys.size("num_kv_heads", "n_head_kv", default=fields["heads"])
    one = keys.flag("multi_query", True) and not newer
    kv_heads = 1 if one else several if newer else fields["heads"]
    keys.divided("num_attention_heads / num_kv_heads", fields["heads"], kv_heads)
    norms = keys.size("num_ln_in_parallel_attn", default=2 if newer else 1)
    alibi, bias = keys.flag("alibi", False), keys.flag("bias", False)
    return fields | {
        "kv_heads": kv_heads,
        "ffn": keys.size("ffn_hidden_size", default=4 * fields["hidden"]),
        "activation": keys.text("activation", default="gelu"),
        "qkv_bias": bias,
        "output_bias": bias,
        "ffn_bias": bias,
        "norms": norms if parallel else 2,
        "parallel": parallel,
        "rotary": 0 if alibi else fields["head_dim"],
        "linear_positions": alibi,
        "max_positions": keys.size("max_position_embeddings", default=2048),
        "tied": keys.flag("tie_word_embeddings", True),
    }


def _opt(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "hidden_size d_model", "num_hidden_layers", "num_attention_heads")
    keys.expect("layer_norm_elementwise_affine", True)
    first = keys.flag("do_layer_norm_before", True)
    bias = keys.flag("enable_bias", True)
    positions = keys.size("max_position_embeddings", default=2048)
    return fields | {
        "ffn": keys.size("ffn_dim"),
        "activation": keys.text("activation_function", default="relu"),
        "qkv_bias": bias,
        "output_bias": bias,
        "ffn_bias": bias,
        "norms_after": not first,
        "final_norm": first and not keys.flag("_remove_final_layer_norm", False),
        "embedding_features": keys.size("word_embed_proj_dim", default=fields["hidden"]),
        "learned_positions": positions + 2,  # the first two rows belong to padding
        "rotary": 0,
        "max_positions": positions,
        "tied": keys.flag("tie_word_embeddings", True),
    }


def _bloom(keys: ConfigKeys) -> dict[str, Any]:
    fields = _sizes(keys, "hidden_size n_embed", "n_layer num_hidden_layers", "n_head num_attention_heads")
    return fields | {
        "ffn": keys.size("n_inner", default=4 * fields["hidden"]),
        "activation": "gelu",
        "qkv_bias": True,
        "output_bias": True,
        "ffn_bias": True,
        "embedding_norm": True,
        "rotary": 0,
        "linear_positions": True,
        "max_positions": keys.size("seq_length", default=2048),
        "tied": keys.flag("tie_word_embeddings", True),
    }


def _sizes(keys: ConfigKeys, hidden: str, layers: str, heads: str) -> dict[str, Any]:
    """Fields that all have, under the keys ``hidden``, ``layers`` and ``heads``, each with its other names."""
    features, count = keys.size(*hidden.split()), keys.size(*heads.split())
    what = f"{hidden.split()[0]} / {heads.split()[0]}"
    return {
        "layers": keys.size(*layers.split(), most=MOST_LAYERS),
        "hidden": features,
        "heads": count,
        "kv_heads": count,
        "head_dim": keys.divided(what, features, count),
        "gated": False,
        "vocab": keys.size("vocab_size"),
        "norm": "layernorm",
    }


GPT_LIKE: dict[str, Callable[[ConfigKeys], dict[str, Any]]] = {
    "gpt2": _gpt2,
    "gptj": _gptj,
    "gpt_neox": _gpt_neox,
    "falcon": _falcon,
    "opt": _opt,
    "bloom": _bloom,
}
"""Readers by ``model_type``."""

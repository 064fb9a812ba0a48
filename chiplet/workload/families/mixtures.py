"""Experts in the keys of each family that has them."""

from __future__ import annotations

from typing import Any

from chiplet.workload.experts import Experts
from chiplet.workload.families.config_keys import ConfigKeys


def mixtral_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every layer has experts of ``intermediate_size``."""
    return _experts(
        layers=layers,
        count=keys.size("num_local_experts", "num_experts", default=8),
        active=keys.size("num_experts_per_tok", default=2),
        ffn=keys.size("intermediate_size"),
    )


def gpt_oss_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every layer has experts with biases, and a bias where tokens choose theirs."""
    return _experts(
        layers=layers,
        count=keys.size("num_local_experts", "num_experts", default=128),
        active=keys.size("num_experts_per_tok", "experts_per_token", default=4),
        ffn=keys.size("intermediate_size"),
        bias=True,
        choice_bias=True,
    )


def qwen2_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every ``decoder_sparse_step``-th layer but ``mlp_only_layers`` has experts, and one shared expert with a gate."""
    return _experts(
        layers=_sparse_layers(keys, layers),
        count=keys.size("num_experts", default=60),
        active=keys.size("num_experts_per_tok", default=4),
        ffn=keys.size("moe_intermediate_size", default=1408),
        shared=keys.count("shared_expert_intermediate_size", default=5632),
        shared_gate=True,
    )


def qwen3_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """As Qwen2's, without a shared expert."""
    return _experts(
        layers=_sparse_layers(keys, layers),
        count=keys.size("num_experts", "num_local_experts", default=128),
        active=keys.size("num_experts_per_tok", default=8),
        ffn=keys.size("moe_intermediate_size", default=768),
    )


def deepseek_v2_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """All layers but the first ones have routed and shared experts of ``moe_intermediate_size``."""
    return _deepseek(keys, layers, count=64, active=None, ffn=1407, shared=2, first=0, choice_bias=False)


def deepseek_v3_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """As DeepSeek-V2's, with a bias that keeps the experts in balance."""
    return _deepseek(keys, layers, count=256, active=8, ffn=2048, shared=1, first=3, choice_bias=True)


def llama4_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """The layers ``moe_layers``, or every n-th, have experts and a shared one of ``intermediate_size``."""
    ffn = keys.size("intermediate_size", default=8192)
    each = keys.size("interleave_moe_layer_step", default=1)
    chosen = keys.entries("moe_layers", int, "layers")
    return _experts(
        layers=layers // each if chosen is None else len(set(chosen) & set(range(layers))),
        count=keys.size("num_local_experts", "num_experts", default=16),
        active=keys.size("num_experts_per_tok", default=1),
        ffn=ffn,
        shared=ffn,
    )


def _deepseek(
    keys: ConfigKeys,
    layers: int,
    *,
    count: int,
    active: int | None,
    ffn: int,
    shared: int,
    first: int,
    choice_bias: bool,
) -> dict[str, Any]:
    first = keys.count("first_k_dense_replace", default=first)
    each = keys.size("moe_layer_freq", default=1)
    inner = keys.size("moe_intermediate_size", default=ffn)
    sparse = sum(layer >= first and layer % each == 0 for layer in range(layers))
    routed = keys.optional("n_routed_experts", count)
    return _experts(
        layers=0 if routed is None else sparse,
        count=routed,
        active=keys.size("num_experts_per_tok", default=active),
        ffn=inner,
        shared=inner * keys.count("n_shared_experts", default=shared),
        choice_bias=choice_bias,
    )


def _sparse_layers(keys: ConfigKeys, layers: int) -> int:
    step = keys.size("decoder_sparse_step", default=1)
    dense = keys.entries("mlp_only_layers", int, "layers") or []
    return sum((layer + 1) % step == 0 and layer not in dense for layer in range(layers))


def _experts(*, layers: int, **values: Any) -> dict[str, Any]:
    """The field ``experts`` of a model, or nothing if no layer has any."""
    return {"experts": Experts(layers=layers, **values)} if layers else {}

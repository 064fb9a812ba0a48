"""Experts in the keys of each family that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chiplet.workload.experts import Experts
from chiplet.workload.families.config_keys import ConfigKeys


def mixtral_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every layer has experts of ``intermediate_size``."""
    return _experts(
        with_experts=[True] * layers,
        count=keys.size("num_local_experts", "num_experts", default=8),
        active=keys.size("num_experts_per_tok", default=2),
        ffn=keys.size("intermediate_size"),
    )


def gpt_oss_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every layer has experts with biases, and a bias where tokens choose theirs."""
    return _experts(
        with_experts=[True] * layers,
        count=keys.size("num_local_experts", "num_experts", default=128),
        active=keys.size("num_experts_per_tok", "experts_per_token", default=4),
        ffn=keys.size("intermediate_size"),
        bias=True,
        choice_bias=True,
    )


def qwen2_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """Every ``decoder_sparse_step``-th layer but ``mlp_only_layers`` has experts, and one shared expert with a gate."""
    return _experts(
        with_experts=_sparse_layers(keys, layers),
        count=keys.size("num_experts", default=60),
        active=keys.size("num_experts_per_tok", default=4),
        ffn=keys.size("moe_intermediate_size", default=1408),
        shared=keys.count("shared_expert_intermediate_size", default=5632),
        shared_gate=True,
    )


def qwen3_experts(keys: ConfigKeys, layers: int) -> dict[str, Any]:
    """As Qwen2's, without a shared expert."""
    return _experts(
        with_experts=_sparse_layers(keys, layers),
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
        with_experts=[
            (number + 1) % each == 0 if chosen is None else number in chosen for number in range(layers)
        ],
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
    routed = keys.optional("n_routed_experts", count)
    return _experts(
        with_experts=[
            routed is not None and number >= first and number % each == 0 for number in range(layers)
        ],
        count=routed,
        active=keys.size("num_experts_per_tok", default=1 if routed is None else active),
        ffn=inner,
        shared=inner * keys.count("n_shared_experts", default=shared),
        choice_bias=choice_bias,
    )


def _sparse_layers(keys: ConfigKeys, layers: int) -> list[bool]:
    step = keys.size("decoder_sparse_step", default=1)
    dense = set(keys.entries("mlp_only_layers", int, "layers") or [])
    return [(number + 1) % step == 0 and number not in dense for number in range(layers)]


def _experts(*, with_experts: Sequence[bool], **values: Any) -> dict[str, Any]:
    """The fields ``experts`` and ``dense_layers`` of a model, or nothing if no layer has any."""
    if not any(with_experts):
        return {}
    dense = tuple(number for number, there in enumerate(with_experts) if not there)
    return {"experts": Experts(**values), "dense_layers": dense}

"""Keys of a ``config.json`` that need no reader: those without effect on shape and work, and how others are told.

Names are those of the configuration classes of ``transformers``, and of files that were published with models.
"""

from __future__ import annotations

import re
from typing import Any

_WITHOUT_EFFECT = """
    _commit_hash _flash_attn_2_enabled _name_or_path architectures
    attn_implementation attn_scale attn_temperature_tuning auto_map aux_loss_alpha bad_words_ids begin_suppress_tokens
    bias_dropout_fusion cache_implementation chat_template chunk_size_feed_forward custom_pipelines diversity_penalty
    do_sample dtype early_stopping emb_pdrop ep_size exponential_decay_length_penalty finetuning_task floor_scale
    for_image_classification forced_bos_token_id forced_eos_token_id freq_penalty fused_qkv gradient_checkpointing
    id2label init_std initial_context_length initializer_factor initializer_range interpolation_factor is_decoder
    keys_to_ignore_at_inference label2id length_penalty license masked_softmax_fusion max_length max_window_layers
    min_length model_max_length model_type n_group n_ctx no_repeat_ngram_size norm_topk_prob num_beam_groups num_beams
    num_labels num_return_sequences offset_alibi original_max_position_embeddings output_attentions
    output_hidden_states output_router_logits output_scores pad_token_id prefix pretraining_tp
    problem_type quantization_config query_pre_attn_scalar remove_invalid_values reorder_and_upcast_attn
    repetition_penalty return_dict return_dict_in_generate rope_interleave rope_local_base_freq rope_parameters
    rope_scaling rope_theta rotary rotary_base rotary_emb_base rotary_emb_scale_base routed_scaling_factor
    router_aux_loss_coef router_jitter_noise scale_attention_softmax_in_fp32 scale_attn_by_inverse_layer_idx
    scale_attn_weights scoring_func sep_token_id seq_aux skip_bias_add skip_bias_add_qkv slow_but_exact
    static_ntk_scale suppress_tokens swiglu_alpha swiglu_limit task_specific_params temperature tf_legacy_loss
    tie_encoder_decoder tokenizer_class top_k top_p topk_group topk_method torch_dtype torchscript
    transformers_version typical_p unsloth_fixed unsloth_version use_bfloat16 use_bidirectional_attention use_cache
    use_flash_attn vocab_file
"""
"""Dropout, token ids, epsilons and ``summary_`` keys are told by their names: :func:`has_no_effect`."""

_HARMLESS_NAME = re.compile(
    r"^(_attn_implementation|summary_|layerdrop$|attention_softmax_in_fp32$)|dropout|_pdrop$|_(eps|epsilon)$"
    r"|(_|^)token_(id|ids|index)$"
)

_SHAPE_WORDS = """
    act activation adapter adapters affine alibi architecture attention attn bias block blocks chunk conv cross d
    decoder depth dim dims embd embed embedding embeddings encoder expert experts factor features ffn freq gate gated
    glu head heads hidden inner intermediate interval key kv layer layernorm layers ln local lora mamba mixture mlp moe
    n norm num parallel parameters pattern position positions pruned qk qkv query rank recurrent residual router shared
    size sliding sparse ssm state step tie tied type types value vocab width window
"""
"""Words in the names of keys that speak of shape or work."""


def has_no_effect(key: str) -> bool:
    """Whether ``key`` is known to change neither the shape of a model nor its work."""
    return key in _WITHOUT_EFFECT.split() or _HARMLESS_NAME.search(key) is not None


def is_off(value: Any) -> bool:
    """Whether ``value`` switches a key off: null, false, zero, or empty."""
    return not value


def speaks_of_shape(key: str) -> bool:
    """Whether the name of ``key`` has a word that speaks of shape or work, as ``num_local_experts`` does."""
    return not set(_SHAPE_WORDS.split()).isdisjoint(re.split(r"[_\W\d]+", key.lower()))

"""Configurations that were published with models, without the keys that change neither shape nor work, and their sizes.

``parameters`` are exact. Where they come from: "published" is a count that stands in the project's requirements or in
the model's publication, "safetensors metadata" the total on the model's page, which counts what is stored, and
"reference's tensor shapes" is our own sum over the tensors of the modeling file in ``transformers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["published", "safetensors metadata", "reference's tensor shapes"]


@dataclass(frozen=True)
class PublishedModel:
    """A model of the Hugging Face hub. ``active`` is None where every token uses all parameters."""

    hub_id: str
    config: dict[str, Any]
    parameters: int
    source: Source
    active: int | None = None


def _sizes(hidden: int, layers: int, heads: int, ffn: int, vocab: int, positions: int) -> dict[str, Any]:
    """The keys that LLaMA-like files share."""
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
    }


def _llama(kind: str, *sizes: int, **more: Any) -> dict[str, Any]:
    return {"model_type": kind, **_sizes(*sizes), **more}


COUNTED: Source = "reference's tensor shapes"

PUBLISHED = (
    PublishedModel(
        "meta-llama/Llama-2-7b-hf",
        _llama("llama", 4096, 32, 32, 11008, 32000, 4096, num_key_value_heads=32, hidden_act="silu"),
        6_738_415_616,
        "safetensors metadata",
    ),
    PublishedModel(
        "meta-llama/Llama-3.1-8B",
        _llama(
            "llama", 4096, 32, 32, 14336, 128256, 131072, num_key_value_heads=8, mlp_bias=False,
            attention_bias=False, rope_theta=500000.0, rope_scaling={"rope_type": "llama3", "factor": 8.0},
        ),
        8_030_261_248,
        "safetensors metadata",
    ),
    PublishedModel(
        "meta-llama/Llama-3.2-1B",
        _llama(
            "llama", 2048, 16, 32, 8192, 128256, 131072, num_key_value_heads=8, head_dim=64,
            tie_word_embeddings=True,
        ),
        1_235_814_400,
        "safetensors metadata",
    ),
    PublishedModel(
        "mistralai/Mistral-7B-v0.1",
        _llama("mistral", 4096, 32, 32, 14336, 32000, 32768, num_key_value_heads=8, sliding_window=4096),
        7_241_732_096,
        "published",
    ),
    PublishedModel(
        "mistralai/Mistral-Nemo-Base-2407",
        _llama(
            "mistral", 5120, 40, 32, 14336, 131072, 128000, num_key_value_heads=8, head_dim=128,
            sliding_window=None,
        ),
        12_247_782_400,
        COUNTED,
    ),
    PublishedModel(
        "mistralai/Mixtral-8x7B-v0.1",
        _llama(
            "mixtral", 4096, 32, 32, 14336, 32000, 32768, num_key_value_heads=8, num_local_experts=8,
            num_experts_per_tok=2, sliding_window=None, router_aux_loss_coef=0.02, output_router_logits=False,
        ),
        46_702_792_704,
        "published",
        active=12_879_925_248,
    ),
    PublishedModel(
        "Qwen/Qwen2.5-7B",
        _llama(
            "qwen2", 3584, 28, 28, 18944, 152064, 131072, num_key_value_heads=4, use_sliding_window=False,
            sliding_window=131072, max_window_layers=28, use_mrope=False,
        ),
        7_615_616_512,
        COUNTED,
    ),
    PublishedModel(
        "Qwen/Qwen2.5-0.5B",
        _llama(
            "qwen2", 896, 24, 14, 4864, 151936, 32768, num_key_value_heads=2, tie_word_embeddings=True,
            use_sliding_window=False, sliding_window=32768, max_window_layers=24,
        ),
        494_032_768,
        COUNTED,
    ),
    PublishedModel(
        "Qwen/Qwen3-8B",
        _llama(
            "qwen3", 4096, 36, 32, 12288, 151936, 40960, num_key_value_heads=8, head_dim=128,
            attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=36,
        ),
        8_190_735_360,
        "published",
    ),
    PublishedModel(
        "Qwen/Qwen3-0.6B",
        _llama(
            "qwen3", 1024, 28, 16, 3072, 151936, 40960, num_key_value_heads=8, head_dim=128,
            tie_word_embeddings=True,
        ),
        596_049_920,
        COUNTED,
    ),
    PublishedModel(
        "Qwen/Qwen1.5-MoE-A2.7B",
        _llama(
            "qwen2_moe", 2048, 24, 16, 5632, 151936, 8192, num_key_value_heads=16, decoder_sparse_step=1,
            moe_intermediate_size=1408, shared_expert_intermediate_size=5632, num_experts_per_tok=4,
            num_experts=60, norm_topk_prob=False, use_sliding_window=False, sliding_window=32768,
            max_window_layers=21,
        ),
        14_315_784_192,
        COUNTED,
        active=2_689_157_120,
    ),
    PublishedModel(
        "Qwen/Qwen3-30B-A3B",
        _llama(
            "qwen3_moe", 2048, 48, 32, 6144, 151936, 40960, num_key_value_heads=4, head_dim=128,
            decoder_sparse_step=1, moe_intermediate_size=768, num_experts_per_tok=8, num_experts=128,
            norm_topk_prob=True, mlp_only_layers=[], max_window_layers=48, sliding_window=None,
        ),
        30_532_122_624,
        COUNTED,
        active=3_353_032_704,
    ),
    PublishedModel(
        "google/gemma-2b",
        _llama(
            "gemma", 2048, 18, 8, 16384, 256000, 8192, num_key_value_heads=1, head_dim=256,
            hidden_act="gelu", hidden_activation="gelu_pytorch_tanh",
        ),
        2_506_172_416,
        COUNTED,
    ),
    PublishedModel(
        "google/gemma-2-9b",
        _llama(
            "gemma2", 3584, 42, 16, 14336, 256000, 8192, num_key_value_heads=8, head_dim=256,
            sliding_window=4096, query_pre_attn_scalar=256, attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0, cache_implementation="hybrid",
        ),
        9_241_705_984,
        COUNTED,
    ),
    PublishedModel(
        "google/gemma-3-1b-pt",
        _llama(
            "gemma3_text", 1152, 26, 4, 6912, 262144, 32768, num_key_value_heads=1, head_dim=256,
            sliding_window=512, sliding_window_pattern=6, query_pre_attn_scalar=256,
            attn_logit_softcapping=None, final_logit_softcapping=None, rope_local_base_freq=10000,
        ),
        999_885_952,
        COUNTED,
    ),
    PublishedModel(
        "google/gemma-3-4b-pt",
        {
            "model_type": "gemma3",
            "mm_tokens_per_image": 256,
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "sliding_window": 1024,
            },
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152},
        },
        3_880_263_168,
        COUNTED,
    ),
    PublishedModel(
        "microsoft/Phi-3-mini-4k-instruct",
        _llama(
            "phi3", 3072, 32, 32, 8192, 32064, 4096, num_key_value_heads=32, sliding_window=2047,
            resid_pdrop=0.0, embd_pdrop=0.0, original_max_position_embeddings=4096,
        ),
        3_821_079_552,
        COUNTED,
    ),
    PublishedModel(
        "microsoft/phi-4",
        _llama(
            "phi3", 5120, 40, 40, 17920, 100352, 16384, num_key_value_heads=10, sliding_window=None,
            attention_bias=False, rope_theta=250000,
        ),
        14_659_507_200,
        COUNTED,
    ),
    PublishedModel(
        "openai-community/gpt2",
        {
            "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_ctx": 1024, "n_positions": 1024,
            "vocab_size": 50257, "activation_function": "gelu_new", "summary_type": "cls_index",
        },
        124_439_808,
        "published",
    ),
    PublishedModel(
        "EleutherAI/gpt-neox-20b",
        {
            "model_type": "gpt_neox", **_sizes(6144, 44, 64, 24576, 50432, 2048), "hidden_act": "gelu_fast",
            "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True,
        },
        20_554_567_680,
        COUNTED,
    ),
    PublishedModel(
        "EleutherAI/gpt-j-6b",
        {
            "model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_inner": None,
            "n_positions": 2048, "vocab_size": 50400, "rotary": True, "rotary_dim": 64,
            "tie_word_embeddings": False,
        },
        6_050_882_784,
        COUNTED,
    ),
    PublishedModel(
        "tiiuae/falcon-7b",
        {
            "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
            "vocab_size": 65024, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True,
            "alibi": False, "bias": False, "apply_residual_connection_post_layernorm": False,
        },
        6_921_720_704,
        COUNTED,
    ),
    PublishedModel(
        "tiiuae/falcon-40b",
        {
            "model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
            "num_kv_heads": 8, "vocab_size": 65024, "new_decoder_architecture": True, "parallel_attn": True,
            "alibi": False, "bias": False,
        },
        41_303_293_952,
        COUNTED,
    ),
    PublishedModel(
        "tiiuae/falcon-rw-1b",
        {
            "model_type": "falcon", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32,
            "vocab_size": 50304, "multi_query": False, "new_decoder_architecture": False,
            "parallel_attn": False, "alibi": True, "bias": True,
        },
        1_311_625_216,
        COUNTED,
    ),
    PublishedModel(
        "facebook/opt-125m",
        {
            "model_type": "opt", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
            "ffn_dim": 3072, "vocab_size": 50272, "max_position_embeddings": 2048, "word_embed_proj_dim": 768,
            "do_layer_norm_before": True, "_remove_final_layer_norm": False, "activation_function": "relu",
        },
        125_239_296,
        COUNTED,
    ),
    PublishedModel(
        "facebook/opt-350m",
        {
            "model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
            "ffn_dim": 4096, "vocab_size": 50272, "max_position_embeddings": 2048, "word_embed_proj_dim": 512,
            "do_layer_norm_before": False, "_remove_final_layer_norm": False,
        },
        331_196_416,
        COUNTED,
    ),
    PublishedModel(
        "bigscience/bloom-560m",
        {
            "model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
            "vocab_size": 250880, "offset_alibi": 100, "seq_length": 2048, "skip_bias_add": True,
            "attention_softmax_in_fp32": True, "masked_softmax_fusion": True,
        },
        559_214_592,
        COUNTED,
    ),
    PublishedModel(
        "bigscience/bloom",
        {
            "model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112,
            "vocab_size": 250880, "seq_length": 2048,
        },
        176_247_271_424,
        COUNTED,
    ),
    PublishedModel(
        "bigcode/starcoder2-3b",
        _llama(
            "starcoder2", 3072, 30, 24, 12288, 49152, 16384, num_key_value_heads=2, use_bias=True,
            sliding_window=4096, mlp_type="default", norm_type="layer_norm", hidden_act="gelu_pytorch_tanh",
            activation_function="gelu",
        ),
        3_030_371_328,
        COUNTED,
    ),
    PublishedModel(
        "ibm-granite/granite-3.1-8b-base",
        _llama(
            "granite", 4096, 40, 32, 12800, 49152, 131072, num_key_value_heads=8, attention_bias=False,
            mlp_bias=False, attention_multiplier=0.0078125, embedding_multiplier=12.0, logits_scaling=16.0,
            residual_multiplier=0.22, tie_word_embeddings=True,
        ),
        8_170_835_968,
        COUNTED,
    ),
    PublishedModel(
        "allenai/OLMo-2-1124-7B",
        _llama("olmo2", 4096, 32, 32, 11008, 100352, 4096, num_key_value_heads=32, attention_bias=False),
        7_298_617_344,
        "safetensors metadata",
    ),
    PublishedModel(
        "deepseek-ai/DeepSeek-V2-Lite",
        _llama(
            "deepseek_v2", 2048, 27, 16, 10944, 102400, 163840, num_key_value_heads=16, q_lora_rank=None,
            kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=64,
            n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1408, moe_layer_freq=1,
            first_k_dense_replace=1, n_group=1, topk_group=1, topk_method="greedy", scoring_func="softmax",
            aux_loss_alpha=0.001, seq_aux=True, routed_scaling_factor=1.0,
        ),
        15_706_484_224,
        COUNTED,
        active=2_662_127_104,
    ),
    PublishedModel(
        "deepseek-ai/DeepSeek-V2",
        _llama(
            "deepseek_v2", 5120, 60, 128, 12288, 102400, 163840, num_key_value_heads=128, q_lora_rank=1536,
            kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=160,
            n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1536, moe_layer_freq=1,
            first_k_dense_replace=1, n_group=8, topk_group=3,
        ),
        235_741_434_880,
        COUNTED,
        active=21_375_800_320,
    ),
    PublishedModel(
        "deepseek-ai/DeepSeek-V3",
        _llama(
            "deepseek_v3", 7168, 61, 128, 18432, 129280, 163840, num_key_value_heads=128, q_lora_rank=1536,
            kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=256,
            n_shared_experts=1, num_experts_per_tok=8, moe_intermediate_size=2048, moe_layer_freq=1,
            first_k_dense_replace=3, n_group=8, topk_group=4, num_nextn_predict_layers=1, ep_size=1,
            quantization_config={"quant_method": "fp8"}, scoring_func="sigmoid", topk_method="noaux_tc",
        ),
        671_026_419_200,
        COUNTED,
        active=37_552_297_472,
    ),
    PublishedModel(
        "openai/gpt-oss-20b",
        _llama(
            "gpt_oss", 2880, 24, 64, 2880, 201088, 131072, num_key_value_heads=8, head_dim=64,
            num_local_experts=32, num_experts_per_tok=4, experts_per_token=4, attention_bias=True,
            sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 12, swiglu_limit=7.0,
            initial_context_length=4096,
        ),
        20_914_757_184,
        COUNTED,
        active=4_187_440_704,
    ),
    PublishedModel(
        "openai/gpt-oss-120b",
        _llama(
            "gpt_oss", 2880, 36, 64, 2880, 201088, 131072, num_key_value_heads=8, head_dim=64,
            num_local_experts=128, num_experts_per_tok=4, experts_per_token=4, attention_bias=True,
            sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 18,
        ),
        116_829_156_672,
        COUNTED,
        active=5_711_982_912,
    ),
    PublishedModel(
        "meta-llama/Llama-4-Scout-17B-16E",
        {
            "model_type": "llama4",
            "tie_word_embeddings": False,
            "boi_token_index": 200080,
            "text_config": {
                "model_type": "llama4_text", **_sizes(5120, 48, 40, 8192, 202048, 262144),
                "intermediate_size_mlp": 16384, "num_key_value_heads": 8, "head_dim": 128,
                "num_local_experts": 16, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1,
                "attention_chunk_size": 8192, "use_qk_norm": True, "no_rope_layers": [], "for_llm_compressor": False,
            },
            "vision_config": {"model_type": "llama4_vision_model"},
        },
        107_769_861_120,
        COUNTED,
        active=17_172_894_720,
    ),
)

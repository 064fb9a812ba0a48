"""Models as published that a training step can be made of: sizes of the graph, and what else their config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from chiplet.graph.training.sizes import ModelSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.workload.llm import Llm, load_model, read_published

__all__ = ["PretrainedModel", "model_sizes", "read_pretrained"]

_FAMILIES = ("llama", "mistral")


class PretrainedModel(NamedTuple):
    """Sizes of a published model, the epsilon of its norms, and the base of its rotary angles."""

    sizes: ModelSizes
    norm_epsilon: float = ConstantSettings.norm_epsilon
    rope_theta: float = 10000.0


def model_sizes(model: Llm) -> ModelSizes:
    """Sizes of ``model`` for a training step.

    Raises
    ------
    ValueError
        If it has parts that the graph of a step has not.
    """
    parts = {
        "experts": model.experts is not None,
        "latent attention": model.latent is not None,
        "an FFN that is no gated SiLU": not model.gated or model.activation not in ("", "silu", "swish"),
        "norms other than RMSNorm": model.norm != "rmsnorm",
        "norms other than one before attention, FFN and head": model.norms != 2
        or model.norms_after
        or model.embedding_norm
        or not model.final_norm
        or model.qk_norm != "none",
        "attention and FFN in parallel": model.parallel,
        "biases": model.qkv_bias or model.output_bias or model.ffn_bias or model.head_bias,
        "sinks": model.sinks,
        "limited attention": model.window is not None,
        "positions other than rotary ones of whole heads": model.linear_positions
        or bool(model.learned_positions)
        or model.rotary_features != model.head_dim,
        "an embedding of another width than the layers": model.embedding_features not in (None, model.hidden),
        **{key: True for key, _ in model.uncounted},
    }
    missing = [part for part, there in parts.items() if there]
    if missing:
        raise ValueError(f"{model.name}: a training step does not have {', '.join(missing)}")
    return ModelSizes(
        hidden=model.hidden,
        heads=model.heads,
        kv_heads=model.kv_heads,
        head_dim=model.head_dim,
        ffn=model.ffn,
        layers=model.layers,
        vocab=model.vocab,
        tied=model.tied,
    )


def read_pretrained(model: str | Path) -> PretrainedModel:
    """What the ``config.json`` of ``model`` says: a file, a folder with one, or a preset by name.

    Raises
    ------
    ValueError
        If it is refused by :func:`chiplet.workload.llm.load_model` or :func:`model_sizes`, is of another family, or
        scales angles.
    """
    sizes = model_sizes(load_model(model))
    values, _, where = read_published(model)
    # Relatives scale embeddings or logits, which a projection need not count and a step would have to.
    if values.get("model_type") not in _FAMILIES:
        raise ValueError(
            f"{where}: model_type = {values.get('model_type')!r}: must be one of {', '.join(_FAMILIES)}"
        )
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ValueError(f"{where}: rotary angles are scaled ({kind}): must be default")
    theta = rope.get("rope_theta", values.get("rope_theta", 10000.0))
    return PretrainedModel(sizes, float(values.get("rms_norm_eps", 1e-6)), float(theta))

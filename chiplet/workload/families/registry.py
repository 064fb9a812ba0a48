"""All families by ``model_type``, and the reading of a decoded ``config.json``."""

from __future__ import annotations

from typing import Any

from chiplet.workload.families.config_keys import ConfigKeys
from chiplet.workload.families.gpt_like import GPT_LIKE
from chiplet.workload.families.llama_like import TRAITS, read_llama_like

MODEL_TYPES = (*TRAITS, *GPT_LIKE)
"""Values of ``model_type`` that are read."""


def read_config(values: Any, where: str) -> dict[str, Any]:
    """Fields of :class:`chiplet.workload.llm.Llm`, all but its name, out of a decoded ``config.json``.

    A model of text and other things has its language model under ``text_config``; ``part`` then says so. ``where``
    names the source in messages.

    Raises
    ------
    ValueError
        In one line: for what is no object, for a family that is missing or not known, and for keys that are missing,
        of the wrong type, or that change shape or work in ways that are not counted.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where}: must be a JSON object, not {type(values).__name__}")
    model_type, nested = values.get("model_type"), values.get("text_config")
    if model_type is None:
        raise ValueError(f"{where}: model_type is missing: must be one of {', '.join(MODEL_TYPES)}")
    if model_type in MODEL_TYPES:
        return _read(values, model_type, where)
    if not isinstance(nested, dict):
        raise ValueError(f"{where}: model_type {model_type!r}: must be one of {', '.join(MODEL_TYPES)}")
    inner = nested.get("model_type")
    if inner not in MODEL_TYPES:
        what = "is missing" if inner is None else repr(inner)
        raise ValueError(
            f"{where}: model_type of text_config {what}: must be one of {', '.join(MODEL_TYPES)}"
        )
    # Whether the output layer is the embedding stands outside, where the language model is put to use.
    tied = {key: values[key] for key in ("tie_word_embeddings",) if key in values}
    return {**_read(tied | nested, inner, f"{where}: text_config"), "part": f"text_config of {model_type}"}


def _read(values: dict[str, Any], model_type: str, where: str) -> dict[str, Any]:
    keys = ConfigKeys(values, where)
    keys.expect("is_encoder_decoder", False)
    keys.expect("add_cross_attention", False)
    traits = TRAITS.get(model_type)
    fields = GPT_LIKE[model_type](keys) if traits is None else read_llama_like(keys, traits)
    return {**fields, "unknown": keys.unknown(model_type)}

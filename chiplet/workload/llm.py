"""The workload: a Transformer language model as its published ``config.json`` describes it.

Two families of configurations are read: LLaMA-style ones (``hidden_size``, ``intermediate_size``,
grouped-query attention, gated FFN, RMSNorm) and GPT-2-style ones (``n_embd``, ``n_layer``, ``n_head``, plain
FFN, LayerNorm, biases, learned positions). Sizes are in elements, work in floating-point operations (a
multiply-add is two).
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel

LLAMA_STYLE = ("llama", "mistral", "qwen2", "gemma")
GPT2_STYLE = ("gpt2",)

_QKV_BIAS = ("qwen2",)
"""Model types with biases in the Q, K and V projections that their configuration does not mention."""

_TIED_BY_DEFAULT = ("gpt2", "gemma")
"""Model types whose output layer is the embedding by default."""


class Llm(StrictModel):
    """A decoder-only Transformer: ``layers`` times attention and FFN, between an embedding and an output layer."""

    name: str
    layers: Annotated[int, Field(ge=1)]
    hidden: Annotated[int, Field(ge=1, description="features h of the residual stream")]
    heads: Annotated[int, Field(ge=1, description="query heads")]
    kv_heads: Annotated[
        int, Field(ge=1, description="key and value heads; fewer than heads: grouped-query attention")
    ]
    head_dim: Annotated[int, Field(ge=1)]
    ffn: Annotated[int, Field(ge=1, description="inner features of the FFN")]
    gated: Annotated[bool, Field(description="FFN with a gate: act(X W_gate) * (X W_up), then W_down")]
    vocab: Annotated[int, Field(ge=1)]
    norm: Literal["rmsnorm", "layernorm"]
    qkv_bias: bool = False
    linear_bias: Annotated[bool, Field(description="biases of all other linears of a layer")] = False
    learned_positions: Annotated[
        int, Field(ge=0, description="rows of a learned position table, 0 without one")
    ] = 0
    max_positions: Annotated[int, Field(ge=1, description="longest sequence that the model is made for")]
    tied: Annotated[bool, Field(description="the output layer is the embedding")] = False

    @model_validator(mode="after")
    def _heads_share(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} key/value heads do not divide {self.heads} query heads")
        return self

    @property
    def query_features(self) -> int:
        """Features of Q, and of the attention's output: heads times head_dim."""
        return self.heads * self.head_dim

    def qkv_features(self, kv_heads: int | None = None) -> int:
        """Features of Q, K and V together, with ``kv_heads`` key/value heads instead of the model's if given."""
        return self.query_features + 2 * (self.kv_heads if kv_heads is None else kv_heads) * self.head_dim

    @property
    def ffn_in_features(self) -> int:
        """Output features of the FFN's first linear: gate and up together when gated."""
        return self.ffn * (2 if self.gated else 1)

    @property
    def norm_sums(self) -> int:
        """Feature sums that a norm needs for each token: of squares, and for LayerNorm of the values too."""
        return 1 if self.norm == "rmsnorm" else 2

    @property
    def attention_weights(self) -> int:
        """Weights of W_Q, W_K, W_V and W_O of one layer."""
        return self.hidden * (self.qkv_features() + self.query_features)

    @property
    def ffn_weights(self) -> int:
        """Weights of the FFN matrices of one layer."""
        return self.hidden * (self.ffn_in_features + self.ffn)

    @property
    def layer_parameters(self) -> int:
        """All parameters of one layer: matrices, biases, and two norms."""
        biases = (self.qkv_features() if self.qkv_bias else 0) + (
            2 * self.hidden + self.ffn_in_features if self.linear_bias else 0
        )
        return self.attention_weights + self.ffn_weights + biases + 2 * self._norm_parameters

    @property
    def parameters(self) -> int:
        """All parameters of the model; a tied output layer is counted once."""
        tables = self.vocab * (1 if self.tied else 2) + self.learned_positions
        return self.layers * self.layer_parameters + tables * self.hidden + self._norm_parameters

    @property
    def _norm_parameters(self) -> int:
        return self.hidden * (1 if self.norm == "rmsnorm" else 2)

    def layer_forward_flops(self, tokens: int, sequence_length: int) -> int:
        """Floating-point operations of one layer forward: all linears, and full attention scores and values."""
        linears = 2 * tokens * (self.attention_weights + self.ffn_weights)
        return linears + 4 * tokens * sequence_length * self.query_features

    def forward_flops(self, tokens: int, sequence_length: int) -> int:
        """Floating-point operations of a forward pass over ``tokens`` tokens, in sequences of ``sequence_length``."""
        return (
            self.layers * self.layer_forward_flops(tokens, sequence_length)
            + 2 * tokens * self.hidden * self.vocab
        )

    def backward_flops(self, tokens: int, sequence_length: int) -> int:
        """Floating-point operations of the backward pass without recomputation: two gradients for every product."""
        return 2 * self.forward_flops(tokens, sequence_length)

    def saved_features(self, sequence_length: int) -> dict[str, int]:
        """Elements of each token that the backward pass of one layer needs, by where they come from.

        Keys: ``inputs`` (of the attention and the FFN block), ``attention`` (Q, K, V and the attention's
        output), ``probabilities`` (of the softmax), ``ffn`` (before and after the activation).
        """
        return {
            "inputs": 2 * self.hidden,
            "attention": self.qkv_features() + self.query_features,
            "probabilities": self.heads * sequence_length,
            "ffn": self.ffn_in_features + self.ffn,
        }


def model_names() -> list[str]:
    """Names of the preset models, smallest first."""
    return sorted(_preset_texts(), key=lambda name: _preset(name).parameters)


def load_model(name: str | Path) -> Llm:
    """The preset model called ``name``, or the model of the ``config.json`` (or the folder with one) at that path.

    Raises ``ValueError``, in one line, for an unknown name (with the nearest known ones) and for a file that is
    missing, is not JSON, describes another type of model, or lacks a key.
    """
    text = str(name)
    if text in _preset_texts():
        return _preset(text)
    path = Path(text)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists():
        if path.suffix == ".json" or "/" in text:
            raise ValueError(f"{path}: no such model configuration")
        known = model_names()
        near = get_close_matches(text.lower(), known, n=3, cutoff=0.4) or known
        raise ValueError(
            f"unknown model {text!r}: nearest known names are {', '.join(near)}; or give a config.json"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot read the model configuration: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON document: {error}") from None
    stem = path.resolve().parent.name if path.name == "config.json" else path.stem
    return from_config(values, name=stem or text, where=str(path))


def from_config(values: Any, *, name: str, where: str) -> Llm:
    """The model that ``values``, a decoded ``config.json``, describe; ``where`` names the source in messages."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: must be a JSON object, not {type(values).__name__}")
    model_type = values.get(
        "model_type", "gpt2" if "n_embd" in values else "llama" if "hidden_size" in values else None
    )
    if model_type in LLAMA_STYLE:
        return _llama(_Reader(values, where), name, model_type)
    if model_type in GPT2_STYLE:
        return _gpt2(_Reader(values, where), name, model_type)
    raise ValueError(
        f"{where}: model_type {model_type!r}: must be one of {', '.join(LLAMA_STYLE + GPT2_STYLE)}"
    )


class _Reader:
    """Typed access to the keys of a ``config.json``, with one-line refusals."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def size(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key)
        if value is None:
            if default is None:
                raise ValueError(f"{self._where}: {key} is missing: must be a positive integer")
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{self._where}: {key} = {value!r}: must be a positive integer")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ValueError(f"{self._where}: {key} = {value!r}: must be true or false")
        return value

    def share(self, what: str, whole: int, parts: int) -> int:
        if whole % parts:
            raise ValueError(f"{self._where}: {what}: {parts} does not divide {whole}")
        return whole // parts


def _llama(read: _Reader, name: str, model_type: str) -> Llm:
    hidden = read.size("hidden_size")
    heads = read.size("num_attention_heads")
    kv_heads = read.size("num_key_value_heads", heads)
    read.share("num_attention_heads / num_key_value_heads", heads, kv_heads)
    head_dim = read.size("head_dim", 0) or read.share("hidden_size / num_attention_heads", hidden, heads)
    bias = read.flag("attention_bias", False)
    return Llm(
        name=name,
        layers=read.size("num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=read.size("intermediate_size"),
        gated=True,
        vocab=read.size("vocab_size"),
        norm="rmsnorm",
        qkv_bias=bias or model_type in _QKV_BIAS,
        linear_bias=False,
        max_positions=read.size("max_position_embeddings", 2048),
        tied=read.flag("tie_word_embeddings", model_type in _TIED_BY_DEFAULT),
    )


def _gpt2(read: _Reader, name: str, model_type: str) -> Llm:
    hidden = read.size("n_embd")
    heads = read.size("n_head")
    positions = read.size("n_positions", 1024)
    return Llm(
        name=name,
        layers=read.size("n_layer"),
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=read.share("n_embd / n_head", hidden, heads),
        ffn=read.size("n_inner", 4 * hidden),
        gated=False,
        vocab=read.size("vocab_size"),
        norm="layernorm",
        qkv_bias=True,
        linear_bias=True,
        learned_positions=positions,
        max_positions=positions,
        tied=read.flag("tie_word_embeddings", model_type in _TIED_BY_DEFAULT),
    )


@lru_cache(maxsize=1)
def _preset_texts() -> dict[str, str]:
    folder = resources.files("chiplet") / "presets" / "models"
    return {
        item.name.removesuffix(".json"): item.read_text(encoding="utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".json")
    }


@cache
def _preset(name: str) -> Llm:
    return from_config(json.loads(_preset_texts()[name]), name=name, where=f"preset {name}")

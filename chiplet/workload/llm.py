"""The workload: a Transformer language model as its published ``config.json`` describes it.

Sizes are in elements, work in floating-point operations (a multiply-add is two). Parameters are those of the language
model: the text part of a model of several, without extra prediction layers.
"""

from __future__ import annotations

import json
import os
import re
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from chiplet.machine.base import StrictModel, read_input, refusal
from chiplet.vectorized.elementwise import Number, rounded_up
from chiplet.workload.experts import Experts
from chiplet.workload.families.registry import read_config
from chiplet.workload.latent import LatentAttention
from chiplet.workload.seen_keys import seen_keys


class Llm(StrictModel):
    """A decoder-only Transformer: ``layers`` times attention and FFN, between an embedding and an output layer.

    ``uncounted`` are keys of its configuration, with their values, whose work a projection does not count; ``unknown``
    are keys that are taken to have no effect.
    """

    name: str
    part: Annotated[str, Field(description="the part of a larger model that it is")] = ""
    layers: Annotated[int, Field(ge=1)]
    hidden: Annotated[int, Field(ge=1, description="features h of the residual stream")]
    heads: Annotated[int, Field(ge=1, description="query heads")]
    kv_heads: Annotated[
        int, Field(ge=1, description="key and value heads; fewer than heads: grouped-query attention")
    ]
    head_dim: Annotated[int, Field(ge=1)]
    ffn: Annotated[int, Field(ge=1, description="inner features of the FFN, where a layer has no experts")]
    gated: Annotated[bool, Field(description="FFN with a gate: act(X W_gate) * (X W_up), then W_down")]
    activation: Annotated[str, Field(description="function of the FFN; empty for the usual one")] = ""
    vocab: Annotated[int, Field(ge=1)]
    norm: Literal["rmsnorm", "layernorm"]
    norms: Annotated[
        Literal[1, 2, 4],
        Field(description="of a layer: attention and FFN share one, or have one or two each"),
    ] = 2
    norms_after: Annotated[bool, Field(description="a norm follows attention and FFN")] = False
    final_norm: Annotated[bool, Field(description="a norm before the output layer")] = True
    embedding_norm: Annotated[bool, Field(description="a norm behind the embedding")] = False
    qk_norm: Annotated[
        Literal["none", "heads", "features", "unweighted"],
        Field(
            description="norm of queries and keys: of each head, of all features, of each head without gains"
        ),
    ] = "none"
    parallel: Annotated[bool, Field(description="attention and FFN have the same input")] = False
    qkv_bias: bool = False
    output_bias: Annotated[bool, Field(description="bias of the attention's output linear")] = False
    ffn_bias: Annotated[bool, Field(description="biases of the FFN's linears")] = False
    head_bias: Annotated[bool, Field(description="bias of the output layer")] = False
    sinks: Annotated[bool, Field(description="a learned score for each head that takes no value")] = False
    window: Annotated[int | None, Field(ge=1, description="tokens that limited layers attend to")] = None
    window_layers: Annotated[int, Field(ge=0, description="layers whose attention is limited")] = 0
    rotary: Annotated[
        int | None, Field(ge=0, description="rotary features of a head; by default all, or none if learned")
    ] = None
    linear_positions: Annotated[bool, Field(description="ALiBi: scores fall with the distance")] = False
    learned_positions: Annotated[
        int, Field(ge=0, description="rows of a learned position table, 0 without one")
    ] = 0
    max_positions: Annotated[int, Field(ge=1, description="longest sequence that the model is made for")]
    embedding_features: Annotated[
        int | None, Field(ge=1, description="features of the embedding, if not those of the residual stream")
    ] = None
    tied: Annotated[bool, Field(description="the output layer is the embedding")] = False
    experts: Experts | None = None
    latent: LatentAttention | None = None
    uncounted: tuple[tuple[str, float], ...] = ()
    unknown: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} key/value heads do not divide {self.heads} query heads")
        if self.rotary_features > self.head_dim:
            raise ValueError(f"a head has {self.head_dim} features, {self.rotary_features} of them rotary")
        if self.experts is not None and self.experts.layers > self.layers:
            raise ValueError(f"{self.experts.layers} layers with experts, but {self.layers} layers")
        return self

    @property
    def query_features(self) -> int:
        """Features of Q, and of the attention's output: heads times head_dim."""
        return self.heads * self.head_dim

    def qkv_features(self, kv_heads: int | None = None) -> int:
        """Features of Q, K and V together, with ``kv_heads`` key/value heads instead of the model's if given."""
        return self.query_features + 2 * (self.kv_heads if kv_heads is None else kv_heads) * self.head_dim

    @property
    def rotary_features(self) -> int:
        """Features of each query and key head that have rotary positions."""
        if self.rotary is not None:
            return self.rotary
        return 0 if self.learned_positions else self.head_dim

    @property
    def _mixed(self) -> Experts | None:
        """The experts, if every layer has them."""
        return None if self.experts is None or self.experts.layers < self.layers else self.experts

    @property
    def ffn_in_features(self) -> int:
        """Output features of the FFN's first linear for a token: gate and up together when gated, and the scores of
        experts where every layer has them.
        """
        return self.ffn * (2 if self.gated else 1) if self._mixed is None else self._mixed.expand.used

    @property
    def inner_features(self) -> int:
        """Input features of the FFN's second linear for a token."""
        return self.ffn if self._mixed is None else self._mixed.contract.used

    @property
    def norm_sums(self) -> int:
        """Feature sums that a norm needs for each token: of squares, and for LayerNorm of the values too."""
        return 1 if self.norm == "rmsnorm" else 2

    @property
    def attention_weights(self) -> int:
        """Weights of the attention's linears of one layer: W_Q, W_K, W_V and W_O, or those of latent attention."""
        if self.latent is not None:
            return self.latent.weights(self.hidden, self.heads)
        return self.hidden * (self.qkv_features() + self.query_features)

    @property
    def ffn_weights(self) -> int:
        """Weights of the FFN matrices of one layer, all experts' where every layer has them; else of one without."""
        return self._dense_ffn_weights if self._mixed is None else self._mixed.weights(self.hidden)

    @property
    def used_ffn_weights(self) -> int:
        """Of :attr:`ffn_weights`, those that one token uses."""
        return self.hidden * (self.ffn_in_features + self.inner_features)

    @property
    def _dense_ffn_weights(self) -> int:
        return self.hidden * self.ffn * (3 if self.gated else 2)

    @property
    def attention_parameters(self) -> int:
        """All parameters of one layer's attention: linears, biases, norms of queries and keys, sinks."""
        if self.latent is not None:
            return self.latent.parameters(self.hidden, self.heads)
        gains = {
            "heads": 2 * self.head_dim,
            "features": (self.heads + self.kv_heads) * self.head_dim,
        }.get(self.qk_norm, 0)
        return (
            self.attention_weights
            + (self.qkv_features() if self.qkv_bias else 0)
            + (self.hidden if self.output_bias else 0)
            + gains
            + (self.heads if self.sinks else 0)
        )

    @property
    def layer_parameters(self) -> int:
        """All parameters of one layer, with experts where every layer has them, else of one without: attention, FFN
        and norms.
        """
        ffn = self._dense_ffn_parameters if self._mixed is None else self._mixed.parameters(self.hidden)
        return self.attention_parameters + ffn + self.norms * self._norm_parameters

    @property
    def _dense_ffn_parameters(self) -> int:
        biases = self.ffn * (2 if self.gated else 1) + self.hidden if self.ffn_bias else 0
        return self._dense_ffn_weights + biases

    @property
    def embedding_parameters(self) -> int:
        """Parameters before the first layer: embedding, learned positions, and what leads to the residual stream."""
        width = self.embedding_features or self.hidden
        return (
            self.vocab * width
            + self._width_parameters
            + self.learned_positions * self.hidden
            + (self._norm_parameters if self.embedding_norm else 0)
        )

    @property
    def head_parameters(self) -> int:
        """Parameters behind the last layer, with a table of its own: final norm and output layer."""
        width = self.embedding_features or self.hidden
        return (
            self.vocab * (width + self.head_bias)
            + self._width_parameters
            + (self._norm_parameters if self.final_norm else 0)
        )

    @property
    def parameters(self) -> int:
        """All parameters of the model; a tied output layer is counted once."""
        tables = self.embedding_parameters + self.head_parameters
        if self.tied:
            tables -= self.vocab * (self.embedding_features or self.hidden)
        total = tables + self.layers * self.layer_parameters
        if self.experts is not None and self._mixed is None:
            more = self.experts.parameters(self.hidden) - self._dense_ffn_parameters
            total += self.experts.layers * more
        return total

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses: all but those of the experts that it does not go to."""
        if self.experts is None:
            return self.parameters
        return self.parameters - self.experts.layers * self.experts.idle_parameters(self.hidden)

    @property
    def bias_parameters(self) -> int:
        """Parameters that are added to outputs of linears, in all layers and behind them, experts' included."""
        layer = self.qkv_features() * self.qkv_bias + self.hidden * self.output_bias
        layer += self._dense_ffn_parameters - self._dense_ffn_weights if self._mixed is None else 0
        if self._mixed is not None:
            layer += self._mixed.parameters(self.hidden) - self._mixed.weights(self.hidden)
        return self.layers * layer + self.vocab * self.head_bias

    @property
    def _norm_parameters(self) -> int:
        return self.hidden * (1 if self.norm == "rmsnorm" else 2)

    @property
    def _width_parameters(self) -> int:
        """Weights between embedding and residual stream, where they have different widths."""
        width = self.embedding_features or self.hidden
        return 0 if width == self.hidden else width * self.hidden

    def check_projection(self) -> None:
        """Raise ``ValueError``, in one line, if the model has parts that no projection counts."""
        parts = {
            "layers with and without experts": self.experts is not None and self._mixed is None,
            "multi-head latent attention": self.latent is not None,
            "an embedding of another width than the layers": bool(self._width_parameters),
        }
        missing = [part for part, there in parts.items() if there]
        if missing:
            raise ValueError(f"{self.name}: projection of {' and '.join(missing)} is not modelled")

    def attention_reach(self, length: Number, strip: Number | None = None) -> Number:
        """Tokens that each query of a sequence of ``length`` is multiplied with: all of them, or those of the window;
        the mean of all queries and layers, rounded up.

        Masks save nothing, unless ``strip`` is given: then what the causal mask hides is skipped, for so many queries
        at a time.
        """
        whole = seen_keys(length, length, strip)
        if self.window is None:
            return rounded_up(whole)
        limited = self.window_layers * seen_keys(length, self.window, strip)
        return rounded_up((limited + (self.layers - self.window_layers) * whole) / self.layers)

    def layer_forward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of one layer forward, with experts where every layer has them, else of one without:
        all linears that a token uses, and attention scores and values, ``masked`` ones too or not.
        """
        scores = self.query_features
        if self.latent is not None:
            scores = self.heads * (self.head_dim + self.latent.value_dim) // 2
        linears = 2 * tokens * (self.attention_weights + self.used_ffn_weights)
        reach = self.attention_reach(sequence_length, None if masked else 1)
        attention: int = 4 * tokens * reach * scores
        return linears + attention

    def forward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of a forward pass over ``tokens`` tokens, in sequences of ``sequence_length``."""
        flops = self.layers * self.layer_forward_flops(
            tokens, sequence_length, masked=masked
        ) + 2 * tokens * (self.vocab * (self.embedding_features or self.hidden) + 2 * self._width_parameters)
        if self.experts is not None and self._mixed is None:
            more = self.experts.used_weights(self.hidden) - self._dense_ffn_weights
            flops += 2 * tokens * self.experts.layers * more
        return flops

    def backward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of the backward pass without recomputation: two gradients for every product."""
        return 2 * self.forward_flops(tokens, sequence_length, masked=masked)

    def saved_features(self, sequence_length: int) -> dict[str, int]:
        """Elements of each token that the backward pass of one layer needs, by where they come from.

        Keys: ``inputs`` (of the attention and the FFN block), ``attention`` (Q, K, V and the attention's
        output), ``probabilities`` (of the softmax), ``ffn`` (before and after the activation). A norm that follows a
        block adds its input to the block's.
        """
        after = self.hidden if self.norms_after else 0
        return {
            "inputs": 2 * self.hidden,
            "attention": self.qkv_features() + self.query_features + after,
            "probabilities": self.heads * self.attention_reach(sequence_length),
            "ffn": self.ffn_in_features + self.inner_features + after,
        }


def model_names() -> list[str]:
    """Names of the preset models, smallest first."""
    return sorted(_preset_texts(), key=lambda name: _preset(name).parameters)


def load_model(name: str | Path) -> Llm:
    """The preset model called ``name``, or the model of the ``config.json`` (or the folder with one) at that path.

    Nothing is downloaded. A model is called by its folder, or by the id that the folder has: ``owner/name`` as given,
    or that of a download cache (``models--owner--name/snapshots/...``); links are not followed for it.

    Raises ``ValueError``, in one line, for an unknown name (with the nearest known ones) and for a file that is
    missing, is not JSON, or is refused by :func:`from_config`.
    """
    text = str(name)
    if text in _preset_texts():
        return _preset(text)
    path = Path(text)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists():
        raise ValueError(_not_found(text, path))
    try:
        values = json.loads(read_input(path, encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path}: cannot read the model configuration: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON document: {error}") from None
    return from_config(values, name=_called(text, path), where=str(path))


def from_config(values: Any, *, name: str, where: str) -> Llm:
    """The model that ``values``, a decoded ``config.json``, describe; ``where`` names the source in messages.

    Raises ``ValueError``, in one line, for whatever :func:`chiplet.workload.families.registry.read_config` refuses.
    """
    try:
        return Llm(name=name, **read_config(values, where))
    except ValidationError as error:
        raise ValueError(f"{where}: {refusal(error, Llm)}") from None


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""An id of the Hugging Face hub: owner and name."""


def _not_found(text: str, path: Path) -> str:
    if path.name == "config.json" and Path(text).is_dir():
        return f"{text}: a folder without a config.json"
    if _HUB_ID.fullmatch(text) and path.suffix != ".json":
        return f"{text}: no such folder; models are not downloaded: give the folder of the model, or its config.json"
    if path.suffix == ".json" or "/" in text:
        return f"{path}: no such model configuration"
    known = model_names()
    near = get_close_matches(text.lower(), known, n=3, cutoff=0.4) or known
    return f"unknown model {text!r}: nearest known names are {', '.join(near)}; or give a config.json"


def _called(text: str, path: Path) -> str:
    """The name of the model at ``path``, which the user has given as ``text``."""
    if path.name != "config.json":
        return path.stem
    folder = Path(os.path.normpath(path.absolute())).parent
    cached = folder.parent.parent.name
    if folder.parent.name == "snapshots" and cached.startswith("models--"):
        return "/".join(cached.split("--")[1:])
    given = text.removesuffix("/config.json").rstrip("/")
    return given if _HUB_ID.fullmatch(given) else folder.name


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

"""The workload: a Transformer language model as its published ``config.json`` describes it.

Sizes are in elements, work in floating-point operations (a multiply-add is two). Parameters are those of the language
model: the text part of a model of several, without extra prediction layers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache, cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from chiplet.machine.base import read_input, refusal
from chiplet.workload.families.registry import read_config
from chiplet.workload.layer import Layer
from chiplet.workload.layer_kinds import LayerKind, layer_kinds


class Llm(Layer):
    """A decoder-only Transformer: ``layers`` times attention and FFN, between an embedding and an output layer.

    ``uncounted`` are keys of its configuration, with their values, whose work a projection does not count; ``unknown``
    are keys that are taken to have no effect. Layers are numbered from 0.
    """

    name: str
    part: Annotated[str, Field(description="the part of a larger model that it is")] = ""
    layers: Annotated[int, Field(ge=1)]
    full_layers: Annotated[
        tuple[int, ...], Field(description="numbers of the layers without the window, if the model has one")
    ] = ()
    full_without_positions: Annotated[
        bool, Field(description="those layers have no rotary positions, and no norms of queries and keys")
    ] = False
    dense_layers: Annotated[
        tuple[int, ...], Field(description="numbers of the layers without experts, if the model has some")
    ] = ()
    activation: Annotated[str, Field(description="function of the FFN; empty for the usual one")] = ""
    vocab: Annotated[int, Field(ge=1)]
    final_norm: Annotated[bool, Field(description="a norm before the output layer")] = True
    embedding_norm: Annotated[bool, Field(description="a norm behind the embedding")] = False
    parallel: Annotated[bool, Field(description="attention and FFN have the same input")] = False
    head_bias: Annotated[bool, Field(description="bias of the output layer")] = False
    linear_positions: Annotated[bool, Field(description="ALiBi: scores fall with the distance")] = False
    learned_positions: Annotated[
        int, Field(ge=0, description="rows of a learned position table, 0 without one")
    ] = 0
    max_positions: Annotated[int, Field(ge=1, description="longest sequence that the model is made for")]
    embedding_features: Annotated[
        int | None, Field(ge=1, description="features of the embedding, if not those of the residual stream")
    ] = None
    tied: Annotated[bool, Field(description="the output layer is the embedding")] = False
    uncounted: tuple[tuple[str, float], ...] = ()
    unknown: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} key/value heads do not divide {self.heads} query heads")
        if self.rotary_features > self.head_dim:
            raise ValueError(f"a head has {self.head_dim} features, {self.rotary_features} of them rotary")
        for field, part in (("full_layers", self.window), ("dense_layers", self.experts)):
            numbers = set(getattr(self, field))
            if numbers and (part is None or not numbers < set(range(self.layers))):
                raise ValueError(f"{field}: must be some of {self.layers} layers, where the others differ")
        return self

    @cached_property
    def attention_kinds(self) -> tuple[LayerKind, ...]:
        """Layers with a like attention, in the order of their first ones: all, or those with a window and without."""
        labels = ("window", "full")
        lacking: dict[str, Any] = {"window": None}
        if self.full_without_positions:
            lacking |= {"rotary": 0, "qk_norm": "none"}
        return layer_kinds(self, self.layers, "attention", labels, self.full_layers, lacking)

    @cached_property
    def ffn_kinds(self) -> tuple[LayerKind, ...]:
        """Layers with a like FFN, in the order of their first ones: all, or those with experts and without."""
        labels = ("experts", "dense")
        return layer_kinds(self, self.layers, "ffn", labels, self.dense_layers, {"experts": None})

    def __copy__(self) -> Self:
        """A copy, whose kinds are found again: :meth:`model_copy` may change them."""
        copied = super().__copy__()
        for name in ("attention_kinds", "ffn_kinds"):
            copied.__dict__.pop(name, None)
        return copied

    @property
    def window_layers(self) -> int:
        """Layers whose attention is limited to a window."""
        return 0 if self.window is None else self.layers - len(set(self.full_layers))

    @property
    def expert_layers(self) -> int:
        """Layers that have experts."""
        return 0 if self.experts is None else self.layers - len(set(self.dense_layers))

    @property
    def table_features(self) -> int:
        """Features of a row of the embedding."""
        return self.embedding_features or self.hidden

    @property
    def narrow(self) -> bool:
        """Whether linears lead from the embedding to the residual stream and back, as their widths differ."""
        return self.table_features != self.hidden

    @property
    def _width_parameters(self) -> int:
        """Weights between embedding and residual stream, where they have different widths."""
        return self.table_features * self.hidden if self.narrow else 0

    @property
    def embedding_parameters(self) -> int:
        """Parameters before the first layer: embedding, learned positions, and what leads to the residual stream."""
        return (
            self.vocab * self.table_features
            + self._width_parameters
            + self.learned_positions * self.hidden
            + (self.norm_parameters if self.embedding_norm else 0)
        )

    @property
    def head_parameters(self) -> int:
        """Parameters behind the last layer, with a table of its own: final norm and output layer."""
        return (
            self.vocab * (self.table_features + self.head_bias)
            + self._width_parameters
            + (self.norm_parameters if self.final_norm else 0)
        )

    def parameters_of(self, numbers: Collection[int]) -> int:
        """Parameters of the layers ``numbers``."""
        return len(numbers) * (self.attention_parameters + self.norms * self.norm_parameters) + sum(
            kind.count(numbers) * kind.layer.ffn_parameters for kind in self.ffn_kinds
        )

    @property
    def parameters(self) -> int:
        """All parameters of the model; a tied output layer is counted once."""
        tables = self.embedding_parameters + self.head_parameters
        if self.tied:
            tables -= self.vocab * self.table_features
        return tables + self.parameters_of(range(self.layers))

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses: all but those of the experts that it does not go to."""
        if self.experts is None:
            return self.parameters
        return self.parameters - self.expert_layers * self.experts.idle_parameters(self.hidden)

    @property
    def bias_parameters(self) -> int:
        """Parameters that are added to outputs of linears, in all layers and behind them, experts' included."""
        of_layers = self.layers * self.attention_biases
        of_layers += sum(len(kind.numbers) * kind.layer.ffn_biases for kind in self.ffn_kinds)
        return of_layers + self.vocab * self.head_bias

    def layers_forward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of all layers forward; arguments as for :meth:`forward_flops`."""
        attention = sum(
            len(kind.numbers) * kind.layer.attention_flops(tokens, sequence_length, masked=masked)
            for kind in self.attention_kinds
        )
        return attention + sum(len(kind.numbers) * kind.layer.ffn_flops(tokens) for kind in self.ffn_kinds)

    def forward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of a forward pass over ``tokens`` tokens, in sequences of ``sequence_length``, with
        scores that are ``masked`` or without.
        """
        behind = 2 * tokens * (self.vocab * self.table_features + 2 * self._width_parameters)
        return self.layers_forward_flops(tokens, sequence_length, masked=masked) + behind

    def backward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of the backward pass without recomputation: two gradients for every product."""
        return 2 * self.forward_flops(tokens, sequence_length, masked=masked)


class Published(NamedTuple):
    """A decoded ``config.json``, the name of its model, and what messages call the source."""

    values: Any
    name: str
    where: str


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
    return _preset(text) if text in _preset_texts() else _model_of(read_published(name))


def read_published(name: str | Path) -> Published:
    """The ``config.json`` of the model that :func:`load_model` calls by ``name``.

    Raises ``ValueError``, in one line, for an unknown name and for a file that is missing or is not JSON.
    """
    text = str(name)
    if text in _preset_texts():
        return Published(json.loads(_preset_texts()[text]), text, f"preset {text}")
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
    return Published(values, _called(text, path), str(path))


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
    return _model_of(read_published(name))


def _model_of(published: Published) -> Llm:
    return from_config(published.values, name=published.name, where=published.where)

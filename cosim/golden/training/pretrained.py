"""Weights as published: the safetensors of a Llama, by the names of its state dict.

A published linear is outputs x inputs; here it is inputs x outputs. Rotary turns the same halves of each head.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.training.sizes import ModelSizes
from chiplet.machine.base import read_input
from cosim.golden.training.golden_step import Parameter, Weights
from rtl.emit.output_files import write_output

__all__ = [
    "check_safetensors",
    "load_weights",
    "published",
    "save_tensors",
    "save_weights",
]

_LAYER = {
    "attention.gain": "input_layernorm",
    **{f"attention.{name}.weight": f"self_attn.{name}_proj" for name in "qkvo"},
    "ffn.gain": "post_attention_layernorm",
    **{f"ffn.{name}.weight": f"mlp.{name}_proj" for name in ("gate", "up", "down")},
}
_ENDS = {"embedding.weight": "model.embed_tokens", "head.gain": "model.norm", "head.weight": "lm_head"}
_FILE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def _names(sizes: ModelSizes) -> Iterator[tuple[Parameter, str]]:
    """Parameters, and the names of their tensors."""
    for tensor, name in _ENDS.items():
        if not (sizes.tied and tensor == "head.weight"):
            yield Parameter(tensor), f"{name}.weight"
    for layer in range(sizes.layers):
        for tensor, name in _LAYER.items():
            yield Parameter(tensor, layer), f"model.layers.{layer}.{name}.weight"


def _turned(tensor: str, value: Any) -> Any:
    """Between a published tensor and that of the graph, both ways."""
    if tensor.endswith("gain"):
        return value.reshape(-1, 1) if value.ndim == 1 else value[:, 0]
    return value if tensor == "embedding.weight" else value.T


def load_weights(where: Path, sizes: ModelSizes) -> Weights:
    """Weights of the safetensors ``where``: a file, or those in a folder; as fp32.

    Raises
    ------
    ValueError
        If the package safetensors is missing, a file cannot be read, or a tensor is missing, or of another type or
        shape.
    """
    package = _safetensors()
    there: dict[str, Any] = {}
    for file in _files(where):
        try:
            there |= package.numpy.load_file(file)
        except (OSError, package.SafetensorError) as error:
            raise ValueError(f"{file}: cannot read the weights: {error}") from None
    weights: Weights = {}
    for parameter, name in _names(sizes):
        if name not in there:
            raise ValueError(f"{where}: tensor {name} is missing")
        value = there[name]
        if value.dtype.name not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"{where}: tensor {name} is {value.dtype}: must be float32, float16 or bfloat16")
        shape = _published_shape(sizes, parameter.tensor)
        if value.shape != shape:
            raise ValueError(f"{where}: tensor {name} has shape {value.shape}: must be {shape}")
        weights[parameter] = np.ascontiguousarray(_turned(parameter.tensor, value.astype(np.float32)))
    return weights


def _published_shape(sizes: ModelSizes, tensor: str) -> tuple[int, ...]:
    """Shape of a tensor as published: linears are outputs x inputs."""
    h, q, kv = sizes.hidden, sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    if tensor.endswith("gain"):
        return (h,)
    outputs = {"q": q, "k": kv, "v": kv, "gate": sizes.ffn, "up": sizes.ffn}
    inputs = {"o": q, "down": sizes.ffn}
    kind = tensor.split(".")[-2]
    if kind in ("embedding", "head"):
        return (sizes.vocab, h)
    return (outputs.get(kind, h), inputs.get(kind, h))


def _files(where: Path) -> list[Path]:
    """The files that hold the weights."""
    if not where.is_dir():
        return [where]
    index = where / _INDEX
    if not index.exists():
        return [where / _FILE]
    try:
        names = {str(name) for name in json.loads(read_input(index))["weight_map"].values()}
        return [where / name for name in sorted(names)]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{index}: not an index of safetensors: must map tensors to files") from None


def save_weights(folder: Path, sizes: ModelSizes, weights: Weights) -> None:
    """Write fp32 weights to ``folder``, which must be there, as one safetensors file.

    Raises
    ------
    ValueError
        If the package safetensors is missing.
    OSError
        If it cannot be written; nothing is left half-written then.
    """
    save_tensors(folder / _FILE, published(sizes, weights))


def published(sizes: ModelSizes, values: Mapping[Parameter, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """``values``, one for each parameter, such as weights or their gradients, as published and by published names."""
    return {
        name: np.ascontiguousarray(_turned(parameter.tensor, values[parameter]), np.float32)
        for parameter, name in _names(sizes)
    }


def save_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write tensors by name to a safetensors file.

    Raises
    ------
    ValueError
        If the package safetensors is missing.
    OSError
        If it cannot be written; nothing is left half-written then.
    """
    write_output(path, _safetensors().numpy.save(dict(tensors), metadata={"format": "pt"}))


def check_safetensors() -> None:
    """Raise ValueError if the package safetensors is missing."""
    _safetensors()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ValueError(
            "weights in safetensors: install hecaton with its extra weights (pip install 'hecaton[weights]')"
        ) from None
    return safetensors

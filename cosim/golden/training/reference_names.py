"""Weights of the graph by the names of the float64 reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from chiplet.graph.training.sizes import ModelSizes
from cosim.golden.training.golden_step import Parameter
from cosim.golden.training.reference import Named, ReferenceModel

__all__ = ["named", "reference_of"]

_LAYER = {"attention.gain": "norm_1", "ffn.gain": "norm_2"} | {
    f"{block}.{name}.weight": name
    for block, names in (("attention", "qkvo"), ("ffn", ("gate", "up", "down")))
    for name in names
}
_ENDS = {"embedding.weight": "embedding", "head.weight": "head", "head.gain": "final_norm"}


def named(weights: Mapping[Parameter, ArrayLike]) -> Named:
    """The same weights by the reference's names, in float64."""
    exact: Named = {}
    for (name, layer), value in weights.items():
        whole = np.asarray(value, np.float64)
        exact[_ENDS[name] if layer is None else f"{layer}.{_LAYER[name]}"] = (
            whole[:, 0] if name.endswith("gain") else whole
        )
    return exact


def reference_of(
    model: ModelSizes,
    *,
    epsilon: float = ReferenceModel.epsilon,
    rope_theta: float = ReferenceModel.rope_theta,
) -> ReferenceModel:
    """The reference of a model; a tied one has no ``head`` among its weights."""
    return ReferenceModel(
        heads=model.heads,
        kv_heads=model.kv_heads,
        head_dim=model.head_dim,
        layers=model.layers,
        epsilon=epsilon,
        rope_theta=rope_theta,
    )

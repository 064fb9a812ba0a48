"""A linear of type A, forward and backward: gather, multiply, reduce-scatter. Type B is the same with the axes swapped.

Die (i, j) keeps block i of the inputs and block j of the outputs of the weights w. From layout A, tokens along the row
and features down the column, x is gathered along the row; sums of y are scattered down the column, to layout B.
"""

from __future__ import annotations

from chiplet.graph.descriptions.description import KV_HEADS, TOKENS, Description, NamedDim, NamedTensor
from chiplet.graph.operators import Carried, Gather, Product, Reduce, Scatter

__all__ = ["BACKWARD", "FORWARD", "GATHER_AGAIN", "REPLICAS"]

_ALL = NamedDim(TOKENS)
_INPUTS, _OUTPUTS = NamedDim("inputs", "column"), NamedDim("outputs", "row")
_OF_ROW, _OF_COLUMN = NamedDim(TOKENS, "row"), NamedDim(TOKENS, "column")

_TENSORS = {
    "x": NamedTensor(_OF_ROW, _INPUTS),
    "x_all": NamedTensor(_ALL, _INPUTS),
    "w": NamedTensor(_INPUTS, _OUTPUTS),
    "partial": NamedTensor(_ALL, _OUTPUTS, "fp32", "column"),
    "y": NamedTensor(_OF_COLUMN, _OUTPUTS, "fp32"),
    "dy": NamedTensor(_OF_COLUMN, _OUTPUTS),
    "dy_all": NamedTensor(_ALL, _OUTPUTS),
    "dx_partial": NamedTensor(_ALL, _INPUTS, "fp32", "row"),
    "dx": NamedTensor(_OF_ROW, _INPUTS, "fp32"),
    "x_again": NamedTensor(_ALL, _INPUTS),
    "dw": NamedTensor(_INPUTS, _OUTPUTS, "fp32"),
}

FORWARD = Description(
    name="linear forward",
    tensors=_TENSORS,
    operators=(
        Gather(name="gather_x", axis="row", carries=(Carried("x", "x_all"),)),
        Product(name="product", form="nn", a="x_all", b="w", y="partial"),
        Scatter(name="scatter_y", axis="column", carries=(Carried("partial", "y"),)),
    ),
    given=("x", "w"),
    results=("y",),
)

GATHER_AGAIN = "gather_x_again"
"""The operator that memory can take the place of, by a copy of x for each die of the line."""

BACKWARD = Description(
    name="linear backward",
    tensors=_TENSORS,
    operators=(
        Gather(name="gather_dy", axis="column", carries=(Carried("dy", "dy_all"),)),
        Product(name="product_dx", form="nt", a="dy_all", b="w", y="dx_partial"),
        Scatter(name="scatter_dx", axis="row", carries=(Carried("dx_partial", "dx"),)),
        Gather(name=GATHER_AGAIN, axis="row", carries=(Carried("x", "x_again"),)),
        Product(name="product_dw", form="tn", a="x_again", b="dy_all", y="dw", accumulate="tiles"),
    ),
    given=("x", "w", "dy"),
    results=("dx", "dw"),
)

_WEIGHTS = NamedTensor(NamedDim("inputs", "column"), NamedDim(KV_HEADS, "row"), "fp32")

REPLICAS = Description(
    name="sums over replicas",
    tensors={"dw_k": _WEIGHTS, "dw_v": _WEIGHTS},
    operators=(Reduce(name="reduce_replicas", tensors=("dw_k", "dw_v")),),
    given=("dw_k", "dw_v"),
    results=("dw_k", "dw_v"),
)
"""Gradients of key and value weights, once a step: added up over the dies of a row that hold the same head."""

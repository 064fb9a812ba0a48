"""Weights around a step: their operands, the gradients of gains, and updates.

The gain of a norm is folded into the weights behind it, so their gradients are those of folded weights: the gain's
gradient is the sum of w dw over outputs, and the gradient of the weight itself is the gain times that.
"""

from __future__ import annotations

from typing import Any

from chiplet.graph.descriptions.description import (
    ONE_VALUE,
    Description,
    NamedDim,
    NamedTensor,
    vector_run,
)
from chiplet.graph.descriptions.shared_programs import (
    CAST,
    GAIN_TERMS,
    SCALE,
    SCALE_OPERAND,
    Optimizer,
    product_sums,
    sums_of,
    update,
)
from chiplet.graph.operators import Carried, Gather, Product
from chiplet.graph.vector_programs import vector_program

__all__ = [
    "CAST_WEIGHT",
    "FOLD",
    "GAIN",
    "GAIN_TIED",
    "TIED_SUM",
    "UNFOLD",
    "UPDATE_ADAM",
    "UPDATE_SGD",
    "update_operators",
]

_INPUTS, _OUTPUTS = NamedDim("inputs", "column"), NamedDim("outputs", "row")
_COLUMNS = NamedDim("columns", "row")
_WEIGHT = NamedTensor(_INPUTS, _OUTPUTS, "fp32")
_TABLE, _TERMS = NamedTensor(_OUTPUTS, _INPUTS, "fp32"), NamedTensor(_OUTPUTS, _INPUTS)
_PART = NamedTensor(_COLUMNS, _INPUTS, "fp32", "row")

_TENSORS = {
    **dict.fromkeys(("w", "dw", "m", "v"), _WEIGHT),
    "operand": NamedTensor(_INPUTS, _OUTPUTS),
    **dict.fromkeys(("gain", "dgain"), NamedTensor(_INPUTS, ONE_VALUE, "fp32")),
    "products": NamedTensor(_COLUMNS, _INPUTS, "fp32"),
    "part": _PART,
    "part_all": NamedTensor(NamedDim("columns"), _INPUTS, "fp32", "row"),
}

CAST_WEIGHT = Description(
    name="operand of a weight",
    tensors=_TENSORS,
    operators=(vector_run("fold", CAST, x="w", y="operand"),),
    given=("w",),
    results=("operand",),
)
FOLD = Description(
    name="operand of a weight behind a norm",
    tensors=_TENSORS,
    operators=(vector_run("fold", SCALE_OPERAND, x="w", scale="gain", y="operand"),),
    given=("w", "gain"),
    results=("operand",),
)

_PARTS_OF_LINE = (
    Gather(name="gather_gain", axis="row", carries=(Carried("part", "part_all", "gains"),)),
    # Of a line of one die; on others it adds up the parts of each die of the row.
    vector_run("gain_total", sums_of(1), x_0="part_all", y="dgain"),
)

GAIN = Description(
    name="gradient of a gain",
    tensors=_TENSORS,
    operators=(
        vector_run("gain_products", product_sums("fp32", "fp32"), u="w", y="dw", sums="products"),
        # Of one weight; behind most norms there are several.
        vector_run("gain_parts", sums_of(1), x_0="products", y="part"),
        *_PARTS_OF_LINE,
    ),
    given=("w", "dw"),
    results=("dgain",),
)
"""A die's sums over its outputs, then over the columns of dies."""

GAIN_TIED = Description(
    name="gradient of a gain in front of a tied table",
    tensors={
        **_TENSORS,
        **dict.fromkeys(("w", "dw"), _TABLE),
        "terms": _TERMS,
        "ones": NamedTensor(_COLUMNS, _OUTPUTS),
    },
    operators=(
        vector_run("gain_products", GAIN_TERMS, w="w", g="dw", y="terms"),
        Product(name="gain_sums", form="nn", a="ones", b="terms", y="part"),
        *_PARTS_OF_LINE,
    ),
    given=("w", "dw", "ones"),
    results=("dgain",),
)
"""The same where outputs are rows: the array adds up their terms."""

UNFOLD = Description(
    name="gradient of a weight behind a norm",
    tensors=_TENSORS,
    operators=(vector_run("unfold", SCALE, x="dw", scale="gain", y="dw"),),
    given=("dw", "gain"),
    results=("dw",),
)

TIED_SUM = Description(
    name="gradient of a tied table",
    tensors={"dw": _TABLE, "dw_head": _TABLE},
    operators=(vector_run("add_head", vector_program("residual"), x="dw", branch="dw_head"),),
    given=("dw", "dw_head"),
    results=("dw",),
)


def _update(optimizer: Optimizer) -> Description:
    program = update(optimizer)
    moments: dict[str, Any] = {name: name for name in ("m", "v") if name in program.outputs}
    return Description(
        name=f"update by {optimizer}",
        tensors=_TENSORS,
        operators=(vector_run("update", program, w="w", g="dw", **moments),),
        given=("w", "dw", *moments),
        results=("w", *moments),
    )


UPDATE_SGD, UPDATE_ADAM = _update("sgd"), _update("adam")


def update_operators(optimizer: Optimizer) -> Description:
    """The update of a weight or a gain."""
    return UPDATE_SGD if optimizer == "sgd" else UPDATE_ADAM

"""The middle of an FFN: gated SiLU, with the scale of the norm that is folded into gate and up."""

from __future__ import annotations

from chiplet.graph.descriptions.description import (
    ONE_VALUE,
    TOKENS,
    Description,
    NamedDim,
    NamedTensor,
    vector_run,
)
from chiplet.graph.descriptions.shared_programs import SCALE, SILU_SCALED, norm_share, product_sums
from chiplet.graph.vector_programs import vector_program

__all__ = ["BACKWARD", "FORWARD"]

_ROWS, _INNER = NamedDim(TOKENS, "column"), NamedDim("inner features", "row")

_TENSORS = {
    "scale": NamedTensor(_ROWS, ONE_VALUE, "fp32"),
    **dict.fromkeys(
        ("gate_sums", "up_sums", "dinner_sums", "dinner_scaled"), NamedTensor(_ROWS, _INNER, "fp32")
    ),
    **dict.fromkeys(("gate_saved", "up_saved", "inner", "dgate", "dup"), NamedTensor(_ROWS, _INNER)),
    **dict.fromkeys(("gate_product", "up_product", "t"), NamedTensor(_ROWS, ONE_VALUE, "fp32", "row")),
}

FORWARD = Description(
    name="FFN forward",
    tensors=_TENSORS,
    operators=(
        vector_run(
            "silu",
            SILU_SCALED,
            gate="gate_sums",
            up="up_sums",
            scale="scale",
            gate_saved="gate_saved",
            up_saved="up_saved",
            y="inner",
        ),
    ),
    given=("gate_sums", "up_sums", "scale"),
    results=("gate_saved", "up_saved", "inner"),
)

BACKWARD = Description(
    name="FFN backward",
    tensors=_TENSORS,
    operators=(
        vector_run("scale_dinner", SCALE, x="dinner_sums", scale="scale", y="dinner_scaled"),
        vector_run(
            "silu_backward",
            vector_program("silu-backward"),
            dy="dinner_scaled",
            gate="gate_saved",
            up="up_saved",
            dgate="dgate",
            dup="dup",
        ),
        vector_run(
            "norm_product_gate", product_sums("bf16", "bf16"), u="dgate", y="gate_saved", sums="gate_product"
        ),
        vector_run("norm_product_up", product_sums("bf16", "bf16"), u="dup", y="up_saved", sums="up_product"),
        vector_run("share", norm_share(2), x_0="gate_product", x_1="up_product", scale="scale", t="t"),
    ),
    given=("dinner_sums", "scale", "gate_saved", "up_saved"),
    results=("dgate", "dup", "t"),
)
"""Gradients of the outputs of gate and up, with the norm's scale, and the norm's ``t``."""

"""The middle of an attention, forward and backward, on whole heads of whole sequences of a die.

Outputs of Q, K and V are scaled by the norm that is folded into these, and queries and keys are turned by their
positions; then come scores, softmax and values.
"""

from __future__ import annotations

from chiplet.graph.descriptions.description import (
    ONE_VALUE,
    TOKENS,
    Description,
    NamedDim,
    NamedTensor,
    vector_run,
)
from chiplet.graph.descriptions.shared_programs import (
    CAST,
    SCALE,
    SCALE_OPERAND,
    norm_share,
    product_sums,
)
from chiplet.graph.operators import Product, ProgramOperand, VectorRun
from chiplet.graph.vector_programs import vector_program

__all__ = ["BACKWARD", "FORWARD", "INPUTS_BACKWARD", "INPUTS_FORWARD", "OUTPUT_BACKWARD"]

_QUERIES, _TOKENS_OF_KEYS = NamedDim(TOKENS, "column"), NamedDim("tokens of keys", "column")
_KEYS = NamedDim("keys", "row")
_KEY_FEATURES, _VALUE_FEATURES = NamedDim("key features", "row"), NamedDim("value features", "row")

_TENSORS = {
    "q": NamedTensor(_QUERIES, _KEY_FEATURES),
    "k": NamedTensor(_TOKENS_OF_KEYS, _KEY_FEATURES),
    "v": NamedTensor(_TOKENS_OF_KEYS, _VALUE_FEATURES),
    "scores": NamedTensor(_QUERIES, _KEYS, "fp32"),
    "p": NamedTensor(_QUERIES, _KEYS),
    "mixed": NamedTensor(_QUERIES, _VALUE_FEATURES),
    "do": NamedTensor(_QUERIES, _VALUE_FEATURES),
    "dp": NamedTensor(_QUERIES, _KEYS, "fp32"),
    "dv": NamedTensor(_TOKENS_OF_KEYS, _VALUE_FEATURES, "fp32"),
    "ds": NamedTensor(_QUERIES, _KEYS),
    "dq": NamedTensor(_QUERIES, _KEY_FEATURES, "fp32"),
    "dk": NamedTensor(_TOKENS_OF_KEYS, _KEY_FEATURES, "fp32"),
}

FORWARD = Description(
    name="attention forward",
    tensors=_TENSORS,
    operators=(
        Product(name="product_qk", form="nt", a="q", b="k", y="scores", each="sequence-head"),
        VectorRun(
            name="softmax",
            program=vector_program("softmax"),
            bind={"x": ProgramOperand("scores"), "p": ProgramOperand("p")},
            each="sequence-head",
            causal=True,
        ),
        Product(name="product_pv", form="nn", a="p", b="v", y="mixed", each="sequence-head"),
    ),
    given=("q", "k", "v"),
    results=("mixed",),
)

BACKWARD = Description(
    name="attention backward",
    tensors=_TENSORS,
    operators=(
        Product(name="product_dp", form="nt", a="do", b="v", y="dp", each="sequence-head"),
        Product(name="product_dv", form="tn", a="p", b="do", y="dv", each="sequence-head"),
        VectorRun(
            name="softmax_backward",
            program=vector_program("softmax-backward"),
            bind={"p": ProgramOperand("p"), "dp": ProgramOperand("dp"), "dx": ProgramOperand("ds")},
            each="sequence-head",
        ),
        Product(name="product_dq", form="nn", a="ds", b="k", y="dq", each="sequence-head"),
        Product(name="product_dk", form="tn", a="ds", b="q", y="dk", each="sequence-head"),
    ),
    given=("q", "k", "v", "p", "do"),
    results=("dq", "dk", "dv"),
)

_Q = NamedDim("query features", "row", halves=True)
_K = NamedDim("features of keys", "row", halves=True)
_TURNED_Q = NamedDim("turned query features", "row", halves=True)
_TURNED_K = NamedDim("turned features of keys", "row", halves=True)
_V, _MIXED = NamedDim("features of values", "row"), NamedDim("mixed features", "row")
_ANGLES = NamedTensor(_QUERIES, NamedDim("half a head"), "fp32")
_PRODUCTS = NamedTensor(_QUERIES, ONE_VALUE, "fp32", "row")

_INPUTS = {
    "scale": NamedTensor(_QUERIES, ONE_VALUE, "fp32"),
    **dict.fromkeys(("q_cos", "q_sin", "k_cos", "k_sin"), _ANGLES),
    **dict.fromkeys(("q_sums", "q_scaled", "dq_sums", "dq_scaled"), NamedTensor(_QUERIES, _Q, "fp32")),
    **dict.fromkeys(("k_sums", "k_scaled", "dk_sums", "dk_scaled"), NamedTensor(_QUERIES, _K, "fp32")),
    **dict.fromkeys(("v_sums", "dv_sums"), NamedTensor(_QUERIES, _V, "fp32")),
    **dict.fromkeys(("q", "dq"), NamedTensor(_QUERIES, _TURNED_Q)),
    **dict.fromkeys(("k", "dk"), NamedTensor(_QUERIES, _TURNED_K)),
    **dict.fromkeys(("v", "dv"), NamedTensor(_QUERIES, _V)),
    **dict.fromkeys(("q_product", "k_product", "v_product", "t"), _PRODUCTS),
    "do_sums": NamedTensor(_QUERIES, _MIXED, "fp32"),
    "do": NamedTensor(_QUERIES, _MIXED),
}


def _rotary(name: str, source: str, target: str, part: str, *, backward: bool) -> VectorRun:
    return vector_run(
        name,
        vector_program("rotary-backward" if backward else "rotary"),
        each="head" if part == "q" else "kv-head",
        low=(source, "low"),
        high=(source, "high"),
        cos=f"{part}_cos",
        sin=f"{part}_sin",
        low_turned=(target, "low"),
        high_turned=(target, "high"),
    )


INPUTS_FORWARD = Description(
    name="queries, keys and values forward",
    tensors=_INPUTS,
    operators=(
        vector_run("scale_q", SCALE, x="q_sums", scale="scale", y="q_scaled"),
        _rotary("rotary_q", "q_scaled", "q", "q", backward=False),
        vector_run("scale_k", SCALE, x="k_sums", scale="scale", y="k_scaled"),
        _rotary("rotary_k", "k_scaled", "k", "k", backward=False),
        vector_run("scale_v", SCALE_OPERAND, x="v_sums", scale="scale", y="v"),
    ),
    given=("q_sums", "k_sums", "v_sums", "scale", "q_cos", "q_sin", "k_cos", "k_sin"),
    results=("q", "k", "v"),
)

INPUTS_BACKWARD = Description(
    name="queries, keys and values backward",
    tensors=_INPUTS,
    operators=(
        vector_run("scale_dq", SCALE, x="dq_sums", scale="scale", y="dq_scaled"),
        vector_run("scale_dk", SCALE, x="dk_sums", scale="scale", y="dk_scaled"),
        vector_run("scale_dv", SCALE_OPERAND, x="dv_sums", scale="scale", y="dv"),
        # Turning keeps inner products, so those of the turned queries and keys serve.
        vector_run("norm_product_q", product_sums("fp32", "bf16"), u="dq_scaled", y="q", sums="q_product"),
        vector_run("norm_product_k", product_sums("fp32", "bf16"), u="dk_scaled", y="k", sums="k_product"),
        vector_run("norm_product_v", product_sums("bf16", "bf16"), u="dv", y="v", sums="v_product"),
        vector_run(
            "share", norm_share(3), x_0="q_product", x_1="k_product", x_2="v_product", scale="scale", t="t"
        ),
        _rotary("rotary_dq", "dq_scaled", "dq", "q", backward=True),
        _rotary("rotary_dk", "dk_scaled", "dk", "k", backward=True),
    ),
    given=("dq_sums", "dk_sums", "dv_sums", "scale", "q", "k", "v", "q_cos", "q_sin", "k_cos", "k_sin"),
    results=("dq", "dk", "dv", "t"),
)
"""Gradients of the outputs of Q, K and V, with the norm's scale, and the norm's ``t``."""

OUTPUT_BACKWARD = Description(
    name="attention output backward",
    tensors=_INPUTS,
    operators=(vector_run("cast_do", CAST, x="do_sums", y="do"),),
    given=("do_sums",),
    results=("do",),
)
"""The gradient that the output linear leaves, as an operand."""

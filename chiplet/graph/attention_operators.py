"""Scores, softmax and values of an attention, forward and backward, on whole heads of whole sequences of a die."""

from __future__ import annotations

from chiplet.graph.description import TOKENS, Description, NamedDim, NamedTensor
from chiplet.graph.operators import Product, ProgramOperand, VectorRun
from chiplet.graph.vector_programs import vector_program

__all__ = ["BACKWARD", "FORWARD"]

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

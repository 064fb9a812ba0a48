"""Attention of a layer: every die has whole query heads of whole sequences, with the key/value heads that they need."""

from __future__ import annotations

from chiplet.graph.descriptions import attention_operators
from chiplet.graph.sharding import Dim
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import TOKENS_B, Weight

__all__ = ["Attention"]

_TURNED = {
    "q": "attention.q_turned",
    "k": "attention.k_turned",
    "v": "attention.values",
    "do_sums": "attention.o.dx",
}
"""Tensors by their names in the descriptions."""


class Attention:
    """Operators of attention; declares its weights."""

    def __init__(self, builder: StepBuilder) -> None:
        b = self._builder = builder
        self.inputs = tuple(
            b.weight(Weight(f"attention.{name}", b.hidden, cols, norm="attention"))
            for name, cols in (("q", b.queries), ("k", b.keys), ("v", b.values))
        )
        self.output = b.weight(Weight("attention.o", b.mixed, b.hidden))
        for part in ("q", "k"):
            for table in ("cos", "sin"):
                b.tensor(f"attention.{part}_{table}", TOKENS_B, b.half, home="memory", layered=False)
        self._dims: dict[str, Dim] = {
            "query features": b.queries,
            "features of keys": b.keys,
            "turned query features": b.queries,
            "turned features of keys": b.keys,
            "features of values": b.values,
            "mixed features": b.mixed,
            # Of the middle, one head of one sequence at a time.
            "tokens of keys": TOKENS_B,
            "keys": b.scores,
            "mixed": b.mixed,
            "dq": b.queries,
            "dk": b.keys,
            "dv": b.values,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Cosines and sines of the tokens' angles; those of queries are scaled by 1 / sqrt(head_dim)."""
        return tuple(f"attention.{part}_{table}" for part in ("q", "k") for table in ("cos", "sin"))

    def forward(self) -> None:
        """From the residual stream to the sums that are added to it."""
        b = self._builder
        b.norm_linears("attention", "residual", self.inputs)
        sums = {f"{part}_sums": f"attention.{part}.sums" for part in "qkv"}
        b.bind(attention_operators.INPUTS_FORWARD, "attention", {**_TURNED, **sums}, self._dims)
        b.bind(attention_operators.FORWARD, "attention", _TURNED, self._dims)
        b.contract(self.output, "attention.mixed")

    def backward(self) -> None:
        """From ``gradient.operand`` to the gradient of the residual stream in front of the norm."""
        b = self._builder
        b.contract_backward(self.output, "attention.mixed")
        b.bind(attention_operators.OUTPUT_BACKWARD, "attention", _TURNED, self._dims)
        sums = {f"d{part}": f"attention.d{part}_sums" for part in "qkv"}
        b.bind(attention_operators.BACKWARD, "attention", {**_TURNED, **sums}, self._dims)
        # Products are called by what they are of.
        of = {"q": "attention.dq_scaled", "k": "attention.dk_scaled", "v": "attention.dv"}
        b.bind(
            attention_operators.INPUTS_BACKWARD,
            "attention",
            {**_TURNED, **{f"{part}_product": f"{name}.product" for part, name in of.items()}},
            self._dims,
            called={f"norm_product_{part}": f"{name}.norm_product" for part, name in of.items()},
        )
        b.norm_linears_backward("attention", self.inputs, ("attention.dq", "attention.dk", "attention.dv"))

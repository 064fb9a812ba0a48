"""FFN of a layer: gated SiLU between two linears."""

from __future__ import annotations

from chiplet.graph.descriptions import ffn_operators
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import Weight

__all__ = ["Ffn"]


class Ffn:
    """Operators of the FFN; declares its weights."""

    def __init__(self, builder: StepBuilder) -> None:
        b = self._builder = builder
        self.inputs = tuple(
            b.weight(Weight(f"ffn.{name}", b.hidden, b.ffn, norm="ffn")) for name in ("gate", "up")
        )
        self.output = b.weight(Weight("ffn.down", b.ffn, b.hidden))

    def forward(self) -> None:
        """From the residual stream to the sums that are added to it."""
        b = self._builder
        b.norm_linears("ffn", "residual", self.inputs)
        names = {"gate_sums": "ffn.gate.sums", "up_sums": "ffn.up.sums"}
        b.bind(ffn_operators.FORWARD, "ffn", names, {"inner features": b.ffn})
        b.contract(self.output, "ffn.inner")

    def backward(self) -> None:
        """From ``gradient.operand`` to the gradient of the residual stream in front of the norm."""
        b = self._builder
        b.contract_backward(self.output, "ffn.inner")
        b.bind(
            ffn_operators.BACKWARD,
            "ffn",
            {
                "dinner_sums": "ffn.down.dx",
                "gate_product": "ffn.dgate.product",
                "up_product": "ffn.dup.product",
            },
            {"inner features": b.ffn},
            called={
                "norm_product_gate": "ffn.dgate.norm_product",
                "norm_product_up": "ffn.dup.norm_product",
            },
        )
        b.norm_linears_backward("ffn", self.inputs, ("ffn.dgate", "ffn.dup"))

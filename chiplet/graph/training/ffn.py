"""FFN of a layer: gated SiLU between two linears."""

from __future__ import annotations

from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import TOKENS_B, Weight
from chiplet.graph.training.shared_programs import SCALE, SILU_SCALED
from chiplet.graph.vector_programs import vector_program

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
        for name in ("gate_saved", "up_saved", "inner"):
            b.tensor(f"ffn.{name}", TOKENS_B, b.ffn, "bf16")
        b.run(
            "ffn.silu",
            SILU_SCALED,
            {
                "gate": "ffn.gate.sums",
                "up": "ffn.up.sums",
                "scale": "ffn.scale",
                "gate_saved": "ffn.gate_saved",
                "up_saved": "ffn.up_saved",
                "y": "ffn.inner",
            },
        )
        b.contract(self.output, "ffn.inner")

    def backward(self) -> None:
        """From ``gradient.operand`` to the gradient of the residual stream in front of the norm."""
        b = self._builder
        b.contract_backward(self.output, "ffn.inner")
        b.tensor("ffn.dinner_scaled", TOKENS_B, b.ffn)
        b.run("ffn.scale_dinner", SCALE, {"x": "ffn.down.dx", "scale": "ffn.scale", "y": "ffn.dinner_scaled"})
        for name in ("dgate", "dup"):
            b.tensor(f"ffn.{name}", TOKENS_B, b.ffn, "bf16")
        b.run(
            "ffn.silu_backward",
            vector_program("silu-backward"),
            {
                "dy": "ffn.dinner_scaled",
                "gate": "ffn.gate_saved",
                "up": "ffn.up_saved",
                "dgate": "ffn.dgate",
                "dup": "ffn.dup",
            },
        )
        b.norm_share("ffn", (("ffn.dgate", "ffn.gate_saved"), ("ffn.dup", "ffn.up_saved")))
        b.norm_linears_backward("ffn", self.inputs, ("ffn.dgate", "ffn.dup"))

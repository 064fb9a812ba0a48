"""Attention of a layer: every die has whole query heads of whole sequences, with the key/value heads that they need."""

from __future__ import annotations

from chiplet.graph.operators import Each, ProgramOperand
from chiplet.graph.training.builder import TOKENS_B, StepBuilder, Weight
from chiplet.graph.training.shared_programs import SCALE, SCALE_OPERAND
from chiplet.graph.vector_programs import vector_program

__all__ = ["Attention"]


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

    @property
    def tables(self) -> tuple[str, ...]:
        """Cosines and sines of the tokens' angles; those of queries are scaled by 1 / sqrt(head_dim)."""
        return tuple(f"attention.{part}_{table}" for part in ("q", "k") for table in ("cos", "sin"))

    def _turn(self, name: str, source: str, target: str, part: str, *, backward: bool) -> None:
        each: Each = "head" if part == "q" else "kv-head"
        self._builder.run(
            name,
            vector_program("rotary-backward" if backward else "rotary"),
            {
                "low": ProgramOperand(source, "low"),
                "high": ProgramOperand(source, "high"),
                "cos": f"attention.{part}_cos",
                "sin": f"attention.{part}_sin",
                "low_turned": ProgramOperand(target, "low"),
                "high_turned": ProgramOperand(target, "high"),
            },
            each=each,
        )

    def forward(self) -> None:
        """From the residual stream to the sums that are added to it."""
        b = self._builder
        b.norm_linears("attention", "residual", self.inputs)
        for part, cols in (("q", b.queries), ("k", b.keys)):
            scaled = b.tensor(f"attention.{part}_scaled", TOKENS_B, cols)
            b.run(
                f"attention.scale_{part}",
                SCALE,
                {"x": f"attention.{part}.sums", "scale": "attention.scale", "y": scaled},
            )
            turned = b.tensor(f"attention.{part}_turned", TOKENS_B, cols, "bf16")
            self._turn(f"attention.rotary_{part}", scaled, turned, part, backward=False)
        values = b.tensor("attention.values", TOKENS_B, b.values, "bf16")
        b.run(
            "attention.scale_v",
            SCALE_OPERAND,
            {"x": "attention.v.sums", "scale": "attention.scale", "y": values},
        )
        scores = b.tensor("attention.scores", TOKENS_B, b.scores)
        each: Each = "sequence-head"
        b.product("attention.product_qk", "nt", "attention.q_turned", "attention.k_turned", scores, each=each)
        shares = b.tensor("attention.p", TOKENS_B, b.scores, "bf16")
        b.run(
            "attention.softmax", vector_program("softmax"), {"x": scores, "p": shares}, each=each, causal=True
        )
        mixed = b.tensor("attention.mixed", TOKENS_B, b.mixed, "bf16")
        b.product("attention.product_pv", "nn", shares, values, mixed, each=each)
        b.contract(self.output, mixed)

    def backward(self) -> None:
        """From ``gradient.operand`` to the gradient of the residual stream in front of the norm."""
        b = self._builder
        each: Each = "sequence-head"
        b.contract_backward(self.output, "attention.mixed")
        do = b.cast("attention.cast_do", "attention.o.dx", "attention.do")
        dp = b.tensor("attention.dp", TOKENS_B, b.scores)
        b.product("attention.product_dp", "nt", do, "attention.values", dp, each=each)
        dv = b.tensor("attention.dv_sums", TOKENS_B, b.values)
        b.product("attention.product_dv", "tn", "attention.p", do, dv, each=each)
        ds = b.tensor("attention.ds", TOKENS_B, b.scores, "bf16")
        b.run(
            "attention.softmax_backward",
            vector_program("softmax-backward"),
            {"p": "attention.p", "dp": dp, "dx": ds},
            each=each,
        )
        dq = b.tensor("attention.dq_sums", TOKENS_B, b.queries)
        b.product("attention.product_dq", "nn", ds, "attention.k_turned", dq, each=each)
        dk = b.tensor("attention.dk_sums", TOKENS_B, b.keys)
        b.product("attention.product_dk", "tn", ds, "attention.q_turned", dk, each=each)
        for part, sums, cols in (("q", dq, b.queries), ("k", dk, b.keys)):
            scaled = b.tensor(f"attention.d{part}_scaled", TOKENS_B, cols)
            b.run(f"attention.scale_d{part}", SCALE, {"x": sums, "scale": "attention.scale", "y": scaled})
            b.tensor(f"attention.d{part}", TOKENS_B, cols, "bf16")
        b.tensor("attention.dv", TOKENS_B, b.values, "bf16")
        b.run("attention.scale_dv", SCALE_OPERAND, {"x": dv, "scale": "attention.scale", "y": "attention.dv"})
        # Turning keeps inner products, so those of the turned queries and keys serve.
        b.norm_share(
            "attention",
            (
                ("attention.dq_scaled", "attention.q_turned"),
                ("attention.dk_scaled", "attention.k_turned"),
                ("attention.dv", "attention.values"),
            ),
        )
        for part in ("q", "k"):
            self._turn(
                f"attention.rotary_d{part}",
                f"attention.d{part}_scaled",
                f"attention.d{part}",
                part,
                backward=True,
            )
        b.norm_linears_backward("attention", self.inputs, ("attention.dq", "attention.dk", "attention.dv"))

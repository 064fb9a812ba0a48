"""Attention of a layer: every die has whole query heads of whole sequences, with the key/value heads that they need."""

from __future__ import annotations

from dataclasses import replace

from chiplet.graph import attention_operators
from chiplet.graph.description import Description
from chiplet.graph.operators import Each, Product, ProgramOperand, VectorRun
from chiplet.graph.sharding import Dim
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import TOKENS_B, Weight
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

    def _core(self, description: Description) -> None:
        """Scores, softmax and values, or their gradients."""
        b = self._builder
        cols: dict[str, Dim] = {
            **dict.fromkeys(("scores", "p", "dp", "ds"), b.scores),
            "mixed": b.mixed,
            "dq": b.queries,
            "dk": b.keys,
            "dv": b.values,
        }
        names = {role: f"attention.{role}" for role in description.tensors}
        names |= {"q": "attention.q_turned", "k": "attention.k_turned", "v": "attention.values"}
        names |= {role: f"attention.{role}_sums" for role in ("dq", "dk", "dv")}
        for operator in description.checked:
            for role in operator.writes:
                b.tensor(names[role], TOKENS_B, cols[role], description.tensors[role].element)
            name = f"attention.{operator.name}"
            match operator:
                case Product(a=a, b=other, y=y):
                    b.append(replace(operator, name=name, a=names[a], b=names[other], y=names[y]))
                case VectorRun(bind=bind):
                    bound = {key: of._replace(tensor=names[of.tensor]) for key, of in bind.items()}
                    b.append(replace(operator, name=name, bind=bound))
                case _:
                    raise TypeError(
                        f"{description.name}: operator {operator.name} is a {type(operator).__name__}"
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
        b.tensor("attention.values", TOKENS_B, b.values, "bf16")
        b.run(
            "attention.scale_v",
            SCALE_OPERAND,
            {"x": "attention.v.sums", "scale": "attention.scale", "y": "attention.values"},
        )
        self._core(attention_operators.FORWARD)
        b.contract(self.output, "attention.mixed")

    def backward(self) -> None:
        """From ``gradient.operand`` to the gradient of the residual stream in front of the norm."""
        b = self._builder
        b.contract_backward(self.output, "attention.mixed")
        b.cast("attention.cast_do", "attention.o.dx", "attention.do")
        self._core(attention_operators.BACKWARD)
        dq, dk, dv = (f"attention.d{part}_sums" for part in "qkv")
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

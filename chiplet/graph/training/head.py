"""Embedding, output head and loss, with the vocabulary split over the columns of dies."""

from __future__ import annotations

from chiplet.graph import linear_operators
from chiplet.graph.operators import Carried, Gather, ProgramOperand
from chiplet.graph.sharding import ONE
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import TOKENS_A, TOKENS_B, TOKENS_WHOLE, Weight
from chiplet.graph.training.shared_programs import (
    CROSS_ENTROPY_INPUT,
    ONE_HOT,
    SCALE,
    sums_of,
)
from chiplet.graph.vector_programs import vector_program

__all__ = ["Vocabulary"]


class Vocabulary:
    """Operators of the embedding, the head and the loss; declares their weights."""

    def __init__(self, builder: StepBuilder) -> None:
        b = self._builder = builder
        tied = b.sizes.model.tied
        self.embedding = b.weight(Weight("embedding", b.vocab, b.hidden, layered=False))
        rows, cols = (b.vocab, b.hidden) if tied else (b.hidden, b.vocab)
        self.head = b.weight(
            Weight("head", rows, cols, False, "head", transposed=tied, tied="embedding" if tied else "")
        )
        b.tensor("tokens", TOKENS_WHOLE, ONE, "int32", home="memory")
        b.tensor("labels", TOKENS_B, ONE, "int32", home="memory")
        b.tensor("residual", TOKENS_A, b.hidden)
        b.tensor("gradient", TOKENS_A, b.hidden)
        b.tensor("gradient.operand", TOKENS_A, b.hidden, "bf16")
        b.tensor("loss.sum", b.rows, ONE, home="memory", life="batch")

    def embed(self) -> None:
        """The residual stream of the tokens, in layout A: a product of their one-hot rows, which is exact."""
        b = self._builder
        b.tensor("embedding.one_hot", TOKENS_WHOLE, b.vocab, "bf16")
        b.run("embedding.pick", ONE_HOT, {"label": "tokens", "y": "embedding.one_hot"}, offset=b.vocab)
        b.tensor("embedding.partial", TOKENS_WHOLE, b.hidden, partial="row")
        b.product("embedding.product", "nn", "embedding.one_hot", "embedding.operand", "embedding.partial")
        b.scatter("embedding.scatter", "row", Carried("embedding.partial", "residual", "embedding"))

    def embed_backward(self) -> None:
        """The gradient of the embedding's operand."""
        b = self._builder
        dy = b.tensor("embedding.dy", TOKENS_WHOLE, b.hidden, "bf16")
        b.append(
            Gather(
                name="embedding.gather_dy",
                axis="row",
                carries=(Carried("gradient.operand", dy, "embedding"),),
            )
        )
        b.product(
            "embedding.product_dw", "tn", "embedding.one_hot", dy, "embedding.gradient", accumulate="tiles"
        )

    def loss(self) -> None:
        """Logits, loss, and back to the gradient of the residual stream in front of the final norm."""
        b = self._builder
        lines = b.sizes.cols
        b.norm_linears("head", "residual", (self.head,))
        b.tensor("head.logits", TOKENS_B, b.vocab)
        b.run("head.scale_logits", SCALE, {"x": "head.sums", "scale": "head.scale", "y": "head.logits"})
        b.tensor("head.e", TOKENS_B, b.vocab)
        values = ("largest", "total", "picked")
        for name in values:
            b.tensor(f"head.{name}", b.columns, TOKENS_B)
        b.run(
            "head.cross_entropy",
            vector_program("cross-entropy"),
            {
                "x": "head.logits",
                "label": "labels",
                "e": "head.e",
                **{name: f"head.{name}" for name in values},
            },
            offset=b.vocab,
        )
        for operator in linear_operators.LOSS.checked:
            assert isinstance(operator, Gather)
            carries = {f"head.{part.source}": part.purpose for part in operator.carries}
            b.gather(f"head.{operator.name}", operator.axis, carries)
        for name in ("most", "all", "loss"):
            b.tensor(f"head.{name}", TOKENS_B, ONE)
        b.tensor("head.sum", b.rows, ONE)
        members = {
            f"{name}_{line}": ProgramOperand(f"head.{name}_all", member=line)
            for name in values
            for line in range(lines)
        }
        b.run(
            "head.merge",
            vector_program("cross-entropy-merge", lines=lines),
            {**members, "most": "head.most", "all": "head.all", "loss": "head.loss", "sum": "head.sum"},
        )
        b.run("loss.add", sums_of(2), {"x_0": "loss.sum", "x_1": "head.sum", "y": "loss.sum"})
        b.tensor("head.du", TOKENS_B, b.vocab, "bf16")
        b.run(
            "head.cross_entropy_backward",
            CROSS_ENTROPY_INPUT,
            {
                "e": "head.e",
                "label": "labels",
                "largest": "head.largest",
                "most": "head.most",
                "all": "head.all",
                "scale": "head.scale",
                "u": "head.du",
            },
            offset=b.vocab,
        )
        b.norm_share("head", (("head.du", "head.logits"),))
        b.norm_linears_backward("head", (self.head,), ("head.du",), first=True)

    def loss_of_batch(self) -> None:
        """The sum of the losses of all tokens, on every die, in the order of the rows."""
        b = self._builder
        b.gather("loss.gather", "column", {"loss.sum": "loss"})
        b.tensor("loss.total", ONE, ONE, life="batch")
        rows = {f"x_{row}": ProgramOperand("loss.sum_all", member=row) for row in range(b.sizes.rows)}
        b.run("loss.total_of_rows", sums_of(b.sizes.rows), {**rows, "y": "loss.total"})
        b.store("loss.store", "loss.total")

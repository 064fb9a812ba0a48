"""Embedding, output head and loss, with the vocabulary split over the columns of dies."""

from __future__ import annotations

from chiplet.graph.descriptions import vocabulary_operators
from chiplet.graph.descriptions.description import Description
from chiplet.graph.descriptions.shared_programs import sums_of
from chiplet.graph.operators import ProgramOperand
from chiplet.graph.sharding import ONE
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import TOKENS_A, TOKENS_B, TOKENS_WHOLE, Weight, run_of
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
        """The residual stream of the tokens, in layout A."""
        self._embedding(vocabulary_operators.EMBEDDING_FORWARD)

    def embed_backward(self) -> None:
        """The gradient of the embedding's operand."""
        self._embedding(vocabulary_operators.EMBEDDING_BACKWARD)

    def _embedding(self, description: Description) -> None:
        b = self._builder
        names = {
            "tokens": "tokens",
            "w": "embedding.operand",
            "residual": "residual",
            "dy": "gradient.operand",
            "dy_all": "embedding.dy",
            "dw": "embedding.gradient",
        }
        b.bind(description, "embedding", names, {"vocabulary": b.vocab, "features": b.hidden})

    def loss(self) -> None:
        """Logits, loss, and back to the gradient of the residual stream in front of the final norm."""
        b = self._builder
        lines = b.sizes.cols
        b.norm_linears("head", "residual", (self.head,))
        of_line = {
            f"{name}_{line}": ProgramOperand(f"head.{name}_all", member=line)
            for name in vocabulary_operators.LOSS_VALUES
            for line in range(lines)
        }
        own = {name: f"head.{name}" for name in ("most", "all", "loss", "sum")}
        b.bind(
            vocabulary_operators.LOSS,
            "head",
            {"label": "labels", "loss_sum": "loss.sum", "product": "head.du.product"},
            {"vocabulary": b.vocab, "columns": b.columns, "rows": b.rows},
            called={"norm_product": "head.du.norm_product", "add_loss": "loss.add"},
            in_place={
                "merge": run_of(vector_program("cross-entropy-merge", lines=lines), {**of_line, **own})
            },
        )
        b.norm_linears_backward("head", (self.head,), ("head.du",), first=True)

    def loss_of_batch(self) -> None:
        """The sum of the losses of all tokens, on every die, in the order of the rows."""
        b = self._builder
        b.gather("loss.gather", "column", {"loss.sum": "loss"})
        b.tensor("loss.total", ONE, ONE, life="batch")
        rows = {f"x_{row}": ProgramOperand("loss.sum_all", member=row) for row in range(b.sizes.rows)}
        b.run("loss.total_of_rows", sums_of(b.sizes.rows), {**rows, "y": "loss.total"})
        b.store("loss.store", "loss.total")

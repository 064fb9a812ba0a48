"""The end of a step: gradients of gains, sums over replicas, and updates of weights by SGD or Adam."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.graph import linear_operators
from chiplet.graph.operators import ProgramOperand, Reduce
from chiplet.graph.sharding import ONE, KvHeads
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import Weight
from chiplet.graph.training.shared_programs import (
    GAIN_TERMS,
    SCALE,
    SCALE_COLUMNS,
    sums_of,
    update,
)
from chiplet.graph.vector_programs import vector_program

__all__ = ["Updates"]


class Updates:
    """Operators behind the tiles of a batch; declares gains and their moments."""

    def __init__(self, builder: StepBuilder) -> None:
        self._builder = builder

    def gain(self, norm: str) -> None:
        """Declare the gain of a norm, of which each die has that of its features."""
        b = self._builder
        for part in ("gain", *(f"gain.{moment}" for moment in self._builder.moments)):
            b.tensor(f"{norm}.{part}", b.hidden, ONE, home="memory", life="run")

    def gain_gradient(self, norm: str, weights: Sequence[Weight]) -> None:
        """The gradient of a gain from the weights behind it and their own gradients, before replicas are added up:
        a die's sums over its outputs, then over the columns of dies in their order.
        """
        b = self._builder
        names = []
        b.load(f"{norm}.load_weights", *(weight.master for weight in weights))
        for weight in weights:
            own = b.tensor(f"{weight.name}.gain_sums", b.columns, b.hidden, life="batch")
            b.product_sums(f"{weight.name}.gain_products", weight.master, f"{weight.name}.gradient", own)
            names.append(own)
        b.tensor(f"{norm}.gain_part", b.columns, b.hidden, partial="row", life="batch")
        inputs = {f"x_{number}": name for number, name in enumerate(names)}
        b.run(f"{norm}.gain_parts", sums_of(len(names)), {**inputs, "y": f"{norm}.gain_part"})
        self._over_columns(norm)

    def tied_gain_gradient(self, head: Weight) -> None:
        """The same where the outputs are rows of the embedding: the array adds up bf16 terms."""
        b = self._builder
        b.tensor("head.gain_terms", head.rows, head.cols, "bf16", life="batch")
        b.run(
            "head.gain_products",
            GAIN_TERMS,
            {"w": head.master, "g": f"{head.name}.gradient", "y": "head.gain_terms"},
        )
        b.tensor("head.ones", b.columns, b.vocab, "bf16", home="memory", life="run")
        b.load("head.load_weights", head.master, "head.ones")
        b.tensor("head.gain_part", b.columns, b.hidden, partial="row", life="batch")
        b.product("head.gain_sums", "nn", "head.ones", "head.gain_terms", "head.gain_part")
        self._over_columns("head")

    def _over_columns(self, norm: str) -> None:
        b = self._builder
        b.gather(f"{norm}.gather_gain", "row", {f"{norm}.gain_part": "gains"})
        b.tensor(f"{norm}.gain.gradient", b.hidden, ONE, life="batch")
        columns = {
            f"x_{col}": ProgramOperand(f"{norm}.gain_part_all", member=col) for col in range(b.sizes.cols)
        }
        b.run(f"{norm}.gain_total", sums_of(b.sizes.cols), {**columns, "y": f"{norm}.gain.gradient"})

    def replicas(self, weights: Sequence[Weight]) -> None:
        """Sums of the gradients of key and value weights over the dies that hold the same head."""
        shared = [weight for weight in weights if isinstance(weight.cols, KvHeads)]
        names = {f"dw_{weight.name.rpartition('.')[2]}": f"{weight.name}.gradient" for weight in shared}
        for operator in linear_operators.REPLICAS.checked:
            assert isinstance(operator, Reduce)
            tensors = tuple(names[name] for name in operator.tensors)
            self._builder.append(Reduce(name=f"attention.{operator.name}", tensors=tensors))

    def unfold(self, weight: Weight) -> None:
        """From the gradient of the folded weight to that of the weight."""
        scale = SCALE_COLUMNS if weight.transposed else SCALE
        gradient = f"{weight.name}.gradient"
        self._builder.run(
            f"{weight.name}.unfold", scale, {"x": gradient, "scale": f"{weight.norm}.gain", "y": gradient}
        )

    def update(self, name: str, w: str) -> None:
        """The update of ``w``, whose moments and gradient have the prefix ``name``."""
        b = self._builder
        moments = {moment: f"{name}.{moment}" for moment in b.moments}
        b.load(f"{name}.load_state", w, *moments.values())
        b.run(f"{name}.update", update(b.sizes.optimizer), {"w": w, "g": f"{name}.gradient", **moments})
        b.store(f"{name}.store", w, *moments.values())

    def tied_sum(self, embedding: Weight, head: Weight) -> None:
        """The gradient of a tied embedding: that of the embedding and that of the head."""
        self._builder.run(
            "embedding.add_head",
            vector_program("residual"),
            {"x": f"{embedding.name}.gradient", "branch": f"{head.name}.gradient"},
        )

"""The end of a step: gradients of gains, sums over replicas, and updates of weights by SGD or Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chiplet.graph.descriptions import linear_operators, weight_operators
from chiplet.graph.descriptions.description import Description
from chiplet.graph.descriptions.shared_programs import SCALE_COLUMNS, sums_of
from chiplet.graph.operators import Operator, ProgramOperand, Reduce, VectorRun
from chiplet.graph.sharding import ONE, KvHeads
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.operator_builder import Weight, run_of

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
        """The gradient of a gain from the weights behind it and their own gradients, before replicas are added up."""
        b = self._builder
        products, *others = weight_operators.GAIN.checked
        b.load(f"{norm}.load_weights", *(weight.master for weight in weights))
        names = {}
        for number, weight in enumerate(weights):
            names[f"x_{number}"] = own = f"{weight.name}.gain_sums"
            tensors = {"w": weight.master, "dw": f"{weight.name}.gradient", "products": own}
            dims = {"columns": b.columns, "inputs": b.hidden}
            b.bind(weight_operators.GAIN, weight.name, tensors, dims, only=[products], life="batch")
        parts = run_of(sums_of(len(names)), {**names, "y": f"{norm}.gain_part"})
        self._gain(weight_operators.GAIN, norm, {}, others, {"gain_parts": parts})

    def tied_gain_gradient(self, head: Weight) -> None:
        """The same where the outputs are rows of the embedding: the array adds up bf16 terms."""
        b = self._builder
        terms, *others = weight_operators.GAIN_TIED.checked
        names = {"w": head.master, "dw": f"{head.name}.gradient", "terms": "head.gain_terms"}
        names["ones"] = "head.ones"
        self._gain(weight_operators.GAIN_TIED, "head", names, [terms], {})
        b.tensor("head.ones", b.columns, b.vocab, "bf16", home="memory", life="run")
        b.load("head.load_weights", head.master, "head.ones")
        self._gain(weight_operators.GAIN_TIED, "head", names, others, {})

    def _gain(
        self,
        description: Description,
        norm: str,
        names: Mapping[str, str],
        operators: Sequence[Operator],
        in_place: Mapping[str, VectorRun],
    ) -> None:
        """``operators`` of the gradient of a gain, whose parts are those of the columns of dies."""
        b = self._builder
        own = {name: f"{norm}.gain_{name}" for name in ("part", "part_all")}
        own["dgain"] = f"{norm}.gain.gradient"
        of_line = {f"x_{col}": ProgramOperand(own["part_all"], member=col) for col in range(b.sizes.cols)}
        total = run_of(sums_of(b.sizes.cols), {**of_line, "y": own["dgain"]})
        dims = {"columns": b.columns, "inputs": b.hidden, "outputs": b.vocab}
        b.bind(
            description,
            norm,
            {**own, **names},
            dims,
            only=operators,
            in_place={"gain_total": total, **in_place},
            life="batch",
        )

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
        names = {"dw": f"{weight.name}.gradient", "gain": f"{weight.norm}.gain"}
        turned = {}
        if weight.transposed:
            bind = {"x": names["dw"], "scale": names["gain"], "y": names["dw"]}
            turned["unfold"] = run_of(SCALE_COLUMNS, bind)
        self._builder.bind(weight_operators.UNFOLD, weight.name, names, {}, in_place=turned)

    def update(self, name: str, w: str) -> None:
        """The update of ``w``, whose moments and gradient have the prefix ``name``."""
        b = self._builder
        moments = {moment: f"{name}.{moment}" for moment in b.moments}
        b.load(f"{name}.load_state", w, *moments.values())
        description = weight_operators.update_operators(b.sizes.optimizer)
        b.bind(description, name, {"w": w, "dw": f"{name}.gradient", **moments}, {})
        b.store(f"{name}.store", w, *moments.values())

    def tied_sum(self, embedding: Weight, head: Weight) -> None:
        """The gradient of a tied embedding: that of the embedding and that of the head."""
        names = {"dw": f"{embedding.name}.gradient", "dw_head": f"{head.name}.gradient"}
        self._builder.bind(weight_operators.TIED_SUM, embedding.name, names, {})

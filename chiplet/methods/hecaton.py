"""The Hecaton method: all-gather along one dimension of the mesh, local GEMM, reduce-scatter along the other.

On R x C dies the first linear of a block is of type A: die (i, j) starts with token tile j of feature block i
(layout A), gathers X along row i, multiplies with its W_ij (input block i, output block j), and the partial
sums are reduce-scattered down column j. Y then lies in layout B (token tile i of feature block j), from which
the second linear, of type B, gathers down the columns and scatters along the rows, back to layout A. Weights
and their gradients never cross the NoP. A die receives m (h_in (C - 1) + h_out (R - 1)) / (R C) elements in a
type A linear with m tokens, and in type B the same with R and C swapped (arXiv 2407.05784 and
docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from chiplet.graph.descriptions import (
    linear_operators,
    norm_operators,
    vocabulary_operators,
    weight_operators,
)
from chiplet.graph.descriptions.description import KV_HEADS, TOKENS, Description
from chiplet.methods.base import Method, Switches
from chiplet.methods.graph_fold import Sizes, collectives, products
from chiplet.vectorized.elementwise import Number, anywhere, larger, tabulated
from chiplet.workload.data_flow import LOSS, NORM
from chiplet.workload.operations import CommStep, FusedBlock, GemmStep, Linear, Operation
from nop.collective_cost import CollectiveCost, line_cost
from nop.collectives import Algorithm


class HecatonSwitches(Switches):
    """Switches of the Hecaton method."""

    collective: Annotated[Algorithm, Field(description="on a line of dies: folded ring or two-way chain")] = (
        "ring"
    )
    gather_again: Annotated[
        bool, Field(description="dW gathers X along the NoP once more; else memory multicasts it to the line")
    ] = True


_NAMES = {
    "gather_x": "gather X",
    "product": "XW",
    "scatter_y": "scatter Y",
    "gather_dy": "gather dY",
    "product_dx": "dY W^T",
    "scatter_dx": "scatter dX",
    "gather_x_again": "gather X again",
    "product_dw": "X^T dY",
}
"""Steps of a linear as results name them, by their operators."""


class Hecaton(Method):
    """The Hecaton method on a mesh of any shape."""

    name = "hecaton"
    switches_type = HecatonSwitches
    switches: HecatonSwitches
    folds_norms: ClassVar[bool] = True
    _A: ClassVar[str] = "row"
    _B: ClassVar[str] = "column"

    @cached_property
    def head_groups(self) -> Number:
        """One for each column: the output features of Q, K and V are split over the columns."""
        return self.mesh.cols

    @cached_property
    def sequence_groups(self) -> Number:
        """One for each row: the reduce-scatter down the column leaves each die whole sequences."""
        return self.mesh.rows

    @cached_property
    def _row_cost(self) -> CollectiveCost:
        """Cost of an all-gather along the row."""
        cost: CollectiveCost = tabulated(line_cost, self.mesh.cols, self.switches.collective)
        return cost

    @cached_property
    def _column_cost(self) -> CollectiveCost:
        """Cost of an all-gather down the column."""
        cost: CollectiveCost = tabulated(line_cost, self.mesh.rows, self.switches.collective)
        return cost

    def _cost(self, axis: str) -> CollectiveCost:
        return self._row_cost if axis == self._A else self._column_cost

    @cached_property
    def _lines(self) -> dict[str, Number]:
        """Dies of a line along each axis."""
        return {self._A: self.mesh.cols, self._B: self.mesh.rows}

    def _folded(self, description: Description, linear: Linear, tokens: int) -> Operation:
        """``description`` with the sizes of ``linear``: type A if it is the first of its block, else type B."""
        sizes = {TOKENS: tokens, "inputs": linear.h_in, "outputs": linear.h_out}
        type_b, dies = not linear.expand, self._lines
        comms = tuple(
            self.collective(
                f"{linear.name}: {_NAMES[of.name]}",
                of.op,
                of.axis,
                dies[of.axis],
                self._cost(of.axis),
                of.chunk.of(sizes, dies),
                sums=of.sums,
            )
            for of in collectives(description, type_b=type_b)
            if self.switches.gather_again or of.name != linear_operators.GATHER_AGAIN
        )
        gemms = tuple(
            GemmStep(_NAMES[of.name], *of.sizes(sizes, dies), 1, of.work(sizes), of.split)
            for of in products(description, type_b=type_b)
        )
        return Operation(linear.name, comms, gemms)

    def linear_forward(self, linear: Linear, tokens: int) -> Operation:
        """Gather X, multiply, scatter the partial sums of Y."""
        return self._folded(linear_operators.FORWARD, linear, tokens)

    def linear_backward(self, linear: Linear, tokens: int) -> Operation:
        """Gather dY, multiply by W^T, scatter dX; X^T dY uses the same gathered dY, and X gathered again."""
        return self._folded(linear_operators.BACKWARD, linear, tokens)

    def norm_comms(self, linear: Linear, tokens: int, *, backward: bool) -> tuple[CommStep, ...]:
        """Extra columns beside the features of the linear.

        Forward, each column of dies adds up the norm's feature sums on its own. Backward, the sum over features of
        dX x equals the sum over output features of dY Y, which is local to the dY that is gathered.
        """
        of_pass = norm_operators.BACKWARD if backward else norm_operators.FORWARD
        sizes = {TOKENS: tokens, "norm sums": self.model.norm_sums}
        return tuple(self._beside(NORM, of_pass, sizes, type_b=not linear.expand, rides=True))

    def loss_comms(self, tokens: int) -> tuple[CommStep, ...]:
        """Along the row: after a type A linear the logits of a token are split over the columns."""
        sizes = {TOKENS: tokens, "columns": self.mesh.cols}
        return tuple(self._beside(LOSS, vocabulary_operators.LOSS, sizes))

    def embedding_comms(self, tokens: Number) -> tuple[CommStep, ...]:
        """Along the row, whose dies share the vocabulary: each adds up the gradients of its rows."""
        sizes = {TOKENS: tokens, "features": self.model.table_features}
        both = vocabulary_operators.EMBEDDING_FORWARD, vocabulary_operators.EMBEDDING_BACKWARD
        return tuple(step for of_pass in both for step in self._beside("embedding", of_pass, sizes))

    def gain_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Parts of a gain's gradient along the row, whose dies have the outputs behind it."""
        if not self._vector.folds_into(block):
            return ()
        sizes = {"columns": self.mesh.cols, "inputs": self.model.hidden}
        tied = block.name == "head" and self.model.tied
        description = weight_operators.GAIN_TIED if tied else weight_operators.GAIN
        return tuple(self._beside("gain", description, sizes, weights=True))

    def _beside(
        self,
        name: str,
        description: Description,
        sizes: Sizes,
        *,
        type_b: bool = False,
        rides: bool = False,
        weights: bool = False,
    ) -> Iterator[CommStep]:
        """Collectives of ``description``, which belong to no product."""
        for of in collectives(description, type_b=type_b):
            yield self.collective(
                f"{name}: {of.source}",
                of.op,
                of.axis,
                self._lines[of.axis],
                self._cost(of.axis),
                of.chunk.of(sizes, self._lines),
                sums=of.sums,
                rides=rides,
                weights=weights,
            )

    def head_comm(self, name: str, op: str, elements: Number) -> CommStep:
        """Along the row: the heads of a sequence are split over the columns."""
        return self.collective(
            name, op, self._A, self.mesh.cols, self._cost(self._A), elements / self.mesh.nodes
        )

    def tile_operands(self, linear: Linear) -> Number:
        """Gathered X forward; gathered dY and X backward."""
        return sum(self._features(linear, "all-gather", linear_operators.BACKWARD))

    def tile_sums(self, linear: Linear) -> Number:
        """Partial sums of Y forward, of dX backward."""
        both = linear_operators.FORWARD, linear_operators.BACKWARD
        return larger(*(share for of in both for share in self._features(linear, "reduce-scatter", of)))

    def _features(self, linear: Linear, op: str, description: Description) -> list[Number]:
        """Features that the mean die has of each token in front of a reduce-scatter, or behind an all-gather."""
        sizes = {"inputs": linear.h_in, "outputs": linear.h_out}
        return [
            of.features.of(sizes, self._lines)
            for of in collectives(description, type_b=not linear.expand)
            if of.op == op
        ]

    def gathered_copies(self, linear: Linear) -> Number:
        """One for each die of the line over which X would be gathered."""
        found = collectives(linear_operators.BACKWARD, type_b=not linear.expand)
        (again,) = (of for of in found if of.name == linear_operators.GATHER_AGAIN)
        return 0.0 if self.switches.gather_again else 1.0 * self._lines[again.axis]

    def replica_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Replicated key and value weights: their gradients are summed over the columns that share a head."""
        replicas = self.kv_replicas
        if block.name != "attention" or not anywhere(replicas > 1):
            return ()
        sizes = {"inputs": self.model.hidden, KV_HEADS: self.kv_heads * self.model.head_dim}
        shares = (of.chunk.of(sizes, self._lines) for of in collectives(linear_operators.REPLICAS))
        chunk = sum(shares) / replicas
        cost = tabulated(line_cost, replicas, self.switches.collective)
        return tuple(
            self.collective(f"dW of K, V replicas: {op}", op, self._A, replicas, cost, chunk, weights=True)
            for op in ("reduce-scatter", "all-gather")
        )

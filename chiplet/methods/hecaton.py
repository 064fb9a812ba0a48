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

from functools import cached_property
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from chiplet.methods.base import Method, Switches
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, larger, tabulated
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


class _Sides(NamedTuple):
    """The two dimensions for one linear: it gathers X over ``gather`` dies and scatters Y over ``scatter``."""

    gather_axis: str
    gather: int
    scatter_axis: str
    scatter: int


class Hecaton(Method):
    """The Hecaton method on a mesh of any shape."""

    name = "hecaton"
    switches_type = HecatonSwitches
    switches: HecatonSwitches
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
    def _costs(self) -> dict[str, CollectiveCost]:
        """Cost of an all-gather along each dimension."""
        lines = {self._A: self.mesh.cols, self._B: self.mesh.rows}
        return {axis: tabulated(line_cost, nodes, self.switches.collective) for axis, nodes in lines.items()}

    def _sides(self, linear: Linear) -> _Sides:
        if linear.expand:
            return _Sides(self._A, self.mesh.cols, self._B, self.mesh.rows)
        return _Sides(self._B, self.mesh.rows, self._A, self.mesh.cols)

    def _gather(self, name: str, axis: str, group: int, elements: float) -> CommStep:
        return self.collective(name, "all-gather", axis, group, self._costs[axis], elements / self.mesh.nodes)

    def _scatter(self, name: str, axis: str, group: int, elements: float) -> CommStep:
        return self.collective(
            name, "reduce-scatter", axis, group, self._costs[axis], elements / self.mesh.nodes
        )

    def linear_forward(self, linear: Linear, tokens: int) -> Operation:
        """Gather X, multiply, scatter the partial sums of Y."""
        sides = self._sides(linear)
        # The input features are split over the dies of the scatter, the output features over those of the gather.
        gemm = GemmStep(
            "XW",
            tokens,
            ceil_div(linear.h_in, sides.scatter),
            ceil_div(linear.h_out, sides.gather),
            1,
            tokens * linear.h_in * linear.h_out,
            "m",
        )
        comms = (
            self._gather(f"{linear.name}: gather X", sides.gather_axis, sides.gather, tokens * linear.h_in),
            self._scatter(
                f"{linear.name}: scatter Y", sides.scatter_axis, sides.scatter, tokens * linear.h_out
            ),
        )
        return Operation(linear.name, comms, (gemm,))

    def linear_backward(self, linear: Linear, tokens: int) -> Operation:
        """Gather dY, multiply by W^T, scatter dX; X^T dY uses the same gathered dY, and X gathered again."""
        sides = self._sides(linear)
        h_in, h_out = ceil_div(linear.h_in, sides.scatter), ceil_div(linear.h_out, sides.gather)
        macs = tokens * linear.h_in * linear.h_out
        comms = [
            self._gather(
                f"{linear.name}: gather dY", sides.scatter_axis, sides.scatter, tokens * linear.h_out
            ),
            self._scatter(
                f"{linear.name}: scatter dX", sides.gather_axis, sides.gather, tokens * linear.h_in
            ),
        ]
        if self.switches.gather_again:
            comms.append(
                self._gather(
                    f"{linear.name}: gather X again", sides.gather_axis, sides.gather, tokens * linear.h_in
                )
            )
        return Operation(
            linear.name,
            tuple(comms),
            (
                GemmStep("dY W^T", tokens, h_out, h_in, 1, macs, "m"),
                GemmStep("X^T dY", h_in, tokens, h_out, 1, macs, "k"),
            ),
        )

    def norm_comms(self, linear: Linear, tokens: int, *, backward: bool) -> tuple[CommStep, ...]:
        """Extra columns in the following reduce-scatter: down the column forward, along the row backward.

        Forward, each column of dies adds up the norm's feature sums on its own. Backward, the sum over features of
        dX x equals the sum over output features of dY Y, which is local to the gathered dY and scattered with dX.
        """
        sides = self._sides(linear)
        axis, group = (sides.gather_axis, sides.gather) if backward else (sides.scatter_axis, sides.scatter)
        chunk = tokens * self.model.norm_sums / group
        return (
            self.collective("norm sums", "reduce-scatter", axis, group, self._costs[axis], chunk, rides=True),
        )

    def loss_comms(self, tokens: int) -> tuple[CommStep, ...]:
        """Along the row: after a type A linear the logits of a token are split over the columns."""
        chunk = 2 * tokens / self.mesh.nodes
        cost = self._costs[self._A]
        return tuple(
            self.collective(f"loss sums: {op}", op, self._A, self.mesh.cols, cost, chunk)
            for op in ("reduce-scatter", "all-gather")
        )

    def head_comm(self, name: str, op: str, elements: Number) -> CommStep:
        """Along the row: the heads of a sequence are split over the columns."""
        return self.collective(
            name, op, self._A, self.mesh.cols, self._costs[self._A], elements / self.mesh.nodes
        )

    def tile_operands(self, linear: Linear) -> Number:
        """Gathered X forward; gathered dY and X backward."""
        sides = self._sides(linear)
        return linear.h_in / sides.scatter + linear.h_out / sides.gather

    def tile_sums(self, linear: Linear) -> Number:
        """Partial sums of Y forward, of dX backward."""
        sides = self._sides(linear)
        return larger(linear.h_out / sides.gather, linear.h_in / sides.scatter)

    def gathered_copies(self, linear: Linear) -> Number:
        """One for each die of the line over which X would be gathered."""
        return 0.0 if self.switches.gather_again else 1.0 * self._sides(linear).gather

    def replica_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Replicated key and value weights: their gradients are summed over the columns that share a head."""
        replicas = self.kv_replicas
        if block.name != "attention" or not anywhere(replicas > 1):
            return ()
        weights = 2 * self.model.hidden * self.kv_heads * self.model.head_dim / self.mesh.nodes
        cost = tabulated(line_cost, replicas, self.switches.collective)
        return tuple(
            self.collective(
                f"dW of K, V replicas: {op}", op, self._A, replicas, cost, weights / replicas, weights=True
            )
            for op in ("reduce-scatter", "all-gather")
        )

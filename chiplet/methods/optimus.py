"""Optimus: 2-D tensor parallelism by SUMMA (Xu et al., arXiv 2104.05343).

Die (i, j) holds block (i, j) of everything: tokens and input features of X, input and output features of W,
tokens and output features of Y. For Y = X W the dies of a row broadcast their blocks of X along it in turn,
the dies of a column their blocks of W. dX = dY W^T broadcasts W and reduces dX; dW = X^T dY broadcasts X and
reduces dW. So, unlike the other methods, weights and their gradients cross the NoP, once for each mini-batch.
With tree broadcasts on a square of p dies the elements over the busiest link are log2(p) / (2 sqrt(p)) x (7 b
s h + 12 h^2) a layer forward, for 4 h^2 + 8 h^2 weights.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from chiplet.methods.base import Method, Switches
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, larger, tabulated
from chiplet.workload.operations import CommStep, FusedBlock, GemmStep, Linear, Operation
from nop.collective_cost import Broadcast, CollectiveCost, broadcasts_cost, line_cost


class OptimusSwitches(Switches):
    """Switches of Optimus."""

    broadcast: Annotated[
        Broadcast, Field(description="a block is sent along a binary tree, or streams down the line of dies")
    ] = "pipelined"


class Optimus(Method):
    """2-D tensor parallelism by SUMMA on a mesh of any shape."""

    name = "optimus"
    switches_type = OptimusSwitches
    switches: OptimusSwitches
    token_tiled: ClassVar[bool] = False
    weights_travel: ClassVar[bool] = True

    @cached_property
    def head_groups(self) -> Number:
        """One for each column."""
        return self.mesh.cols

    @cached_property
    def sequence_groups(self) -> Number:
        """One for each row."""
        return self.mesh.rows

    @cached_property
    def token_groups(self) -> Number:
        """One for each row."""
        return self.mesh.rows

    @cached_property
    def _costs(self) -> dict[str, CollectiveCost]:
        """Cost of a sweep of broadcasts along each dimension."""
        lines = {"row": self.mesh.cols, "column": self.mesh.rows}
        return {
            axis: tabulated(broadcasts_cost, nodes, self.switches.broadcast) for axis, nodes in lines.items()
        }

    @cached_property
    def _row_ring(self) -> CollectiveCost:
        cost: CollectiveCost = tabulated(line_cost, self.mesh.cols, "ring")
        return cost

    def _along_row(self, name: str, op: str, features: int, tokens: int) -> CommStep:
        """Blocks of tokens by ``features`` broadcast or reduced along the row."""
        cost = self._costs["row"]
        return self.collective(name, op, "row", self.mesh.cols, cost, tokens * features / self.mesh.nodes)

    def _down_column(self, name: str, op: str, linear: Linear) -> CommStep:
        """Blocks of weights or their gradients broadcast or reduced along the column."""
        cost = self._costs["column"]
        chunk = linear.weights / self.mesh.nodes
        return self.collective(name, op, "column", self.mesh.rows, cost, chunk, weights=True)

    def linear_forward(self, linear: Linear, tokens: int) -> Operation:
        """One SUMMA sweep, with one panel for each column."""
        comms = (
            self._along_row(f"{linear.name}: broadcast X", "broadcast", linear.h_in, tokens),
            self._down_column(f"{linear.name}: broadcast W", "broadcast", linear),
        )
        rows, cols = self.mesh.rows, self.mesh.cols
        macs = tokens * linear.h_in * linear.h_out
        gemm = GemmStep(
            "XW",
            ceil_div(tokens, rows),
            ceil_div(linear.h_in, cols),
            ceil_div(linear.h_out, cols),
            cols,
            macs,
            None,
        )
        return Operation(linear.name, comms, (gemm,))

    def linear_backward(self, linear: Linear, tokens: int) -> Operation:
        """Two sweeps: W broadcast and dX reduced, X broadcast and dW reduced."""
        comms = (
            self._down_column(f"{linear.name}: broadcast W", "broadcast", linear),
            self._along_row(f"{linear.name}: reduce dX", "reduce", linear.h_in, tokens),
            self._along_row(f"{linear.name}: broadcast X", "broadcast", linear.h_in, tokens),
            self._down_column(f"{linear.name}: reduce dW", "reduce", linear),
        )
        rows, cols = self.mesh.rows, self.mesh.cols
        macs = tokens * linear.h_in * linear.h_out
        m = ceil_div(tokens, rows)
        h_in, h_out = ceil_div(linear.h_in, cols), ceil_div(linear.h_out, cols)
        gemms = (
            GemmStep("dY W^T", m, h_out, h_in, cols, macs, None),
            GemmStep("X^T dY", h_in, m, h_out, cols, macs, None),
        )
        return Operation(linear.name, comms, gemms)

    def norm_comms(self, linear: Linear, tokens: int, *, backward: bool) -> tuple[CommStep, ...]:
        """The feature sums are all-reduced along the row on the folded ring."""
        del linear, backward
        return self._row_sums("norm sums", tokens * self.model.norm_sums)

    def loss_comms(self, tokens: int) -> tuple[CommStep, ...]:
        """Along the row: the logits of a token are split over the columns."""
        return self._row_sums("loss sums", 2 * tokens)

    def embedding_comms(self, tokens: Number) -> tuple[CommStep, ...]:
        """Down the column, whose dies share the vocabulary, each with the features of its column."""
        chunk = tokens * self.model.table_features / self.mesh.nodes
        cost = tabulated(line_cost, self.mesh.rows, "ring")
        return tuple(
            self.collective(f"embedding: {name}", op, "column", self.mesh.rows, cost, chunk)
            for name, op in (("scatter rows", "reduce-scatter"), ("gather gradients", "all-gather"))
        )

    def _row_sums(self, name: str, elements: int) -> tuple[CommStep, ...]:
        cols = self.mesh.cols
        cost = self._row_ring
        chunk = elements / self.mesh.nodes
        return tuple(
            self.collective(f"{name}: {op}", op, "row", cols, cost, chunk)
            for op in ("reduce-scatter", "all-gather")
        )

    def head_comm(self, name: str, op: str, elements: Number) -> CommStep:
        """Along the row: the heads of a sequence are split over the columns."""
        return self.collective(name, op, "row", self.mesh.cols, self._row_ring, elements / self.mesh.nodes)

    def tile_operands(self, linear: Linear) -> Number:
        """The panel of X in use: tokens of the row, features of one column."""
        return linear.h_in / self.mesh.nodes

    def tile_sums(self, linear: Linear) -> Number:
        """Sums of the die's own block of Y, or a panel of dX."""
        return larger(linear.h_out, linear.h_in) / self.mesh.nodes

    def tile_count(self, tokens: Number, tile: Number) -> Number:
        """The panels of a sweep overlap one another."""
        del tokens, tile
        return self.mesh.cols

    def replica_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Replicated key and value weights: their gradients are summed over the columns that share a head."""
        replicas = self.kv_replicas
        if block.name != "attention" or not anywhere(replicas > 1):
            return ()
        weights = 2 * self.model.hidden * self.kv_heads * self.model.head_dim / self.mesh.nodes
        cost = tabulated(line_cost, replicas, "ring")
        return tuple(
            self.collective(
                f"dW of K, V replicas: {op}", op, "row", replicas, cost, weights / replicas, weights=True
            )
            for op in ("reduce-scatter", "all-gather")
        )

"""What the two baselines of Megatron's 1-D tensor parallelism share; they differ in their ring.

The first linear of a block is split by output features, the second by input features, over all N dies. As in
Megatron's sequence parallelism, every all-reduce is a reduce-scatter and an all-gather of the same volume: activations
between blocks are scattered over the dies, and X is gathered in token tiles before the first linear. A die receives 4
(N - 1) / N x m h elements forward and as many backward (Shoeybi et al., arXiv 1909.08053; Korthikanti et al., arXiv
2205.05198).
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from chiplet.methods.base import Method, Switches
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, larger, smaller
from chiplet.workload.operations import CommStep, FusedBlock, GemmStep, Linear, Operation, linears
from nop.collective_cost import CollectiveCost


class RingSwitches(Switches):
    """Switches of tensor parallelism over one ring."""

    gather_again: Annotated[
        bool, Field(description="dW gathers X along the NoP once more; else memory multicasts it to all dies")
    ] = False


class TensorParallel(Method):
    """Megatron's 1-D tensor parallelism."""

    switches_type = RingSwitches
    switches: RingSwitches
    axis: ClassVar[str]

    @cached_property
    @abstractmethod
    def ring_cost(self) -> CollectiveCost:
        """Cost of an all-gather over all dies."""

    @cached_property
    def head_groups(self) -> Number:
        """One for each head, up to the number of dies."""
        return smaller(self.mesh.nodes, self.model.heads)

    @cached_property
    def sequence_groups(self) -> Number:
        """With more dies than heads, dies that share the weights of a head split the sequences, so no die is idle."""
        return self.mesh.nodes // self.head_groups

    def _step(self, name: str, op: str, elements: float) -> CommStep:
        return self.collective(
            name, op, self.axis, self.mesh.nodes, self.ring_cost, elements / self.mesh.nodes
        )

    def _split(self, linear: Linear) -> tuple[int, int]:
        """Groups of dies over which the features between the two linears, and the tokens, are split."""
        return (self.head_groups, self.sequence_groups) if linear.by_heads else (self.mesh.nodes, 1)

    def _sizes(self, linear: Linear, tokens: int) -> tuple[int, int, int]:
        """Tokens, input and output features of a die's GEMM."""
        features, groups = self._split(linear)
        m = ceil_div(tokens, groups)
        if linear.expand:
            return m, linear.h_in, ceil_div(linear.h_out, features)
        return m, ceil_div(linear.h_in, features), linear.h_out

    def linear_forward(self, linear: Linear, tokens: int) -> Operation:
        """Gather X before the first linear; scatter the partial sums of Y after the second."""
        m, h_in, h_out = self._sizes(linear, tokens)
        if linear.expand:
            comm = self._step(f"{linear.name}: gather X", "all-gather", tokens * linear.h_in)
        else:
            comm = self._step(f"{linear.name}: scatter Y", "reduce-scatter", tokens * linear.h_out)
        gemm = GemmStep("XW", m, h_in, h_out, 1, tokens * linear.h_in * linear.h_out, "m")
        return Operation(linear.name, (comm,), (gemm,))

    def linear_backward(self, linear: Linear, tokens: int) -> Operation:
        """Gather dY before the second linear's gradients; scatter dX after the first's."""
        m, h_in, h_out = self._sizes(linear, tokens)
        if linear.expand:
            comms = [self._step(f"{linear.name}: scatter dX", "reduce-scatter", tokens * linear.h_in)]
            if self.switches.gather_again:
                comms.append(self._step(f"{linear.name}: gather X again", "all-gather", tokens * linear.h_in))
        else:
            comms = [self._step(f"{linear.name}: gather dY", "all-gather", tokens * linear.h_out)]
        macs = tokens * linear.h_in * linear.h_out
        gemms = (
            GemmStep("dY W^T", m, h_out, h_in, 1, macs, "m"),
            GemmStep("X^T dY", h_in, m, h_out, 1, macs, "k"),
        )
        return Operation(linear.name, tuple(comms), gemms)

    def norm_comms(self, linear: Linear, tokens: int, *, backward: bool) -> tuple[CommStep, ...]:
        """Nothing: a scattered token has all its features on one die."""
        del linear, tokens, backward
        return ()

    def loss_comms(self, tokens: int) -> tuple[CommStep, ...]:
        """Around the ring: the logits of a token are split over all dies."""
        return (
            self._step("loss sums: reduce-scatter", "reduce-scatter", 2 * tokens),
            self._step("loss sums: all-gather", "all-gather", 2 * tokens),
        )

    def embedding_comms(self, tokens: Number) -> tuple[CommStep, ...]:
        """Around the ring: the vocabulary is split over all dies."""
        elements = tokens * self.model.table_features
        return (
            self._step("embedding: scatter rows", "reduce-scatter", elements),
            self._step("embedding: gather gradients", "all-gather", elements),
        )

    def head_comm(self, name: str, op: str, elements: Number) -> CommStep:
        """Around the ring: the heads are split over all dies."""
        return self._step(name, op, elements)

    def tile_operands(self, linear: Linear) -> Number:
        """All features of a gathered token, and the die's share of the features between the linears."""
        features, groups = self._split(linear)
        if linear.expand:
            return (linear.h_in + linear.h_out / features) / groups
        return (linear.h_out + linear.h_in / features) / groups

    def tile_sums(self, linear: Linear) -> Number:
        """Partial sums of a token, of Y or of dX, whichever are more; one of the two has all features."""
        features, groups = self._split(linear)
        if linear.expand:
            return larger(linear.h_in, linear.h_out / features) / groups
        return larger(linear.h_out, linear.h_in / features) / groups

    def gathered_copies(self, linear: Linear) -> Number:
        """One for each die, for the first linear only: the input of the second is not gathered."""
        return 0.0 if self.switches.gather_again or not linear.expand else 1.0 * self.mesh.nodes

    def replica_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Dies that share a head, or a key/value head, sum the gradients of its weights."""
        if block.name != "attention":
            return ()
        layer, of_die = block.layer, ceil_div(block.layer.heads, self.head_groups)
        if layer.latent is None:
            replicas = {
                "Q, O": (self.sequence_groups, 2 * layer.hidden * layer.head_dim * of_die),
                "K, V": (
                    self.sequence_groups * self.kv_replicas,
                    2 * layer.hidden * layer.head_dim * ceil_div(self.kv_heads, self.head_groups),
                ),
            }
        else:
            of_heads = sum(linear.weights for linear in linears(block) if linear.by_heads)
            replicas = {"Q, K, V, O": (self.sequence_groups, of_heads * of_die / layer.heads)}
        return tuple(
            self.collective(
                f"dW of {name} replicas: {op}",
                op,
                self.axis,
                group,
                _neighbours(group),
                weights / group,
                weights=True,
            )
            for name, (group, weights) in replicas.items()
            if anywhere(group > 1)
            for op in ("reduce-scatter", "all-gather")
        )

    def weights_of(self, linear: Linear) -> Number:
        """With more dies than heads the attention's weights are replicated over the sequence groups."""
        return linear.weights / self._split(linear)[0]


def _neighbours(group: int) -> CollectiveCost:
    """All-gather among ``group`` consecutive dies of the ring, in both directions (a chain)."""
    last = group - 1
    return CollectiveCost("chain", last, smaller(1, last), last, last, last, last)

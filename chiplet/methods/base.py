"""What every distribution method defines for a block: the GEMMs of a die, and what crosses the NoP.

A method turns a block and a mini-batch into lists of operations, one for each pass; an operation has its communication,
its GEMMs on one die and its vector work. Time and energy are computed from these elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.graph.vector_work import VectorWork
from chiplet.machine.base import StrictModel
from chiplet.machine.specs import SUM_BYTES
from chiplet.methods.attention_core import attention_core
from chiplet.methods.model_blocks import model_blocks
from chiplet.methods.vector_passes import VectorPasses
from chiplet.vectorized.elementwise import Number, ceil_div, larger, smaller
from chiplet.workload.llm import Llm
from chiplet.workload.operations import (
    Batch,
    BlockPasses,
    CommStep,
    FusedBlock,
    GemmStep,
    Linear,
    Operation,
    VectorStep,
    in_pieces,
    joined,
    linears,
    repeated,
    sliced,
)
from nop.collective_cost import CollectiveCost
from nop.topology import Mesh

Recompute = Literal["none", "selective", "full"]


class Switches(StrictModel):
    """Choices that every method has. They change the result, so every result states them."""

    overlap: Annotated[
        bool,
        Field(
            description="GEMMs, vector work and communication of token tiles run at the same time, or in turn"
        ),
    ] = True
    recompute: Annotated[
        Recompute,
        Field(
            description="backward pass recomputes nothing, the attention probabilities, or whole fused blocks"
        ),
    ] = "none"
    masked_keys: Annotated[
        Literal["computed", "skipped"],
        Field(description="keys behind the causal mask are computed and masked, or skipped strip by strip"),
    ] = "computed"
    sums: Annotated[
        Literal["32-bit", "operand"],
        Field(description="partial sums cross the NoP as 32-bit numbers or rounded to the operand type"),
    ] = "32-bit"


class Method(ABC):
    """A distribution method for one model on one mesh, or on many (:class:`chiplet.vectorized.meshes.Meshes`).

    ``element_bytes`` is the size of an operand; partial sums have 4 bytes or the operand's size, as in
    ``switches``.
    """

    name: ClassVar[str]
    switches_type: ClassVar[type[Switches]] = Switches
    token_tiled: ClassVar[bool] = True
    """Whether a mini-batch streams through a linear in token tiles; else the whole mini-batch is one tile."""
    weights_travel: ClassVar[bool] = False
    """Whether dies use weights of other dies, which pass through tile by tile."""
    folds_norms: ClassVar[bool] = False
    """Whether a norm is folded into the linear behind it, as the features of a token are spread over dies."""

    def __init__(self, model: Llm, mesh: Mesh, switches: Switches, element_bytes: int) -> None:
        self.model = model
        self.mesh = mesh
        self.switches = switches
        self.element_bytes = element_bytes
        self.sum_bytes = SUM_BYTES if switches.sums == "32-bit" else element_bytes

    def on(self, mesh: Mesh) -> Self:
        """The same method on another mesh, or on many."""
        return type(self)(self.model, mesh, self.switches, self.element_bytes)

    def skipped_by(self, strip: Number) -> Number | None:
        """Queries for which masked keys are skipped at a time: ``strip``, or None if all are computed."""
        return strip if self.switches.masked_keys == "skipped" else None

    def step_flops(self, tokens: Number, length: Number) -> Number:
        """Operations of a step of ``tokens`` in sequences of ``length``, without skipped keys and recomputation."""
        return 3 * self.model.forward_flops(tokens, length, masked=self.switches.masked_keys == "computed")

    @cached_property
    @abstractmethod
    def head_groups(self) -> Number:
        """Groups of dies over which the attention heads are split."""

    @cached_property
    @abstractmethod
    def sequence_groups(self) -> Number:
        """Groups of dies over which the attention splits the sequences of a mini-batch."""

    @cached_property
    def token_groups(self) -> Number:
        """Groups of dies over which the tokens of a linear are split."""
        return 1

    @abstractmethod
    def linear_forward(self, linear: Linear, tokens: int) -> Operation:
        """Y = X W for a mini-batch of ``tokens``."""

    @abstractmethod
    def linear_backward(self, linear: Linear, tokens: int) -> Operation:
        """dX = dY W^T and dW = X^T dY for a mini-batch of ``tokens``."""

    @abstractmethod
    def norm_comms(self, linear: Linear, tokens: int, *, backward: bool) -> tuple[CommStep, ...]:
        """Communication of the feature sums of the norm before ``linear``."""

    @abstractmethod
    def tile_operands(self, linear: Linear) -> Number:
        """Operand elements that a die holds for each token of a token tile, in the pass with more of them."""

    @abstractmethod
    def tile_sums(self, linear: Linear) -> Number:
        """Partial sums that a die holds for each token of a token tile, in the pass with more of them."""

    @abstractmethod
    def replica_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Sums of weight gradients over dies that hold the same weights, once in a step."""

    @abstractmethod
    def loss_comms(self, tokens: int) -> tuple[CommStep, ...]:
        """All-reduce of the maximum and the sum of exponentials of each token over the dies that share its logits."""

    @abstractmethod
    def head_comm(self, name: str, op: str, elements: Number) -> CommStep:
        """A collective of ``elements`` in all, among the dies that split the heads of the same sequences."""

    @abstractmethod
    def embedding_comms(self, tokens: Number) -> tuple[CommStep, ...]:
        """What rows of the embedding cross the NoP for ``tokens``, and their gradients."""

    def gain_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """Sums of the gradient of a gain over the dies that have weights behind it, once in a step."""
        del block
        return ()

    def once_comms(self, block: FusedBlock) -> tuple[CommStep, ...]:
        """What is sent once in a step for ``block``."""
        return (*self.replica_comms(block), *self.gain_comms(block))

    def update_work(
        self, optimizer: Optimizer, parameters: Number, layers: Mapping[str, Number] | None = None
    ) -> VectorWork:
        """Vector work of the update of ``parameters`` on all dies together, with what gains of folded norms add to it.

        ``layers`` of each block by its label, by default those of the model.
        """
        folded = {
            block.label: block.expand.weights * (block.layers if layers is None else layers[block.label])
            for block in self.blocks()
            if self._vector.folds_into(block)
        }
        return self._vector.update(optimizer, parameters, folded)

    def gathered_copies(self, linear: Linear) -> Number:
        """Copies of the input X that all dies together receive from memory in the backward pass; 0 if X is gathered
        again.
        """
        del linear
        return 0.0

    def tile_count(self, tokens: Number, tile: Number) -> Number:
        """Number of parts of a mini-batch that overlap one another."""
        return ceil_div(tokens, tile)

    @cached_property
    def kv_heads(self) -> Number:
        """Key/value heads after replication: each head group needs one of its own."""
        return larger(self.model.kv_heads, smaller(self.head_groups, self.model.heads))

    @cached_property
    def _vector(self) -> VectorPasses:
        return VectorPasses(self.model, self.mesh.nodes, folds=self.folds_norms)

    @cached_property
    def _blocks(self) -> tuple[FusedBlock, ...]:
        return model_blocks(self.model, self.kv_heads)

    def blocks(self) -> tuple[FusedBlock, ...]:
        """The blocks of the model: attention and FFN, once for each kind of layers, and the output head, the last."""
        return self._blocks

    def weights_of(self, linear: Linear) -> Number:
        """Weights of ``linear`` that a die keeps, replicas included."""
        return linear.weights / self.mesh.nodes

    def weights_per_die(self, block: FusedBlock) -> Number:
        """Weights of ``block`` that a die keeps, replicas included."""
        return sum(self.weights_of(linear) for linear in linears(block))

    def passes(self, block: FusedBlock, batch: Batch, slices: Number = 1) -> BlockPasses:
        """Operations of both passes over ``block`` for the mini-batch ``batch``, with each linear cut into ``slices``
        by output columns.
        """
        piece = batch.piece
        first: list[Operation] = []
        first_backward: list[Operation] = []
        for linear in block.first:
            parts = self._forward_slices(linear, piece.tokens, slices)
            parts[0] = self._with_norm(parts[0], block, linear, piece, backward=False)
            first += parts
        for linear in reversed(block.first):
            parts = self._backward_slices(linear, piece.tokens, slices)
            parts[-1] = self._with_norm(parts[-1], block, linear, piece, backward=True)
            first_backward += parts
        folded = self._vector.folds_into(block)
        if block.name == "attention":
            first[-1] = joined(first[-1], self._attention_inputs(block, piece, backward=False))
            first_backward[0] = joined(first_backward[0], self._attention_inputs(block, piece, backward=True))
        if block.contract is None:
            if block.name == "head":
                loss = self._vector.loss(piece.tokens, folded=folded)
                first[-1] = joined(first[-1], Operation("loss", self.loss_comms(piece.tokens), (), loss))
            return BlockPasses(block, tuple(first), tuple(first_backward), ())
        elements = piece.tokens * self.model.hidden
        if not folded:  # A norm that is folded has it.
            residual = self._vector.program("residual-backward", elements, "residual")
            first_backward[-1] = joined(first_backward[-1], Operation("residual", vectors=residual))
        second = self._forward_slices(block.contract, piece.tokens, slices)
        residual = (*self._norm_after(piece, backward=False), *self._vector.residual(piece.tokens))
        second[-1] = joined(second[-1], Operation("residual", vectors=residual))
        second_backward = self._backward_slices(block.contract, piece.tokens, slices)
        after = Operation("norm after", vectors=self._norm_after(piece, backward=True))
        second_backward[0] = joined(second_backward[0], after)
        if block.name == "attention":
            middle, middle_backward = attention_core(
                block.layer,
                batch,
                head_groups=self.head_groups,
                sequence_groups=self.sequence_groups,
                strip=self.skipped_by(batch.strip),
                scores_again={"none": 0, "selective": 1, "full": batch.scores_again}[self.switches.recompute],
            )
            output = Operation("output", vectors=self._vector.attention_output(block.layer, piece.tokens))
            second_backward[-1] = joined(second_backward[-1], output)
            forward = in_pieces(first, middle, second, batch.pieces)
            backward = in_pieces(second_backward, middle_backward, first_backward, batch.pieces)
        else:
            activation = partial(self._vector.activation, block.layer, piece.tokens, folded=folded)
            middle, middle_backward = (
                Operation("activation", vectors=activation(backward=backward)) for backward in (False, True)
            )
            first[-1] = joined(first[-1], middle)
            forward = [*first, *second]
            joint = joined(second_backward.pop(), middle_backward)
            backward = [*second_backward, joint, *first_backward]
        if self.switches.recompute == "full":
            backward = [*forward, *backward]
        return BlockPasses(block, tuple(forward), tuple(backward), self.replica_comms(block))

    def _forward_slices(self, linear: Linear, tokens: int, slices: Number) -> list[Operation]:
        return [
            repeated(self._by_expert(part, tokens, self.linear_forward), times)
            for part, times in sliced(linear, slices)
        ]

    def _backward_slices(self, linear: Linear, tokens: int, slices: Number) -> list[Operation]:
        """Every slice gives a partial sum of the whole dX; all but the first are added to the sum so far."""
        first, *others = (
            repeated(self._by_expert(part, tokens, self.linear_backward), times)
            for part, times in sliced(linear, slices)
        )
        addition = self._vector.program("residual", tokens * linear.h_in, "sum over slices")
        return [first, *(joined(part, Operation("sum", vectors=addition)) for part in others)]

    @staticmethod
    def _by_expert(linear: Linear, tokens: int, make: Callable[[Linear, int], Operation]) -> Operation:
        """The operation of ``linear`` that ``make`` gives, with its GEMMs expert by expert if it has any.

        Every die has a block of every expert, so that what crosses the NoP is that of one linear with the features
        that a token uses, whichever experts it goes to.
        """
        whole = make(linear, tokens)
        if linear.mixture is None:
            return whole
        gemms: list[GemmStep] = []
        for piece in linear.pieces():
            own = make(piece.linear, piece.seen(tokens)).gemms
            for gemm, all_of_it in zip(own, whole.gemms, strict=True):
                count, macs = gemm.count * piece.count, all_of_it.macs * piece.work
                name = f"{gemm.name} of {piece.linear.name}"
                seen = replace(gemm, tile_share=piece.tokens, shared_tokens=all_of_it.tokens)
                gemms.append(replace(seen, name=name, count=count, macs=macs))
        return replace(whole, gemms=tuple(gemms))

    @cached_property
    def kv_replicas(self) -> Number:
        """Dies that hold the same key/value weights: the most that share one head."""
        return ceil_div(self.kv_heads, self.model.kv_heads)

    def _with_norm(
        self, operation: Operation, block: FusedBlock, linear: Linear, batch: Batch, *, backward: bool
    ) -> Operation:
        """``operation`` with the norm before ``linear``, if there is one."""
        model = self.model
        if linear is not block.expand:
            there = block.name == "attention"  # of latent features
        elif block.contract is None:
            there = block.name == "head" and model.final_norm
        else:
            there = model.norms == 4 or not model.norms_after
        if not there:
            return operation
        comms = operation.comms + self.norm_comms(linear, batch.tokens, backward=backward)
        vectors = self._vector.norm(
            linear.h_in,
            batch.tokens,
            folded=linear is block.expand and self._vector.folds_into(block),
            backward=backward,
            first=block.name == "head",
        )
        return replace(operation, comms=comms, vectors=(*operation.vectors, *vectors))

    def _norm_after(self, batch: Batch, *, backward: bool) -> tuple[VectorStep, ...]:
        """The norm that follows attention and FFN, if the model has one."""
        if not self.model.norms_after:
            return ()
        return self._vector.norm(self.model.hidden, batch.tokens, folded=False, backward=backward)

    def _attention_inputs(self, block: FusedBlock, batch: Batch, *, backward: bool) -> Operation:
        """Scales, norms and rotary positions of queries, keys and values, as far as a model has them.

        Backward, norms of queries and keys are computed once more, as these are saved as they were before. Rotary keys
        that all heads share are sent to all of these, and their gradients are summed.
        """
        layer, vector = block.layer, self._vector
        comms: tuple[CommStep, ...] = ()
        if layer.latent is not None:
            shared = batch.tokens * layer.latent.rotary_dim
            op = "reduce-scatter" if backward else "all-gather"
            comms = (self.head_comm(f"shared keys: {op}", op, shared),)
        steps: tuple[VectorStep, ...] = ()
        if layer.qk_norm != "none":
            features = (layer.heads + (self.kv_heads if layer.latent is None else 1)) * layer.head_dim
            for of_pass in (False, True)[: 1 + backward]:
                steps += vector.norm(features, batch.tokens, folded=False, backward=of_pass)
        steps += vector.attention_inputs(
            layer, batch.tokens, self.kv_heads, folded=vector.folds_into(block), backward=backward
        )
        return Operation("attention inputs", comms, vectors=steps)

    def collective(
        self,
        name: str,
        op: str,
        axis: str,
        group: int,
        cost: CollectiveCost,
        chunk: float,
        *,
        sums: bool | None = None,
        rides: bool = False,
        weights: bool = False,
    ) -> CommStep:
        """A collective with ``chunk`` elements in a chunk, which are ``sums``, in their own width, or operands; by
        default sums if it adds them up.

        ``rides`` is for data that travels in the packets of another collective.
        """
        if sums is None:
            sums = op in ("reduce-scatter", "reduce")
        return CommStep(
            name,
            op,
            axis,
            group,
            cost.received * chunk,
            cost.serial_chunks * chunk,
            cost.chunk_hops * chunk,
            None if rides else cost,
            self.sum_bytes if sums else self.element_bytes,
            weights,
        )

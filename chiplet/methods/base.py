"""What every distribution method defines for a block: the GEMMs of a die, and what crosses the NoP.

A method turns a block and a mini-batch into lists of operations, one for each pass; an operation has its communication,
its GEMMs on one die and its vector work. Time and energy are computed from these elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from chiplet.graph.vector_work import program_work
from chiplet.machine.base import StrictModel
from chiplet.machine.specs import SUM_BYTES
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger, rounded_up, smaller
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
        bool, Field(description="communication of one token tile runs behind the GEMM of another")
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

    def __init__(self, model: Llm, mesh: Mesh, switches: Switches, element_bytes: int) -> None:
        model.check_projection()
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

    @cached_property
    @abstractmethod
    def head_groups(self) -> Number:
        """Groups of dies over which the attention heads are split."""

    @cached_property
    @abstractmethod
    def sequence_groups(self) -> Number:
        """Groups of dies over which the attention splits the sequences of a mini-batch."""

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

    def blocks(self) -> tuple[FusedBlock, FusedBlock, FusedBlock]:
        """Attention, FFN and output head; the head has the loss in its middle and no second linear."""
        model = self.model
        attention = FusedBlock(
            "attention",
            Linear("QKV", model.hidden, model.qkv_features(self.kv_heads), True, by_heads=True),
            Linear("O", model.query_features, model.hidden, False, by_heads=True),
        )
        experts, name = model.experts, "gate, up" if model.gated else "up"
        first, second = (None, None) if experts is None else (experts.expand, experts.contract)
        ffn = FusedBlock(
            "ffn",
            Linear(name, model.hidden, model.ffn_in_features, True, mixture=first),
            Linear("down", model.inner_features, model.hidden, False, mixture=second),
        )
        return attention, ffn, FusedBlock("head", Linear("head", model.hidden, model.vocab, True), None)

    def weights_per_die(self, block: FusedBlock) -> Number:
        """Weights of ``block`` that a die keeps, replicas included."""
        return sum(linear.weights for linear in linears(block)) / self.mesh.nodes

    def passes(self, block: FusedBlock, batch: Batch, slices: Number = 1) -> BlockPasses:
        """Operations of both passes over ``block`` for the mini-batch ``batch``, with each linear cut into ``slices``
        by output columns.
        """
        *earlier, last = self._forward_slices(block.expand, batch.tokens, slices)
        first = [self._with_norm(part, block, batch, backward=False) for part in earlier[:1]]
        first += earlier[1:]
        if not earlier:
            last = self._with_norm(last, block, batch, backward=False)
        last = joined(last, self._queries_and_keys(block, batch, backward=False))
        *first_backward, final = self._backward_slices(block.expand, batch.tokens, slices)
        first_backward.append(self._with_norm(final, block, batch, backward=True))
        first_backward[0] = joined(first_backward[0], self._queries_and_keys(block, batch, backward=True))
        if block.contract is not None:
            first_backward[-1] = joined(first_backward[-1], self._residual(batch, backward=True))
        if block.contract is None:
            loss, _ = self._pointwise(block, batch)
            forward, backward = [*first, joined(last, loss)], first_backward
        else:
            second = self._forward_slices(block.contract, batch.tokens, slices)
            after = self._norm_after(batch, backward=False)
            second[-1] = joined(joined(second[-1], after), self._residual(batch, backward=False))
            second_backward = self._backward_slices(block.contract, batch.tokens, slices)
            second_backward[0] = joined(second_backward[0], self._norm_after(batch, backward=True))
            if block.name == "attention":
                middle, middle_backward = self._attention(batch)
                forward = [*first, last, middle, *second]
                backward = [*second_backward, middle_backward, *first_backward]
            else:
                middle, middle_backward = self._pointwise(block, batch)
                forward = [*first, joined(last, middle), *second]
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
        elements = tokens * linear.h_in
        addition = VectorStep(
            "sum over slices", elements / self.mesh.nodes, program_work("residual"), elements
        )
        return [first, *(joined(part, Operation("sum", vectors=(addition,))) for part in others)]

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
            own = make(piece.linear, rounded_up(tokens * piece.tokens)).gemms
            for gemm, all_of_it in zip(own, whole.gemms, strict=True):
                count, macs = gemm.count * piece.count, all_of_it.macs * piece.work
                name = f"{gemm.name} of {piece.linear.name}"
                gemms.append(replace(gemm, name=name, count=count, macs=macs, tile_share=piece.tokens))
        return replace(whole, gemms=tuple(gemms))

    @cached_property
    def kv_replicas(self) -> Number:
        """Dies that hold the same key/value weights: the most that share one head."""
        return ceil_div(self.kv_heads, self.model.kv_heads)

    def _with_norm(
        self, operation: Operation, block: FusedBlock, batch: Batch, *, backward: bool
    ) -> Operation:
        model = self.model
        if not (model.final_norm if block.contract is None else model.norms == 4 or not model.norms_after):
            return operation
        comms = operation.comms + self.norm_comms(block.expand, batch.tokens, backward=backward)
        vector = self._norm(batch.tokens * model.hidden, backward=backward)
        return replace(operation, comms=comms, vectors=(*operation.vectors, vector))

    def _norm(self, elements: Number, *, backward: bool) -> VectorStep:
        work = program_work(self.model.norm + ("-backward" if backward else ""))
        return VectorStep("norm", elements / self.mesh.nodes, work, elements)

    def _norm_after(self, batch: Batch, *, backward: bool) -> Operation:
        """The norm that follows attention and FFN, if the model has one."""
        if not self.model.norms_after:
            return Operation("norm after")
        return Operation(
            "norm after", vectors=(self._norm(batch.tokens * self.model.hidden, backward=backward),)
        )

    def _residual(self, batch: Batch, *, backward: bool) -> Operation:
        """The sum of a block's input and output, or of their gradients."""
        elements = batch.tokens * self.model.hidden
        work = program_work("residual-backward" if backward else "residual")
        return Operation(
            "residual", vectors=(VectorStep("residual", elements / self.mesh.nodes, work, elements),)
        )

    def _queries_and_keys(self, block: FusedBlock, batch: Batch, *, backward: bool) -> Operation:
        """Norms and rotary positions of queries and keys, which models may have; nothing in other blocks.

        Backward, the norms are computed once more, as queries and keys are saved as they were before.
        """
        model, steps = self.model, []
        heads = batch.tokens * (model.heads + self.kv_heads)
        if block.name == "attention" and model.qk_norm != "none":
            steps += [self._norm(heads * model.head_dim, backward=False)]
            steps += [self._norm(heads * model.head_dim, backward=True)] * backward
        if block.name == "attention" and model.rotary_features:
            program, elements = "rotary-backward" if backward else "rotary", heads * model.rotary_features
            work = program_work(program)
            steps.append(VectorStep(program.replace("-", " "), elements / self.mesh.nodes, work, elements))
        return Operation("queries and keys", vectors=tuple(steps))

    def _attention(self, batch: Batch) -> tuple[Operation, Operation]:
        """Scores, softmax and values are local: every die has whole heads of whole sequences.

        In blocks of keys, the sums of the values so far are scaled for each block, and scores and softmax are computed
        again in the backward pass.
        """
        model, length = self.model, batch.length
        reach = model.attention_reach(length, self.skipped_by(batch.strip))
        in_blocks = batch.key_block > 0
        blocks = choose(in_blocks, ceil_div(reach, larger(1, batch.key_block)), 1)
        keys = ceil_div(reach, blocks)
        pairs = ceil_div(batch.sequences, self.sequence_groups) * ceil_div(model.heads, self.head_groups)
        all_pairs = batch.sequences * model.heads
        macs = all_pairs * length * reach * model.head_dim

        def gemm(name: str, m: int, k: int, n: int) -> GemmStep:
            return GemmStep(name, m, k, n, pairs * blocks, macs, None)

        def vector(name: str, program: str, elements: Number, times: Number = 1) -> VectorStep:
            return VectorStep(
                name, pairs * elements * times, program_work(program), all_pairs * elements * times
            )

        dim = model.head_dim
        scores = gemm("scores", length, dim, keys)
        softmax = vector("softmax", "softmax", length * reach)
        scaled = vector("sums of values", "residual", length * dim, choose(in_blocks, blocks, 0))
        forward = Operation(
            "attention",
            (),
            (scores, gemm("values", length, keys, dim)),
            (softmax, scaled) if anywhere(in_blocks) else (softmax,),
            pairs * length,
        )
        gradients: tuple[GemmStep, ...] = (
            gemm("dV", length, keys, dim),
            gemm("dP", length, dim, keys),
            gemm("dQ", length, keys, dim),
            gemm("dK", length, keys, dim),
        )
        again: Number = choose(in_blocks, 1, int(self.switches.recompute == "selective"))
        vectors: tuple[VectorStep, ...] = (vector("softmax backward", "softmax-backward", length * reach),)
        if anywhere(again > 0):
            scores = replace(scores, count=scores.count * again, macs=macs * again)
            gradients = (scores, *gradients)
            vectors = (vector("softmax", "softmax", length * reach, again), *vectors)
        return forward, Operation("attention", (), gradients, vectors, pairs * length)

    def _pointwise(self, block: FusedBlock, batch: Batch) -> tuple[Operation, Operation]:
        """The activation of the FFN, or softmax and loss of the head, which stream with the linear next to them."""
        dies = self.mesh.nodes
        if block.name == "head":
            elements = batch.tokens * self.model.vocab
            work = program_work("cross-entropy") + program_work("cross-entropy-backward")
            loss = VectorStep("loss", elements / dies, work, elements)
            return Operation("loss", self.loss_comms(batch.tokens), (), (loss,)), Operation("loss")
        elements = batch.tokens * self.model.inner_features
        program = "silu" if self.model.gated else "gelu"

        def activation(name: str) -> Operation:
            step = VectorStep("activation", elements / dies, program_work(name), elements)
            return Operation("activation", vectors=(step,))

        return activation(program), activation(f"{program}-backward")

    def collective(
        self,
        name: str,
        op: str,
        axis: str,
        group: int,
        cost: CollectiveCost,
        chunk: float,
        *,
        steps: int | None = None,
        weights: bool = False,
    ) -> CommStep:
        """A collective with ``chunk`` elements in a chunk; sums cross the NoP in their own width, copies as operands.

        ``steps=0`` is for data that travels in the packets of another collective.
        """
        return CommStep(
            name,
            op,
            axis,
            group,
            cost.received * chunk,
            cost.serial_chunks * chunk,
            cost.chunk_hops * chunk,
            cost.steps if steps is None else steps,
            cost.hops,
            self.sum_bytes if op in ("reduce-scatter", "reduce") else self.element_bytes,
            weights,
        )

"""One layer's forward and backward pass as a graph of compute and collectives, from which the exports are written.

All dies do the same work, with the other dies of their row, their column or the whole mesh, so one graph describes
them all. The layer runs one mini-batch of the attention, and the FFN on the same tokens in its own mini-batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

from chiplet.machine.specs import SUM_BYTES
from chiplet.methods.base import Method
from chiplet.projection.project import Accounted
from chiplet.schedule.mini_batches import batch_of
from chiplet.step.collective_time import comm_seconds, whole_chunks_seconds
from chiplet.step.overlap import Machine, gemm_seconds
from chiplet.workload.data_flow import NORM, follows_gemms
from chiplet.workload.operations import CommStep, GemmStep, Operation, VectorStep

Collective = Literal["all-gather", "reduce-scatter"]

SAME_AS: dict[str, Collective] = {
    "all-gather": "all-gather",
    "broadcast": "all-gather",
    "reduce-scatter": "reduce-scatter",
    "reduce": "reduce-scatter",
}
"""The collective that leaves the same data in the same places: a sweep of broadcasts, one from each die, is an
all-gather, and a sweep of reductions is a reduce-scatter."""

NEEDED_BY: dict[str, tuple[str, ...]] = {
    "gather X again": ("X^T dY",),
    "broadcast X": ("XW", "X^T dY"),
    "broadcast W": ("XW", "dY W^T"),
}
"""GEMMs that wait for a collective, by its data; for other data all GEMMs of the operation."""

RESULT_OF: dict[str, str] = {"scatter dX": "dY W^T", "reduce dX": "dY W^T", "reduce dW": "X^T dY"}
"""The GEMM whose sums a collective sends, by its data; for other data the last GEMM of the operation."""


@dataclass(frozen=True)
class DieGroup:
    """The dies of a collective: consecutive ones, ``size`` at a time, along ``axis`` (row, column, ring, torus)."""

    axis: str
    size: int


@dataclass(frozen=True)
class Node:
    """A step of every die: a collective among the dies of ``line``, or compute if that is ``None``.

    A collective has ``chunk_bytes`` for each die of the line: what a die contributes to an all-gather, or holds after a
    reduce-scatter, and would take ``whole_seconds`` if dies sent on whole chunks only.
    Compute has ``operations`` (floating-point or vector) on ``tensor_bytes``.
    ``seconds`` is our estimate; ``after`` are the numbers of the earlier nodes that this one waits for.
    """

    number: int
    name: str
    seconds: float
    after: tuple[int, ...]
    line: DieGroup | None = None
    op: Collective | None = None
    chunk_bytes: float = 0.0
    whole_seconds: float = 0.0
    operations: float = 0.0
    tensor_bytes: float = 0.0
    gemm: GemmStep | None = None

    @property
    def received_bytes(self) -> float:
        """Bytes that a die receives in a collective."""
        return self.chunk_bytes * (self.line.size - 1) if self.line else 0.0


def layer_trace(
    accounted: Accounted, *, sequences: int | None = None, token_tiles: bool = False
) -> list[Node]:
    """The nodes of one layer of ``accounted``, each after those that it waits for.

    The layer works on ``sequences`` sequences, by default on as many as give every die work in the attention, but at
    most on its mini-batch. With ``token_tiles`` each operation is cut into the token tiles of the schedule, so that the
    communication of one tile can run behind the GEMM of another; else an operation is collective, GEMM and collective
    in sequence. Raises ``ValueError`` for more sequences than the mini-batch has.
    """
    return _Trace(accounted, layer_sequences(accounted, sequences), token_tiles).nodes


def layer_sequences(accounted: Accounted, sequences: int | None = None) -> int:
    """Sequences in the trace of a layer; arguments and errors as :func:`layer_trace`."""
    model = accounted.method.model
    if model.experts is not None:
        raise ValueError(f"{model.name}: export of a mixture of experts is not modelled")
    if len(model.attention_kinds) > 1:
        raise ValueError(f"{model.name}: export of layers with and without a window is not modelled")
    if (packages := accounted.machine.system.parallel.context) > 1:
        raise ValueError(f"parallel.context = {packages}: export of a shared sequence is not modelled")
    most: int = (
        accounted.projection.memory.mini_batch_tokens["attention"] // accounted.projection.sequence_length
    )
    if sequences is None:
        return min(most, int(accounted.method.sequence_groups))
    if not 1 <= sequences <= most:
        raise ValueError(f"sequences = {sequences}: must be from 1 to the {most} of a mini-batch")
    return sequences


def layer_operations(accounted: Accounted, sequences: int) -> Iterator[tuple[str, str, Operation, int, int]]:
    """Block, direction, operation, tokens and token tile of all operations of one layer, in order."""
    memory, method = accounted.projection.memory, accounted.method
    attention, ffn = (one for one in accounted.schedule.blocks if one.block.contract is not None)
    tokens, limit = sequences * accounted.projection.sequence_length, memory.mini_batch_tokens["ffn"]
    parts = [limit] * (tokens // limit) + [tokens % limit] * bool(tokens % limit)
    sizes = [(attention, sequences), *((ffn, part) for part in parts)]
    mini_batches = [(scheduled, batch_of(scheduled.memory, size)) for scheduled, size in sizes]
    made = [(batch, method.passes(one.block, batch, one.slices)) for one, batch in mini_batches]
    for batch, passes in made:
        tile = memory.token_tiles[passes.block.name]["forward"]
        for operation in passes.forward:
            for _ in range(operation.times):
                yield passes.block.name, "forward", operation, batch.tokens, tile
    for batch, passes in reversed(made):
        tile = memory.token_tiles[passes.block.name]["backward"]
        again = len(passes.forward) if method.switches.recompute == "full" else 0
        for place, operation in enumerate(passes.backward):
            direction = "forward again" if place < again else "backward"
            for _ in range(operation.times):
                yield passes.block.name, direction, operation, batch.tokens, tile
    for step in made[0][1].once:
        yield attention.block.name, "backward", Operation("weights", (step,)), tokens, tokens


@dataclass
class _Trace:
    """Collects the nodes of a layer."""

    found: Accounted
    sequences: int
    token_tiles: bool
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        ends: tuple[int, ...] = ()
        for block, direction, operation, tokens, tile in layer_operations(self.found, self.sequences):
            label = f"{block} {direction}"
            ends = self._operation(label, direction, operation, tokens, tile, ends) or ends

    @property
    def _machine(self) -> Machine:
        return self.found.machine

    @property
    def _method(self) -> Method:
        return self.found.method

    def _add(self, name: str, seconds: float, after: Iterable[int], **values: object) -> int:
        number = len(self.nodes)
        self.nodes.append(Node(number, name, seconds, tuple(sorted(set(after))), **values))  # type: ignore[arg-type]
        return number

    def _operation(
        self, name: str, direction: str, operation: Operation, tokens: int, tile: int, before: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Add one operation after the nodes ``before``; return its last nodes."""
        cut = self.token_tiles and is_cut(self._method, operation, tokens, tile)
        sizes = [tile] * (tokens // tile) + [tokens % tile] * bool(tokens % tile) if cut else [tokens]
        first, start = len(self.nodes), before
        last: dict[str, int] = {}
        for place, size in enumerate(sizes):
            label = f"{name}, tile {place + 1}" if cut else name
            self._tile(label, direction, operation, size, tokens, tile, start, last)
            if not self._method.switches.overlap:
                start = self._ends(first) or before
        return self._ends(first)

    def _ends(self, first: int) -> tuple[int, ...]:
        """The nodes from number ``first`` on for which no node waits."""
        waited = {number for node in self.nodes[first:] for number in node.after}
        return tuple(number for number in range(first, len(self.nodes)) if number not in waited)

    def _tile(
        self,
        label: str,
        direction: str,
        operation: Operation,
        size: int,
        tokens: int,
        tile: int,
        start: tuple[int, ...],
        last: dict[str, int],
    ) -> None:
        """Add the part of an operation for ``size`` tokens; ``last`` has the nodes of the previous tile, by name."""
        first_tile = not last
        comms = [step for step in _merged(operation.comms) if first_tile or not step.weights]
        late = [step for step in comms if follows_gemms(step, direction)]
        waits: dict[str, list[int]] = {}
        sums: list[int] = []
        for step in comms:
            if step not in late:
                number = self._comm(label, step, size / tokens, sums or start, last)
                if number is not None:
                    sums = [number] if NORM in step.name else sums
                    for gemm in NEEDED_BY.get(_carried(step), tuple(one.name for one in operation.gemms)):
                        waits.setdefault(gemm, []).append(number)
        done: dict[str, int] = {}
        final = -1
        for work in _in_order(operation, direction):
            after = [*waits.get(work.name, []), *([final] if done else [])] or list(start)
            after += [last[work.name]] if work.name in last else []
            final = (
                self._gemm(f"{label}: {operation.name}", work, size, tokens, tile, after)
                if isinstance(work, GemmStep)
                else self._vector(f"{label}: {operation.name}", work, size / tokens, after)
            )
            done[work.name] = last[work.name] = final
        sums = []
        for step in late:
            after = sums or [done.get(RESULT_OF.get(_carried(step), ""), final)] if done else list(start)
            number = self._comm(label, step, size / tokens, after, last)
            if number is not None and NORM in step.name:
                sums = [number]

    def _gemm(
        self, label: str, step: GemmStep, size: int, tokens: int, tile: int, after: Iterable[int]
    ) -> int:
        machine, element = self._machine, self._method.element_bytes
        part = _share(step, size, tokens)
        m, k, n = part.m, part.k, part.n
        return self._add(
            f"{label}: {step.name}",
            float(gemm_seconds(part, machine, min(tile, size))),
            after,
            operations=2.0 * m * k * n * step.count,
            tensor_bytes=float(step.count * (element * (m * k + k * n) + SUM_BYTES * m * n)),
            gemm=part,
        )

    def _vector(self, label: str, step: VectorStep, share: float, after: Iterable[int]) -> int:
        work = step.work * (step.elements * share)
        return self._add(
            f"{label}: {step.name}",
            float(self._machine.vector_seconds(work)),
            after,
            operations=float(work.operations),
            tensor_bytes=float(work.scratchpad_bytes),
        )

    def _comm(
        self, label: str, step: CommStep, share: float, after: Iterable[int], last: dict[str, int]
    ) -> int | None:
        """Add a collective after that of the previous tile; ``None`` if a line has one die only."""
        if step.group == 1:
            return None
        link = self._machine.link
        share = 1.0 if step.weights else share
        part = replace(step, serial_elements=step.serial_elements * share)
        before = [last[step.name]] if step.name in last else []
        last[step.name] = self._add(
            f"{label}: {step.name}",
            float(comm_seconds(part, link)),
            [*after, *before],
            line=DieGroup(step.axis, step.group),
            op=SAME_AS[step.op],
            chunk_bytes=step.elements * step.element_bytes * share / (step.group - 1),
            whole_seconds=float(whole_chunks_seconds(part, link)),
        )
        return last[step.name]


def is_cut(method: Method, operation: Operation, tokens: int, tile: int) -> bool:
    """Whether a trace with token tiles cuts ``operation``: not attention, which runs by strips of its own."""
    return method.token_tiled and not operation.strip_rows and tile < tokens


def cut_gemm(step: GemmStep, tile: int) -> list[tuple[GemmStep, int]]:
    """``step`` as the array runs it, one GEMM for each token tile of ``tile``: shapes with their counts."""
    if step.split is None:
        return [(step, 1)]
    whole, left_over = divmod(step.tokens, tile)
    tokens = whole * tile + left_over
    parts = [(_share(step, tile, tokens), whole)] if whole else []
    return parts + ([(_share(step, left_over, tokens), 1)] if left_over else [])


def _share(step: GemmStep, size: int, tokens: int) -> GemmStep:
    """The part of ``step`` for ``size`` of ``tokens`` tokens, rounded up where dies split the tokens."""
    if step.split is None:
        return step
    own = ceil((step.m if step.split == "m" else step.k) * size / tokens)
    m, k = (own, step.k) if step.split == "m" else (step.m, own)
    shared = ceil(step.shared_tokens * size / tokens)
    return replace(step, m=m, k=k, macs=step.macs * size / tokens, shared_tokens=shared)


def _carried(step: CommStep) -> str:
    """The data of a collective: ``gather X`` of ``QKV: gather X``."""
    return step.name.rpartition(": ")[2]


def _merged(comms: tuple[CommStep, ...]) -> list[CommStep]:
    """``comms``, where data that travels in the packets of another collective is added to that collective."""
    merged: list[CommStep] = []
    riders = [step for step in comms if not step.steps and step.group > 1]
    for step in [step for step in comms if step not in riders]:
        for rider in riders:
            if (rider.op, rider.axis, rider.group) == (step.op, step.axis, step.group):
                extra, hops = rider.elements + step.elements, rider.element_hops + step.element_hops
                serial = rider.serial_elements + step.serial_elements
                merged.append(replace(step, elements=extra, serial_elements=serial, element_hops=hops))
                riders.remove(rider)
                break
        else:
            merged.append(step)
    return merged + riders


def _in_order(operation: Operation, direction: str) -> list[GemmStep | VectorStep]:
    """GEMMs and vector work of an operation, in the order of the data flow."""
    gemms, vectors = list(operation.gemms), list(operation.vectors)
    if operation.strip_rows:
        # Softmax comes between scores and values, its gradient between dP and dQ.
        ordered: list[GemmStep | VectorStep] = []
        for gemm in gemms:
            ordered.append(gemm)
            if gemm.name in ("scores", "dP"):
                ordered.append(vectors.pop(0))
        return [*ordered, *vectors]
    norms: list[GemmStep | VectorStep] = [vector for vector in vectors if vector.name == "norm"]
    turned = [vector for vector in vectors if vector.name.startswith(("rotary backward", "scaling"))]
    others = [vector for vector in vectors if vector not in (*norms, *turned)]
    if direction == "backward":
        return [*turned, *gemms, *others, *norms]
    return [*norms, *gemms, *turned, *others]

"""Collective operations as explicit schedules: who sends which chunk to whom, and in which step.

All schedules run on ``nodes`` nodes numbered 0, 1, ...; chunk c belongs to node c. In an all-gather node c
starts with chunk c and everyone ends with all chunks. In a reduce-scatter every node starts with a partial
sum of every chunk, a transfer carries what its sender has summed up of the chunk so far, and node c ends with
the whole sum of chunk c. An all-reduce is a reduce-scatter and then an all-gather: all end with all sums. In a
broadcast one root sends a chunk to everyone; a reduce is its mirror image in time. Pipelined, what the root sends is
cut into pieces, which are the chunks of the schedule then.

A reduce-scatter here always is the mirror image of an all-gather: steps in reverse order, senders and
receivers swapped. If every node gets chunk c exactly once in the one, every node's contribution enters the
sum once in the other. Around a ring both go the same way: a node receives from one other only, so the chunks of an
all-reduce come to it in the order in which they were sent, whatever happens on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nop.topology import folded_ring

CollectivePart = Literal["all-gather", "reduce-scatter"]


def parts(op: LineOp) -> tuple[CollectivePart, ...]:
    """The ops that an op consists of, in their order."""
    return ("reduce-scatter", "all-gather") if op == "all-reduce" else (op,)


LineOp = Literal["all-gather", "reduce-scatter", "all-reduce"]


OPS: tuple[LineOp, ...] = ("all-gather", "reduce-scatter", "all-reduce")


Op = Literal["all-gather", "reduce-scatter", "all-reduce", "broadcast", "reduce"]
Algorithm = Literal["ring", "chain"]

ALGORITHMS: tuple[Algorithm, ...] = ("ring", "chain")


class Transfer(NamedTuple):
    """In ``step`` the node ``sender`` sends ``chunk`` to the node ``receiver``."""

    step: int
    sender: int
    receiver: int
    chunk: int


@dataclass(frozen=True)
class CollectiveSchedule:
    """All transfers of one collective ``op`` on ``nodes`` nodes, ordered by step.

    ``root`` is that of a broadcast or reduce. ``gathers`` is the step of an all-reduce in which its all-gather begins.
    """

    op: Op
    nodes: int
    transfers: tuple[Transfer, ...]
    root: int | None = None
    gathers: int | None = None

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.transfers[-1].step + 1 if self.transfers else 0

    def mirrored(self) -> CollectiveSchedule:
        """The schedule backwards in time: all-gather to reduce-scatter, broadcast to reduce, and back."""
        opposite: dict[Op, Op] = {
            "all-gather": "reduce-scatter",
            "reduce-scatter": "all-gather",
            "all-reduce": "all-reduce",
            "broadcast": "reduce",
            "reduce": "broadcast",
        }
        last = self.steps - 1
        return CollectiveSchedule(
            opposite[self.op],
            self.nodes,
            tuple(
                sorted(Transfer(last - step, to, sender, chunk) for step, sender, to, chunk in self.transfers)
            ),
            self.root,
            None if self.gathers is None else self.steps - self.gathers,
        )

    def parts(self) -> tuple[CollectiveSchedule, ...]:
        """Reduce-scatter and all-gather of an all-reduce, each from its own step 0; else the schedule itself."""
        if self.gathers is None:
            return (self,)
        begin = self.gathers
        return (
            CollectiveSchedule(
                "reduce-scatter", self.nodes, tuple(t for t in self.transfers if t.step < begin)
            ),
            CollectiveSchedule(
                "all-gather",
                self.nodes,
                tuple(t._replace(step=t.step - begin) for t in self.transfers if t.step >= begin),
            ),
        )


def ring(op: Op, order: Sequence[int], *, bidirectional: bool = False) -> CollectiveSchedule:
    """All-gather, reduce-scatter or all-reduce around the ring ``order`` (a permutation of the nodes).

    One way it takes n - 1 steps a part, each to the next node of ``order``. Both ways every chunk travels in both
    directions at once and meets itself after ceil((n - 1) / 2) steps.
    """
    back = _around(list(reversed(order)), bidirectional)
    return _as(op, _around(order, bidirectional), back.mirrored())


def _around(order: Sequence[int], bidirectional: bool) -> CollectiveSchedule:
    """All-gather around a ring."""
    nodes = len(order)
    forward = nodes // 2 if bidirectional else nodes - 1
    backward = nodes - 1 - forward
    transfers = [
        Transfer(
            step,
            order[(start + sign * step) % nodes],
            order[(start + sign * (step + 1)) % nodes],
            order[start],
        )
        for sign, length in ((1, forward), (-1, backward))
        for step in range(length)
        for start in range(nodes)
    ]
    return CollectiveSchedule("all-gather", nodes, tuple(sorted(transfers)))


def chain(op: Op, nodes: int) -> CollectiveSchedule:
    """All-gather or reduce-scatter on a line, every chunk in both directions, one hop a step, n - 1 steps."""
    transfers = [
        Transfer(step, start + sign * step, start + sign * (step + 1), start)
        for start in range(nodes)
        for sign, length in ((1, nodes - 1 - start), (-1, start))
        for step in range(length)
    ]
    gather = CollectiveSchedule("all-gather", nodes, tuple(sorted(transfers)))
    return _as(op, gather, gather.mirrored())


def line(op: Op, nodes: int, algorithm: Algorithm) -> CollectiveSchedule:
    """Collective on a line of ``nodes`` dies, by the folded ring or by the two-way chain: an all-gather, a
    reduce-scatter, or an all-reduce.

    Raises ``ValueError`` for an unknown algorithm.
    """
    if algorithm == "ring":
        return ring(op, folded_ring(nodes))
    if algorithm == "chain":
        return chain(op, nodes)
    raise ValueError(f"collective algorithm {algorithm!r}: must be one of {', '.join(ALGORITHMS)}")


def tree_broadcast(nodes: int, root: int) -> CollectiveSchedule:
    """Broadcast of one chunk on a line in ceil(log2(nodes)) steps.

    The line is halved again and again; whoever holds the chunk in one half hands it to the node at the
    mirrored place in the other. The halves are disjoint, so no two transfers of a step share a link. The
    chunk is number ``root``.
    """
    transfers: list[Transfer] = []
    ranges = [(0, nodes, root)]
    step = 0
    while any(end - begin > 1 for begin, end, _ in ranges):
        halves: list[tuple[int, int, int]] = []
        for begin, end, holder in ranges:
            if end - begin == 1:
                halves.append((begin, end, holder))
                continue
            middle = begin + (end - begin + 1) // 2
            if holder < middle:
                other = min(holder - begin + middle, end - 1)
                halves += [(begin, middle, holder), (middle, end, other)]
            else:
                other = holder - middle + begin
                halves += [(begin, middle, other), (middle, end, holder)]
            transfers.append(Transfer(step, holder, other, root))
        ranges = halves
        step += 1
    return CollectiveSchedule("broadcast", nodes, tuple(sorted(transfers)), root)


def all_reduce(
    reduce_scatter: CollectiveSchedule, all_gather: CollectiveSchedule | None = None
) -> CollectiveSchedule:
    """A reduce-scatter, and an all-gather of what it has summed up, its mirror image unless given: one schedule.

    Raises
    ------
    ValueError
        If ``reduce_scatter`` is a schedule of another op, or ``all_gather`` one of another op or for other nodes.
    """
    gather = reduce_scatter.mirrored() if all_gather is None else all_gather
    for expected, part in (("reduce-scatter", reduce_scatter), ("all-gather", gather)):
        if part.op != expected:
            raise ValueError(f"all-reduce of a schedule for {part.op}: must be one for {expected}")
    if gather.nodes != reduce_scatter.nodes:
        raise ValueError(f"all-reduce of {reduce_scatter.nodes} nodes: all-gather has {gather.nodes}")
    begin = reduce_scatter.steps
    after = (t._replace(step=t.step + begin) for t in gather.transfers)
    return CollectiveSchedule(
        "all-reduce", reduce_scatter.nodes, (*reduce_scatter.transfers, *after), gathers=begin
    )


def _as(op: Op, gather: CollectiveSchedule, scatter: CollectiveSchedule) -> CollectiveSchedule:
    if op == "all-gather":
        return gather
    if op == "reduce-scatter":
        return scatter
    if op == "all-reduce":
        return all_reduce(scatter, gather)
    raise ValueError(f"collective op {op!r}: must be all-gather, reduce-scatter or all-reduce")

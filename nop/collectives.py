"""Collective operations as explicit schedules: who sends which chunk to whom, and in which step.

All schedules run on ``nodes`` nodes numbered from 0; chunk c belongs to node c. In an all-gather, node c starts with
chunk c and every node ends with all chunks. In a reduce-scatter, every node starts with a partial sum of every chunk, a
transfer carries the sum that its sender has accumulated so far, and node c ends with the complete sum of chunk c. In an
all-reduce every node ends with all sums: of each chunk, the transfers of a reduce-scatter come first, then those of an
all-gather. In a broadcast, one root sends a chunk to every node; a reduce is its mirror image in time. A pipelined
broadcast cuts what the root sends into pieces, which are then the chunks of the schedule.

The all-reduce of a chain sums half of the chunks on the way up and the other half on the way down. Sums are complete at
the ends of the line and go back from there. So every link carries each chunk once in each direction, which no
all-reduce can do without.

A reduce-scatter of its own is always the mirror image of an all-gather: steps in reverse order, senders and receivers
swapped. If every node receives chunk c exactly once in the all-gather, every node's contribution enters the sum exactly
once in the reduce-scatter. Around a ring both run in the same direction: a node receives from one node only, so the
chunks of an all-reduce reach it in the order in which they were sent, whatever delays them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nop.topology import folded_ring

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

    ``root`` is that of a broadcast or reduce. ``homes`` are the nodes where the sums of an all-reduce are complete, by
    chunk; without them the sum of chunk c is complete at node c.
    """

    op: Op
    nodes: int
    transfers: tuple[Transfer, ...]
    root: int | None = None
    homes: tuple[int, ...] | None = None

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.transfers[-1].step + 1 if self.transfers else 0

    def mirrored(self) -> CollectiveSchedule:
        """The schedule in reverse: all-gather and reduce-scatter, broadcast and reduce, become each other."""
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
            self.homes,
        )

    def home(self, chunk: int) -> int:
        """The node where the sum of a chunk is complete, or that has the chunk at first."""
        return chunk if self.homes is None else self.homes[chunk]

    def parts(self) -> tuple[CollectiveSchedule, ...]:
        """Reduce-scatter and all-gather of an all-reduce, each from step 0; of other ops the schedule itself."""
        if self.op != "all-reduce":
            return (self,)
        sums, copies = list[Transfer](), list[Transfer]()
        moved: Counter[int] = Counter()
        for transfer in self.transfers:
            # The contributions of all nodes are in a sum after as many transfers as there are other nodes.
            (sums if moved[transfer.chunk] < self.nodes - 1 else copies).append(transfer)
            moved[transfer.chunk] += 1
        begin = copies[0].step if copies else 0
        return (
            CollectiveSchedule("reduce-scatter", self.nodes, tuple(sums), homes=self.homes),
            CollectiveSchedule(
                "all-gather",
                self.nodes,
                tuple(transfer._replace(step=transfer.step - begin) for transfer in copies),
                homes=self.homes,
            ),
        )


def ring(op: Op, order: Sequence[int], *, bidirectional: bool = False) -> CollectiveSchedule:
    """All-gather, reduce-scatter or all-reduce around the ring ``order`` (a permutation of the nodes).

    In one direction a part takes n - 1 steps, each to the next node of ``order``. With ``bidirectional`` every chunk
    travels in both directions at once, and the two copies meet after ceil((n - 1) / 2) steps.
    """
    back = _around(list(reversed(order)), bidirectional)
    return _select(op, _around(order, bidirectional), back.mirrored())


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
    """All-gather or reduce-scatter on a line in n - 1 steps: every chunk travels in both directions, one hop a step.
    Of an all-reduce see :func:`two_way`.
    """
    if op == "all-reduce":
        return two_way(nodes)
    transfers = [
        Transfer(step, start + sign * step, start + sign * (step + 1), start)
        for start in range(nodes)
        for sign, length in ((1, nodes - 1 - start), (-1, start))
        for step in range(length)
    ]
    gather = CollectiveSchedule("all-gather", nodes, tuple(sorted(transfers)))
    return _select(op, gather, gather.mirrored())


def summed_up(nodes: int) -> int:
    """Of the chunks of an all-reduce on a chain, how many, the first ones, are summed on the way up the line; the
    others are summed on the way down."""
    return (nodes + 1) // 2


def two_way(nodes: int) -> CollectiveSchedule:
    """All-reduce on a line: each chunk is summed from one end of the line to the other, and its sum goes back.

    The chunks that are summed up the line follow each other by a step, and so do the others down the line. Sums go back
    behind the chunks that are summed in that direction, as soon as they are complete.
    """
    last, upward = nodes - 1, summed_up(nodes)
    homes = tuple(last if chunk < upward else 0 for chunk in range(nodes))
    transfers = []
    for chunk in range(nodes):
        up = chunk < upward
        number = chunk if up else chunk - upward
        returns = max(last, nodes - upward if up else upward) + number
        for hop in range(last):
            here, there = (hop, hop + 1) if up else (last - hop, last - hop - 1)
            transfers.append(Transfer(number + hop, here, there, chunk))
            transfers.append(Transfer(returns + hop, last - here, last - there, chunk))
    return CollectiveSchedule("all-reduce", nodes, tuple(sorted(transfers)), homes=homes)


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

    The line is halved repeatedly; the node that holds the chunk in one half sends it to the node at the mirrored
    place in the other half. The halves are disjoint, so no two transfers of a step share a link. The chunk has the
    number ``root``.
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
    """One schedule of a reduce-scatter and an all-gather of its sums, by default the mirror image of the first.

    Raises
    ------
    ValueError
        If either schedule is for another op, or the two are for different numbers of nodes.
    """
    gather = reduce_scatter.mirrored() if all_gather is None else all_gather
    for expected, part in (("reduce-scatter", reduce_scatter), ("all-gather", gather)):
        if part.op != expected:
            raise ValueError(f"all-reduce of a schedule for {part.op}: must be one for {expected}")
    if gather.nodes != reduce_scatter.nodes:
        raise ValueError(f"all-reduce of {reduce_scatter.nodes} nodes: all-gather has {gather.nodes}")
    after = (t._replace(step=t.step + reduce_scatter.steps) for t in gather.transfers)
    return CollectiveSchedule("all-reduce", gather.nodes, (*reduce_scatter.transfers, *after))


def _select(op: Op, gather: CollectiveSchedule, scatter: CollectiveSchedule) -> CollectiveSchedule:
    if op == "all-gather":
        return gather
    if op == "reduce-scatter":
        return scatter
    if op == "all-reduce":
        return all_reduce(scatter, gather)
    raise ValueError(f"collective op {op!r}: must be all-gather, reduce-scatter or all-reduce")

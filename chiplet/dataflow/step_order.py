"""The order in which all dies go through the operators of a step, by list scheduling on the units of a die.

Each unit takes its operators in the order of the program, so the order is the schedule. Operators are taken as soon as
what they read is there and their unit is free: those that can begin first come first, and of these the one behind
which the longest chain of operators waits. While one token tile is on the links or in the vector unit, the array works
on another one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from chiplet.dataflow.fused_operators import FusedOperators, dependences
from chiplet.dataflow.operator_cycles import OperatorCycles, Resource
from chiplet.graph.graph import Graph
from chiplet.graph.operators import Move

__all__ = ["ListSchedule", "scheduled"]


LOAD_AHEAD = 4
"""How many times its own cycles a load begins before what it brings is needed."""


@dataclass(frozen=True)
class ListSchedule:
    """Operators in the order of the programs.

    Attributes
    ----------
    order
        The operators.
    starts, ends
        Cycles at which each begins to occupy its unit, and at which what it leaves is there.
    busy
        Cycles that each unit is occupied.
    """

    order: Sequence[FusedOperators]
    starts: Sequence[int]
    ends: Sequence[int]
    busy: dict[Resource, int] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        """From the first to the end of the last one."""
        return max(self.ends, default=0)


def scheduled(graph: Graph, order: Sequence[FusedOperators], costs: Sequence[OperatorCycles]) -> ListSchedule:
    """``order``, which keeps all dependences, rearranged; ``costs`` are those of its entries."""
    before = dependences(graph, order)
    after: list[list[int]] = [[] for _ in order]
    for number, needs in enumerate(before):
        for need in needs:
            after[need].append(number)
    behind = [0] * len(order)  # the longest chain from the start of an operator on
    for number in reversed(range(len(order))):
        longest = max((behind[later] for later in after[number]), default=0)
        behind[number] = costs[number].busy + costs[number].latency + longest
    missing = [len(needs) for needs in before]
    ready_at = [0] * len(order)
    free: dict[Resource, int] = defaultdict(int)
    busy: dict[Resource, int] = defaultdict(int)
    waiting: dict[Resource, list[tuple[int, int]]] = defaultdict(list)  # by what waits behind them
    coming: dict[Resource, list[tuple[int, int]]] = defaultdict(list)  # by the cycle at which they are ready

    def arrives(number: int) -> None:
        heapq.heappush(coming[costs[number].resource], (ready_at[number], number))

    for number in range(len(order)):
        if not missing[number]:
            arrives(number)
    taken: list[int] = []
    starts, ends = [0] * len(order), [0] * len(order)
    while len(taken) < len(order):
        best: tuple[int, Resource] | None = None
        for resource in {*coming, *waiting}:
            if waiting[resource]:
                when = free[resource]
            elif coming[resource]:
                when = max(free[resource], coming[resource][0][0])
            else:
                continue
            if best is None or (when, resource) < best:
                best = when, resource
        assert best is not None
        when, resource = best
        while coming[resource] and coming[resource][0][0] <= when:
            _, number = heapq.heappop(coming[resource])
            heapq.heappush(waiting[resource], (-behind[number], number))
        _, number = heapq.heappop(waiting[resource])
        cost = costs[number]
        starts[number] = when
        free[resource] = when + cost.busy
        busy[resource] += cost.busy
        ends[number] = when + cost.busy + cost.latency
        taken.append(number)
        for later in after[number]:
            missing[later] -= 1
            ready_at[later] = max(ready_at[later], ends[number])
            if not missing[later]:
                arrives(later)
    taken = _loads_late(order, taken, after, costs, starts)
    return ListSchedule(
        [order[number] for number in taken],
        [starts[number] for number in taken],
        [ends[number] for number in taken],
        dict(busy),
    )


def _loads_late(
    order: Sequence[FusedOperators],
    taken: Sequence[int],
    after: Sequence[Sequence[int]],
    costs: Sequence[OperatorCycles],
    starts: Sequence[int],
) -> list[int]:
    """Loads come when they are needed, and what they bring takes no room before.

    A load moves behind the operators that begin long before those that wait for it: by :data:`LOAD_AHEAD` times its
    cycles. The scratchpad has what it brings for no longer than that, and other dies' loads have time, too.
    """
    wanted: list[tuple[int, int, int]] = []  # cycle, place, and number
    for place, number in enumerate(taken):
        when, operator = starts[number], order[number][0].operator
        if isinstance(operator, Move) and operator.direction == "load" and after[number]:
            need = min(starts[later] for later in after[number])
            when = max(when, need - LOAD_AHEAD * (costs[number].busy + costs[number].latency))
        wanted.append((when, place, number))
    return [number for _, _, number in sorted(wanted)]

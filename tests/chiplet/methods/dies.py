"""Dies that hold labelled chunks and move them by the explicit schedules of ``nop.collectives``.

What is received and how many steps it takes is counted here, apart from any closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nop.collective_cost import Broadcast
from nop.collectives import CollectiveSchedule, Transfer, tree_broadcast

Matrix = np.ndarray
Held = dict[int, dict[int, Matrix]]
"""Chunks by label, of each die."""


class Dies:
    """``count`` dies; ``received`` are elements that all of them received, ``steps`` serial steps."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.received = 0
        self.steps = 0

    def gather(
        self, groups: Sequence[Sequence[int]], schedule: CollectiveSchedule, own: dict[int, Matrix]
    ) -> Held:
        """All-gather in every group at once: what each die holds at the end, by place in its group."""
        held: Held = {die: {group.index(die): own[die]} for group in groups for die in group}
        for group in groups:
            for move in schedule.transfers:
                chunk = held[group[move.sender]][move.chunk]
                held[group[move.receiver]][move.chunk] = chunk
                self.received += chunk.size
        self.steps += schedule.steps
        return held

    def scatter(
        self, groups: Sequence[Sequence[int]], schedule: CollectiveSchedule, partial: Held
    ) -> dict[int, Matrix]:
        """Reduce-scatter in every group at once: each die ends with the sum of the chunk of its place."""
        held = {die: dict(chunks) for die, chunks in partial.items()}
        for group in groups:
            for move in schedule.transfers:
                chunk = held[group[move.sender]].pop(move.chunk)
                own = held[group[move.receiver]]
                own[move.chunk] = own[move.chunk] + chunk
                self.received += chunk.size
        self.steps += schedule.steps
        return {die: held[die][group.index(die)] for group in groups for die in group}

    def broadcasts(self, groups: Sequence[Sequence[int]], own: dict[int, Matrix], kind: Broadcast) -> Held:
        """A broadcast from each die of every group in turn."""
        held: Held = {die: {group.index(die): own[die]} for group in groups for die in group}
        for schedule in _sweep(len(groups[0]), kind):
            for group in groups:
                for move in schedule:
                    chunk = held[group[move.sender]][move.chunk]
                    held[group[move.receiver]][move.chunk] = chunk
                    self.received += chunk.size
        self.steps += _sweep_steps(len(groups[0]), kind)
        return held

    def reductions(
        self, groups: Sequence[Sequence[int]], partial: Held, kind: Broadcast
    ) -> dict[int, Matrix]:
        """A reduction to each die of every group in turn: the broadcasts backwards."""
        held = {die: dict(chunks) for die, chunks in partial.items()}
        for schedule in _sweep(len(groups[0]), kind):
            for group in groups:
                for move in reversed(schedule):
                    chunk = held[group[move.receiver]].pop(move.chunk)
                    held[group[move.sender]][move.chunk] = held[group[move.sender]][move.chunk] + chunk
                    self.received += chunk.size
        self.steps += _sweep_steps(len(groups[0]), kind)
        return {die: held[die][group.index(die)] for group in groups for die in group}


def at_once(dies: Dies, *work: Callable[[], None]) -> None:
    """Do ``work`` on different links at the same time: the longest counts its steps."""
    start, longest = dies.steps, 0
    for each in work:
        dies.steps = start
        each()
        longest = max(longest, dies.steps - start)
    dies.steps = start + longest


def _sweep(nodes: int, kind: Broadcast) -> list[list[Transfer]]:
    if kind == "tree":
        return [list(tree_broadcast(nodes, root).transfers) for root in range(nodes)]
    # Flit by flit down the line from the root, both ways: every die has it from its neighbour.
    sweep = []
    for root in range(nodes):
        right = [Transfer(0, node, node + 1, root) for node in range(root, nodes - 1)]
        left = [Transfer(0, node, node - 1, root) for node in range(root, 0, -1)]
        sweep.append(right + left)
    return sweep


def _sweep_steps(nodes: int, kind: Broadcast) -> int:
    if kind == "tree":
        return sum(tree_broadcast(nodes, root).steps for root in range(nodes))
    return nodes if nodes > 1 else 0  # one cut-through broadcast from each

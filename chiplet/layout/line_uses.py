"""Which collectives take a tensor of the graph, and so how many rows it needs room for."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from chiplet.graph.graph import Graph
from chiplet.graph.operators import Carried, Gather, Scatter
from chiplet.graph.sharding import Along, DiePlace

__all__ = ["LineUse", "LineUses"]


class LineUse(NamedTuple):
    """A collective that takes a tensor as its source: the axis, and what it carries."""

    axis: Along
    carried: Carried


class LineUses:
    """Collectives of a graph by their sources.

    Attributes
    ----------
    gathers, scatters
        The all-gather, and the reduce-scatter, that takes a tensor.
    """

    def __init__(self, graph: Graph) -> None:
        self._tensors = graph.tensors
        self.gathers: dict[str, LineUse] = {}
        self.scatters: dict[str, LineUse] = {}
        self._sections: dict[str, set[str]] = defaultdict(set)
        for section in graph.sections:
            for operator in section.operators:
                for name in (*operator.reads, *operator.writes):
                    self._sections[name].add(section.name)
                if isinstance(operator, (Gather, Scatter)):
                    uses = self.gathers if isinstance(operator, Gather) else self.scatters
                    uses |= {part.source: LineUse(operator.axis, part) for part in operator.carries}

    def crosses_sections(self, name: str) -> bool:
        """Whether a tensor is used by several sections of the graph."""
        return len(self._sections[name]) > 1

    def sent(self, name: str, die: DiePlace) -> bool:
        """Whether a collective of several dies takes the tensor, or what it becomes on a line of one die."""
        for uses in (self.gathers, self.scatters):
            use = uses.get(name)
            if use is not None and (die.line(use.axis)[0] > 1 or self.sent(use.carried.target, die)):
                return True
        return False

    def capacity(self, name: str, die: DiePlace) -> int:
        """Rows that a tensor needs room for: with those that fill up chunks."""
        tensor = self._tensors[name]
        rows, _ = tensor.shape(die)
        gather, scatter = self.gathers.get(name), self.scatters.get(name)
        if gather is not None:
            alone = die.line(gather.axis)[0] == 1
            rows = max(rows, self.capacity(gather.carried.target, die) if alone else tensor.rows.chunk(die))
        if scatter is not None:
            nodes, _ = die.line(scatter.axis)
            rows = max(rows, nodes * self._tensors[scatter.carried.target].rows.chunk(die))
        return rows

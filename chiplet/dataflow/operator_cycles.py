"""Cycles of an operator on a package: how long it occupies what it needs most, and when what it leaves is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.dataflow.line_play import SIDES
from chiplet.dataflow.package_play import PackagePlay, StepTerms
from chiplet.graph.graph import Graph
from chiplet.graph.operators import Gather, Move, Operator, Product, Reduce, Scatter, VectorRun
from chiplet.graph.training.sizes import StepSizes
from chiplet.machine.specs import SystemSpec

__all__ = ["OperatorCycles", "Resource", "operator_cycles"]

Resource = Literal["array", "vector", "row", "column", "load", "store"]
"""What an operator occupies: a unit of the die, or the links along an axis."""


class OperatorCycles(NamedTuple):
    """An operator on the die that it takes longest on.

    Attributes
    ----------
    resource
        What it occupies.
    busy
        For how many cycles.
    latency
        Cycles beside these, from its begin until its results are there: words on their way, feeds and drains.
    """

    resource: Resource
    busy: int
    latency: int


def operator_cycles(
    graph: Graph, order: Sequence[FusedOperators], sizes: StepSizes, system: SystemSpec
) -> list[OperatorCycles]:
    """Cycles of each of ``order``, which keeps all dependences: one after the other, each alone on the package."""
    play = PackagePlay(graph, sizes, system, StepTerms.of_design(system))
    costs = []
    for fused in order:
        resource = _resource(fused[0].operator)
        before, began = _busy(play, resource), play.alone()
        play.play(fused)
        busy = max(now - then for now, then in zip(_busy(play, resource), before, strict=True))
        span = play.cycles - began
        costs.append(OperatorCycles(resource, round(busy), max(0, round(span - busy))))
    return costs


def _resource(operator: Operator) -> Resource:
    match operator:
        case Product():
            return "array"
        case VectorRun():
            return "vector"
        case Gather() | Scatter():
            return operator.axis
        case Reduce():
            return "row"
        case Move():
            return operator.direction
        case _:
            raise TypeError(f"dataflow: operator {operator.name} is a {type(operator).__name__}")


def _busy(play: PackagePlay, resource: Resource) -> list[float]:
    """Busy cycles of each die so far."""
    names = [str(resource)]
    if resource in ("row", "column"):
        names = [f"send {side}" for side in SIDES[resource]]
    return [sum(units.units[name].busy for name in names) for units in play.units]

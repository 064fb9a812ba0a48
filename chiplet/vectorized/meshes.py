"""Meshes of many machines at once: sides and sizes as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chiplet.vectorized.elementwise import Number, tabulated
from nop.collective_cost import CollectiveCost
from nop.topology import Mesh


@dataclass(frozen=True)
class Meshes(Mesh):
    """One mesh for each element of ``rows`` and ``cols``. Sides are not checked again."""

    rows: Number
    cols: Number

    def __post_init__(self) -> None:
        """Accept any sides."""

    @cached_property
    def nodes(self) -> Number:
        """Numbers of dies."""
        return self.rows * self.cols

    @cached_property
    def _worked_out(self) -> dict[Callable[[int, int], Any], Any]:
        return {}

    def each(self, function: Callable[[int, int], Any]) -> Any:
        """``function(rows, cols)`` of every mesh, worked out once for these meshes."""
        if function not in self._worked_out:
            self._worked_out[function] = tabulated(function, self.rows, self.cols)
        return self._worked_out[function]


def mesh_cost(cost: Callable[[Mesh, bool], CollectiveCost], mesh: Mesh, both: bool) -> CollectiveCost:
    """The cost of a collective on ``mesh``; ``both`` is the second argument of ``cost``."""
    if not isinstance(mesh, Meshes):
        return cost(mesh, both)
    costs: CollectiveCost = tabulated(lambda rows, cols: cost(Mesh(rows, cols), both), mesh.rows, mesh.cols)
    return costs

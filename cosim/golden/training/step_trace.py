"""What every operator of a step left behind: all intermediates by name, layer, token tile and die."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from chiplet.graph.graph import Instance
from cosim.golden.vector_program import Tensors

__all__ = ["StepTrace"]


class _Key(NamedTuple):
    operator: str
    layer: int | None
    tile: int | None


@dataclass
class StepTrace:
    """Results by operator and tensor, as patterns of (rows, cols): one array a die, in the order of the dies' numbers.

    ``scratch`` has, for each die, all tensors of each instance of a vector program.
    """

    results: dict[_Key, dict[str, list[NDArray[Any]]]] = field(default_factory=dict)
    scratch: dict[_Key, list[list[Tensors]]] = field(default_factory=dict)

    def keep(
        self,
        instance: Instance,
        results: dict[str, list[NDArray[Any]]],
        scratch: list[list[Tensors]] | None,
    ) -> None:
        """Keep what an operator left."""
        key = _Key(instance.operator.name, instance.layer, instance.tile)
        self.results[key] = results
        if scratch is not None:
            self.scratch[key] = scratch

    def of(
        self, tensor: str, *, layer: int | None = None, tile: int | None = None, operator: str | None = None
    ) -> list[NDArray[Any]]:
        """What the dies held of ``tensor`` after the last operator that wrote it, or after ``operator``.

        Raises
        ------
        KeyError
            If no such operator wrote it.
        """
        found = [
            results[tensor]
            for key, results in self.results.items()
            if tensor in results
            and (key.layer, key.tile) == (layer, tile)
            and operator in (None, key.operator)
        ]
        if not found:
            raise KeyError(f"trace: {tensor} of layer {layer}, tile {tile}: no operator wrote it")
        return found[-1]

"""The graph of a training step: sharded tensors, and operators in an order that keeps their dependences.

What an operator needs is what wrote its tensors last: dependences follow from names, layers and tiles. A compiler may
let operators overlap as far as these allow; results do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple

from chiplet.graph.layout_rules import check_layouts
from chiplet.graph.operators import Move, Operator, VectorRun
from chiplet.graph.sharding import ShardedTensor
from nop.collectives import Algorithm

__all__ = ["Graph", "Instance", "Section", "TensorKey"]


@dataclass(frozen=True)
class Section:
    """Operators in order, which run ``repeat``: for each token tile, once behind the tiles of a batch, or once a step.

    ``layers``: once, or for each layer from the first one ``up`` or from the last one ``down``.
    """

    name: str
    repeat: Literal["tile", "batch", "step"]
    layers: Literal["once", "up", "down"]
    operators: tuple[Operator, ...]


class Instance(NamedTuple):
    """An operator of a layer and a token tile; None outside the layers or the tiles."""

    operator: Operator
    layer: int | None
    tile: int | None = None


class TensorKey(NamedTuple):
    """A tensor by name, layer and token tile; None for one that all layers, or all tiles, share."""

    name: str
    layer: int | None = None
    tile: int | None = None


@dataclass(frozen=True)
class Graph:
    """Tensors by name, and sections in order, for ``rows`` x ``cols`` dies whose lines use ``algorithm``.

    Raises
    ------
    ValueError
        If an operator reads what is not there, or tensors do not lie as it needs them.
    """

    rows: int
    cols: int
    algorithm: Algorithm
    layers: int
    tensors: Mapping[str, ShardedTensor]
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        names = [operator.name for section in self.sections for operator in section.operators]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"graph: operator {name} is there twice: names must differ")
        there: set[str] = set()
        for section in self.sections:
            for operator in section.operators:
                self._check(operator, there)
                there |= {*operator.writes}

    def _check(self, operator: Operator, there: set[str]) -> None:
        for name in (*operator.reads, *operator.writes):
            if name not in self.tensors:
                raise ValueError(f"graph: {operator.name}: tensor {name} is not declared")
        if not isinstance(operator, Move):
            for name in operator.reads:
                if name not in there:
                    raise ValueError(f"graph: {operator.name} reads {name}: not loaded or written before")
        check_layouts(operator, self.tensors)

    def expanded(self, section: Section) -> Iterator[Instance]:
        """The operators of a section in order, layer after layer."""
        layers: list[int | None] = [None]
        if section.layers != "once":
            layers = [*range(self.layers)] if section.layers == "up" else [*reversed(range(self.layers))]
        for layer in layers:
            for operator in section.operators:
                yield Instance(operator, layer)

    def order(self, tiles: int) -> Iterator[Instance]:
        """All operators of a step of ``tiles`` token tiles, tile after tile: an order that keeps all dependences."""
        for repeat, group in groupby(self.sections, key=lambda section: section.repeat):
            sections = tuple(group)
            for tile in range(tiles) if repeat == "tile" else (None,):
                for section in sections:
                    for instance in self.expanded(section):
                        yield instance._replace(tile=tile)

    @cached_property
    def constants(self) -> tuple[tuple[str, str], ...]:
        """Constants of all vector programs that no tensor of the graph gives, by program and name."""
        found = (
            (operator.program.name, name)
            for section in self.sections
            for operator in section.operators
            if isinstance(operator, VectorRun)
            for name in operator.program.constants
            if name not in operator.bind
        )
        return tuple(dict.fromkeys(found))

    def layer_of(self, tensor: str, layer: int | None) -> int | None:
        """The layer by which an operator of ``layer`` means ``tensor``; None for one that all layers share."""
        return layer if self.tensors[tensor].layered else None

    def key(self, name: str, instance: Instance) -> TensorKey:
        """The tensor that an operator means by ``name``."""
        tile = instance.tile if self.tensors[name].life == "tile" else None
        return TensorKey(name, self.layer_of(name, instance.layer), tile)

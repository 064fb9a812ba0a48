"""Operators of a step in order, those together that leave one sum; and which has to follow which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chiplet.graph.graph import Graph, Instance
from chiplet.graph.operators import Product

__all__ = ["Bundle", "bundles", "dependences"]

_Key = tuple[str, int | None, int | None]


def _key(graph: Graph, name: str, instance: Instance) -> _Key:
    """A tensor by name, layer and token tile."""
    tile = instance.tile if graph.tensors[name].life == "tile" else None
    return name, graph.layer_of(name, instance.layer), tile


Bundle = tuple[Instance, ...]
"""An operator, or products that leave one sum, right behind each other."""


def bundles(order: Iterable[Instance]) -> list[Bundle]:
    """Operators in their order, with those together that add to the sums of a product before any other reads them."""
    result: list[Bundle] = []
    for instance in order:
        if result and _adds_to(instance, result[-1][0]):
            result[-1] = (*result[-1], instance)
        else:
            result.append((instance,))
    return result


def _adds_to(instance: Instance, first: Instance) -> bool:
    operator, of = instance.operator, first.operator
    return (
        isinstance(operator, Product)
        and isinstance(of, Product)
        and operator.accumulate == "products"
        and operator.y == of.y
        and (instance.layer, instance.tile) == (first.layer, first.tile)
    )


def dependences(graph: Graph, order: Sequence[Bundle]) -> list[list[int]]:
    """For each bundle the numbers of those that it has to follow: by whom what it uses was written, or read before."""
    written: dict[_Key, int] = {}
    read: dict[_Key, list[int]] = defaultdict(list)
    before: list[list[int]] = []
    for number, bundle in enumerate(order):
        needs = set[int]()
        for instance in bundle:
            operator = instance.operator
            keys = {name: _key(graph, name, instance) for name in (*operator.reads, *operator.writes)}
            for key in keys.values():
                writer = written.get(key, written.get((*key[:2], None)))
                if writer is not None:
                    needs.add(writer)
            for name in operator.writes:
                needs.update(read.pop(keys[name], ()))
            for name in operator.reads:
                read[keys[name]].append(number)
            for name in operator.writes:
                written[keys[name]] = number
        before.append(sorted(needs - {number}))
    return before

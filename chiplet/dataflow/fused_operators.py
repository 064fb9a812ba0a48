"""Operators of a step in order, those together that leave one sum; and which has to follow which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chiplet.graph.graph import Graph, Instance, TensorKey
from chiplet.graph.operators import Product, VectorRun

__all__ = ["FusedOperators", "dependences", "fused_operators"]

FusedOperators = tuple[Instance, ...]
"""An operator, or products that leave one sum, right behind each other."""


def fused_operators(order: Iterable[Instance]) -> list[FusedOperators]:
    """Operators in their order, with those together that add to the sums of a product before any other reads them."""
    result: list[FusedOperators] = []
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


def dependences(graph: Graph, order: Sequence[FusedOperators]) -> list[list[int]]:
    """For each fused the numbers of those that it has to follow: by whom what it uses was written, or read before."""
    written: dict[TensorKey, int] = {}
    read: dict[TensorKey, list[int]] = defaultdict(list)
    before: list[list[int]] = []
    for number, fused in enumerate(order):
        needs = set[int]()
        for instance in fused:
            operator = instance.operator
            keys = {name: graph.key(name, instance) for name in (*operator.reads, *operator.writes)}
            for key in keys.values():
                writer = written.get(key, written.get(key._replace(tile=None)))
                if writer is not None:
                    needs.add(writer)
            used_up = operator.uses_up if isinstance(operator, VectorRun) else ()
            for name in (*operator.writes, *used_up):
                needs.update(read.pop(keys[name], ()))
            for name in operator.reads:
                read[keys[name]].append(number)
            for name in operator.writes:
                written[keys[name]] = number
        before.append(sorted(needs - {number}))
    return before

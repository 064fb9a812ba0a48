"""Products of the graph on a die: which terms add up to which part of the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chiplet.graph.graph import Instance
from chiplet.graph.operators import Product
from chiplet.layout.operator_parts import Part, head_of, part_of, parts
from cosim.compile.operators.die_state import DieState
from cosim.compile.operators.vector_operators import label_of
from cosim.compile.ordering.die_steps import DieStep
from cosim.compile.places.held import Held
from cosim.compile.products.product_steps import DieProduct, ProductSteps

__all__ = ["run_products"]


def run_products(state: DieState, number: int, instances: Sequence[Instance], array: ProductSteps) -> None:
    """Products that leave one tensor: those of one operator, or of several that add to it one after the other."""
    first = instances[0]
    operator = first.operator
    assert isinstance(operator, Product)
    die, tensors, key = state.place(first.tile), state.graph.tensors, state.graph.key(operator.y, first)
    goes_on = operator.accumulate != "no" and key in state.held
    y = state.get(number, operator.y, first) if goes_on else state.new(number, operator.y, first)
    terms: dict[Part, list[tuple[Instance, Part, Held, Held]]] = {}
    for instance in instances:
        product = instance.operator
        assert isinstance(product, Product)
        a, b = (state.get(number, name, instance) for name in (product.a, product.b))
        for part in parts(product, tensors, die):
            where = Part(part.sequence, head_of(tensors[product.y], part, product.each))
            terms.setdefault(where, []).append((instance, part, a, b))

    def steps() -> Iterable[DieStep]:
        for there in terms.values():
            yield from _steps(there)

    def _steps(there: list[tuple[Instance, Part, Held, Held]]) -> Iterable[DieStep]:
        product, part = there[0][0].operator, there[0][1]
        assert isinstance(product, Product)
        target = part_of(y.storage, tensors[product.y], part, product.each, die)
        pairs = []
        for instance, other, a, b in there:
            of = instance.operator
            assert isinstance(of, Product)
            left = part_of(a.storage, tensors[of.a], other, of.each, die)
            right = part_of(b.storage, tensors[of.b], other, of.each, die)
            if left.rows and left.cols and right.rows and right.cols:
                pairs.append((left, right))
        if not target.rows or not target.cols:
            return
        if not pairs:
            if not goes_on:
                yield from state.clear_behind(y, 0, y.layout.taken(y.rows), label_of(first))
            return
        yield from array.steps(
            DieProduct(
                form=product.form,
                terms=tuple(pairs),
                y=target,
                start=target if goes_on else None,
                label=label_of(first),
            )
        )

    state.steps.append(steps)

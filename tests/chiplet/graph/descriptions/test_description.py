"""Descriptions hold together, or are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chiplet.graph.descriptions import attention_operators, linear_operators
from chiplet.graph.descriptions.description import TOKENS, Description, NamedDim, NamedTensor, turned
from chiplet.graph.operators import Carried, Gather, Product, Scatter

ALL = [value for module in (linear_operators, attention_operators) for value in vars(module).values()]
DESCRIPTIONS = [value for value in ALL if isinstance(value, Description)]

X = NamedTensor(NamedDim(TOKENS, "row"), NamedDim("inputs", "column"))


def of(*operators: Gather | Product | Scatter, **tensors: NamedTensor) -> Description:
    return Description(
        name="test", tensors={"x": X, **tensors}, operators=operators, given=("x",), results=("y",)
    )


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda of: of.name)
def test_descriptions_hold_together(description: Description) -> None:
    assert description.checked == description.operators
    used = {name for one in description.operators for name in (*one.reads, *one.writes)}
    assert used <= description.tensors.keys()
    assert {*description.given, *description.results} <= description.tensors.keys()


def test_a_tensor_that_is_not_there_is_named() -> None:
    whole = replace(linear_operators.FORWARD, given=("x",))
    with pytest.raises(ValueError, match="linear forward: product reads w: not given or written before"):
        _ = whole.checked
    with pytest.raises(ValueError, match="test: no operator writes y"):
        _ = of(y=X).checked


def test_layouts_are_those_of_the_graph() -> None:
    split = X._replace(rows=NamedDim(TOKENS, "column"))
    gather = Gather(name="gather", axis="row", carries=(Carried("x", "y"),))
    with pytest.raises(ValueError, match="y must be x with whole rows"):
        _ = of(gather, y=split).checked
    whole = X._replace(rows=NamedDim(TOKENS))
    assert of(gather, y=whole).checked
    complete = Scatter(name="scatter", axis="row", carries=(Carried("x", "y"),))
    with pytest.raises(ValueError, match="x must hold partial sums along the row of y"):
        _ = of(complete, y=X).checked


def test_dimensions_with_other_names_differ() -> None:
    forward = linear_operators.FORWARD
    tensors = {**forward.tensors, "w": NamedTensor(NamedDim("others", "column"), NamedDim("outputs", "row"))}
    with pytest.raises(ValueError, match="x_all and w must agree in what is summed"):
        _ = replace(forward, tensors=tensors).checked


def test_turning_twice_changes_nothing() -> None:
    assert (turned("row"), turned("column")) == ("column", "row")

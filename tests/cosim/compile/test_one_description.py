"""Compiler and projection take their operators from the same descriptions: without one of them both fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

from chiplet.graph.descriptions import attention_operators, linear_operators
from chiplet.graph.descriptions.description import Description
from chiplet.graph.operators import Gather, Operator, Product, Reduce, Scatter, VectorRun
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.workload.llm import Llm
from cosim.compile.compiler import compile_step
from tests.chiplet.dataflow.steps import machine

MODEL = ModelSizes(hidden=16, heads=4, kv_heads=1, head_dim=4, ffn=24, layers=1, vocab=20)
LLM = Llm(
    name="small", layers=1, hidden=16, heads=4, kv_heads=1, head_dim=4, ffn=24, gated=True, vocab=20, norm="rmsnorm",
    max_positions=64,
)  # fmt: skip
SIZES = StepSizes(model=MODEL, rows=2, cols=2, sequences=2, length=4)


def compiles() -> object:
    return compile_step(SIZES, machine(2, 2))


def projects() -> object:
    return project(StepRequest(LLM, machine(2, 2), global_batch=2, sequence_length=4))


def descriptions() -> list[tuple[ModuleType, str, Description]]:
    return [
        (module, name, value)
        for module in (linear_operators, attention_operators)
        for name, value in vars(module).items()
        if isinstance(value, Description)
    ]


OPERATORS = [
    pytest.param(module, name, operator, id=f"{of.name}: {operator.name}")
    for module, name, of in descriptions()
    for operator in of.operators
]


def test_every_kind_of_operator_but_moves_is_described() -> None:
    kinds = {type(operator) for _, _, of in descriptions() for operator in of.operators}
    assert kinds == {Gather, Scatter, Reduce, Product, VectorRun}
    compiles()
    projects()


@pytest.mark.parametrize("made", [compiles, projects])
@pytest.mark.parametrize(("module", "name", "operator"), OPERATORS)
def test_without_an_operator_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    operator: Operator,
    made: Callable[[], object],
) -> None:
    whole: Description = getattr(module, name)
    rest = tuple(one for one in whole.operators if one is not operator)
    monkeypatch.setattr(module, name, replace(whole, operators=rest))
    with pytest.raises(ValueError, match=f"^{whole.name}: "):
        made()


@pytest.mark.parametrize("made", [compiles, projects])
def test_an_operator_on_the_other_axis_is_refused(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[], object]
) -> None:
    """Layouts are those of the graph, in the projection as well."""
    forward = linear_operators.FORWARD
    gather, *others = forward.operators
    assert isinstance(gather, Gather)
    turned = replace(forward, operators=(replace(gather, axis="column"), *others))
    monkeypatch.setattr(linear_operators, "FORWARD", turned)
    with pytest.raises(ValueError, match="must be x with whole rows"):
        made()

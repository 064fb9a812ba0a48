"""Compiler and projection take their operators from the same descriptions: without one of them both fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

import chiplet.graph.descriptions
from chiplet.graph.descriptions import linear_operators, weight_operators
from chiplet.graph.descriptions.description import Description
from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.graph.operators import Gather, Move, Operator, Product, Reduce, Scatter, VectorRun
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
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
SYSTEM = machine(2, 2)

TIED = (weight_operators.GAIN_TIED, weight_operators.TIED_SUM)
"""Parts of a step whose head is the embedding."""


def sizes_of(tied: bool, optimizer: Optimizer) -> StepSizes:
    return replace(SIZES, model=replace(MODEL, tied=tied), optimizer=optimizer)


def compiles(tied: bool = False, optimizer: Optimizer = "sgd") -> object:
    return compile_step(sizes_of(tied, optimizer), SYSTEM)


def projects(tied: bool = False, optimizer: Optimizer = "sgd") -> object:
    model = LLM.model_copy(update={"tied": tied})
    return project(StepRequest(model, SYSTEM, global_batch=2, sequence_length=4, optimizer=optimizer))


def descriptions() -> list[tuple[ModuleType, str, Description]]:
    package = chiplet.graph.descriptions
    modules = [
        import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)
    ]
    return [
        (module, name, value)
        for module in modules
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
    names = [of.name for _, _, of in descriptions()]
    assert len(names) == len({*names}) >= 20
    for tied in (False, True):
        compiles(tied)
        projects(tied)


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_not_described_is_the_loss_of_a_batch(tied: bool) -> None:
    """All other operators of a graph have the name of one that is described, or of its sums head by head."""
    described = {operator.name for _, _, of in descriptions() for operator in of.operators}
    described |= {"norm_product", "add"}  # called by what they are of
    others = [
        operator.name
        for section in training_step(sizes_of(tied, "adam")).sections
        for operator in section.operators
        if not isinstance(operator, Move)
        and (name := operator.name.rpartition(".")[2]) not in described
        and name.removesuffix("_start").removesuffix("_low").removesuffix("_high") not in described
    ]
    assert others == ["loss.gather", "loss.total_of_rows"]


@pytest.mark.parametrize("made", [compiles, projects])
@pytest.mark.parametrize(("module", "name", "operator"), OPERATORS)
def test_without_an_operator_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    operator: Operator,
    made: Callable[[bool, Optimizer], object],
) -> None:
    whole: Description = getattr(module, name)
    rest = tuple(one for one in whole.operators if one is not operator)
    monkeypatch.setattr(module, name, replace(whole, operators=rest))
    optimizer: Optimizer = "adam" if name == "UPDATE_ADAM" else "sgd"
    with pytest.raises(ValueError, match=f"^{whole.name}: "):
        made(whole in TIED, optimizer)


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

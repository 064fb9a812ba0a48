"""Projections of models with parts of their own are explained as wholly as those of plain ones."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.explain.cost import explain_cost
from chiplet.explain.step import explain
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.workload.experts import Experts
from tests.chiplet.explain.test_step import numbers
from tests.chiplet.machines import MIXED, small_model, small_package


@pytest.mark.parametrize(
    "changes",
    [
        {"experts": Experts(count=6, active=2, ffn=50, shared=70, shared_gate=True)},
        {"norms": 4, "norms_after": True, "qk_norm": "heads", "window": 16, "full_layers": (1,)},
        {"parallel": True, "norms": 1, "kv_heads": 1, "ffn_bias": True, "head_bias": True},
        *MIXED,
    ],
    ids=str,
)
@pytest.mark.parametrize("overrides", [(), ("die.weight_bytes=20000", "die.accumulator_bytes=100000")])
@pytest.mark.parametrize("parallel", [(), ("parallel.data=2", "parallel.pipeline=2")], ids=["one", "several"])
def test_every_number_of_a_result_is_a_term(
    changes: dict[str, Any], overrides: tuple[str, ...], parallel: tuple[str, ...]
) -> None:
    model = small_model(**changes)
    system = small_package(*overrides, *parallel)
    found = account(StepRequest(model, system, mesh=(2, 2), global_batch=12))
    terms = explain(found) + explain_cost(found.projection)
    names = [term.name for term in terms]
    assert len(names) == len(set(names))
    values = {term.value for term in terms}
    given = {"dies", "packages", "global_batch", "sequence_length"}
    for place, value in numbers(found.projection.model_dump()):
        inside = place.startswith(("parallel.", "memory.buffers", "cost.")) or "inputs." in place
        if place not in given and not inside:
            assert value in values, place
    by_name = {term.name: term.value for term in terms}
    assert by_name["parameters of the model"] == model.parameters
    assert by_name["parameters that a token uses"] == model.active_parameters

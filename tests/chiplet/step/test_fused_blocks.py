"""A step is the sum over the kinds of its layers."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.workload.experts import Experts
from tests.chiplet.machines import LATENT, small_model, small_package

EXPERTS = Experts(count=4, active=2, ffn=100, shared=30)


def accounted(name: str, changes: dict[str, Any], *overrides: str) -> Accounted:
    model = small_model(**{"layers": 6, **changes})
    switches = {"masked_keys": "skipped"}
    request = StepRequest(
        model, small_package(*overrides), mesh=(2, 4), method=name, global_batch=16, switches=switches
    )
    return account(request)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("latent", [{}, LATENT], ids=["heads", "latent"])
def test_layers_that_differ_take_what_each_takes_in_a_model_of_its_own(
    name: str, latent: dict[str, Any]
) -> None:
    mixed = {**latent, "window": 16, "full_layers": (1, 4), "experts": EXPERTS, "dense_layers": (0,)}
    whole = accounted(name, mixed)
    near = accounted(name, {**latent, "window": 16, "experts": EXPERTS})
    far = accounted(name, latent)
    same = {
        "attention_window": near,
        "ffn_experts": near,
        "attention_full": far,
        "ffn_dense": far,
        "head": far,
    }
    layers = {"attention_window": 4, "attention_full": 2, "ffn_dense": 1, "ffn_experts": 5, "head": 1}
    assert [one_pass.block for one_pass in whole.step.passes[::2]] == list(layers)
    for one_pass in whole.step.passes:
        role = one_pass.block.split("_")[0]
        (other,) = (
            other
            for other in same[one_pass.block].step.passes
            if (other.block, other.direction) == (role, one_pass.direction)
        )
        assert one_pass.layers == layers[one_pass.block]
        assert one_pass.layer_seconds == pytest.approx(other.layer_seconds, rel=1e-12)
    assert whole.step.seconds == pytest.approx(
        sum(one_pass.layers * one_pass.layer_seconds for one_pass in whole.step.passes)
        + whole.step.embedding_seconds
        + whole.step.update_seconds
    )


@pytest.mark.parametrize("name", METHODS)
def test_stages_have_the_layers_that_they_have(name: str) -> None:
    """The first of three stages has the dense layers of six; the last has the head."""
    parallel = ("parallel.pipeline=3", "parallel.micro_batch=8")
    found = accounted(name, {"experts": EXPERTS, "dense_layers": (0, 1)}, *parallel)
    assert found.parallel is not None
    first, second, last = found.parallel.stages
    assert [stage.blocks["ffn_dense"] for stage in (first, second, last)] == [2, 0, 0]
    assert [stage.blocks["ffn_experts"] for stage in (first, second, last)] == [0, 2, 2]
    model = found.method.model
    assert first.parameters == 101 * 96 + 2 * small_model().layer_parameters
    assert second.parameters == 2 * model.layer_parameters
    assert last.parameters == second.parameters + 101 * 96 + 96
    assert found.parallel.seconds[0] < found.parallel.seconds[1] < found.parallel.seconds[2]
    plain = accounted(name, {"experts": EXPERTS}, *parallel).parallel
    assert plain is not None
    assert found.parallel.seconds[1:] == pytest.approx(plain.seconds[1:])

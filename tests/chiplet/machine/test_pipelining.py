"""Depths of a die: what is refused, and what the terms of the design make of them."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import DieSpec
from chiplet.machine.terms import DieTerms, GemmTerms, StepUnitTerms, check_predicted, deeper_keys
from chiplet.machine.vector_specs import VectorSpec


@pytest.mark.parametrize(
    ("model", "key", "most"),
    [
        (DieSpec, "sram_latency", 3),
        (DieSpec, "multiplier_stages", 2),
        (VectorSpec, "multiplier_stages", 4),
        (VectorSpec, "function_stages", 13),
    ],
)
def test_depths_are_from_1_to_their_most(
    model: type[DieSpec] | type[VectorSpec], key: str, most: int
) -> None:
    for value in (1, most):
        assert getattr(model.model_validate({key: value}), key) == value
    for value in (0, most + 1):
        with pytest.raises(ValueError, match=key):
            model.model_validate({key: value})


def test_what_counts_on_the_defaults_refuses_others_by_name() -> None:
    check_predicted(DieSpec(), "projections")
    deep = DieSpec(sram_latency=2, multiplier_stages=2)
    assert deeper_keys(deep) == "die.sram_latency = 2, die.multiplier_stages = 2"
    with pytest.raises(ValueError, match=r"^die.sram_latency = 3: projections count on die.sram_latency = 1"):
        check_predicted(DieSpec(sram_latency=3), "projections")


def test_terms_follow_the_depth_and_are_those_of_the_design_at_the_defaults() -> None:
    for terms in (GemmTerms, DieTerms, StepUnitTerms):
        design = terms.of_design(DieSpec())
        assert design == terms()
        assert not design.model_fields_set
    deep = DieSpec(sram_latency=3, multiplier_stages=2)
    assert GemmTerms.of_design(deep).constant == GemmTerms().constant + 1
    changed = DieTerms.of_design(deep)
    assert changed.model_fields_set == {"scratchpad_read", "operand_read", "drain_read", "gemm"}
    assert changed.operand_read == DieTerms().operand_read + 2
    assert StepUnitTerms.of_design(deep).vector_pass == StepUnitTerms().vector_pass + 2

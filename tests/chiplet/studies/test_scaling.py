"""Weak and strong scaling, and sensitivity, say the same as single projections."""

from __future__ import annotations

import math

import pytest

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.studies.published import CLAIMS
from chiplet.studies.scaling import (
    PAIRS,
    Setting,
    published_beside,
    sensitivity,
    spread,
    strong_scaling,
    weak_scaling,
)
from nop.topology import most_square
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

SETTING = Setting(PACKAGE)


def test_weak_scaling_has_every_pair_and_method_as_single_projections_have_them() -> None:
    rows, left_out = weak_scaling(SETTING)
    assert not left_out
    assert [(row.model, row.dies, row.method) for row in rows] == [
        (model, dies, method) for model, dies in PAIRS for method in METHODS
    ]
    for row in rows[:4]:
        single = project(StepRequest(row.model, PACKAGE, mesh=most_square(row.dies), method=row.method))
        assert (row.step_seconds, row.energy_joules, row.mfu, row.compute_to_nop) == (
            single.step_seconds,
            single.energy_joules,
            single.mfu,
            single.compute_to_nop,
        )
        assert row.compute_to_nop == pytest.approx(row.compute_seconds_per_token / row.nop_seconds_per_token)


def test_terms_multiply_to_computation_over_communication() -> None:
    rows, _ = weak_scaling(SETTING, methods=("hecaton",))
    for row in rows:
        assert row.terms is not None
        assert math.prod(row.terms.model_dump().values()) == pytest.approx(row.compute_to_nop, rel=1e-9)
        side = math.isqrt(row.dies)
        assert row.terms.borders == pytest.approx(side / (side - 1))


def test_what_the_shape_of_the_models_gives_stays_within_five_percent_and_borders_and_attention_break_it() -> (
    None
):
    rows, _ = weak_scaling(SETTING, methods=("hecaton",))
    terms = [row.terms for row in rows if row.terms is not None]
    shapes = [each.shape for each in terms]
    assert (max(shapes) - min(shapes)) / (max(shapes) + min(shapes)) < 0.05
    assert spread(rows) > 0.05
    assert [each.borders for each in terms] == sorted((each.borders for each in terms), reverse=True)
    assert [each.attention for each in terms] == sorted((each.attention for each in terms), reverse=True)


def test_published_claims_stand_beside_ours_and_are_marked() -> None:
    rows, _ = weak_scaling(SETTING)
    beside = published_beside(rows)
    assert {(each.speedup, each.energy_ratio) for each in beside} == {(5.29, 3.46), (4.98, 2.35)}
    assert len(beside) == len(CLAIMS)
    for each in beside:
        assert (each.status, each.dies_status) == ("published", "inferred")
        row = next(row for row in rows if (row.model, row.method) == (each.model, "hecaton"))
        assert (each.our_speedup, each.our_energy_ratio) == (row.speedup, row.energy_ratio)


def test_a_method_that_does_not_fit_is_left_out_and_named() -> None:
    rows, left_out = weak_scaling(
        Setting(package("memory.channels_per_edge_die=0", "memory.channels=1")),
        pairs=(("tinyllama-1.1b", 16), ("llama3.1-405b", 1024)),
    )
    assert {row.model for row in rows} == {"tinyllama-1.1b"}
    assert {each.method for each in left_out} == set(METHODS)
    assert all("DRAM needs" in each.reason for each in left_out)


def test_strong_scaling_and_a_single_die() -> None:
    rows, _ = strong_scaling(small_model(), (1, 4), Setting(small_package()), methods=("hecaton",))
    assert [row.dies for row in rows] == [1, 4]
    assert rows[0].terms is None
    assert rows[0].step_seconds > rows[1].step_seconds
    assert spread([]) == 0.0


def test_more_bandwidth_never_slows_a_step_and_every_shape_and_switch_is_there() -> None:
    rows, _ = sensitivity("tinyllama-1.1b", 16, SETTING)
    for parameter in ("link bandwidth", "DRAM bandwidth"):
        for method in METHODS:
            line = [row.step_seconds for row in rows if (row.parameter, row.method) == (parameter, method)]
            assert len(line) == 5
            assert line == sorted(line, reverse=True)
    latencies = [
        row.step_seconds for row in rows if (row.parameter, row.method) == ("link latency", "hecaton")
    ]
    assert latencies == sorted(latencies)
    meshes = {row.value for row in rows if row.parameter == "mesh" and row.method == "flat-ring"}
    assert meshes == {"1x16", "2x8", "4x4", "8x2", "16x1"}
    switches = {
        (row.parameter, row.value)
        for row in rows
        if row.parameter.startswith("switch") and row.method == "hecaton"
    }
    assert switches == {
        ("switch overlap", "False"),
        ("switch recompute", "selective"),
        ("switch masked_keys", "skipped"),
        ("switch recompute", "full"),
        ("switch sums", "operand"),
        ("switch collective", "chain"),
        ("switch gather_again", "False"),
    }


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'x'"):
        weak_scaling(SETTING, methods=("x",))
    with pytest.raises(ValueError, match="unknown model"):
        strong_scaling("x", (4,), SETTING)

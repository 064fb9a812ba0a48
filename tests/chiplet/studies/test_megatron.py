"""Measured steps of Megatron-LM and its activation memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.studies.gpu_cluster import GpuClusterSpec, load_cluster
from chiplet.studies.megatron import activation_bytes, model_of, predict, validate
from chiplet.studies.megatron_runs import MegatronRun, load_runs

MACHINE = load_cluster("a100")
RUNS = load_runs("a100").runs


def test_all_eight_steps_are_predicted_within_the_bounds() -> None:
    """The bounds are the errors that Calculon publishes for the same runs."""
    found = validate(MACHINE, RUNS)
    assert len(found.predictions) == 8
    assert found.mean_error <= 0.0259
    assert found.max_error <= 0.0887
    assert found.mean_error_not_fitted is not None
    assert found.mean_error_not_fitted <= 0.0365
    for each in found.predictions:
        assert sum(each.parts.values()) == pytest.approx(each.predicted_seconds)
        assert each.error == pytest.approx(each.predicted_seconds / each.run.seconds - 1)


def test_two_runs_at_most_are_fitted_and_these_are_met() -> None:
    fitted = [each for each in validate(MACHINE, RUNS).predictions if each.fitted]
    assert [each.run.label for each in fitted] == MACHINE.fitted_to
    assert len(fitted) == 2
    assert all(abs(each.error) < 0.002 for each in fitted)


def test_a_run_whose_time_is_not_met_is_not_fitted() -> None:
    """A copy of the machine with another rate still names the runs that it was fitted to."""
    other = MACHINE.model_copy(update={"peak_flops": 2 * MACHINE.peak_flops})
    found = validate(other, RUNS)
    assert not any(each.fitted for each in found.predictions)
    assert (found.mean_error_not_fitted, found.max_error_not_fitted) == (found.mean_error, found.max_error)


def test_errors_of_runs_that_are_not_fitted_need_such_runs() -> None:
    found = validate(MACHINE, [run for run in RUNS if run.label in MACHINE.fitted_to])
    assert (found.mean_error_not_fitted, found.max_error_not_fitted) == (None, None)


@pytest.mark.parametrize("name", ["h100", "b200"])
def test_nothing_is_fitted_to_the_runs_of_other_machines(name: str) -> None:
    """No bound on the errors: docs/method.md says what they are and why."""
    machine = load_cluster(name)
    found = validate(machine, load_runs(name).runs)
    assert machine.fitted_to == []
    for each in found.predictions:
        assert not each.fitted
        assert sum(each.parts.values()) == pytest.approx(each.predicted_seconds)
    efficiencies = ("gemm_efficiency", "gemm_half", "memory_efficiency", "nvlink_efficiency")
    assert [getattr(machine, key) for key in efficiencies] == [getattr(MACHINE, key) for key in efficiencies]


def test_replicas_share_the_batch_and_eight_bits_are_quicker() -> None:
    machine, runs = load_cluster("h100"), load_runs("h100").runs
    wide, narrow = (
        {run.gpus: predict(run, machine) for run in runs if run.operands == operands}
        for operands in ("16-bit", "8-bit")
    )
    assert set(wide) == set(narrow) == {128, 256, 512, 1024, 2048}
    for gpus, found in wide.items():
        assert found.run.micro_batches == 64
        assert found.parts["gemm"] == pytest.approx(wide[128].parts["gemm"])
        assert found.parts["optimizer"] == pytest.approx(wide[128].parts["optimizer"] * 128 / gpus)
        assert wide[gpus].parts["gemm"] / 2 < narrow[gpus].parts["gemm"] < wide[gpus].parts["gemm"]


def test_a_run_that_the_machine_cannot_have_made_is_refused() -> None:
    (run,) = load_runs("b200").runs
    with pytest.raises(
        ValueError, match=r"^run 175B fp8 x512: operands = 8-bit: a100 has no peak_flops_8bit$"
    ):
        predict(run, MACHINE)
    small = MACHINE.model_copy(update={"gpus_per_node": 4})
    with pytest.raises(ValueError, match=r"^run 22B: tensor = 8: a node of a100 has 4 GPUs$"):
        predict(RUNS[0], small)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.name}-{run.recompute}")
def test_activation_memory_is_the_published_formula(run: MegatronRun) -> None:
    model = model_of(run)
    s, b, t, h, a = 2048, 4, 8, model.hidden, model.heads
    exact = s * b * h * (10 + 24 / t + 5 * a * s / (h * t))
    assert activation_bytes(model, length=s, micro_batch=b, tensor=t) == exact


def test_parameters_of_the_published_models() -> None:
    for run, billions in zip(RUNS[::2], (22, 175, 530, 1000), strict=True):
        assert model_of(run).parameters == pytest.approx(billions * 1e9, rel=0.02)


@given(
    run=st.sampled_from(RUNS),
    rate=st.sampled_from(
        ["peak_flops", "memory_bytes_per_second", "nvlink_bytes_per_second", "infiniband_bytes_per_second"]
    ),
    factor=st.floats(1, 8),
)
def test_a_faster_machine_never_slows_a_step(run: MegatronRun, rate: str, factor: float) -> None:
    faster = MACHINE.model_copy(update={rate: getattr(MACHINE, rate) * factor})
    before = predict(run, MACHINE).predicted_seconds
    assert predict(run, faster).predicted_seconds <= before * (1 + 1e-12)


def with_curves(machine: GpuClusterSpec, **curves: Sequence[tuple[float, float]]) -> GpuClusterSpec:
    values = machine.model_dump()
    for name, points in curves.items():
        values[f"{name}_curve"] = [{"size": size, "efficiency": value} for size, value in points]
        values[f"{name}_efficiency"] = None
    if "gemm" in curves:
        values["gemm_half"] = None
    return GpuClusterSpec.model_validate(values)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.label)
def test_curves_of_one_point_are_single_efficiencies(run: MegatronRun) -> None:
    flat = MACHINE.model_copy(update={"gemm_efficiency": 0.6, "gemm_half": 0.0})
    curved = with_curves(flat, gemm=[(64, 0.6)], nvlink=[(1, 0.77)], infiniband=[(1e9, 0.9)])
    assert predict(run, curved).parts == pytest.approx(predict(run, flat).parts)


def test_a_dense_curve_is_the_formula_that_it_was_taken_from() -> None:
    sides = [2 ** (step / 16) for step in range(16 * 18)]
    curved = with_curves(MACHINE, gemm=[(side, MACHINE.gemm_efficiency_at(side)) for side in sides])
    found, same = validate(curved, RUNS), validate(MACHINE, RUNS)
    assert found.mean_error == pytest.approx(same.mean_error, abs=1e-4)
    assert found.efficiencies["gemm"].startswith("curve of 288 points over smallest sides from 1 to")
    assert same.efficiencies["gemm"] == "0.978 / (1 + 473 / smallest side)"

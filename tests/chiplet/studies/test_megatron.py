"""Published steps of Megatron-LM and its activation memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.studies.gpu_cluster import load_cluster
from chiplet.studies.megatron import activation_bytes, model_of, predict, validate
from chiplet.studies.published import MEGATRON_FITTED, MEGATRON_RUNS, MegatronRun

MACHINE = load_cluster("a100")


def test_all_eight_steps_are_predicted_within_the_bounds() -> None:
    """The bounds are the errors that Calculon publishes for the same runs."""
    found = validate(MACHINE)
    assert len(found.predictions) == 8
    assert found.mean_error <= 0.0365
    assert found.max_error <= 0.0887
    assert found.mean_error_not_fitted <= 0.0365
    for each in found.predictions:
        assert sum(each.parts.values()) == pytest.approx(each.predicted_seconds)
        assert each.error == pytest.approx(each.predicted_seconds / each.run.seconds - 1)


def test_two_runs_at_most_are_fitted_and_these_are_met() -> None:
    fitted = [each for each in validate(MACHINE).predictions if each.fitted]
    assert len(fitted) == len(MEGATRON_FITTED) == 2
    assert all(abs(each.error) < 0.002 for each in fitted)


@pytest.mark.parametrize("run", MEGATRON_RUNS, ids=lambda run: f"{run.name}-{run.recompute}")
def test_activation_memory_is_the_published_formula(run: MegatronRun) -> None:
    model = model_of(run)
    s, b, t, h, a = 2048, 4, 8, model.hidden, model.heads
    exact = s * b * h * (10 + 24 / t + 5 * a * s / (h * t))
    assert activation_bytes(model, length=s, micro_batch=b, tensor=t) == exact


def test_parameters_of_the_published_models() -> None:
    for run, billions in zip(MEGATRON_RUNS[::2], (22, 175, 530, 1000), strict=True):
        assert model_of(run).parameters == pytest.approx(billions * 1e9, rel=0.02)


@given(
    run=st.sampled_from(MEGATRON_RUNS),
    rate=st.sampled_from(
        ["peak_flops", "memory_bytes_per_second", "nvlink_bytes_per_second", "infiniband_bytes_per_second"]
    ),
    factor=st.floats(1, 8),
)
def test_a_faster_machine_never_slows_a_step(run: MegatronRun, rate: str, factor: float) -> None:
    faster = MACHINE.model_copy(update={rate: getattr(MACHINE, rate) * factor})
    before = predict(run, MACHINE).predicted_seconds
    assert predict(run, faster).predicted_seconds <= before * (1 + 1e-12)

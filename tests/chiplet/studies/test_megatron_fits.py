"""Fits of the two efficiencies to every pair of measured runs."""

from __future__ import annotations

import pytest

from chiplet.studies.efficiency_curve import CurvePoint
from chiplet.studies.gpu_cluster import load_cluster
from chiplet.studies.megatron import predict
from chiplet.studies.megatron_fits import pair_fits
from chiplet.studies.megatron_runs import load_runs

MACHINE = load_cluster("a100")
RUNS = load_runs("a100").runs
FITS = pair_fits(MACHINE, RUNS)


def test_every_pair_is_tried_and_met_where_it_can_be() -> None:
    assert len({fit.pair for fit in FITS}) == len(FITS) == 28
    runs = {run.label: run for run in RUNS}
    solved = [fit for fit in FITS if fit.gemm_efficiency is not None]
    assert solved
    for fit in solved:
        changed = {"gemm_efficiency": fit.gemm_efficiency, "gemm_half": fit.gemm_half}
        machine = MACHINE.model_copy(update=changed)
        for name in fit.pair:
            assert predict(runs[name], machine).error == pytest.approx(0.0, abs=1e-6)
    for fit in FITS:
        if fit.gemm_efficiency is None:
            assert (fit.gemm_half, fit.mean_error_others, fit.max_error_others) == (None, None, None)


def test_the_machines_efficiencies_are_those_of_its_pair() -> None:
    first, second = MACHINE.fitted_to
    fit = next(fit for fit in FITS if fit.pair == (first, second))
    assert fit.gemm_efficiency == pytest.approx(MACHINE.gemm_efficiency, rel=0.01)
    assert fit.gemm_half == pytest.approx(MACHINE.gemm_half, rel=0.02)


def test_no_pair_that_can_be_met_is_far_off_the_others() -> None:
    """Within the bounds of Calculon's errors at their largest, 8.87 %."""
    for fit in FITS:
        if fit.max_error_others is not None and fit.mean_error_others is not None:
            assert fit.mean_error_others <= fit.max_error_others <= 0.0887


def test_two_runs_leave_none_to_predict() -> None:
    with pytest.raises(ValueError, match="fits to pairs need at least 3 runs, not 2"):
        pair_fits(MACHINE, RUNS[:2])


def test_a_curve_has_no_two_efficiencies_to_fit() -> None:
    curve = [CurvePoint(size=64, efficiency=0.5)]
    machine = MACHINE.model_copy(update={"gemm_curve": curve, "gemm_efficiency": None, "gemm_half": None})
    with pytest.raises(
        ValueError, match="a100 has gemm_curve: pairs are fitted with gemm_efficiency and gemm_half"
    ):
        pair_fits(machine, RUNS)

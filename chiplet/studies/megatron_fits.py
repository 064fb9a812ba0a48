"""The two fitted efficiencies of the machine from every pair of measured runs, and how well each pair predicts the
other runs.

Predicted times are linear in 1 / efficiency and half / efficiency, except for memory-bound GEMMs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from chiplet.machine.base import StrictModel
from chiplet.studies.gpu_cluster import GpuClusterSpec
from chiplet.studies.megatron import predict, validate
from chiplet.studies.megatron_runs import MegatronRun

ROUNDS = 50
"""Most Newton steps; a few are enough if there is a solution."""

CLOSE = 1e-9
"""Relative error in the time of a fitted run that counts as none."""


class PairFit(StrictModel):
    """Efficiencies that predict both runs of ``pair`` exactly, and the errors of all other runs; ``None`` if no
    efficiency from 0 to 1 with a half of at least 0 predicts both.
    """

    pair: tuple[str, str]
    gemm_efficiency: float | None
    gemm_half: float | None
    mean_error_others: float | None
    max_error_others: float | None


def pair_fits(machine: GpuClusterSpec, runs: Sequence[MegatronRun]) -> list[PairFit]:
    """A fit to every pair of ``runs``; the other inputs of ``machine`` are kept. Raises ``ValueError`` if there are
    fewer than three, as no run would be left to predict, or if ``machine`` has a curve in the place of the two.
    """
    if machine.gemm_curve is not None:
        raise ValueError(
            f"{machine.name} has gemm_curve: pairs are fitted with gemm_efficiency and gemm_half"
        )
    if len(runs) < 3:
        raise ValueError(f"fits to pairs need at least 3 runs, not {len(runs)}: the others are predicted")
    return [_fit(machine, first, second, runs) for first, second in combinations(runs, 2)]


def _fit(
    machine: GpuClusterSpec, first: MegatronRun, second: MegatronRun, runs: Sequence[MegatronRun]
) -> PairFit:
    pair = (first.label, second.label)
    fitted = _solve(machine, first, second)
    if fitted is None:
        return PairFit(
            pair=pair, gemm_efficiency=None, gemm_half=None, mean_error_others=None, max_error_others=None
        )
    others = validate(fitted, [run for run in runs if run not in (first, second)])
    return PairFit(
        pair=pair,
        gemm_efficiency=fitted.gemm_efficiency,
        gemm_half=fitted.gemm_half,
        mean_error_others=others.mean_error,
        max_error_others=others.max_error,
    )


def _solve(machine: GpuClusterSpec, first: MegatronRun, second: MegatronRun) -> GpuClusterSpec | None:
    """Newton's method on 1 / efficiency and half / efficiency."""
    assert machine.gemm_efficiency is not None
    assert machine.gemm_half is not None
    inverse, slope = 1 / machine.gemm_efficiency, machine.gemm_half / machine.gemm_efficiency
    goal = (first.seconds, second.seconds)

    def seconds(x: float, y: float) -> tuple[float, float]:
        # Intermediate values may be outside of what a machine may have.
        trial = machine.model_copy(update={"gemm_efficiency": 1 / x, "gemm_half": y / x})
        return predict(first, trial).predicted_seconds, predict(second, trial).predicted_seconds

    for _ in range(ROUNDS):
        now = seconds(inverse, slope)
        off = [have - want for have, want in zip(now, goal, strict=True)]
        if all(abs(difference) <= CLOSE * want for difference, want in zip(off, goal, strict=True)):
            efficiency, half = 1 / inverse, slope / inverse
            if not (0 < efficiency <= 1 and half >= 0):
                return None
            return machine.model_copy(update={"gemm_efficiency": efficiency, "gemm_half": half})
        step = (1e-6 * inverse, 1e-6 * max(abs(slope), 1.0))
        along_x, along_y = seconds(inverse + step[0], slope), seconds(inverse, slope + step[1])
        a, c = ((moved - have) / step[0] for moved, have in zip(along_x, now, strict=True))
        b, d = ((moved - have) / step[1] for moved, have in zip(along_y, now, strict=True))
        determinant = a * d - b * c
        if determinant == 0:
            return None
        inverse -= (d * off[0] - b * off[1]) / determinant
        slope -= (a * off[1] - c * off[0]) / determinant
        if inverse <= 0:
            return None
    return None

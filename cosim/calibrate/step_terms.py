"""Calibration of a training step: fit the terms of its units and of the memory plane to steps of few operators.

Each run gives its cycles and the busy cycles of each unit. Terms that these cannot tell from earlier ones are held at
the design's value, as are those of the network (:mod:`cosim.calibrate.network`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.dataflow.package_play import StepTerms
from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import DieSpec, PackageSpec, SystemSpec
from chiplet.machine.terms import StepUnitTerms
from cosim.calibrate.least_squares import dependent, fit
from cosim.calibrate.sample_runs import (
    cycle_fields,
    fit_rows,
    fitted_records,
    largest_holdout_error,
    measured,
    prediction_fields,
)
from cosim.calibrate.step_graphs import Moved, Multiplied, Passed, StepWork
from cosim.calibrate.step_runs import CYCLES, StepRun, StepRunRequest, run_step

__all__ = [
    "StepSample",
    "fit_step_terms",
    "held_by_design",
    "held_step_terms",
    "measure",
    "request_for",
    "step_benches",
    "step_fits",
    "step_samples",
    "with_step",
]

NAMES = tuple(StepUnitTerms.model_fields)
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class StepSample:
    """One run of the calibration: an array size and a step. With ``holdout`` it is not used for the fit."""

    rows: int
    cols: int
    work: StepWork
    holdout: bool


# Words of memory; passes of one operand, so that none waits for another in a bank; GEMMs whose sums a drain, or a feed
# of sums, moves while the array leaves these alone.
_FIT: tuple[tuple[int, int, StepWork], ...] = (
    (4, 4, Moved(1)),
    (4, 4, Moved(20)),
    (4, 4, Passed("copy", 5, 30, 3)),
    (4, 4, Passed("maximum", 4, 16, 2)),
    (4, 4, Multiplied(4, 4, 4)),
    (4, 4, Multiplied(4, 4, 4, "nn", 2)),
    (4, 4, Multiplied(8, 4, 4, "nt", 2)),
    (4, 4, Passed("exp", 8, 40)),
    (4, 4, Passed("halves", 3, 40, 2)),
    (4, 4, Multiplied(7, 4, 20)),
    (4, 4, Multiplied(9, 4, 4)),
    (3, 5, Multiplied(6, 3, 5, "nn", 2)),
)
_HOLDOUT: tuple[tuple[int, int, StepWork], ...] = (
    (4, 4, Multiplied(16, 4, 4, "nn", 2)),
    (4, 4, Passed("exp", 3, 16, 2)),
    (4, 4, Moved(33)),
    (4, 4, Multiplied(7, 4, 20, "nn", 2)),
    (3, 5, Multiplied(5, 8, 9, "tn")),
)


def step_samples(*, quick: bool = False) -> list[StepSample]:
    """Return the runs of a calibration; with ``quick`` the first ones of those that are fitted and held out."""
    chosen = ((_FIT[:7] if quick else _FIT, False), (_HOLDOUT[:2] if quick else _HOLDOUT, True))
    return [StepSample(*run, holdout) for runs, holdout in chosen for run in runs]


def request_for(sample: StepSample, system: SystemSpec, *, seed: int, sim: str) -> StepRunRequest:
    """Return the run of ``sample`` on a die of the kind of ``system.die``, with its flits, memory and vector unit."""
    die = DieSpec(rows=sample.rows, cols=sample.cols, **cycle_fields(system.die))
    one = SystemSpec(
        die=die,
        package=PackageSpec(rows=1, cols=1),
        nop=system.nop,
        memory=system.memory,
        vector=system.vector,
    )
    return StepRunRequest(work=sample.work, system=one, seed=seed, sim=sim)


def measure(requests: Sequence[StepRunRequest], **options: Any) -> list[StepRun]:
    """Run all requests and return what was measured, see :func:`cosim.calibrate.sample_runs.measured`."""
    return measured(run_step, requests, lambda run: f"step of {run.request.work}", **options)


def _residual(
    runs: Sequence[StepRun], terms: StepTerms, names: Sequence[str]
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Measured minus predicted cycles, and busy cycles of each unit that has some, of all runs, as a function of the
    values of the terms ``names``. The other terms are those of ``terms``.
    """
    wanted = [[(name, cycles) for name, cycles in run.measured.items() if cycles] for run in runs]

    def residual(values: NDArray[Any]) -> NDArray[Any]:
        changed = _changed(terms, names, values)
        difference = []
        for run, of_run in zip(runs, wanted, strict=True):
            predicted = run.request.predicted(changed)
            difference += [cycles - predicted[name] for name, cycles in of_run]
        return np.array(difference)

    return residual


def _changed(terms: StepTerms, names: Sequence[str], values: NDArray[Any]) -> StepTerms:
    update = {name: float(value) for name, value in zip(names, values, strict=True)}
    return terms.with_units(terms.units.model_copy(update=update))


def _values(names: Sequence[str]) -> NDArray[Any]:
    design = StepUnitTerms()
    return np.array([getattr(design, name) for name in names])


def held_step_terms(runs: Sequence[StepRun], terms: StepTerms) -> dict[str, list[str]]:
    """Terms that the runs cannot tell from earlier terms, and those terms: none if a term has no effect."""
    return dependent(_residual(runs, terms, NAMES), _values(NAMES), NAMES)


def fit_step_terms(runs: Sequence[StepRun], terms: StepTerms) -> StepUnitTerms:
    """Fit all terms but the held ones to measured cycles, by Gauss-Newton steps from the design's.

    ``terms``: those of the die and of the network, which are as they are. Terms that are held are not set.
    """
    names = [name for name in NAMES if name not in held_step_terms(runs, terms)]
    values = fit(_residual(runs, terms, names), _values(names))
    return StepUnitTerms.model_construct(
        _fields_set={*names},
        **{name: float(value) for name, value in zip(names, values, strict=True)},
    )


def step_benches() -> dict[str, list[StepWork]]:
    """The fitted runs in which each term shows, on dies as they are by default; nothing is measured."""
    benches: dict[str, list[StepWork]] = {name: [] for name in NAMES}
    for run in _runs_by_design():
        residual = _residual([run], StepTerms.of_design(run.request.system), NAMES)
        before, values = residual(_values(NAMES)), _values(NAMES)
        for number, name in enumerate(NAMES):
            moved = values.copy()
            moved[number] += 1
            if np.abs(residual(moved) - before).max() > NEGLIGIBLE:
                benches[name].append(run.request.work)
    return benches


def held_by_design() -> dict[str, list[str]]:
    """Those of :func:`held_step_terms` on dies as they are by default; nothing is measured."""
    runs = _runs_by_design()
    return held_step_terms(runs, StepTerms.of_design(runs[0].request.system))


def _runs_by_design() -> list[StepRun]:
    """The fitted runs, as they are by the terms of the design."""
    return [
        _as_designed(request_for(sample, SystemSpec(), seed=0, sim=""))
        for sample in step_samples()
        if not sample.holdout
    ]


def _as_designed(request: StepRunRequest) -> StepRun:
    """The run of a die that takes what the design's terms say."""
    predicted = request.predicted(StepTerms.of_design(request.system))
    measured = {name: round(cycles) for name, cycles in predicted.items()}
    return StepRun(request=request, measured=measured, mismatches=0, provenance=None)


def with_step(
    calibration: Calibration, system: SystemSpec, chosen: Sequence[StepSample], runs: Sequence[StepRun]
) -> tuple[Calibration, list[dict[str, Any]]]:
    """Fit the terms of a step on the samples that are not held out, with the other terms of ``calibration``.

    Returns ``calibration`` with these terms, and a row for each sample.
    """
    used, others = fitted_records(chosen, runs), StepTerms.of(system, calibration)
    fitted = fit_step_terms(used, others)
    terms = others.with_units(fitted)
    rows = [
        {
            "work": str(sample.work),
            "array": f"{sample.rows}x{sample.cols}",
            **prediction_fields(sample, run.measured[CYCLES], run.request.predicted(terms)[CYCLES]),
        }
        for sample, run in zip(chosen, runs, strict=True)
    ]
    provenance = {
        **calibration.provenance,
        "step_samples": len(rows),
        "step_holdout_samples": sum(sample.holdout for sample in chosen),
        "step_holdout_max_relative_error": largest_holdout_error(rows),
        "step_held": held_step_terms(used, others),
    }
    return calibration.model_copy(update={"step": fitted, "provenance": provenance}), rows


def step_fits(calibration: Calibration) -> Iterator[dict[str, Any]]:
    """Rows of the terms of a step, see :func:`cosim.calibrate.sample_runs.fit_rows`; none if none was measured."""
    if calibration.step is not None:
        held = calibration.provenance["step_held"]
        yield from fit_rows("step", NAMES, calibration.step, StepUnitTerms(), held)

"""Calibration of the die: fit the terms of its timeline to measured GEMMs, and report the error on held-out runs.

The terms are fitted on small arrays of the die's kind (same data type, pipeline, queues and memory), because every
term is a cost per row, column, tile, word or command. The held-out runs have other array sizes and other shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.layout.block_sizes import Form
from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import DieSpec, MemorySpec, SystemSpec
from chiplet.machine.terms import DieTerms
from cosim.calibrate.least_squares import fit
from cosim.calibrate.sample_runs import (
    cycle_fields,
    fitted_records,
    largest_holdout_error,
    measured,
    prediction_fields,
    relative_error,
)
from cosim.predict.die import predict
from cosim.program.gemm import schedule_gemm
from cosim.program.shape import Shape
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.run.gemm import run_gemm

__all__ = [
    "FITTED_TERMS",
    "Sample",
    "fit_terms",
    "fits",
    "measure",
    "prediction_error",
    "request_for",
    "samples",
    "to_calibration",
]

FITTED_TERMS = (
    "gemm.constant",
    "gemm.fill_per_row",
    "gemm.per_row",
    "gemm.per_tile",
    "gemm.drain_per_row",
    "gemm.drain_per_col",
    "load_command",
    "load_post",
    "scratchpad_read",
    "feed_post",
    "drain_command",
    "drain_read",
    "drain_post",
    "finish",
)
"""Terms that are fitted. Terms that the runs cannot tell apart share their difference from the design evenly."""


@dataclass(frozen=True)
class Sample:
    """One run of the calibration: an array size and a GEMM. With ``holdout`` it is not used for the fit."""

    rows: int
    cols: int
    m: int
    k: int
    n: int
    form: Form
    holdout: bool


_FIT = (
    (4, 4, 5, 32, 3, "nn"),
    (4, 4, 16, 16, 16, "nt"),
    (4, 4, 9, 4, 30, "tn"),
    (4, 4, 24, 8, 4, "nn"),
    (8, 8, 16, 16, 16, "nn"),
    (8, 8, 31, 32, 31, "tn"),
    (4, 8, 20, 12, 40, "nn"),
    (8, 4, 20, 40, 12, "nt"),
    (5, 3, 7, 11, 13, "nn"),
    (2, 3, 12, 9, 10, "tn"),
)
_HOLDOUT = (
    (4, 4, 37, 53, 29, "nn"),
    (8, 8, 24, 40, 24, "nt"),
    (6, 7, 20, 24, 50, "tn"),
    (3, 5, 31, 17, 23, "nn"),
    (7, 2, 1, 29, 5, "nt"),
    (5, 3, 31, 32, 31, "tn"),
)


def samples(*, quick: bool = False) -> list[Sample]:
    """Return the runs of a calibration; with ``quick`` the smaller half of them."""
    chosen = []
    for group, holdout in ((_FIT, False), (_HOLDOUT, True)):
        ordered = sorted(group, key=lambda sample: sample[2] * sample[3] * sample[4])
        for rows, cols, m, k, n, form in ordered[: len(ordered) // 2] if quick else ordered:
            chosen.append(Sample(rows, cols, m, k, n, form, holdout))  # type: ignore[arg-type]
    return chosen


def request_for(sample: Sample, system: SystemSpec, *, seed: int, sim: str) -> GemmRequest:
    """Return the run of ``sample`` on an array of the kind of ``system.die``.

    Buffer sizes are the defaults: they decide what fits, not how long it takes.
    """
    return GemmRequest(
        m=sample.m,
        k=sample.k,
        n=sample.n,
        form=sample.form,
        die=DieSpec(rows=sample.rows, cols=sample.cols, **cycle_fields(system.die)),
        memory=system.memory,
        seed=seed,
        sim=sim,
    )


def measure(requests: Sequence[GemmRequest], **options: Any) -> list[GemmRecord]:
    """Run all requests and return their records in order, see :func:`cosim.calibrate.sample_runs.measured`."""
    return measured(run_gemm, requests, _name, **options)


def _name(record: GemmRecord) -> str:
    return f"{record.m}x{record.k}x{record.n} on {record.rows}x{record.cols}"


def _with_terms(terms: DieTerms, values: NDArray[Any]) -> DieTerms:
    changed: dict[str, Any] = {}
    gemm: dict[str, float] = {}
    for name, value in zip(FITTED_TERMS, values, strict=True):
        (gemm if name.startswith("gemm.") else changed)[name.removeprefix("gemm.")] = float(value)
    return terms.model_copy(update={**changed, "gemm": terms.gemm.model_copy(update=gemm)})


def _values(terms: DieTerms) -> NDArray[Any]:
    return np.array(
        [
            getattr(terms.gemm, name.removeprefix("gemm."))
            if name.startswith("gemm.")
            else getattr(terms, name)
            for name in FITTED_TERMS
        ]
    )


def _predicted(record: GemmRecord, terms: DieTerms) -> tuple[float, float]:
    request = record.request
    shape = Shape(m=record.m, k=record.k, n=record.n, form=record.form)
    program = schedule_gemm(request.die, request.memory, shape)
    timeline = predict(program, request.die, request.memory, terms, interval=request.interval)
    return timeline.array_cycles, timeline.cycles


def fit_terms(records: Sequence[GemmRecord], start: DieTerms | None = None) -> DieTerms:
    """Fit the terms to measured array cycles and cycles, by Gauss-Newton steps from ``start``: the design's terms.

    Terms that the records cannot tell apart move together, see :func:`cosim.calibrate.least_squares.fit`.
    """
    start = start or DieTerms()
    measured = np.array([[record.array_cycles, record.cycles] for record in records], dtype=float).ravel()

    def residual(values: NDArray[Any]) -> NDArray[Any]:
        terms = _with_terms(start, values)
        predicted = np.array([_predicted(record, terms) for record in records])
        difference: NDArray[Any] = measured - predicted.ravel()
        return difference

    return _with_terms(start, fit(residual, _values(start)))


def prediction_error(record: GemmRecord, terms: DieTerms) -> tuple[float, float]:
    """Return the predicted cycles of one record, and their relative error."""
    predicted = _predicted(record, terms)[1]
    return predicted, relative_error(predicted, record.cycles)


def to_calibration(
    system: SystemSpec, chosen: Sequence[Sample], records: Sequence[GemmRecord]
) -> tuple[Calibration, list[dict[str, Any]]]:
    """Fit on the samples that are not held out; return the calibration and a row for each sample."""
    fitted = fit_terms(fitted_records(chosen, records))
    rows: list[dict[str, Any]] = []
    for sample, record in zip(chosen, records, strict=True):
        rows.append(
            {
                "array": f"{sample.rows}x{sample.cols}",
                "m": sample.m,
                "k": sample.k,
                "n": sample.n,
                "form": sample.form,
                **prediction_fields(sample, record.cycles, prediction_error(record, fitted)[0]),
                "array_cycles": record.array_cycles,
            }
        )
    holdout = sum(sample.holdout for sample in chosen)
    provenance = {
        "simulator": records[0].sim,
        "simulator_version": records[0].simulator_version,
        "hecaton_version": records[0].hecaton_version,
        "seed": records[0].seed,
        "memory": _memory(system.memory),
        "samples": len(rows),
        "fitted_samples": len(rows) - holdout,
        "holdout_samples": holdout,
        "holdout_max_relative_error": largest_holdout_error(rows),
        "arrays": sorted({row["array"] for row in rows}),
    }
    return Calibration(die=system.die, terms=fitted, provenance=provenance), rows


def fits(terms: DieTerms) -> Iterator[dict[str, Any]]:
    """Rows of the fitted terms: value, and value of the design."""
    design = _values(DieTerms())
    for name, value, expected in zip(FITTED_TERMS, _values(terms), design, strict=True):
        yield {"term": name, "value": float(value), "design": float(expected), "unit": "cycles"}


def _memory(memory: MemorySpec) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in ("word_bytes", "latency_cycles", "outstanding")}

"""Calibration of the network-on-package: fit its terms to measured collectives, and tell the error on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.specs import DieSpec, SystemSpec
from chiplet.timing import Calibration
from cosim.collective import prepare, run_collective
from cosim.collective_record import CollectiveRecord, CollectiveRequest, collective_request
from cosim.collective_timing import design_terms, predict_collective
from cosim.least_squares import fit
from cosim.pool import run_all
from nop.collectives import Algorithm
from nop.floor import LineOp
from nop.timing import NopTerms

__all__ = [
    "NopSample",
    "fit_nop_terms",
    "measure",
    "nop_error",
    "nop_fits",
    "nop_rows",
    "nop_samples",
    "request_for",
    "with_network",
]

NAMES = tuple(term.name for term in fields(NopTerms))


@dataclass(frozen=True)
class NopSample:
    """One run of the calibration: a collective on a row of dies; ``holdout`` keeps it out of the fit."""

    op: LineOp
    algorithm: Algorithm
    nodes: int
    flits: int
    holdout: bool


# A flit between two dies is a hop, one to the third die passes a router, one around the ring is stored. Long chunks
# show what a flit costs, all-reduces what a command costs.
_FIT: tuple[tuple[LineOp, Algorithm, int, int], ...] = (
    ("all-gather", "chain", 2, 1),
    ("all-gather", "chain", 2, 24),
    ("all-gather", "chain", 3, 1),
    ("reduce-scatter", "chain", 3, 1),
    ("all-gather", "ring", 3, 1),
    ("all-gather", "ring", 3, 24),
    ("all-reduce", "ring", 3, 24),
    ("reduce-scatter", "chain", 4, 1),
    ("all-gather", "ring", 4, 1),
    ("reduce-scatter", "chain", 4, 24),
    ("all-reduce", "chain", 4, 24),
)
_HOLDOUT: tuple[tuple[LineOp, Algorithm, int, int], ...] = (
    ("reduce-scatter", "ring", 3, 40),
    ("all-reduce", "chain", 3, 40),
    ("all-gather", "chain", 5, 40),
    ("all-gather", "ring", 5, 16),
    ("reduce-scatter", "ring", 5, 16),
    ("all-reduce", "ring", 5, 40),
)


def nop_samples(*, quick: bool = False) -> list[NopSample]:
    """Return the runs of a calibration. ``quick`` fits those on three dies, and keeps one on three and one on five."""
    fitted = _FIT[:7] if quick else _FIT
    apart = _HOLDOUT[1:3] if quick else _HOLDOUT
    return [NopSample(*run, holdout) for group, holdout in ((fitted, False), (apart, True)) for run in group]


def request_for(sample: NopSample, system: SystemSpec, *, seed: int, sim: str) -> CollectiveRequest:
    """Return the run of ``sample`` on dies of the kind of ``system.die``, with its flits and memory."""
    kind = {name: getattr(system.die, name) for name in ("dtype", "stages", "queue_depth", "clock_hz")}
    return collective_request(
        op=sample.op,
        algorithm=sample.algorithm,
        rows=1,
        cols=sample.nodes,
        axis="row",
        flits=sample.flits,
        die=DieSpec(**kind),
        nop=system.nop,
        memory=system.memory,
        seed=seed,
        sim=sim,
    )


def measure(
    requests: Sequence[CollectiveRequest],
    *,
    workers: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[CollectiveRecord]:
    """Run all requests, on all cores unless ``workers`` says otherwise; return their records in order.

    Raises
    ------
    ValueError
        If a run has mismatches: its cycles mean nothing.
    """
    records: dict[int, CollectiveRecord] = {}
    for index, record in run_all(run_collective, requests, workers=workers):
        if record.mismatches:
            raise ValueError(
                f"{record.op} on {record.mesh} dies has {record.mismatches} mismatches: cycles of wrong results are "
                "no measurement"
            )
        records[index] = record
        progress()
    return [records[index] for index in range(len(requests))]


def _predicted(record: CollectiveRecord, terms: NopTerms) -> float:
    return predict_collective(record.request, prepare(record.request), terms)


def _with(values: NDArray[Any]) -> NopTerms:
    return NopTerms(**{name: float(value) for name, value in zip(NAMES, values, strict=True)})


def _values(terms: NopTerms) -> NDArray[Any]:
    return np.array([getattr(terms, name) for name in NAMES])


def fit_nop_terms(records: Sequence[CollectiveRecord], start: NopTerms | None = None) -> NopTerms:
    """Fit all terms to measured cycles by Gauss-Newton steps from the design's terms, as those of the die are."""
    start = start or design_terms(records[0].request.die)
    measured = np.array([record.cycles for record in records], dtype=float)

    def residual(values: NDArray[Any]) -> NDArray[Any]:
        difference: NDArray[Any] = measured - [_predicted(record, _with(values)) for record in records]
        return difference

    return _with(fit(residual, _values(start)))


def nop_error(record: CollectiveRecord, terms: NopTerms) -> tuple[float, float]:
    """Return predicted cycles and their relative error on one record."""
    cycles = _predicted(record, terms)
    return cycles, abs(cycles - record.cycles) / record.cycles


def nop_rows(
    chosen: Sequence[NopSample], records: Sequence[CollectiveRecord], terms: NopTerms
) -> list[dict[str, Any]]:
    """A row for each sample, with its error."""
    rows: list[dict[str, Any]] = []
    for sample, record in zip(chosen, records, strict=True):
        predicted, error = nop_error(record, terms)
        rows.append(
            {
                "op": sample.op,
                "algorithm": sample.algorithm,
                "dies": sample.nodes,
                "flits": sample.flits,
                "use": "holdout" if sample.holdout else "fit",
                "cycles": record.cycles,
                "predicted_cycles": predicted,
                "relative_error": error,
            }
        )
    return rows


def with_network(
    found: Calibration, chosen: Sequence[NopSample], records: Sequence[CollectiveRecord]
) -> tuple[Calibration, list[dict[str, Any]]]:
    """Fit the network's terms on the samples that are not held out; return ``found`` with them and a row for each."""
    fitted = fit_nop_terms(
        [record for sample, record in zip(chosen, records, strict=True) if not sample.holdout]
    )
    rows = nop_rows(chosen, records, fitted)
    holdout = [row["relative_error"] for row in rows if row["use"] == "holdout"]
    provenance = {
        **found.provenance,
        "nop_samples": len(rows),
        "nop_holdout_samples": len(holdout),
        "nop_holdout_max_relative_error": max(holdout),
        "nop_flit_bits": records[0].request.nop.flit_bits,
    }
    return found.model_copy(update={"nop": fitted, "provenance": provenance}), rows


def nop_fits(terms: NopTerms, die: DieSpec) -> Iterator[dict[str, Any]]:
    """Each term with its value and that of the design."""
    design = design_terms(die)
    for name in NAMES:
        yield {
            "term": f"nop.{name}",
            "value": float(getattr(terms, name)),
            "design": float(getattr(design, name)),
            "unit": "cycles",
        }

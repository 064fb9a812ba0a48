"""Calibration of the network-on-package: fit its terms to measured collectives, and report the error on held-out runs.

In the fitted runs, some terms occur only together, and some have no effect. A term that these runs cannot tell from the
terms before it in :class:`nop.terms.NopTerms` is held at the design's value. So the other terms have one best value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import DieSpec, SystemSpec
from cosim.calibrate.least_squares import dependent, fit
from cosim.calibrate.sample_runs import (
    cycle_fields,
    fit_rows,
    fitted_records,
    largest_holdout_error,
    measured,
    prediction_fields,
    relative_error,
)
from cosim.predict.collective import design_terms, predict_collective
from cosim.records.collective import CollectiveRecord, CollectiveRequest, collective_request
from cosim.run.collective import line_collectives, run_collective
from nop.collectives import Algorithm, LineOp
from nop.terms import NopTerms

__all__ = [
    "NopSample",
    "fit_nop_terms",
    "held_terms",
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
    """One run of the calibration: a collective on a row of ``nodes`` dies. With ``holdout`` it is not used for the fit.

    With more than one row it runs on all rows and columns of a mesh at the same time.
    """

    op: LineOp
    algorithm: Algorithm
    nodes: int
    flits: int
    holdout: bool
    rows: int = 1


# A flit between two dies takes a hop. Around a ring of three dies it also passes a router, and a sum for a third die
# passes an adder. Long chunks show the cost of a flit, all-reduces the time until a whole sum is sent.
_FIT: tuple[tuple[LineOp, Algorithm, int, int], ...] = (
    ("all-gather", "chain", 2, 1),
    ("all-gather", "chain", 2, 24),
    ("all-gather", "chain", 3, 1),
    ("reduce-scatter", "chain", 3, 1),
    ("all-gather", "ring", 3, 1),
    ("all-gather", "ring", 3, 24),
    ("all-reduce", "ring", 3, 64),
    ("reduce-scatter", "chain", 4, 1),
    ("all-gather", "ring", 4, 1),
    ("reduce-scatter", "chain", 4, 24),
    ("all-reduce", "chain", 4, 2),
)
_HOLDOUT: tuple[tuple[LineOp, Algorithm, int, int, int], ...] = (
    ("reduce-scatter", "ring", 3, 40, 1),
    ("all-reduce", "chain", 3, 80, 1),
    ("all-gather", "chain", 5, 40, 1),
    ("all-gather", "ring", 5, 16, 1),
    ("reduce-scatter", "ring", 5, 16, 1),
    ("all-reduce", "ring", 5, 40, 1),
    ("reduce-scatter", "ring", 5, 2, 1),
    ("reduce-scatter", "chain", 5, 3, 1),
    ("all-reduce", "ring", 5, 5, 1),
    ("all-reduce", "chain", 3, 2, 2),
)


def nop_samples(*, quick: bool = False) -> list[NopSample]:
    """Return the runs of a calibration; with ``quick`` those on at most three dies, and two held-out runs."""
    fitted = _FIT[:7] if quick else _FIT
    held_out = _HOLDOUT[1:3] if quick else _HOLDOUT
    return [
        *(NopSample(*run, False) for run in fitted),
        *(
            NopSample(op, algorithm, nodes, flits, True, rows)
            for op, algorithm, nodes, flits, rows in held_out
        ),
    ]


def request_for(sample: NopSample, system: SystemSpec, *, seed: int, sim: str) -> CollectiveRequest:
    """Return the run of ``sample`` on dies of the kind of ``system.die``, with its flits and memory."""
    return collective_request(
        op=sample.op,
        algorithm=sample.algorithm,
        rows=sample.rows,
        cols=sample.nodes,
        axis="row" if sample.rows == 1 else "both",
        flits=sample.flits,
        die=DieSpec(**cycle_fields(system.die)),
        nop=system.nop,
        memory=system.memory,
        seed=seed,
        sim=sim,
    )


def measure(requests: Sequence[CollectiveRequest], **options: Any) -> list[CollectiveRecord]:
    """Run all requests and return their records in order, see :func:`cosim.calibrate.sample_runs.measured`."""
    return measured(run_collective, requests, _name, **options)


def _name(record: CollectiveRecord) -> str:
    return f"{record.op} on {record.mesh} dies"


def _residual(
    records: Sequence[CollectiveRecord], terms: NopTerms, names: Sequence[str]
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Measured minus predicted cycles of all records, as a function of the values of the terms ``names``. The other
    terms are those of ``terms``.
    """
    requests = [(record.request, line_collectives(record.request)) for record in records]
    cycles = np.array([record.cycles for record in records], dtype=float)

    def residual(values: NDArray[Any]) -> NDArray[Any]:
        changed = _changed(terms, names, values)
        difference: NDArray[Any] = cycles - [
            predict_collective(request, lines, changed) for request, lines in requests
        ]
        return difference

    return residual


def _changed(terms: NopTerms, names: Sequence[str], values: NDArray[Any]) -> NopTerms:
    return replace(terms, **{name: float(value) for name, value in zip(names, values, strict=True)})


def _values(terms: NopTerms, names: Sequence[str]) -> NDArray[Any]:
    return np.array([getattr(terms, name) for name in names])


def held_terms(records: Sequence[CollectiveRecord]) -> dict[str, list[str]]:
    """Terms that the records cannot tell from earlier terms, and those terms: none if a term has no effect."""
    design = design_terms(records[0].request.die)
    return dependent(_residual(records, design, NAMES), _values(design, NAMES), NAMES)


def fit_nop_terms(records: Sequence[CollectiveRecord]) -> NopTerms:
    """Fit all terms but the held ones to measured cycles by Gauss-Newton steps from the design's terms."""
    design = design_terms(records[0].request.die)
    held = held_terms(records)
    names = [name for name in NAMES if name not in held]
    return _changed(design, names, fit(_residual(records, design, names), _values(design, names)))


def nop_error(record: CollectiveRecord, terms: NopTerms) -> tuple[float, float]:
    """Return the predicted cycles of one record, and their relative error."""
    predicted = predict_collective(record.request, line_collectives(record.request), terms)
    return predicted, relative_error(predicted, record.cycles)


def nop_rows(
    chosen: Sequence[NopSample], records: Sequence[CollectiveRecord], terms: NopTerms
) -> list[dict[str, Any]]:
    """A row for each sample, with the error of its prediction."""
    rows: list[dict[str, Any]] = []
    for sample, record in zip(chosen, records, strict=True):
        rows.append(
            {
                "op": sample.op,
                "algorithm": sample.algorithm,
                "dies": sample.nodes * sample.rows,
                "mesh": f"{sample.rows}x{sample.nodes}",
                "flits": sample.flits,
                **prediction_fields(sample, record.cycles, nop_error(record, terms)[0]),
            }
        )
    return rows


def with_network(
    calibration: Calibration, chosen: Sequence[NopSample], records: Sequence[CollectiveRecord]
) -> tuple[Calibration, list[dict[str, Any]]]:
    """Fit the network's terms on the samples that are not held out.

    Returns ``calibration`` with these terms, and a row for each sample.
    """
    used = fitted_records(chosen, records)
    fitted = fit_nop_terms(used)
    rows = nop_rows(chosen, records, fitted)
    provenance = {
        **calibration.provenance,
        "nop_samples": len(rows),
        "nop_holdout_samples": sum(sample.holdout for sample in chosen),
        "nop_holdout_max_relative_error": largest_holdout_error(rows),
        "nop_held": held_terms(used),
        "nop_flit_bits": records[0].request.nop.flit_bits,
    }
    return calibration.model_copy(update={"nop": fitted, "provenance": provenance}), rows


def nop_fits(calibration: Calibration) -> Iterator[dict[str, Any]]:
    """Rows of the network's terms, see :func:`cosim.calibrate.sample_runs.fit_rows`."""
    assert calibration.nop is not None
    design = design_terms(calibration.die)
    yield from fit_rows("nop", NAMES, calibration.nop, design, calibration.provenance["nop_held"])

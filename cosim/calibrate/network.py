"""Calibration of the network-on-package: fit its terms to measured collectives, and tell the error on others.

Some terms only ever occur together in the runs that are fitted, or do not matter in any. A term that these runs cannot
tell from those before it in :class:`nop.terms.NopTerms` keeps the design's value, and is named as held. So the others
have one best value.
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
from cosim.calibrate.sample_runs import measured
from cosim.predict.collective import design_terms, predict_collective
from cosim.records.collective import CollectiveRecord, CollectiveRequest, collective_request
from cosim.run.collective import prepare, run_collective
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
    """One run of the calibration: a collective on a row of ``nodes`` dies; ``holdout`` keeps it out of the fit.

    With more than one row it is on all ``rows`` and columns of a mesh at the same time.
    """

    op: LineOp
    algorithm: Algorithm
    nodes: int
    flits: int
    holdout: bool
    rows: int = 1


# A flit between two dies is a hop, one around the ring of three dies also passes a router, and a sum to a third die an
# adder. Long chunks show what a flit costs, all-reduces what it takes until a whole sum is sent.
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
    ("all-reduce", "chain", 4, 64),
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
    """Return the runs of a calibration. ``quick`` fits those on three dies, and keeps one on three and one on five."""
    fitted = _FIT[:7] if quick else _FIT
    apart = _HOLDOUT[1:3] if quick else _HOLDOUT
    return [
        *(NopSample(*run, False) for run in fitted),
        *(NopSample(op, algorithm, nodes, flits, True, rows) for op, algorithm, nodes, flits, rows in apart),
    ]


def request_for(sample: NopSample, system: SystemSpec, *, seed: int, sim: str) -> CollectiveRequest:
    """Return the run of ``sample`` on dies of the kind of ``system.die``, with its flits and memory."""
    kind = {name: getattr(system.die, name) for name in ("dtype", "stages", "queue_depth", "clock_hz")}
    return collective_request(
        op=sample.op,
        algorithm=sample.algorithm,
        rows=sample.rows,
        cols=sample.nodes,
        axis="row" if sample.rows == 1 else "both",
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
    return measured(
        run_collective,
        requests,
        lambda record: f"{record.op} on {record.mesh} dies",
        workers=workers,
        progress=progress,
    )


def _predicted(record: CollectiveRecord, terms: NopTerms) -> float:
    return predict_collective(record.request, prepare(record.request), terms)


def _residual(
    records: Sequence[CollectiveRecord], terms: NopTerms, names: Sequence[str]
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Measured less predicted cycles of all records, by the values of the terms ``names``; the others are those of
    ``terms``.
    """
    measured = np.array([record.cycles for record in records], dtype=float)

    def residual(values: NDArray[Any]) -> NDArray[Any]:
        changed = _changed(terms, names, values)
        difference: NDArray[Any] = measured - [_predicted(record, changed) for record in records]
        return difference

    return residual


def _changed(terms: NopTerms, names: Sequence[str], values: NDArray[Any]) -> NopTerms:
    return replace(terms, **{name: float(value) for name, value in zip(names, values, strict=True)})


def _values(terms: NopTerms, names: Sequence[str]) -> NDArray[Any]:
    return np.array([getattr(terms, name) for name in names])


def held_terms(records: Sequence[CollectiveRecord]) -> dict[str, list[str]]:
    """Terms that the records cannot tell from those before them, and from which; from none if it does not matter."""
    design = design_terms(records[0].request.die)
    found = dependent(_residual(records, design, NAMES), _values(design, NAMES))
    return {NAMES[number]: [NAMES[other] for other in others] for number, others in found.items()}


def fit_nop_terms(records: Sequence[CollectiveRecord]) -> NopTerms:
    """Fit all terms but the held ones to measured cycles by Gauss-Newton steps from the design's terms."""
    design = design_terms(records[0].request.die)
    held = held_terms(records)
    names = [name for name in NAMES if name not in held]
    return _changed(design, names, fit(_residual(records, design, names), _values(design, names)))


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
                "dies": sample.nodes * sample.rows,
                "mesh": f"{sample.rows}x{sample.nodes}",
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
    used = [record for sample, record in zip(chosen, records, strict=True) if not sample.holdout]
    fitted = fit_nop_terms(used)
    rows = nop_rows(chosen, records, fitted)
    holdout = [row["relative_error"] for row in rows if row["use"] == "holdout"]
    provenance = {
        **found.provenance,
        "nop_samples": len(rows),
        "nop_holdout_samples": len(holdout),
        "nop_holdout_max_relative_error": max(holdout),
        "nop_held": held_terms(used),
        "nop_flit_bits": records[0].request.nop.flit_bits,
    }
    return found.model_copy(update={"nop": fitted, "provenance": provenance}), rows


def nop_fits(found: Calibration) -> Iterator[dict[str, Any]]:
    """Each term of the network with its value, that of the design, and whether it was fitted or held.

    ``like`` are the terms that a held one could not be told from.
    """
    assert found.nop is not None
    design = design_terms(found.die)
    held: dict[str, list[str]] = found.provenance["nop_held"]
    for name in NAMES:
        yield {
            "term": f"nop.{name}",
            "value": float(getattr(found.nop, name)),
            "design": float(getattr(design, name)),
            "unit": "cycles",
            "use": "held" if name in held else "fit",
            "like": held.get(name, []),
        }

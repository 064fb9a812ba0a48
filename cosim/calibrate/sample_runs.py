"""What both calibrations share: dies of one kind, measured runs, and errors on fitted and held-out runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from chiplet.machine.specs import DieSpec
from cosim.workers.pool import run_all

__all__ = [
    "cycle_fields",
    "fit_rows",
    "fitted_records",
    "largest_holdout_error",
    "measured",
    "prediction_fields",
    "relative_error",
]

CYCLE_FIELDS = ("dtype", "stages", "queue_depth", "clock_hz")


class _Record(Protocol):
    @property
    def mismatches(self) -> int: ...


class _Sample(Protocol):
    @property
    def holdout(self) -> bool: ...


Request = TypeVar("Request")
Record = TypeVar("Record", bound=_Record)


def cycle_fields(die: DieSpec) -> dict[str, Any]:
    """The fields that decide how many cycles a die takes for a row, tile, word or command."""
    return {name: getattr(die, name) for name in CYCLE_FIELDS}


def measured(
    run: Callable[[Request], Record],
    requests: Sequence[Request],
    name: Callable[[Record], str],
    *,
    workers: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Run all requests, on all cores unless ``workers`` is given; return their records in order.

    ``name`` returns the name of a record for messages; ``progress`` is called after each run.

    Raises
    ------
    ValueError
        If a run has mismatches: the cycles of wrong results mean nothing.
    """
    records: dict[int, Record] = {}
    for index, record in run_all(run, requests, workers=workers):
        if record.mismatches:
            raise ValueError(
                f"{name(record)} has {record.mismatches} mismatches: cycles of wrong results are no measurement"
            )
        records[index] = record
        progress()
    return [records[index] for index in range(len(requests))]


def fitted_records(samples: Sequence[_Sample], records: Sequence[Record]) -> list[Record]:
    """The records of the samples that are not held out."""
    return [record for sample, record in zip(samples, records, strict=True) if not sample.holdout]


def relative_error(predicted: float, cycles: int) -> float:
    """Error of predicted cycles, relative to the measured ones."""
    return abs(predicted - cycles) / cycles


def prediction_fields(sample: _Sample, cycles: int, predicted: float) -> dict[str, Any]:
    """The fields that the rows of both calibrations share."""
    return {
        "use": "holdout" if sample.holdout else "fit",
        "cycles": cycles,
        "predicted_cycles": predicted,
        "relative_error": relative_error(predicted, cycles),
    }


def largest_holdout_error(rows: Iterable[Mapping[str, Any]]) -> float:
    """Largest relative error of the held-out rows."""
    return max(float(row["relative_error"]) for row in rows if row["use"] == "holdout")


def fit_rows(
    section: str, names: Sequence[str], fitted: object, design: object, held: Mapping[str, list[str]]
) -> Iterator[dict[str, Any]]:
    """Rows of the terms ``names`` of a calibration: value, value of the design, and whether a term was fitted or held.

    ``like`` names the terms from which a held one could not be told.
    """
    for name in names:
        yield {
            "term": f"{section}.{name}",
            "value": float(getattr(fitted, name)),
            "design": float(getattr(design, name)),
            "unit": "cycles",
            "use": "held" if name in held else "fit",
            "like": held.get(name, []),
        }

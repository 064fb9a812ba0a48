"""Runs that are to be measured: all of them, and none whose results are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cosim.workers.pool import run_all

__all__ = ["measured"]


class _Record(Protocol):
    @property
    def mismatches(self) -> int: ...


Request = TypeVar("Request")
Record = TypeVar("Record", bound=_Record)


def measured(
    run: Callable[[Request], Record],
    requests: Sequence[Request],
    name: Callable[[Record], str],
    *,
    workers: int | None,
    progress: Callable[[], None],
) -> list[Record]:
    """Run all requests, on all cores unless ``workers`` says otherwise; return their records in order.

    ``name`` says what a record is of, ``progress`` is called after each run.

    Raises
    ------
    ValueError
        If a run has mismatches: its cycles mean nothing.
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

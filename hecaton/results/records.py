"""Measurement records on disk: a run whose record is there, of the same design, is not run again."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from cosim.records.base import Record
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.regress.reuse import run_unless_known
from cosim.workers.pool import run_all
from rtl.emit.output_files import write_output


@dataclass(frozen=True)
class Run:
    """A measured GEMM, the file of its record, and whether the record was there before."""

    record: GemmRecord
    path: Path
    reused: bool


def run_gemms(
    requests: Sequence[GemmRequest],
    folder: Path,
    *,
    ended: Callable[[Run], None],
    workers: int | None = None,
) -> list[Run]:
    """Run all ``requests`` in ``workers`` processes, by default one per core, and return the runs in order.

    As soon as a run ends, its record is written into ``folder`` and ``ended`` is called. Raises what
    :func:`cosim.run.gemm.run_gemm` raises.
    """
    runs: dict[int, Run] = {}
    for index, run in run_all(partial(run_recorded, folder=folder), requests, workers=workers):
        runs[index] = run
        ended(run)
    return [runs[index] for index in range(len(requests))]


def run_recorded(request: GemmRequest, *, folder: Path) -> Run:
    """Run ``request`` with the records in ``folder``: reuse a valid one, or run and write a new one."""
    record, reused = run_unless_known(request, known_records(request, folder))
    return Run(record, folder / record.file_name if reused else save_record(record, folder), reused)


def known_records(request: GemmRequest, folder: Path) -> list[GemmRecord]:
    """Return the records of ``request`` in ``folder``, of any design. Files that are no records are skipped."""
    records = []
    for path in sorted(folder.glob(f"{glob.escape(request.file_stem)}_*.json")):
        try:
            record = GemmRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if record.request == request:
            records.append(record)
    return records


def save_record(record: Record, folder: Path) -> Path:
    """Write ``record`` into ``folder``, which is made if missing; return the file."""
    path = folder / record.file_name
    write_output(path, record.model_dump_json(indent=2) + "\n")
    return path

"""GEMM runs that are kept on disk: what ran before on the same design is not run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from cosim.backends.registry import backend
from cosim.gemm import emit_bench, prepare, run_gemm
from cosim.pool import run_all
from cosim.record import GemmRecord, GemmRequest, record_file_name
from hecaton.files import write_atomic


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
    each: Callable[[Run], None],
    workers: int | None = None,
) -> list[Run]:
    """Run all ``requests``, as many at a time as there are cores or ``workers``; their runs in order.

    Each record is written into ``folder`` as soon as its run ends, and ``each`` is told. Errors are those of
    :func:`cosim.gemm.run_gemm`.
    """
    runs: dict[int, Run] = {}
    for index, run in run_all(partial(run_or_reuse, folder=folder), requests, workers=workers):
        runs[index] = run
        each(run)
    return [runs[index] for index in range(len(requests))]


def run_or_reuse(request: GemmRequest, *, folder: Path) -> Run:
    """Run ``request``, unless ``folder`` has a record of the same request on the same Verilog, without mismatches,
    by the same versions of simulator and Hecaton.
    """
    program = prepare(request)
    digest = emit_bench(request.die, request.memory, program.memory_words).sha256
    path = folder / record_file_name(request, digest)
    record = _read(path)
    if record is not None and (
        (record.request, record.verilog_sha256, record.commands) == (request, digest, len(program.commands))
        and (record.hecaton_version, record.simulator_version)
        == (version("hecaton"), backend(request.sim).version())
        and not record.mismatches
    ):
        return Run(record, path, reused=True)
    record = run_gemm(request)
    write_atomic(path, record.model_dump_json(indent=2) + "\n")
    return Run(record, path, reused=False)


def _read(path: Path) -> GemmRecord | None:
    try:
        return GemmRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None

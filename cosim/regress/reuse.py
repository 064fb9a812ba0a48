"""A GEMM run, or the record of an earlier run: nothing runs again unless it has changed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from chiplet.machine.terms import DieTerms
from cosim.predict.die import predict
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.run.gemm import prepare

__all__ = ["run_unless_known"]


def run_unless_known(request: GemmRequest, known: Iterable[GemmRecord]) -> tuple[GemmRecord, bool]:
    """Return the record of ``request``, and whether it is one of ``known``.

    A known record is reused if it has no mismatches and everything that decides the outcome is the same: the request,
    the Verilog, the length of the program, the versions of simulator and Hecaton; and if the timeline still predicts
    the same cycles. Errors are those of :func:`cosim.run.gemm.run_gemm`.
    """
    prepared = prepare(request)
    program = prepared.program
    timeline = predict(
        program, request.die, request.memory, DieTerms.of_design(request.die), interval=request.interval
    )
    current = {
        "request": request,
        "verilog_sha256": prepared.emit().sha256,
        "commands": len(program.commands),
        "hecaton_version": version("hecaton"),
        "simulator_version": prepared.simulator.version(),
        "predicted_cycles": round(timeline.cycles),
        "predicted_array_cycles": round(timeline.array_cycles),
        "mismatches": 0,
    }
    for record in known:
        if all(getattr(record, name) == value for name, value in current.items()):
            return record, True
    return prepared.run(), False

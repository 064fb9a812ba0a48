"""A GEMM run, or the record of one that ran before: what did not change is not run again."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from chiplet.machine.terms import DieTerms
from cosim.backends.registry import backend
from cosim.predict.die import predict
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.run.gemm import emit_bench, prepare, run_gemm

__all__ = ["run_or_reuse"]


def run_or_reuse(request: GemmRequest, known: Iterable[GemmRecord]) -> tuple[GemmRecord, bool]:
    """Return the record of ``request``, and whether it is one of ``known``.

    A known record is taken if it has no mismatches and everything agrees that decides the outcome: the request, the
    Verilog, the length of the program, the versions of simulator and Hecaton; and if the timeline still predicts
    what it says. Errors are those of :func:`cosim.run.gemm.run_gemm`.
    """
    program = prepare(request)
    digest = emit_bench(request.die, request.memory, program.memory_words).sha256
    timeline = predict(program, request.die, request.memory, DieTerms(), interval=request.interval)
    predicted = (round(timeline.cycles), round(timeline.array_cycles))
    versions = (version("hecaton"), backend(request.sim).version())
    for record in known:
        if (
            (record.request, record.verilog_sha256, record.commands)
            == (request, digest, len(program.commands))
            and (record.hecaton_version, record.simulator_version) == versions
            and (record.predicted_cycles, record.predicted_array_cycles) == predicted
            and not record.mismatches
        ):
            return record, True
    return run_gemm(request), False

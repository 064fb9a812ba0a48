"""What a projection uses against the benches of its machine: ``python -m benchmarks.accept.ledger [MACHINE.toml]``.

Every expected number is the one that the projection of a model on that machine counts with: its array terms, its link,
its collectives, the work of its vector programs. Every measured one comes from a simulation of the Verilog.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from chiplet.explain.counterparts import ledger_rows
from chiplet.graph.vector_work import program_work
from chiplet.machine.config import load_system, starting_preset
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import SystemSpec
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.step.collective_time import comm_seconds
from chiplet.step.overlap import gemm_seconds
from chiplet.workload.operations import CommStep, GemmStep
from cosim.calibrate.link import link_goodput, link_requests
from cosim.program.shape import FORMS
from cosim.records.collective import CollectiveRequest, collective_request
from cosim.records.gemm import gemm_request
from cosim.records.links import FaultyLinks
from cosim.records.vector import vector_request
from cosim.run.collective import run_collective
from cosim.run.gemm import run_gemm
from cosim.run.vector import run_vector
from nop.collective_cost import line_cost
from nop.collectives import ALGORITHMS

__all__ = ["MACHINE", "ledger", "main"]

MACHINE = Path(__file__).with_name("ledger.toml")
MODEL, DIES = "tinyllama-1.1b", 4
SHAPES = ((64, 64, 48), (100, 53, 29))
LINES = (
    (1, 4, None, 2e-9, (1, 7, 16, 17, 64, 1024)),
    (4, 1, None, 20e-9, (1, 5, 9, 31, 129)),
    (1, 2, None, 2e-9, (1, 3, 19, 100)),
    (1, 7, None, 20e-9, (2, 16, 17, 41, 200)),
    (1, 2, 8, 2e-9, (10, 31, 64)),
    (4, 1, 2, 20e-9, (1, 9, 20)),
    (1, 7, 4, 2e-9, (4, 28, 41)),
    (1, 5, 3, 2e-9, (2, 11, 30)),
)
"""Mesh, lanes of a link if they are not those of the machine, latency of a hop, s, and lengths of a chunk in flits:
some fill no frame of a link, or not the last one, some are longer than the queues of dies. In short ones latency is
what takes time, in long ones data; 20 ns are far above the published link. On few lanes a flit takes several cycles,
and on 2 and 3 a frame without flits does, too, for whose end a flit waits."""
VECTORS = (("softmax", 128, 1024), ("rmsnorm", 128, 1024), ("silu", 128, 1000), ("adam", 128, 1024))
"""Large matrices, as a projection has: it leaves out the beginnings and ends of passes, a tenth with 16 rows."""


def _row(kind: str, name: str, expected: float, measured: float, mismatches: int) -> dict[str, Any]:
    difference = abs(expected - measured)
    row = {
        "kind": kind,
        "name": name,
        "expected": expected,
        "measured": measured,
        "difference": difference,
        "relative": difference / measured,
        "within_3_percent_or_4_cycles": int(difference <= max(4.0, 0.03 * measured)),
        "mismatches": mismatches,
    }
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def _gemms(found: Accounted, system: SystemSpec, sim: str) -> Iterator[dict[str, Any]]:
    clock = system.die.clock_hz
    for m, k, n in SHAPES:
        # The whole GEMM in one token tile, as the projection costs one.
        step = GemmStep("XW", m, k, n, 1, m * k * n, "m")
        expected = gemm_seconds(step, found.machine, m) * clock
        for form in FORMS:
            request = gemm_request(m=m, k=k, n=n, form=form, die=system.die, memory=system.memory, sim=sim)
            record = run_gemm(request)
            yield _row("gemm", f"{m}x{k}x{n} {form}", expected, record.array_cycles, record.mismatches)


def _link(found: Accounted, system: SystemSpec, sim: str) -> Iterator[dict[str, Any]]:
    records = [run_collective(request) for request in link_requests(system, seed=0, sim=sim)]
    measured = link_goodput(system, records).goodput
    wrong = sum(record.mismatches for record in records)
    yield _row("link", "goodput", float(found.machine.link.goodput), measured, wrong)


def _collectives(found: Accounted, given: SystemSpec, sim: str) -> Iterator[dict[str, Any]]:
    method, clock = found.method, given.die.clock_hz
    for rows, cols, lanes, latency, lengths in LINES:
        lanes = given.link.lanes if lanes is None else lanes
        links = given.link.model_copy(update={"lanes": lanes, "latency_seconds": latency})
        system = given.model_copy(update={"link": links})
        rate = link_rate(system)
        for op, algorithm, flits in product(("all-gather", "reduce-scatter"), ALGORITHMS, lengths):
            request: CollectiveRequest = collective_request(
                op=op,
                algorithm=algorithm,
                rows=rows,
                cols=cols,
                axis="row" if rows == 1 else "column",
                flits=flits,
                die=system.die,
                nop=system.nop,
                memory=system.memory,
                links=FaultyLinks.of(system),
                sim=sim,
            )
            size = method.sum_bytes if op == "reduce-scatter" else method.element_bytes
            nodes = rows * cols
            chunk = flits * system.nop.flit_bits / 8 / size
            step: CommStep = method.collective(
                op, op, request.axis, nodes, line_cost(nodes, algorithm), chunk
            )
            record = run_collective(request)
            name = f"{op} {rows}x{cols} {algorithm}, {flits} flits, {lanes} lanes, {latency * 1e9:g} ns"
            expected = comm_seconds(step, rate) * clock
            yield _row("collective", name, float(expected), record.cycles, record.mismatches)


def _vectors(found: Accounted, system: SystemSpec, sim: str) -> Iterator[dict[str, Any]]:
    for program, rows, cols in VECTORS:
        request = vector_request(
            program=program,
            rows=rows,
            cols=cols,
            die=system.die,
            memory=system.memory,
            vector=system.vector,
            sim=sim,
        )
        record = run_vector(request)
        seconds = found.machine.vector_seconds(program_work(program) * (rows * cols))
        name = f"{program} {rows}x{cols}"
        expected = float(seconds * system.die.clock_hz)
        waited = record.counters["vector_stall_read"] + record.counters["vector_stall_write"]
        yield _row("vector with waits for banks", name, expected, record.vector_cycles, record.mismatches)
        yield _row("vector", name, expected, record.vector_cycles - waited, record.mismatches)


def ledger(machine: Path = MACHINE, *, sim: str = "cxxrtl") -> dict[str, Any]:
    """Compare the projection of a model on ``machine`` with the benches of it; ``inputs`` is the ledger of both."""
    preset = starting_preset(machine, [], preset="")
    system = load_system(machine, [], preset=preset)
    found = account(StepRequest(MODEL, system, dies=DIES))
    rows = [
        row for part in (_gemms, _link, _collectives, _vectors) for row in part(found, found.job.given, sim)
    ]
    inputs = [*found.projection.measured_inputs, *found.projection.assumed_inputs]
    return {
        "preset": preset,
        "digests": found.projection.digests,
        "rows": rows,
        "inputs": [row.model_dump() for row in ledger_rows(inputs)],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, print it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accept.ledger", description=__doc__)
    parser.add_argument("machine", nargs="?", type=Path, default=MACHINE)
    print(json.dumps(ledger(parser.parse_args(arguments).machine)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Co-simulation of a mesh of routers under uniform random traffic: latency and throughput over load."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from math import ceil
from pathlib import Path

from chiplet.machine.specs import NopSpec
from cosim.backends.registry import backend
from cosim.jobs.die import FOLDER_VARIABLE
from cosim.jobs.traffic import TrafficJob, load_counters
from cosim.predict.traffic import zero_load_latency
from cosim.records.links import LinkTotals
from cosim.records.traffic import TrafficRecord, TrafficRequest
from cosim.run.designs import emitted_once
from rtl.bench.router_mesh import MeshLinks
from rtl.bench.traffic import TRAFFIC_COUNTERS
from rtl.bench.traffic_mesh import TrafficMesh
from rtl.emit.emitter import Emitted

__all__ = [
    "emit_mesh",
    "prepare",
    "run_traffic",
    "saturation_rate",
    "sweep_rates",
]


def sweep_rates(step: float) -> list[float]:
    """Rates of a sweep: multiples of ``step``, and 1. Raises ValueError unless 0.001 <= step <= 1."""
    if not 0.001 <= step <= 1:
        raise ValueError(f"step = {step}: must be from 0.001 to 1")
    return [*(round(number * step, 9) for number in range(1, ceil(1 / step - 1e-9))), 1.0]


def saturation_rate(records: Sequence[TrafficRecord], factor: float = 3.0) -> float | None:
    """Highest rate of a sweep up to which the latency stays below ``factor`` times that at zero load, or None."""
    best = None
    for record in sorted(records, key=lambda record: record.request.rate):
        if record.latency_mean is None or record.latency_mean >= factor * record.zero_load_latency:
            break
        best = record.request.rate
    return best


def emit_mesh(nop: NopSpec, rows: int, cols: int, links: MeshLinks | None = None) -> Emitted:
    """Return the Verilog of a mesh with traffic nodes, and with adapters and faulty wires if there are ``links``.

    Raises
    ------
    ValueError
        If a side is too long for coordinates, or a flit too narrow for time stamps.
    """
    return emitted_once(TrafficMesh, nop=nop, rows=rows, cols=cols, links=links)


def prepare(request: TrafficRequest) -> Emitted:
    """Return the design of a request, so that what cannot run is refused before anything does.

    Raises
    ------
    ValueError
        If the simulator is unknown, the mesh cannot be made, or the link that is to die is none of it or dies after
        the traffic.
    """
    backend(request.sim)
    links, last = request.links, request.warmup + request.cycles
    if links is None:
        return emit_mesh(request.nop, request.rows, request.cols)
    links.job(request.nop, request.rows, request.cols)
    if links.death is not None and links.death.cycle >= last:
        raise ValueError(f"a link cannot die in cycle {links.death.cycle}: traffic ends before cycle {last}")
    return emit_mesh(request.nop, request.rows, request.cols, links.mesh_links(request.nop))


def run_traffic(request: TrafficRequest) -> TrafficRecord:
    """Run traffic on a mesh of the generated routers and return the record.

    Raises
    ------
    ValueError
        As :func:`prepare`.
    SimulationError
        If the simulator is missing.
    """
    simulator = backend(request.sim)
    emitted = prepare(request)
    model = simulator.build(emitted)
    nop, rows, cols, links = request.nop, request.rows, request.cols, request.links
    nodes = rows * cols
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        TrafficJob(
            nodes=nodes,
            rate=round(request.rate * 65536),
            first=request.warmup,
            last=request.warmup + request.cycles,
            seed=request.seed,
            link_job=None if links is None else links.job(nop, rows, cols),
        ).save(folder)
        simulator.run(model, emitted.top, "cosim.benches.mesh", folder, {FOLDER_VARIABLE: str(folder)})
        counters, link_counters = load_counters(folder)
    total = {name: sum(node[name] for node in counters) for name in TRAFFIC_COUNTERS}
    measured = total["measured"]
    complete = measured > 0 and measured == total["offered"]
    return TrafficRecord(
        request=request,
        offered=total["offered"] / (nodes * request.cycles),
        throughput=total["accepted"] / (nodes * request.cycles),
        latency_mean=(total["received_time"] - total["generated_time"]) / measured if complete else None,
        network_latency_mean=total["network_time"] / measured if complete else None,
        zero_load_latency=zero_load_latency(rows, cols, 0 if links is None else links.hop_cycles(nop)),
        generated=total["generated"],
        received=total["received"],
        lost=total["generated"] - total["received"],
        misrouted=total["misrouted"],
        wrong=total["wrong"],
        same=total["sent_sum"] % 2**64 == total["received_sum"] % 2**64,
        links=None if links is None else LinkTotals.count(links, nop, rows, cols, link_counters),
        counters=tuple(counters),
        link_counters=tuple(link_counters),
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=emitted.sha256,
        wall_seconds=time.perf_counter() - start,
    )

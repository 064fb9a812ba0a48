"""Co-simulation of a mesh of routers under uniform random traffic: latency and throughput against load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from chiplet.machine.specs import NopSpec
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.jobs.mesh import LinkJob, MeshCounters
from cosim.jobs.traffic import TrafficJob
from cosim.predict.traffic import zero_load_latency
from cosim.records.links import LinkTotals
from cosim.records.traffic import TrafficRecord, TrafficRequest
from cosim.run.designs import emitted_once
from cosim.run.simulation import Simulation
from rtl.bench.router_mesh import MeshLinks
from rtl.bench.traffic import TRAFFIC_COUNTERS
from rtl.bench.traffic_mesh import TrafficMesh
from rtl.emit.emitter import Emitted

__all__ = [
    "PreparedTraffic",
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
    """Highest rate of a sweep up to which the latency is below ``factor`` times that at zero load, or None."""
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


@dataclass(frozen=True, kw_only=True)
class PreparedTraffic:
    """Traffic that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    design
        The mesh.
    link_job
        The bench's settings for links with adapters, or None.
    simulator
        What runs it.
    """

    request: TrafficRequest
    design: Emitted
    link_job: LinkJob | None
    simulator: Backend

    def run(self) -> TrafficRecord:
        """Run the traffic on a mesh of the generated routers and return the record.

        Raises
        ------
        SimulationError
            If the simulator is missing.
        """
        request = self.request
        nop, rows, cols, links = request.nop, request.rows, request.cols, request.links
        nodes = rows * cols

        def write_inputs(folder: Path, _observed: list[str]) -> None:
            TrafficJob(
                nodes=nodes,
                rate=round(request.rate * 65536),
                first=request.warmup,
                last=request.warmup + request.cycles,
                seed=request.seed,
                link_job=self.link_job,
            ).save(folder)

        simulated = Simulation(
            bench="cosim.benches.mesh",
            emit=lambda: self.design,
            write_inputs=write_inputs,
            load_outcome=MeshCounters.load,
        ).run(self.simulator)
        counters = simulated.outcome
        total = {name: sum(node[name] for node in counters.nodes) for name in TRAFFIC_COUNTERS}
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
            links=None if links is None else LinkTotals.count(links, nop, rows, cols, counters.links),
            counters=counters.nodes,
            link_counters=counters.links,
            **simulated.provenance,
        )


def prepare(request: TrafficRequest) -> PreparedTraffic:
    """Check a request and make its design, so that what cannot run is refused before anything is built.

    Raises
    ------
    ValueError
        If the simulator is unknown, the mesh cannot be made, or the link that is to die is not a link of the mesh or
        would die after the traffic.
    """
    simulator = backend(request.sim)
    links, last = request.links, request.warmup + request.cycles
    link_job = None if links is None else links.job(request.nop, request.rows, request.cols)
    if links is not None and links.death is not None and links.death.cycle >= last:
        raise ValueError(f"a link cannot die in cycle {links.death.cycle}: traffic ends before cycle {last}")
    adapters = None if links is None else links.mesh_links(request.nop)
    design = emit_mesh(request.nop, request.rows, request.cols, adapters)
    return PreparedTraffic(request=request, design=design, link_job=link_job, simulator=simulator)


def run_traffic(request: TrafficRequest) -> TrafficRecord:
    """Prepare and run traffic; see :func:`prepare` and :meth:`PreparedTraffic.run`."""
    return prepare(request).run()

"""Co-simulation of a mesh of routers under traffic: latency and throughput against load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from chiplet.machine.specs import NopSpec
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.jobs.mesh import MeshCounters
from cosim.jobs.traffic import TrafficJob
from cosim.predict.traffic import packets_latency, zero_load_latency
from cosim.records.links import LinkTotals
from cosim.records.traffic import SourceTraffic, TrafficRecord, TrafficRequest
from cosim.run.designs import emitted_once
from cosim.run.simulation import Simulation
from nop.topology import Mesh
from nop.traffic_patterns import pattern_targets
from rtl.bench.router_mesh import MeshLinks
from rtl.bench.traffic import CHANCE_ONE, SOURCE_COUNTERS, TRAFFIC_COUNTERS
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


def emit_mesh(
    nop: NopSpec, rows: int, cols: int, links: MeshLinks | None = None, trace_packets: int = 0
) -> Emitted:
    """Return the Verilog of a mesh with traffic nodes, and with adapters and faulty wires if there are ``links``.

    Raises
    ------
    ValueError
        If a side is too long for coordinates, or a flit too narrow for time stamps.
    """
    return emitted_once(TrafficMesh, nop=nop, rows=rows, cols=cols, links=links, trace_packets=trace_packets)


@dataclass(frozen=True, kw_only=True)
class PreparedTraffic:
    """Traffic that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    design
        The mesh.
    job
        What the bench has to do.
    simulator
        What runs it.
    """

    request: TrafficRequest
    design: Emitted
    job: TrafficJob
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
        simulated = Simulation(
            bench="cosim.benches.mesh",
            emit=lambda: self.design,
            write_inputs=lambda folder, _observed: self.job.save(folder),
            load_outcome=MeshCounters.load,
        ).run(self.simulator)
        counters = simulated.outcome
        total = {name: sum(node[name] for node in counters.nodes) for name in TRAFFIC_COUNTERS}
        offers = self._offers(counters)
        offered = sum(offer.flits for offer in offers)
        measured = total["measured"]
        complete = measured > 0 and measured == sum(offer.packets for offer in offers)
        generated = total["generated"] if request.trace is None else offered
        cycles = self.job.last - self.job.first
        measured_cycles = cycles if request.trace is None else counters.finished + 1
        return TrafficRecord(
            request=request,
            offered=offered / (nodes * cycles),
            throughput=total["accepted"] / (nodes * measured_cycles),
            latency_mean=(total["received_time"] - sum(offer.time for offer in offers)) / measured
            if complete
            else None,
            network_latency_mean=total["network_time"] / measured if complete else None,
            zero_load_latency=self._zero_load_latency(),
            generated=generated,
            received=total["received"],
            lost=generated - total["received"],
            misrouted=total["misrouted"],
            wrong=total["wrong"],
            same=total["sent_sum"] % 2**64 == total["received_sum"] % 2**64,
            finished=counters.finished,
            per_source=tuple(
                _source_traffic(
                    source, offer, [row[source] for row in counters.sources], cycles, measured_cycles
                )
                for source, offer in enumerate(offers)
            ),
            links=None if links is None else LinkTotals.count(links, nop, rows, cols, counters.links),
            counters=counters.nodes,
            link_counters=counters.links,
            **simulated.provenance,
        )

    def _offers(self, counters: MeshCounters) -> list[_Offer]:
        """What each node generated in the measured cycles."""
        if self.request.trace is None:
            flits = self.request.packet_flits
            return [
                _Offer(node["offered"] // flits, node["offered"], node["generated_time"])
                for node in counters.nodes
            ]
        offers = []
        for source in range(self.job.nodes):
            own = [packet for packet in self.request.trace if packet.source == source]
            offers.append(
                _Offer(len(own), sum(packet.flits for packet in own), sum(packet.cycle + 1 for packet in own))
            )
        return offers

    def _zero_load_latency(self) -> float:
        request, links = self.request, self.request.links
        hop, frame = 0, 1
        if links is not None:
            frames = links.mesh_links(request.nop).shape.frame
            # The flits of a packet fill frames, whose last flit arrives with the first one.
            hop = links.hop_cycles(request.nop, request.packet_flits)
            frame = frames.longest_cycles // frames.flits
        mesh = Mesh(request.rows, request.cols)
        flits = request.packet_flits
        if request.trace is not None:
            packets = [(packet.source, packet.target, packet.flits) for packet in request.trace]
        elif self.job.targets is not None:
            packets = [(source, target, flits) for source, target in enumerate(self.job.targets)]
        else:
            return zero_load_latency(request.rows, request.cols, hop, flits=flits, frame_cycles=frame)
        return packets_latency(mesh, packets, hop, frame_cycles=frame)


class _Offer(NamedTuple):
    """What a node generated in the measured cycles: packets, flits, and the sum of the packets' cycles."""

    packets: int
    flits: int
    time: int


def _source_traffic(
    source: int, offer: _Offer, received: list[dict[str, int]], cycles: int, measured_cycles: int
) -> SourceTraffic:
    """What ``source`` offered, and what all nodes ``received`` of it; packets come in ``cycles``, flits are received in
    ``measured_cycles``."""
    total = {name: sum(node[name] for node in received) for name in SOURCE_COUNTERS}
    complete = 0 < offer.packets == total["measured"]
    return SourceTraffic(
        source=source,
        offered=offer.flits / cycles,
        throughput=total["accepted"] / measured_cycles,
        latency_mean=(total["received_time"] - offer.time) / offer.packets if complete else None,
    )


def prepare(request: TrafficRequest) -> PreparedTraffic:
    """Check a request and make its design, so that what cannot run is refused before anything is built.

    Raises
    ------
    ValueError
        If the simulator is unknown, the mesh cannot be made, the pattern is not defined on it, or the link that is to
        die is not a link of the mesh or would die after the traffic.
    """
    simulator = backend(request.sim)
    links, trace = request.links, request.trace
    mesh = Mesh(request.rows, request.cols)
    first, last = request.warmup, request.warmup + request.cycles
    targets = pattern_targets(request.pattern, mesh, request.hotspot)
    trace_packets = 0
    if trace is not None:
        first, last = 0, trace[-1].cycle + 1
        most = max(Counter(packet.source for packet in trace).values())
        trace_packets = 1 << (most - 1).bit_length()
    link_job = None if links is None else links.job(request.nop, request.rows, request.cols)
    for death in () if links is None else links.deaths:
        if death.cycle >= last:
            raise ValueError(
                f"link {death} cannot die in cycle {death.cycle}: traffic ends before cycle {last}"
            )
    adapters = None if links is None else links.mesh_links(request.nop)
    design = emit_mesh(request.nop, request.rows, request.cols, adapters, trace_packets)
    job = TrafficJob(
        nodes=mesh.nodes,
        cols=mesh.cols,
        chance=round(request.rate / request.packet_flits * CHANCE_ONE),
        length=request.packet_flits,
        targets=None if targets is None else list(targets),
        packets=None
        if trace is None
        else [[packet.source, packet.cycle, packet.target, packet.flits] for packet in trace],
        first=first,
        last=last,
        seed=request.seed,
        link_job=link_job,
    )
    return PreparedTraffic(request=request, design=design, job=job, simulator=simulator)


def run_traffic(request: TrafficRequest) -> TrafficRecord:
    """Prepare and run traffic; see :func:`prepare` and :meth:`PreparedTraffic.run`."""
    return prepare(request).run()

"""Request and record of traffic on a mesh of routers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.specs import NopSpec
from cosim.records.base import Model, checked
from cosim.records.links import FaultyLinks, LinkTotals


class TrafficRequest(Model):
    """Traffic to run: uniform random targets, the source included, single-flit packets.

    ``rate`` is the chance that a node generates a flit in a cycle. ``cycles`` are measured after ``warmup`` cycles.
    Without ``links`` routers are joined by wires.
    """

    rows: Annotated[int, Field(ge=1)]
    cols: Annotated[int, Field(ge=1)]
    nop: NopSpec
    links: FaultyLinks | None = None
    rate: Annotated[float, Field(ge=0, le=1)]
    cycles: Annotated[int, Field(ge=1, le=1 << 24)] = 5000
    warmup: Annotated[int, Field(ge=0, le=1 << 24)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    sim: str = "icarus"


def traffic_request(**fields: Any) -> TrafficRequest:
    """Return a request. Raises ValueError, in one line, for a value that is out of range."""
    return checked(TrafficRequest, fields)


class TrafficRecord(Model):
    """Measured traffic.

    Attributes
    ----------
    request
        What was run.
    offered
        Flits generated in the measured cycles, flits/node/cycle.
    throughput
        Flits received in the measured cycles, flits/node/cycle.
    latency_mean
        Cycles from a flit's generation to its reception, the source's queue included; None without flits.
    network_latency_mean
        The same from when the flit is first offered to the router.
    zero_load_latency
        Mean of both without any other flit, see :func:`zero_load_latency`.
    generated, received, lost, misrouted
        Flits of the whole run, those of the warm-up included. Lost are those generated and not received after the
        network had time to drain; misrouted those received where they do not belong.
    wrong
        Flits received whose check is wrong.
    same
        Whether the flits received are those sent, each once, by the sums of their hashes.
    links
        What was counted on links with adapters; None without.
    counters, link_counters
        Of each node and link, see :class:`rtl.bench.traffic.TrafficNode` and :class:`rtl.bench.faulty_link.FaultyLink`.
    sim, simulator_version, hecaton_version, verilog_sha256
        What ran it, and the design that ran.
    wall_seconds
        Time of the simulation, without building.
    """

    request: TrafficRequest
    offered: float
    throughput: float
    latency_mean: float | None
    network_latency_mean: float | None
    zero_load_latency: float
    generated: int
    received: int
    lost: int
    misrouted: int
    wrong: int
    same: bool
    links: LinkTotals | None
    counters: tuple[dict[str, int], ...]
    link_counters: tuple[dict[str, int], ...]
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float

"""Request and record of traffic on a mesh of routers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.base import StrictModel
from chiplet.machine.specs import NopSpec
from cosim.records.base import Record, Request, checked
from cosim.records.links import FaultyLinks, LinkTotals
from cosim.records.traffic_packets import TracePacket
from nop.traffic_defaults import CYCLES, HOTSPOT, PACKET_FLITS, PATTERN, WARMUP
from rtl.bench.traffic import LENGTH_BITS


class TrafficRequest(Request):
    """Traffic to run: packets of ``packet_flits`` flits to the targets of ``pattern``, one of
    :data:`nop.traffic_patterns.PATTERNS`; ``hotspot`` is the node of the pattern of that name. Or the packets of
    ``trace``, all of which are measured.

    ``rate`` is the mean number of flits that a node generates in a cycle. The measurement takes ``cycles`` after
    ``warmup`` cycles. Without ``links`` the routers are joined by wires.
    """

    rows: Annotated[int, Field(ge=1)]
    cols: Annotated[int, Field(ge=1)]
    nop: NopSpec
    links: FaultyLinks | None = None
    pattern: str = PATTERN
    packet_flits: Annotated[int, Field(ge=1, lt=1 << LENGTH_BITS)] = PACKET_FLITS
    hotspot: Annotated[int, Field(ge=0)] = HOTSPOT
    trace: tuple[TracePacket, ...] | None = None
    rate: Annotated[float, Field(ge=0, le=1)]
    cycles: Annotated[int, Field(ge=1, le=1 << 24)] = CYCLES
    warmup: Annotated[int, Field(ge=0, le=1 << 24)] = WARMUP
    seed: Annotated[int, Field(ge=0)] = 0
    sim: str = "icarus"

    @property
    def file_stem(self) -> str:
        what = f"{self.pattern}_{self.packet_flits}_{self.rate:g}" if self.trace is None else "trace"
        return f"traffic_{self.rows}x{self.cols}_{what}"


def traffic_request(**fields: Any) -> TrafficRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(TrafficRequest, fields)


class SourceTraffic(StrictModel):
    """What one source offered and got through.

    Attributes
    ----------
    source
        The node.
    offered, throughput
        Flits that it generated, and flits of it that were received, in the measured cycles, in flits/cycle.
    latency_mean
        Mean cycles of its packets from generation to the reception of the tail; None if it has none, or not all of them
        were received.
    """

    source: int
    offered: float
    throughput: float
    latency_mean: float | None


class TrafficRecord(Record):
    """Measured traffic.

    Attributes
    ----------
    request
        What was run.
    offered
        Flits generated in the measured cycles, in flits/node/cycle.
    throughput
        Flits received in the measured cycles, in flits/node/cycle.
    latency_mean
        Cycles from a packet's generation to the reception of its tail, including the source's queue; None if no packet
        was measured, or not all were received.
    network_latency_mean
        The same from the cycle in which the packet is first offered to the router.
    zero_load_latency
        Mean of both in an empty network, see :mod:`cosim.predict.traffic`.
    generated, received, lost, misrouted
        Flits of the whole run, including the warm-up. A flit is lost if it is not received although the network had
        time to drain, and misrouted if it is received at a node that is not its target.
    wrong
        Flits received with a wrong check, not in their packet's order, or between those of another packet.
    finished
        Cycle in which the last flit was received.
    same
        Whether the flits received are the flits sent, each once, by the sums of their hashes.
    links
        Totals over the links with adapters; None without adapters.
    per_source
        What each node sent.
    counters, link_counters
        Counters of each node and link, see :class:`rtl.bench.traffic.TrafficNode` and
        :class:`rtl.bench.faulty_link.FaultyLink`.
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
    finished: int
    per_source: tuple[SourceTraffic, ...]
    links: LinkTotals | None
    counters: tuple[dict[str, int], ...]
    link_counters: tuple[dict[str, int], ...]

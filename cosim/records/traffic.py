"""Request and record of traffic on a mesh of routers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.specs import NopSpec
from cosim.records.base import Record, Request, checked
from cosim.records.links import FaultyLinks, LinkTotals


class TrafficRequest(Request):
    """Traffic to run: single-flit packets with uniform random targets, the source included.

    ``rate`` is the probability that a node generates a flit in a cycle. The measurement takes ``cycles`` after
    ``warmup`` cycles. Without ``links`` the routers are joined by wires.
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

    @property
    def file_stem(self) -> str:
        return f"traffic_{self.rows}x{self.cols}_{self.rate:g}"


def traffic_request(**fields: Any) -> TrafficRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(TrafficRequest, fields)


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
        Cycles from a flit's generation to its reception, including the source's queue; None if no flit was measured,
        or not all flits were received.
    network_latency_mean
        The same from the cycle in which the flit is first offered to the router.
    zero_load_latency
        Mean of both in an empty network, see :func:`cosim.predict.traffic.zero_load_latency`.
    generated, received, lost, misrouted
        Flits of the whole run, including the warm-up. A flit is lost if it is not received although the network had
        time to drain, and misrouted if it is received at a node that is not its target.
    wrong
        Flits received with a wrong check.
    same
        Whether the flits received are the flits sent, each once, by the sums of their hashes.
    links
        Totals over the links with adapters; None without adapters.
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
    links: LinkTotals | None
    counters: tuple[dict[str, int], ...]
    link_counters: tuple[dict[str, int], ...]

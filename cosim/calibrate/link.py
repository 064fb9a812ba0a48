"""Calibration of a link: its goodput, from the cycles of two collectives over it that differ in length only."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.machine.calibration import LinkGoodput
from chiplet.machine.link_frame import link_frame
from chiplet.machine.specs import DieSpec, SystemSpec
from cosim.calibrate.sample_runs import cycle_fields
from cosim.records.collective import CollectiveRecord, CollectiveRequest, collective_request
from cosim.records.links import FaultyLinks

__all__ = ["link_goodput", "link_requests"]

_FRAMES = (8, 16)
"""Full frames of the two runs: the first is long enough for the buffers of the adapters to fill."""


def link_requests(system: SystemSpec, *, seed: int, sim: str) -> list[CollectiveRequest]:
    """All-gathers of two dies with the links of ``system``, in which each sends its chunk to the other."""
    return [
        collective_request(
            op="all-gather",
            algorithm="chain",
            rows=1,
            cols=2,
            axis="row",
            flits=frames * link_frame(system).flits,
            die=DieSpec(**cycle_fields(system.die)),
            nop=system.nop,
            memory=system.memory,
            links=FaultyLinks.of(system),
            seed=seed,
            sim=sim,
        )
        for frames in _FRAMES
    ]


def link_goodput(system: SystemSpec, records: Sequence[CollectiveRecord]) -> LinkGoodput:
    """Goodput of a link by the records of :func:`link_requests`: data bits of the further flits over those that the
    lanes could carry in the further cycles.
    """
    short, long = records
    bits = (long.request.flits - short.request.flits) * system.nop.flit_bits
    seconds = (long.cycles - short.cycles) / system.die.clock_hz
    return LinkGoodput(
        goodput=bits / (8 * system.link.bytes_per_second * seconds),
        lanes=system.link.lanes,
        lane_rate=system.link.lane_rate,
        clock_hz=system.die.clock_hz,
        flit_bits=system.nop.flit_bits,
    )

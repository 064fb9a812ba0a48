"""Traffic over links with adapters: whatever the wires do, every flit arrives once and right; deaths are found."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.link_frame import link_frame
from chiplet.machine.specs import DieSpec, LinkSpec, NopSpec, SystemSpec
from cosim.records.links import Death, FaultyLinks
from cosim.records.traffic import TrafficRecord, traffic_request
from cosim.run.traffic import run_traffic

NOP = NopSpec(flit_bits=64, coordinate_bits=3)


def run(links: FaultyLinks, *, sim: str = "icarus", **fields: Any) -> TrafficRecord:
    defaults = {"rows": 2, "cols": 2, "rate": 0.5, "cycles": 300, "warmup": 40, "seed": 3}
    return run_traffic(traffic_request(nop=NOP, links=links, sim=sim, **{**defaults, **fields}))


def links(**fields: Any) -> FaultyLinks:
    return FaultyLinks(**{"phit_bits": 1024, "flight_cycles": 0, "timeout_cycles": 300, **fields})


@pytest.mark.parametrize("flight_cycles", [pytest.param(0, marks=pytest.mark.slow), 4])
def test_latency_at_low_load_is_that_of_routers_and_links(flight_cycles: int) -> None:
    record = run(links(flight_cycles=flight_cycles), rate=0.03, cycles=500, warmup=0)
    assert record.links is not None
    # A hop is the adapters' two cycles, the flight, and the router's one; two nodes are a hop apart on average.
    assert record.zero_load_latency == 1 + 1.0 * (3 + flight_cycles)
    hops = record.links.sent / record.received
    assert record.network_latency_mean == pytest.approx(1 + hops * (3 + flight_cycles), rel=0.03)
    assert record.links.crc_errors == record.links.replayed == 0
    assert record.lost == record.wrong == 0


def test_links_without_faults_keep_the_throughput_of_wires() -> None:
    request = traffic_request(rows=1, cols=3, nop=NOP, rate=0.6, cycles=400, warmup=50, seed=1)
    with_links = run(links(flight_cycles=6), rows=1, cols=3, rate=0.6, cycles=400, warmup=50, seed=1)
    assert with_links.throughput == pytest.approx(run_traffic(request).throughput, rel=0.05)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"flips": 0.02}, marks=pytest.mark.slow),
        {"flips": 0.1, "burst": 8, "flight_cycles": 5},
        {"stalls": 0.005, "flips": 0.01, "phit_bits": 50, "timeout_cycles": 500},
    ],
)
def test_faults_change_cycles_and_no_word(faults: dict[str, Any]) -> None:
    record = run(links(**faults))
    assert record.links is not None
    assert record.links.crc_errors > 0 < record.links.replayed
    assert record.lost == record.wrong == record.misrouted == 0
    assert record.same
    assert record.links.sent == record.links.received > 0
    assert not record.links.deaths


@pytest.mark.parametrize(
    ("source", "target", "rate"),
    [
        (0, 1, 0.0),
        (3, 1, 0.4),
        pytest.param(0, 1, 0.4, marks=pytest.mark.slow),
        pytest.param(3, 1, 0.0, marks=pytest.mark.slow),
    ],
)
def test_a_dead_link_is_found_at_both_ends_within_the_bound(source: int, target: int, rate: float) -> None:
    death = Death(source=source, target=target, cycle=100)
    record = run(links(deaths=(death,)), rate=rate)
    assert record.links is not None
    found = {(end.source, end.target): end.cycle - 100 for end in record.links.deaths}
    assert record.links.deaths[0].late == found[source, target]
    assert set(found) == {(source, target), (target, source)}
    assert all(cycles <= record.links.dead_cycles for cycles in found.values())
    assert found[source, target] <= 301
    assert record.links.deaths[0].source == source


def test_both_simulators_count_the_same() -> None:
    faulty = links(flips=0.02, stalls=0.001, burst=2)
    icarus, cxxrtl = (run(faulty, rows=1, cols=2, sim=sim) for sim in ("icarus", "cxxrtl"))
    assert icarus.counters == cxxrtl.counters
    assert icarus.link_counters == cxxrtl.link_counters


def test_links_follow_from_the_system() -> None:
    system = SystemSpec(
        die=DieSpec(clock_hz=2.0e9),
        link=LinkSpec(lanes=8, lane_rate=16.0e9, latency_seconds=4.0e-9, timeout_cycles=700),
    )
    found = FaultyLinks.of(system, flips=0.5)
    assert found == FaultyLinks(phit_bits=64, flight_cycles=6, timeout_cycles=700, flips=0.5)
    frame = link_frame(system.model_copy(update={"nop": NOP}))
    assert found.mesh_links(NOP).shape.frame == frame
    assert found.hop_cycles(NOP) == frame.latency_cycles == 2 + frame.frame_cycles(1) - 1 + 6


@pytest.mark.slow
def test_a_thousandth_of_flips_leaves_a_million_flits_right() -> None:
    faulty = links(flips=1e-3, burst=3)
    record = run(faulty, sim="cxxrtl", rows=4, cols=4, rate=0.7, cycles=95_000, warmup=1000)
    assert record.links is not None
    assert record.received >= 1_000_000
    assert record.lost == record.wrong == record.misrouted == 0
    assert record.same
    assert abs(record.links.crc_errors - record.links.flips) < 5 < 1000 < record.links.flips

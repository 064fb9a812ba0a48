"""Traffic on generated meshes: nothing lost, latency at zero load, the same figures from both simulators."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import NopSpec
from cosim.predict.traffic import zero_load_latency
from cosim.records.traffic import TrafficRequest, traffic_request
from cosim.records.traffic_packets import TracePacket
from cosim.run.traffic import run_traffic, saturation_rate, sweep_rates
from nop.topology import Mesh
from nop.traffic_patterns import PATTERNS, pattern_targets

NOP = NopSpec(flit_bits=48, coordinate_bits=3)


def request(rows: int, cols: int, rate: float, sim: str = "icarus") -> TrafficRequest:
    return traffic_request(
        rows=rows, cols=cols, nop=NOP, rate=rate, cycles=300, warmup=40, seed=rows + cols, sim=sim
    )


@pytest.mark.parametrize(
    ("rows", "cols", "rate"),
    [
        *((1, 1, 0.05), (1, 3, 0.05), (2, 2, 0.05), (2, 2, 1.0)),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 1, 1.0), (1, 3, 1.0))),
        *(pytest.param(3, 1, rate, marks=pytest.mark.slow) for rate in (0.05, 1.0)),
    ],
)
def test_nothing_is_lost_and_latency_is_that_of_the_hops(rows: int, cols: int, rate: float) -> None:
    record = run_traffic(request(rows, cols, rate))
    assert record.lost == record.misrouted == 0
    assert record.generated == record.received > 0
    assert abs(record.offered - rate) < 0.06
    assert record.latency_mean is not None
    assert record.network_latency_mean is not None
    assert record.latency_mean >= record.network_latency_mean
    if rate == 1.0:
        assert record.throughput > 0.7
    else:
        assert abs(record.throughput - record.offered) < 0.01
        assert abs(record.latency_mean - record.zero_load_latency) < 0.5


def test_a_single_node_delivers_every_flit_in_a_cycle() -> None:
    record = run_traffic(request(1, 1, 1.0))
    assert record.throughput == 1.0
    assert record.latency_mean == record.network_latency_mean == record.zero_load_latency == 1.0


def test_no_traffic_has_no_latency() -> None:
    record = run_traffic(request(1, 1, 0.0))
    assert (record.generated, record.throughput, record.latency_mean) == (0, 0.0, None)


@pytest.mark.slow  # that of links, tests/cosim/records/test_links.py, has the same blocks and more
def test_both_simulators_give_the_same_numbers() -> None:
    icarus, cxxrtl = (run_traffic(request(2, 2, 0.7, sim)) for sim in ("icarus", "cxxrtl"))
    assert icarus.counters == cxxrtl.counters
    assert icarus.verilog_sha256 == cxxrtl.verilog_sha256


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 4), (4, 4), (3, 5)])
def test_zero_load_latency_is_a_cycle_more_than_the_mean_hops(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    pairs = [(a, b) for a in range(mesh.nodes) for b in range(mesh.nodes)]
    hops = sum(mesh.hops(a, b) for a, b in pairs) / len(pairs)
    assert zero_load_latency(rows, cols) == pytest.approx(1 + hops, rel=1e-12)


def test_saturation_is_where_latency_leaves_zero_load() -> None:
    record = run_traffic(request(1, 1, 0.05))
    points = [
        record.model_copy(update={"request": request(1, 1, rate), "latency_mean": latency})
        for rate, latency in ((0.1, 1.2), (0.2, 2.9), (0.3, 3.0), (0.4, 1.0))
    ]
    assert saturation_rate(points) == 0.2
    assert saturation_rate(points[2:]) is None


def test_a_sweep_ends_at_full_load() -> None:
    assert sweep_rates(0.05) == pytest.approx([n / 20 for n in range(1, 21)], rel=1e-12)
    assert sweep_rates(0.4) == pytest.approx([0.4, 0.8, 1.0], rel=1e-12)
    assert sweep_rates(1.0) == [1.0]
    assert len(sweep_rates(0.001)) == 1000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 1.5}, "rate = 1.5: input should be less than or equal to 1"),
        ({"cycles": 0}, "cycles = 0: input should be greater than or equal to 1"),
        ({"rows": 0}, "rows = 0: input should be greater than or equal to 1"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        traffic_request(**{"rows": 1, "cols": 1, "nop": NOP, "rate": 0.1, **fields})


@pytest.mark.parametrize(
    ("pattern", "packet_flits"),
    [
        pytest.param(pattern, flits, marks=() if (number + flits) % 2 else pytest.mark.slow)
        for number, pattern in enumerate([*PATTERNS[1:5], "hotspot"])
        for flits in (1, 4)  # a quick case of each pattern, of either length in turn
    ],
)
def test_patterns_and_packets_arrive_whole_and_take_the_cycles_of_their_hops(
    pattern: str, packet_flits: int
) -> None:
    """A design for all of them. At a low rate, a packet takes what it would alone, or a little more."""
    asked = request(2, 3, 0.04).model_copy(update={"pattern": pattern, "packet_flits": packet_flits})
    record = run_traffic(asked)
    assert record.lost == record.misrouted == record.wrong == 0
    assert record.same
    assert record.generated % packet_flits == 0 < record.generated
    targets = pattern_targets(pattern, Mesh(2, 3))
    assert targets is not None
    alone = [packet_flits + Mesh(2, 3).hops(source, target) for source, target in enumerate(targets)]
    assert record.zero_load_latency == pytest.approx(sum(alone) / 6)
    for source, latency in zip(record.per_source, alone, strict=True):
        if source.latency_mean is not None:
            assert latency <= source.latency_mean < latency + 2 * packet_flits


@pytest.mark.parametrize(
    ("rows", "cols", "packet_flits"),
    [(3, 2, 8), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 5, 1), (1, 5, 8), (3, 2, 1)))],
)
def test_a_hotspot_serves_all_sources_alike(rows: int, cols: int, packet_flits: int) -> None:
    asked = request(rows, cols, 1.0).model_copy(
        update={"pattern": "hotspot", "packet_flits": packet_flits, "cycles": 1200, "warmup": 200}
    )
    record = run_traffic(asked)
    assert record.lost == record.wrong == 0
    assert record.throughput == pytest.approx(1 / (rows * cols), rel=0.01)
    shares = [source.throughput for source in record.per_source]
    assert min(shares) > 0.8 * record.throughput


def test_packets_of_a_trace_are_those_that_are_sent() -> None:
    """Two packets meet at node 3 in the same cycle: one waits for the other."""
    trace = tuple(TracePacket(*packet) for packet in ((1, 3, 0, 4), (2, 3, 0, 4), (1, 0, 9, 2)))
    record = run_traffic(request(2, 2, 0.0).model_copy(update={"trace": trace}))
    assert (record.generated, record.received, record.lost, record.wrong) == (10, 10, 0, 0)
    latencies = [source.latency_mean for source in record.per_source]
    assert latencies[0] is latencies[3] is None
    assert sorted(latency for latency in latencies if latency) in ([5.0, 6.0], [4.0, 9.0])
    assert record.finished == 9 + 1 + 3


def test_a_mesh_that_coordinates_cannot_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^mesh: cols = 9: must be at most 8, "):
        run_traffic(request(1, 9, 0.1))

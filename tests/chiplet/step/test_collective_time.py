"""Time of collectives: the closed form against the model of the hardware, flit by flit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chiplet.machine.chunks import flits_per_word
from chiplet.machine.config import load_system
from chiplet.machine.link_frame import link_frame
from chiplet.machine.link_rate import LinkRate, link_rate
from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import SystemSpec
from chiplet.step.collective_time import collective_time, comm_seconds, data_seconds, whole_chunks_seconds
from chiplet.workload.operations import CommStep
from nop.collective_cost import (
    CollectiveCost,
    broadcasts_cost,
    flat_ring_cost,
    line_cost,
    torus_ring_cost,
)
from nop.collectives import ALGORITHMS, Algorithm
from nop.framed_link import Frames
from nop.line_model import predict_line
from nop.terms import NopTerms
from nop.topology import Mesh
from tests.chiplet.machines import package

LineOp = Literal["all-gather", "reduce-scatter"]
LINE_OPS: tuple[LineOp, ...] = ("all-gather", "reduce-scatter")
LATENCIES = ("0", "2e-9", "5e-9", "20e-9", "50e-9")
BETTER_AND_BETTER = [
    [link_rate(package(f"{name}={value}")) for value in values]
    for name, values in (
        ("link.lanes", range(4, 80, 2)),
        ("link.lane_rate", (4e9, 8e9, 16e9, 32e9, 64e9)),
        ("link.latency_seconds", (50e-9, 20e-9, 5e-9, 2e-9, 0.0)),
    )
]
LENGTHS = (1, 2, 3, 5, 8, 9, 10, 13, 16, 17, 18, 24, 31, 48, 64, 77, 127, 500)


def step_of(op: str, cost: CollectiveCost, size: float) -> CommStep:
    """A collective of ``size`` bytes over the busiest link."""
    return CommStep("x", op, "row", 0, 0.0, size, 0.0, cost, 1)


def simulated(system: SystemSpec, op: LineOp, nodes: int, algorithm: Algorithm, flits: int) -> float:
    """Cycles of the model of the hardware, with the frames of the links."""
    frame = link_frame(system)
    hop = 1.0 + frame.burst_latency_cycles(flits)
    cycles = tuple(frame.frame_cycles(count) for count in range(frame.flits + 1))
    return predict_line(
        op,
        nodes,
        algorithm,
        flits,
        flits_per_word(system.nop, system.memory),
        NopTerms(hop_cycles=hop, bypass_cycles=hop, add_cycles=system.die.stages),
        queued_flits=QUEUED_FLITS,
        frames=Frames(cycles, frame.slot_cycles),
    )


def closed_form(system: SystemSpec, op: LineOp, nodes: int, algorithm: Algorithm, flits: int) -> float:
    """Cycles by the closed form."""
    cost = line_cost(nodes, algorithm)
    step = step_of(op, cost, cost.serial_chunks * flits * system.nop.flit_bits / 8)
    return float(comm_seconds(step, link_rate(system)) * system.die.clock_hz)


def agrees(system: SystemSpec, op: LineOp, nodes: int, algorithm: Algorithm, flits: int) -> None:
    """Assert what the check "ledger" of the acceptance asserts of simulations."""
    cycles = simulated(system, op, nodes, algorithm, flits)
    found = closed_form(system, op, nodes, algorithm, flits)
    assert abs(found - cycles) <= max(4.0, 0.03 * cycles) + 1e-6, (op, nodes, algorithm, flits, cycles, found)


@pytest.mark.parametrize("op", LINE_OPS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("latency", ["2e-9", "20e-9"])
def test_it_is_what_the_hardware_takes(op: LineOp, algorithm: Algorithm, latency: str) -> None:
    system = package(f"link.latency_seconds={latency}", "die.stages=3")
    for nodes in range(2, 9):
        for flits in LENGTHS:
            agrees(system, op, nodes, algorithm, flits)


@settings(max_examples=60, deadline=None)
@given(
    op=st.sampled_from(LINE_OPS),
    algorithm=st.sampled_from(ALGORITHMS),
    nodes=st.integers(2, 12),
    flits=st.integers(1, 300),
    latency=st.sampled_from(LATENCIES),
    lanes=st.sampled_from([16, 32]),
    stages=st.integers(1, 4),
)
def test_it_is_what_the_hardware_takes_on_any_line(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, latency: str, lanes: int, stages: int
) -> None:
    system = package(f"link.latency_seconds={latency}", f"link.lanes={lanes}", f"die.stages={stages}")
    agrees(system, op, nodes, algorithm, flits)


@settings(max_examples=150, deadline=None)
@given(
    op=st.sampled_from(LINE_OPS),
    algorithm=st.sampled_from(ALGORITHMS),
    nodes=st.integers(2, 8),
    flits=st.integers(1, 100),
    latency=st.sampled_from(LATENCIES),
    lanes=st.integers(1, 16),
    bits=st.sampled_from([64, 128, 256, 512]),
    stages=st.integers(1, 4),
)
@example("all-gather", "ring", 2, 31, "2e-9", 8, 256, 3)
@example("all-gather", "chain", 3, 11, "20e-9", 4, 256, 3)
@example("all-gather", "ring", 7, 4, "2e-9", 4, 256, 3)
@example("reduce-scatter", "ring", 7, 1, "2e-9", 3, 256, 3)
@example("reduce-scatter", "ring", 5, 30, "20e-9", 6, 256, 3)
@example("reduce-scatter", "chain", 3, 9, "20e-9", 2, 256, 3)
@example("reduce-scatter", "chain", 4, 19, "20e-9", 23, 64, 2)
def test_it_is_what_the_hardware_takes_on_narrow_links(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, latency: str, lanes: int, bits: int, stages: int
) -> None:
    settings = (f"nop.flit_bits={bits}", f"link.lanes={lanes}", f"link.latency_seconds={latency}")
    system = load_system(None, [*settings, f"die.stages={stages}"], preset="small")
    agrees(system, op, nodes, algorithm, flits)


def _plain(latency: float) -> LinkRate:
    """A link of 1 GB/s without frames, between dies that take no time."""
    none: dict[str, Any] = {"drain_seconds": 0.0, "store_seconds": 0.0, "add_seconds": 0.0}
    none["frame_seconds"] = (0.0,) * 10
    return replace(link_rate(package()), bytes_per_second=1e9, hop_seconds=latency, **none)


@given(nodes=st.integers(2, 40), data=st.floats(1e-9, 1e-3), latency=st.floats(1e-9, 1e-3))
def test_steps_of_one_latency_add_up_the_larger_part(nodes: int, data: float, latency: float) -> None:
    step = step_of("all-gather", line_cost(nodes, "chain"), (nodes - 1) * data * 1e9)
    expected = (nodes - 1) * max(data, latency) + min(data, latency)
    assert comm_seconds(step, _plain(latency)) == pytest.approx(expected)
    linear = (nodes - 1) * (data + latency)
    assert whole_chunks_seconds(step, _plain(latency)) == pytest.approx(linear)


def test_a_collective_is_sent_part_by_part() -> None:
    link = link_rate(package())
    cost = line_cost(5, "ring")
    one = comm_seconds(step_of("reduce-scatter", cost, 4e4), link)
    assert comm_seconds(step_of("reduce-scatter", cost, 12e4), link, 3) == pytest.approx(3 * one)


def test_broadcasts_one_after_the_other_pay_data_and_latency_in_every_step() -> None:
    link = link_rate(package())
    for kind in ("tree", "pipelined"):
        cost = broadcasts_cost(5, kind)
        step = step_of("broadcast", cost, 1e5)
        expected = 1e5 / link.bytes_per_second + cost.steps * cost.hops * link.hop_seconds
        assert comm_seconds(step, link) == pytest.approx(expected)
        assert whole_chunks_seconds(step, link) == pytest.approx(expected)


def test_rings_along_both_dimensions_take_the_time_of_two_rings() -> None:
    link, mesh, chunk = link_rate(package()), Mesh(4, 6), 700.0
    cost = torus_ring_cost(mesh, False)
    down, along = (line_cost(nodes, "ring") for nodes in (4, 6))
    parts = [
        step_of("all-gather", down, 3 * chunk),
        step_of("all-gather", along, 5 * 4 * chunk),
    ]
    whole = step_of("all-gather", cost, cost.serial_chunks * chunk)
    assert comm_seconds(whole, link) == pytest.approx(sum(comm_seconds(part, link) for part in parts))


def test_data_that_rides_along_and_lines_of_one_die_have_no_latency() -> None:
    link = link_rate(package())
    rider = CommStep("x", "reduce-scatter", "row", 4, 0.0, 5e3, 0.0, None, 4)
    assert comm_seconds(rider, link) == data_seconds(rider, link) == whole_chunks_seconds(rider, link)
    mesh = Mesh(1, 1)
    for cost in (
        line_cost(1, "ring"),
        line_cost(1, "chain"),
        flat_ring_cost(mesh, True),
        torus_ring_cost(mesh, True),
        broadcasts_cost(1, "tree"),
    ):
        for op in LINE_OPS:
            assert comm_seconds(step_of(op, cost, 0.0), link) == 0


@given(
    op=st.sampled_from(LINE_OPS),
    algorithm=st.sampled_from(ALGORITHMS),
    nodes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    flits=st.floats(0.1, 400),
)
def test_many_lines_at_once(op: LineOp, algorithm: Algorithm, nodes: list[int], flits: float) -> None:
    link = link_rate(package())
    costs = [line_cost(count, algorithm) for count in nodes]
    names = ("steps", "hops", "way", "received", "serial_chunks", "chunk_hops")
    columns: dict[str, Any] = {
        name: np.array([float(getattr(cost, name)) for cost in costs]) for name in names
    }
    many = CollectiveCost(costs[0].form, **columns)
    chunk = flits * link.flit_bytes
    found = comm_seconds(step_of(op, many, many.serial_chunks * chunk), link)
    alone = [comm_seconds(step_of(op, cost, cost.serial_chunks * chunk), link) for cost in costs]
    assert found.tolist() == pytest.approx(alone, rel=1e-12)


@given(
    op=st.sampled_from(LINE_OPS),
    algorithm=st.sampled_from(ALGORITHMS),
    nodes=st.integers(1, 40),
    size=st.floats(1, 1e6),
    repeats=st.integers(1, 50),
)
def test_faster_links_and_less_latency_never_take_longer(
    op: LineOp, algorithm: Algorithm, nodes: int, size: float, repeats: int
) -> None:
    step = step_of(op, line_cost(nodes, algorithm), size * (nodes - 1))
    for links in BETTER_AND_BETTER:
        times = [comm_seconds(step, link, repeats) for link in links]
        assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(times))


def test_parts_of_the_time_are_none_of_them_negative() -> None:
    link = link_rate(package("link.lanes=4"))
    for nodes in range(1, 9):
        for flits in LENGTHS:
            cost = line_cost(nodes, "ring")
            size = cost.serial_chunks * flits * link.flit_bytes
            assert min(collective_time(step_of("all-gather", cost, size), link)) >= 0

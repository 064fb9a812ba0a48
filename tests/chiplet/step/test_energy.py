"""Energy out of counted events."""

from __future__ import annotations

import pytest

from chiplet.graph.vector_work import VectorWork
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import PackageSpec
from chiplet.step.dram_traffic import DramTraffic
from chiplet.step.energy import (
    Events,
    comm_events,
    joules,
    operation_events,
    stationary_bytes,
    traffic_events,
)
from chiplet.workload.operations import CommStep, GemmStep, Operation, VectorStep
from nop.collective_cost import line_cost
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package


def test_every_event_has_its_price() -> None:
    events = Events(1e12, 2e12, 3e12, 4e12, 5e12, 6e12)
    wire_bits = link_rate(PACKAGE).wire_bits
    assert wire_bits > 1
    assert joules(events, package("energy.static_watts=2.0"), 10, 3.0) == pytest.approx(
        {
            "array": 0.59,
            "vector": 2 * 1.31,
            "sram": 3 * 1.75,
            "nop": 4 * 0.6 * wire_bits,
            "memory_nop": 5 * 0.6 * wire_bits,
            "dram": 6 * 11.8,
            "static": 60.0,
        }
    )


def test_buffer_accesses_of_a_gemm() -> None:
    """Rows once a column tile, the stationary operand once a token tile, sums twice a row tile."""
    m, k, n = 100, 130, 70  # three row tiles and two column tiles of the 64 x 64 array; four token tiles
    gemm = GemmStep("XW", m, k, n, 1, float(m * k * n), "m")
    operation = Operation("x", gemms=(gemm,))
    events = operation_events(operation, PACKAGE.die)
    assert events.macs == m * k * n
    assert events.sram_bytes == pytest.approx(2 * m * k * 2 + 2 * 4 * m * n * 3)
    assert stationary_bytes(operation, PACKAGE.die, 25) == pytest.approx(2 * k * n * 4)


def test_vector_work_counts_all_dies() -> None:
    vector = VectorStep("softmax", 10.0, VectorWork(1.0, 1.0, 5.0, 8.0), 80.0)
    events = operation_events(Operation("x", vectors=(vector,)), PACKAGE.die)
    assert (events.vector_operations, events.sram_bytes) == (400.0, 640.0)


def test_a_collective_pays_for_each_hop() -> None:
    step = CommStep("gather", "all-gather", "row", 4, 30.0, 30.0, 45.0, line_cost(4, "ring"), 2)
    events = comm_events(step, 8)
    assert (events.nop_bit_hops, events.sram_bytes) == (45 * 16 * 8, 2 * 30 * 2 * 8)


def test_memory_traffic_and_its_copies_pay_for_their_way_in() -> None:
    mesh = Mesh(3, 3)
    # An IO die for each die: seven at one hop, two at two.
    plain = traffic_events(DramTraffic(900.0, 100.0), PackageSpec(io="all"), mesh)
    assert plain.memory_bit_hops == pytest.approx(8 * 900 * 11 / 9)
    assert (plain.dram_bits, plain.sram_bytes) == (7200.0, 900.0)
    copies = traffic_events(DramTraffic(900.0, 300.0), PackageSpec(io="all"), mesh)
    assert copies.memory_bit_hops == pytest.approx(3 * plain.memory_bit_hops)
    assert copies.dram_bits == plain.dram_bits
    one_end = traffic_events(DramTraffic(900.0, 100.0), PackageSpec(io="west"), mesh)
    assert one_end.memory_bit_hops == pytest.approx(8 * 900 * 2)


def test_events_add_and_scale() -> None:
    one = Events(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert one + one == one * 2

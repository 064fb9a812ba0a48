"""Closed forms against the explicit schedules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.collective_cost import CollectiveCost, broadcasts_cost, flat_ring_cost, line_cost, torus_ring_cost
from nop.collectives import ALGORITHMS, Algorithm, CollectiveSchedule, line, ring, tree_broadcast
from nop.proof.delivery import LinkLoad, measure
from nop.topology import Mesh, folded_ring


def _agree(cost: CollectiveCost, schedule: CollectiveSchedule, load: LinkLoad) -> None:
    nodes = schedule.nodes
    assert cost.steps == schedule.steps
    assert cost.hops == load.max_hops
    if len({one.step for one in schedule.transfers}) == cost.steps:
        assert cost.way == _longest_way(schedule)
    assert cost.received == pytest.approx(sum(load.received) / nodes)
    assert cost.serial_chunks == load.link_chunks
    assert cost.chunk_hops == pytest.approx(load.chunk_hops / nodes)


def _longest_way(schedule: CollectiveSchedule) -> int:
    """Hops of the longest way of a chunk to a node, or of a sum from one, by the numbers of the nodes on a line."""
    if schedule.op == "reduce-scatter":
        schedule = schedule.mirrored()
    ways: dict[tuple[int, int], int] = {}
    for _, sender, receiver, chunk in schedule.transfers:
        ways[receiver, chunk] = ways.get((sender, chunk), 0) + abs(receiver - sender)
    return max(ways.values(), default=0)


@pytest.mark.parametrize("op", ["all-gather", "reduce-scatter"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("nodes", [*range(1, 10), 16, 32])
def test_line(op: Any, algorithm: Algorithm, nodes: int) -> None:
    schedule = line(op, nodes, algorithm)
    _agree(line_cost(nodes, algorithm), schedule, measure(schedule, Mesh(1, nodes)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (4, 4), (4, 3), (3, 6), (1, 2), (2, 1)])
def test_flat_ring_with_a_cycle(shape: tuple[int, int], bidirectional: bool) -> None:
    mesh = Mesh(*shape)
    schedule = ring("all-gather", mesh.flat_ring(), bidirectional=bidirectional)
    cost = flat_ring_cost(mesh, bidirectional)
    assert cost.way == cost.steps
    _agree(replace(cost, way=_longest_way(schedule)), schedule, measure(schedule, mesh))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (3, 3), (3, 5)])
def test_flat_ring_without_a_cycle_is_folded_over_the_serpentine_path(
    shape: tuple[int, int], bidirectional: bool
) -> None:
    mesh = Mesh(*shape)
    schedule = ring("all-gather", folded_ring(mesh.nodes), bidirectional=bidirectional)
    _agree(flat_ring_cost(mesh, bidirectional), schedule, measure(schedule, Mesh(1, mesh.nodes)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (2, 6), (3, 2)])
def test_torus_rings_are_rings_along_both_dimensions(shape: tuple[int, int]) -> None:
    mesh = Mesh(*shape)
    down = measure(line("all-gather", mesh.rows, "ring"), Mesh(mesh.rows, 1))
    along = measure(line("all-gather", mesh.cols, "ring"), Mesh(1, mesh.cols))
    cost = torus_ring_cost(mesh, False)
    assert cost.received == mesh.nodes - 1
    assert cost.serial_chunks == down.link_chunks + mesh.rows * along.link_chunks == mesh.nodes - 1
    assert cost.steps == mesh.rows + mesh.cols - 2
    assert cost.first_steps == mesh.rows - 1
    assert cost.first_share * cost.serial_chunks == pytest.approx(down.link_chunks)
    first, second = line_cost(mesh.rows, "ring"), line_cost(mesh.cols, "ring")
    assert (cost.first_way, cost.way) == (first.way, first.way + second.way)
    hops = down.chunk_hops / mesh.rows + mesh.rows * along.chunk_hops / mesh.cols
    assert cost.chunk_hops == pytest.approx(hops)


def test_both_dimensions_halve_the_time_on_a_square() -> None:
    mesh = Mesh(8, 8)
    both, one = torus_ring_cost(mesh, True), torus_ring_cost(mesh, False)
    assert both.serial_chunks == one.serial_chunks / 2
    assert (both.steps, both.way, both.first_share) == (one.steps, one.way, one.first_share)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 6, 7, 8, 11, 16, 21])
def test_tree_broadcasts(nodes: int) -> None:
    schedules = [tree_broadcast(nodes, root) for root in range(nodes)]
    loads = [measure(schedule, Mesh(1, nodes)) for schedule in schedules]
    cost = broadcasts_cost(nodes, "tree")
    assert cost.steps == sum(schedule.steps for schedule in schedules)
    assert cost.serial_chunks == sum(load.link_chunks for load in loads)
    assert cost.received == sum(sum(load.received) for load in loads) / nodes
    assert cost.chunk_hops == pytest.approx(sum(load.chunk_hops for load in loads) / nodes)
    lengths = [abs(one.sender - one.receiver) for schedule in schedules for one in schedule.transfers]
    assert cost.hops == max(lengths, default=0)


@given(nodes=st.integers(2, 64))
def test_pipelined_broadcasts_beat_trees_in_time(nodes: int) -> None:
    pipelined, tree = broadcasts_cost(nodes, "pipelined"), broadcasts_cost(nodes, "tree")
    assert pipelined.received == tree.received == nodes - 1
    assert pipelined.serial_chunks <= tree.serial_chunks
    assert pipelined.chunk_hops <= tree.chunk_hops


def test_one_die_costs_nothing() -> None:
    mesh = Mesh(1, 1)
    for cost in (
        line_cost(1, "ring"),
        line_cost(1, "chain"),
        flat_ring_cost(mesh, True),
        torus_ring_cost(mesh, True),
        broadcasts_cost(1, "tree"),
        broadcasts_cost(1, "pipelined"),
    ):
        assert cost.steps == cost.hops == cost.way == cost.first_steps == 0
        assert cost.received == cost.serial_chunks == cost.chunk_hops == 0


def test_unknown_names_are_refused() -> None:
    wrong: Any = "star"
    with pytest.raises(ValueError, match="must be one of ring, chain"):
        line_cost(4, wrong)
    with pytest.raises(ValueError, match="must be tree or pipelined"):
        broadcasts_cost(4, wrong)

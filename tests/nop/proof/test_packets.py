"""Waits of packets: collectives on lines of any length have no cycle, and a cycle is found where dies stood still."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Literal

import pytest

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop.collectives import CollectiveSchedule, Transfer, line
from nop.forwarding import hands_over
from nop.proof.channels import dependency_cycle
from nop.proof.packets import gather_waits, in_flight, reduce_scatter_waits, stored_waits

HANDED = QUEUED_FLITS


@pytest.mark.parametrize("flits", [1, HANDED, HANDED + 1, 64])
@pytest.mark.parametrize(
    "nodes", [*range(2, 18), *(pytest.param(nodes, marks=pytest.mark.slow) for nodes in (31, 32))]
)
def test_sums_that_pass_through_have_no_cycle(nodes: int, flits: int) -> None:
    graph = reduce_scatter_waits(nodes, flits, handed_flits=HANDED)
    assert dependency_cycle(graph) == []
    together = int(nodes % 2 == 1 and nodes > 2 and flits > HANDED)
    hops = nodes * (nodes - 1)  # each way: chunk c passes c links
    assert graph.number_of_nodes() == hops - together


def test_five_dies_that_hand_over_long_chunks_stand_still() -> None:
    """As the hardware did before only the middle die was let."""

    def always(_place: int, _nodes: int, _flits: int, _handed: int) -> bool:
        return True

    assert dependency_cycle(reduce_scatter_waits(5, 64, handed_flits=HANDED, hands=always))
    assert dependency_cycle(reduce_scatter_waits(5, HANDED, handed_flits=HANDED, hands=always)) == []
    assert hands_over(2, 5, 64, HANDED)
    assert not hands_over(1, 5, 64, HANDED)


@pytest.mark.parametrize("op", ["all-gather", "reduce-scatter"])
@pytest.mark.parametrize("nodes", [*range(2, 14), 31, pytest.param(32, marks=pytest.mark.slow)])
def test_rings_have_no_cycle(op: Literal["all-gather", "reduce-scatter"], nodes: int) -> None:
    schedule = line(op, nodes, "ring")
    graph = stored_waits(schedule)
    assert dependency_cycle(graph) == []
    assert graph.number_of_nodes() == nodes * (nodes - 1)


def test_a_ring_that_closes_over_all_dies_has_a_cycle() -> None:
    """Steps from the last die to the first one use the links of all others."""
    transfers = tuple(
        Transfer(step, die, (die + 1) % 4, (die - step) % 4) for step in range(3) for die in range(4)
    )
    assert dependency_cycle(stored_waits(_like(line("all-gather", 4, "ring"), transfers))) == []
    backwards = (
        *transfers,
        *(Transfer(step, die, (die - 1) % 4, die) for step in range(1) for die in range(4)),
    )
    assert dependency_cycle(stored_waits(_like(line("all-gather", 4, "ring"), backwards)))


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 8, pytest.param(9, marks=pytest.mark.slow)])
def test_collectives_in_flight_have_no_cycle(nodes: int) -> None:
    """Three of a chain one behind the other, in any combination, and of a ring."""
    short, long = (reduce_scatter_waits(nodes, flits, handed_flits=HANDED) for flits in (1, 64))
    for chosen in product((gather_waits(nodes), short, long), repeat=3):
        graph = in_flight(chosen)
        assert dependency_cycle(graph) == []
        assert graph.number_of_nodes() == sum(one.number_of_nodes() for one in chosen)
    rings = [stored_waits(line(op, nodes, "ring")) for op in ("all-gather", "reduce-scatter")]
    for ringed in product(rings, repeat=3):
        assert dependency_cycle(in_flight(ringed)) == []


def test_programs_that_differ_in_the_order_of_collectives_make_a_cycle() -> None:
    pair = [gather_waits(4), reduce_scatter_waits(4, 1, handed_flits=HANDED)]
    assert dependency_cycle(in_flight(pair, order=lambda die: (1, 0))) == []
    assert dependency_cycle(in_flight(pair, order=lambda die: (1, 0) if die == 2 else (0, 1)))


def test_a_ring_and_a_chain_in_flight_are_not_proven() -> None:
    """They share links whose packets come from different dies, in any order."""
    ring = stored_waits(line("all-gather", 4, "ring"))
    assert dependency_cycle(in_flight([ring, gather_waits(4)]))


def _like(schedule: CollectiveSchedule, transfers: tuple[Transfer, ...]) -> CollectiveSchedule:
    return replace(schedule, transfers=transfers)

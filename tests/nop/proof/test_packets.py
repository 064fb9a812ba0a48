"""Waits of packets: collectives on lines of any length have no cycle, and a cycle is found where dies stood still."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop.collectives import CollectiveSchedule, Transfer, line
from nop.forwarding import hands_over
from nop.proof.channels import dependency_cycle
from nop.proof.packets import reduce_scatter_waits, stored_waits

HANDED = QUEUED_FLITS


@pytest.mark.parametrize("flits", [1, HANDED, HANDED + 1, 64])
@pytest.mark.parametrize("nodes", [*range(2, 18), 31, 32])
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
@pytest.mark.parametrize("nodes", [*range(2, 14), 31, 32])
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


def _like(schedule: CollectiveSchedule, transfers: tuple[Transfer, ...]) -> CollectiveSchedule:
    return replace(schedule, transfers=transfers)

"""The checker finds every kind of mistake, and measures loads."""

from __future__ import annotations

import pytest

from nop.check import Load, check, measure
from nop.collectives import Schedule, Transfer, chain, line, ring, tree_broadcast
from nop.topology import Mesh


def test_a_chunk_that_is_not_there_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="the sender does not hold the chunk yet"):
        check(Schedule("all-gather", 2, (Transfer(0, 0, 1, 1),)))


def test_a_chunk_cannot_be_passed_on_in_the_step_that_it_arrives() -> None:
    transfers = (Transfer(0, 0, 1, 0), Transfer(0, 1, 2, 0))
    with pytest.raises(ValueError, match="the sender does not hold the chunk yet"):
        check(Schedule("all-gather", 3, transfers))


def test_nothing_is_received_twice() -> None:
    with pytest.raises(ValueError, match="node 1 receives chunk 0 twice"):
        check(Schedule("all-gather", 2, (Transfer(0, 0, 1, 0), Transfer(1, 0, 1, 0))))


def test_a_missing_transfer_is_found() -> None:
    whole = chain("all-gather", 4)
    with pytest.raises(ValueError, match="ends without chunk"):
        check(Schedule("all-gather", 4, whole.transfers[:-1]))
    with pytest.raises(ValueError, match="ends without the whole sum"):
        check(Schedule("reduce-scatter", 4, whole.mirrored().transfers[1:]))


def test_a_sum_is_given_away_once() -> None:
    transfers = (Transfer(0, 0, 1, 1), Transfer(1, 0, 1, 1))
    with pytest.raises(ValueError, match="has given its sum away before"):
        check(Schedule("reduce-scatter", 2, transfers))


def test_a_broadcast_reaches_everyone() -> None:
    with pytest.raises(ValueError, match="^broadcast: node 2 ends without chunk 0$"):
        check(Schedule("broadcast", 3, (Transfer(0, 0, 1, 0),)))
    with pytest.raises(ValueError, match="^broadcast: nothing is sent$"):
        check(Schedule("broadcast", 2, ()))
    with pytest.raises(ValueError, match="ends without the whole sum of chunk 0"):
        check(Schedule("reduce", 3, (Transfer(0, 1, 0, 0),)))


def test_load_of_the_folded_ring_on_four_dies() -> None:
    load = measure(line("all-gather", 4, "ring"), Mesh(1, 4))
    assert load == Load(received=(3, 3, 3, 3), link_chunks=3, max_hops=2, chunk_hops=18)


def test_load_of_the_chain_on_a_column_of_four_dies() -> None:
    load = measure(line("reduce-scatter", 4, "chain"), Mesh(4, 1))
    assert load == Load(received=(1, 5, 5, 1), link_chunks=3, max_hops=1, chunk_hops=12)


def test_a_ring_in_single_hops_uses_each_link_once_a_step() -> None:
    mesh = Mesh(4, 4)
    load = measure(ring("all-gather", mesh.flat_ring()), mesh)
    assert (load.link_chunks, load.max_hops, load.chunk_hops) == (15, 1, 15 * 16)


def test_transfers_of_a_tree_share_no_link() -> None:
    for nodes in range(2, 20):
        for root in range(nodes):
            schedule = tree_broadcast(nodes, root)
            assert measure(schedule, Mesh(1, nodes)).link_chunks == schedule.steps

"""The checker finds every kind of mistake, and measures loads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.collectives import (
    ALGORITHMS,
    OPS,
    Algorithm,
    CollectiveSchedule,
    LineOp,
    Transfer,
    all_reduce,
    chain,
    line,
    ring,
    tree_broadcast,
)
from nop.proof.broadcast import pipelined_broadcast
from nop.proof.delivery import LinkLoad, check, check_buffers, check_links, measure
from nop.proof.torus import Torus
from nop.topology import Mesh, folded_ring


def test_a_chunk_that_is_not_there_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="the sender does not hold the chunk yet"):
        check(CollectiveSchedule("all-gather", 2, (Transfer(0, 0, 1, 1),)))


def test_a_chunk_cannot_be_passed_on_in_the_step_that_it_arrives() -> None:
    transfers = (Transfer(0, 0, 1, 0), Transfer(0, 1, 2, 0))
    with pytest.raises(ValueError, match="the sender does not hold the chunk yet"):
        check(CollectiveSchedule("all-gather", 3, transfers))


def test_nothing_is_received_twice() -> None:
    with pytest.raises(ValueError, match="node 1 receives chunk 0 twice"):
        check(CollectiveSchedule("all-gather", 2, (Transfer(0, 0, 1, 0), Transfer(1, 0, 1, 0))))


def test_a_missing_transfer_is_found() -> None:
    whole = chain("all-gather", 4)
    with pytest.raises(ValueError, match="ends without chunk"):
        check(CollectiveSchedule("all-gather", 4, whole.transfers[:-1]))
    with pytest.raises(ValueError, match="ends without the whole sum"):
        check(CollectiveSchedule("reduce-scatter", 4, whole.mirrored().transfers[1:]))


def test_a_sum_is_given_away_once() -> None:
    transfers = (Transfer(0, 0, 1, 1), Transfer(1, 0, 1, 1))
    with pytest.raises(ValueError, match="has given its sum away before"):
        check(CollectiveSchedule("reduce-scatter", 2, transfers))


def test_a_broadcast_reaches_everyone() -> None:
    with pytest.raises(ValueError, match="^broadcast: node 2 ends without chunk 0$"):
        check(CollectiveSchedule("broadcast", 3, (Transfer(0, 0, 1, 0),)))
    with pytest.raises(ValueError, match="^broadcast: nothing is sent$"):
        check(CollectiveSchedule("broadcast", 2, ()))
    with pytest.raises(ValueError, match="ends without the whole sum of chunk 0"):
        check(CollectiveSchedule("reduce", 3, (Transfer(0, 1, 0, 0),)))


def test_load_of_the_folded_ring_on_four_dies() -> None:
    load = measure(line("all-gather", 4, "ring"), Mesh(1, 4))
    assert load == LinkLoad(received=(3, 3, 3, 3), link_chunks=3, max_hops=2, chunk_hops=18)


def test_load_of_the_chain_on_a_column_of_four_dies() -> None:
    load = measure(line("reduce-scatter", 4, "chain"), Mesh(4, 1))
    assert load == LinkLoad(received=(1, 5, 5, 1), link_chunks=3, max_hops=1, chunk_hops=12)


def test_a_ring_in_single_hops_uses_each_link_once_a_step() -> None:
    mesh = Mesh(4, 4)
    load = measure(ring("all-gather", mesh.flat_ring()), mesh)
    assert (load.link_chunks, load.max_hops, load.chunk_hops) == (15, 1, 15 * 16)


def test_transfers_of_a_tree_share_no_link() -> None:
    for nodes in range(2, 20):
        for root in range(nodes):
            schedule = tree_broadcast(nodes, root)
            assert measure(schedule, Mesh(1, nodes)).link_chunks == schedule.steps


NODES = st.integers(1, 14)


@given(op=st.sampled_from(OPS), algorithm=st.sampled_from(ALGORITHMS), nodes=NODES, column=st.booleans())
def test_collectives_on_a_line_do_what_they_promise_and_share_no_link_within_a_step(
    op: LineOp, algorithm: Algorithm, nodes: int, column: bool
) -> None:
    schedule = line(op, nodes, algorithm)
    check(schedule)
    check_links(schedule, Mesh(nodes, 1) if column else Mesh(1, nodes))
    check_buffers(schedule, nodes)


@given(nodes=st.integers(2, 14))
def test_an_all_reduce_is_its_reduce_scatter_and_the_way_back(nodes: int) -> None:
    scatter = line("reduce-scatter", nodes, "ring")
    whole = all_reduce(scatter)
    assert whole.parts() == (scatter, scatter.mirrored())
    assert whole.steps == 2 * scatter.steps
    assert whole.mirrored() == whole
    gather = line("all-gather", nodes, "ring")
    assert all_reduce(scatter, gather).parts() == (scatter, gather)
    with pytest.raises(ValueError, match="^all-reduce of a schedule for all-gather: must be one for"):
        all_reduce(gather)
    with pytest.raises(ValueError, match="^all-reduce of a schedule for reduce-scatter: must be one for"):
        all_reduce(scatter, scatter)
    with pytest.raises(ValueError, match=f"^all-reduce of {nodes} nodes: all-gather has {nodes + 1}$"):
        all_reduce(scatter, line("all-gather", nodes + 1, "ring"))


def test_an_all_reduce_without_its_last_transfer_is_found() -> None:
    whole = line("all-reduce", 4, "chain")
    with pytest.raises(ValueError, match="^all-gather: node . ends without chunk"):
        check(CollectiveSchedule("all-reduce", 4, whole.transfers[:-1], homes=whole.homes))


def test_a_piece_that_a_node_never_gets_is_found() -> None:
    schedule = pipelined_broadcast(3, 1, 2)
    with pytest.raises(ValueError, match="^broadcast: node 2 ends without chunk 1$"):
        check(
            CollectiveSchedule(
                "broadcast", 3, tuple(t for t in schedule.transfers if t != (1, 1, 2, 1)), root=1
            )
        )
    some = tuple(t for t in schedule.mirrored().transfers if t.chunk != 0 or t.sender)
    with pytest.raises(ValueError, match="^reduce: node 1 ends without the whole sum of chunk 0$"):
        check(CollectiveSchedule("reduce", 3, some, root=1))


def test_a_link_that_two_chunks_share_is_found() -> None:
    both = ring("all-gather", folded_ring(5), bidirectional=True)
    with pytest.raises(
        ValueError, match=r"^all-gather: step 0: link \d:\d carries 2 chunks: must be at most 1$"
    ):
        check_links(both, Mesh(1, 5))
    check_links(both, Mesh(1, 5), capacity=2)
    check_links(ring("all-gather", range(5), bidirectional=True), Torus(1, 5))


def test_a_buffer_that_is_too_small_is_found() -> None:
    with pytest.raises(
        ValueError, match="^all-gather: node 1 holds 3 chunks after step 0: must be at most 2$"
    ):
        check_buffers(line("all-gather", 4, "chain"), 2)
    with pytest.raises(
        ValueError, match="^reduce-scatter: node 0 holds 4 chunks at the start: must be at most 3$"
    ):
        check_buffers(line("reduce-scatter", 4, "ring"), 3)
    check_buffers(pipelined_broadcast(4, 0, 3), 3)

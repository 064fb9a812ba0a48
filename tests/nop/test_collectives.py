"""Collective schedules: right for every size, and right on real numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.collectives import (
    ALGORITHMS,
    Algorithm,
    CollectiveSchedule,
    chain,
    line,
    ring,
    summed_up,
    tree_broadcast,
)
from nop.proof.delivery import check
from nop.topology import Mesh, folded_ring

NODES = st.integers(min_value=1, max_value=17)
ALGORITHM = st.sampled_from(ALGORITHMS)


def _all_gather(schedule: CollectiveSchedule, owned: np.ndarray) -> np.ndarray:
    """Move the chunks ``owned[c]`` as the schedule says; result ``[node, chunk]``."""
    nodes = schedule.nodes
    held = np.full((nodes, nodes), np.nan)
    held[np.arange(nodes), np.arange(nodes)] = owned
    for transfer in schedule.transfers:
        held[transfer.receiver, transfer.chunk] = held[transfer.sender, transfer.chunk]
    return held


def _reduce_scatter(schedule: CollectiveSchedule, partial: np.ndarray) -> np.ndarray:
    """Add up the partial sums ``partial[node, chunk]`` as the schedule says; result by chunk."""
    held = partial.copy()
    for step in range(schedule.steps):
        now = [transfer for transfer in schedule.transfers if transfer.step == step]
        sent = [held[transfer.sender, transfer.chunk] for transfer in now]
        for transfer, value in zip(now, sent, strict=True):
            held[transfer.receiver, transfer.chunk] += value
    return held.diagonal()


@given(nodes=NODES, algorithm=ALGORITHM)
def test_all_gather_on_a_line(nodes: int, algorithm: Algorithm) -> None:
    schedule = line("all-gather", nodes, algorithm)
    check(schedule)
    assert schedule.steps == nodes - 1
    owned = np.random.default_rng(nodes).standard_normal(nodes)
    np.testing.assert_array_equal(_all_gather(schedule, owned), np.tile(owned, (nodes, 1)))


@given(nodes=NODES, algorithm=ALGORITHM)
def test_reduce_scatter_on_a_line(nodes: int, algorithm: Algorithm) -> None:
    schedule = line("reduce-scatter", nodes, algorithm)
    check(schedule)
    partial = np.random.default_rng(nodes).integers(-99, 99, (nodes, nodes)).astype(float)
    np.testing.assert_array_equal(_reduce_scatter(schedule, partial), partial.sum(axis=0))


@given(nodes=st.integers(2, 17))
def test_an_all_reduce_of_a_chain_sends_each_chunk_once_over_each_link(nodes: int) -> None:
    """No all-reduce on a line can send less: what is at either side of a link is needed at the other."""
    schedule = line("all-reduce", nodes, "chain")
    sent = Counter((t.sender, t.receiver) for t in schedule.transfers)
    ways = [(place, place + 1) for place in range(nodes - 1)]
    assert sent == {way: nodes for ways_of in ways for way in (ways_of, ways_of[::-1])}
    sums, copies = schedule.parts()
    assert {t.chunk for t in sums.transfers if t.sender < t.receiver} == set(range(summed_up(nodes)))
    assert all(schedule.home(t.chunk) != t.receiver for t in copies.transfers)


@given(rows=st.integers(1, 5), cols=st.integers(1, 5), bidirectional=st.booleans())
def test_flat_rings_through_a_mesh(rows: int, cols: int, bidirectional: bool) -> None:
    mesh = Mesh(rows, cols)
    gather = ring("all-gather", mesh.flat_ring(), bidirectional=bidirectional)
    check(gather)
    check(gather.mirrored())
    assert gather.steps == (mesh.nodes // 2 if bidirectional else mesh.nodes - 1)


@given(nodes=st.integers(2, 17))
def test_both_parts_go_the_same_way_around_a_ring(nodes: int) -> None:
    """A node receives from one other, and sends to one: nothing of the second part can overtake the first."""
    order = folded_ring(nodes)
    follows = {(one, order[(place + 1) % nodes]) for place, one in enumerate(order)}
    for op in ("reduce-scatter", "all-gather", "all-reduce"):
        assert {(t.sender, t.receiver) for t in line(op, nodes, "ring").transfers} == follows


@given(nodes=st.integers(1, 33), data=st.data())
def test_tree_broadcast_reaches_all_in_logarithmic_time(nodes: int, data: st.DataObject) -> None:
    root = data.draw(st.integers(min_value=0, max_value=nodes - 1))
    schedule = tree_broadcast(nodes, root)
    check(schedule)
    check(schedule.mirrored())
    assert schedule.steps == (nodes - 1).bit_length()


@given(nodes=NODES)
def test_mirrored_twice_is_the_same(nodes: int) -> None:
    schedule = chain("all-gather", nodes)
    assert schedule.mirrored().mirrored() == schedule


def test_unknown_names_are_refused() -> None:
    wrong: Any = "star"
    with pytest.raises(ValueError, match="^collective algorithm 'star': must be one of ring, chain$"):
        line("all-gather", 4, wrong)
    with pytest.raises(
        ValueError, match="^collective op 'star': must be all-gather, reduce-scatter or all-reduce$"
    ):
        ring(wrong, folded_ring(4))

"""Floors of collectives on a line."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop import line_model
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line
from nop.lower_bound import line_floor
from nop.terms import NopTerms

predict_line = partial(line_model.predict_line, queued_flits=QUEUED_FLITS)


@pytest.mark.parametrize(
    ("op", "nodes", "algorithm", "flits", "cycles"),
    [
        ("all-gather", 2, "chain", 1, 1),
        ("all-gather", 8, "chain", 64, 7 * 64),
        ("reduce-scatter", 8, "chain", 64, 7 * 64),
        # Six additions on the way. Where the sums from both sides meet, one is made after the other.
        ("reduce-scatter", 8, "chain", 1, 7 + 6),
        ("reduce-scatter", 3, "chain", 64, 2 * 64 + 1),
        ("reduce-scatter", 4, "chain", 2, 2 * 2 + 2 * 2 - 1),
        # The folded ring 0 2 4 3 1: two hops in most steps, one at the ends; a chunk misses one of the steps.
        ("all-gather", 5, "ring", 1, 7),
        ("reduce-scatter", 5, "ring", 1, 7 + 3),
        ("all-gather", 5, "ring", 4, 4 * 4 + 1),
        ("reduce-scatter", 5, "ring", 4, 4 * 4 + 1),
        # Eight steps around the ring in a row are two hops but for two of them, one of which can be the first or last.
        ("all-reduce", 5, "ring", 1, 13 + 4),
        ("all-reduce", 5, "ring", 4, 8 * 4 + 1),
        ("all-reduce", 8, "chain", 64, 7 + 6 + 8 * 64 - 1),
        ("all-reduce", 8, "chain", 1, 7 + 7 + 7 + 4 - 1),
    ],
)
def test_floors_by_hand(op: LineOp, nodes: int, algorithm: Algorithm, flits: int, cycles: int) -> None:
    assert line_floor(op, nodes, algorithm, flits) == cycles


@given(
    op=st.sampled_from(OPS),
    nodes=st.integers(2, 20),
    algorithm=st.sampled_from(ALGORITHMS),
    flits=st.integers(1, 100),
    hop=st.integers(1, 5),
    add=st.integers(1, 4),
    link=st.integers(1, 3),
)
def test_what_the_end_die_receives_and_the_longest_way(
    op: LineOp, nodes: int, algorithm: Algorithm, flits: int, hop: int, add: int, link: int
) -> None:
    found = line_floor(op, nodes, algorithm, flits, hop_cycles=hop, add_cycles=add, link_cycles=link)
    part: LineOp = "all-gather" if op == "all-gather" else "reduce-scatter"
    received = sum(t.receiver == nodes - 1 for t in line("all-gather", nodes, algorithm).transfers)
    ways: dict[int, int] = {}  # of the chunks, from their first die on
    for transfer in line(part, nodes, algorithm).transfers:
        ways[transfer.chunk] = ways.get(transfer.chunk, 0) + abs(transfer.receiver - transfer.sender)
    adds = 0 if op == "all-gather" else add * (nodes - 2)
    assert found >= hop + (received * flits - 1) * link
    assert found >= (nodes - 1) * hop + adds + (flits - 1) * link
    if op == "all-reduce":
        assert found >= (nodes - 1) * hop + (nodes * flits - 1) * link
    if algorithm == "ring":
        assert found >= max(ways.values()) * hop + adds + (flits - 1) * link
    if op != "all-reduce":
        # No floor is above what waiting for both, the link and the longest way, would take.
        most = (nodes - 1) if algorithm == "chain" else max(ways.values())
        assert found <= most * hop + (nodes - 1) * add + ((nodes - 1) * flits - 1) * link


@given(
    op=st.sampled_from(OPS),
    nodes=st.integers(1, 14),
    algorithm=st.sampled_from(ALGORITHMS),
    flits=st.integers(1, 80),
    add=st.integers(1, 4),
)
def test_the_design_is_at_its_floor(
    op: LineOp, nodes: int, algorithm: Algorithm, flits: int, add: int
) -> None:
    floor = line_floor(op, nodes, algorithm, flits, add_cycles=add)
    found = predict_line(op, nodes, algorithm, flits, 4, NopTerms(add_cycles=add))
    assert floor <= found
    if op != "all-reduce":
        assert found <= 1.05 * floor
    else:
        # Copies begin a command behind the sums.
        assert found <= max(1.05 * floor, floor + 3 + add)


@given(
    op=st.sampled_from(OPS),
    nodes=st.integers(1, 14),
    algorithm=st.sampled_from(ALGORITHMS),
    flits=st.integers(1, 80),
    hop=st.integers(1, 12),
    add=st.integers(1, 4),
    link=st.integers(1, 4),
)
def test_nothing_is_below_the_floor(
    op: LineOp, nodes: int, algorithm: Algorithm, flits: int, hop: int, add: int, link: int
) -> None:
    terms = NopTerms(hop_cycles=hop, bypass_cycles=hop, add_cycles=add, link_cycles=link)
    floor = line_floor(op, nodes, algorithm, flits, hop_cycles=hop, add_cycles=add, link_cycles=link)
    assert floor <= predict_line(op, nodes, algorithm, flits, 4, terms)


@pytest.mark.parametrize(
    ("op", "algorithm", "message"),
    [
        ("gather", "ring", "^collective op 'gather': must be one of all-gather, reduce-scatter, all-reduce$"),
        ("all-gather", "tree", "^collective algorithm 'tree': must be one of ring, chain$"),
    ],
)
def test_unknown_names_are_refused(op: Any, algorithm: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        line_floor(op, 4, algorithm, 1)

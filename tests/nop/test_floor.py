"""Floors of collectives on a line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.collectives import ALGORITHMS, Algorithm, line
from nop.floor import OPS, LineOp, line_floor


@pytest.mark.parametrize(
    ("op", "nodes", "algorithm", "flits", "cycles"),
    [
        ("all-gather", 2, "chain", 1, 2),
        ("all-gather", 8, "chain", 64, 7 * 64 + 7),
        ("reduce-scatter", 8, "chain", 64, 7 * 64 + 7),
        ("all-reduce", 8, "chain", 64, 8 * 64 + 14),
        # The folded ring 0 2 4 3 1: two hops in most steps, one at the ends; a chunk misses one of the steps.
        ("all-gather", 5, "ring", 4, 4 * 4 + 7),
        ("all-reduce", 5, "ring", 4, 5 * 4 + 14),
    ],
)
def test_floors_by_hand(op: LineOp, nodes: int, algorithm: Algorithm, flits: int, cycles: int) -> None:
    assert line_floor(op, nodes, algorithm, flits) == cycles


@given(
    op=st.sampled_from(OPS),
    nodes=st.integers(1, 20),
    algorithm=st.sampled_from(ALGORITHMS),
    flits=st.integers(1, 100),
    hop=st.integers(1, 5),
)
def test_what_the_end_die_receives_and_the_longest_way(
    op: LineOp, nodes: int, algorithm: Algorithm, flits: int, hop: int
) -> None:
    found = line_floor(op, nodes, algorithm, flits, hop_cycles=hop)
    if nodes == 1:
        assert found == 0
        return
    one = line_floor("all-gather", nodes, algorithm, flits, hop_cycles=hop)
    received = sum(t.receiver == nodes - 1 for t in line("all-gather", nodes, algorithm).transfers)
    assert one - (nodes - 1) * hop >= received * flits
    assert one - received * flits <= 2 * (nodes - 1) * hop
    if op == "all-reduce":
        assert found == 2 * one - (nodes - 2) * flits
    else:
        assert found == one


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

"""How the dies of a line carry out a schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line, parts
from nop.forwarding import forwarding, hands_over, slot_sequence, slots


@given(op=st.sampled_from(OPS), nodes=st.integers(2, 30), algorithm=st.sampled_from(ALGORITHMS))
def test_what_comes_and_what_leaves_by_a_side_is_a_sequence_of_slots(
    op: LineOp, nodes: int, algorithm: Algorithm
) -> None:
    """One command is enough for each."""
    slot = slots(algorithm, nodes)
    assert sorted(slot) == list(range(nodes))
    for part in parts(op):
        transfers = line(part, nodes, algorithm).transfers
        for place in range(nodes):
            for up in (True, False):
                leaving = [t.chunk for t in transfers if t.sender == place and (t.receiver > place) == up]
                coming = [t.chunk for t in transfers if t.receiver == place and (t.sender > place) == up]
                for chunks in filter(None, (leaving, coming)):
                    expected = [slot[chunk] for chunk in chunks]
                    first, step, lap = slot_sequence(expected, nodes)
                    found = [
                        first + number * step - (step * nodes if lap and number >= lap else 0)
                        for number in range(len(expected))
                    ]
                    assert found == expected


@given(op=st.sampled_from(OPS), flits=st.integers(1, 200))
def test_chunks_that_fit_no_queue_are_stored_around_a_ring(op: LineOp, flits: int) -> None:
    for part in parts(op):
        assert forwarding(op, part, "ring", flits, QUEUED_FLITS) == (
            "passed" if flits <= QUEUED_FLITS else "stored"
        )
        copies = op == "all-reduce" and part == "all-gather"
        assert forwarding(op, part, "chain", flits, QUEUED_FLITS) == ("copied" if copies else "passed")


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_who_hands_over(nodes: int) -> None:
    for place in range(nodes):
        assert hands_over(place, nodes, QUEUED_FLITS, QUEUED_FLITS)
        assert hands_over(place, nodes, QUEUED_FLITS + 1, QUEUED_FLITS) == (2 * place == nodes - 1)

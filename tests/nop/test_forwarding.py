"""How the dies of a line carry out a schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line
from nop.forwarding import forwarding, hands_over, sendings, slot_sequence, slots


@given(op=st.sampled_from(OPS), nodes=st.integers(2, 30), algorithm=st.sampled_from(ALGORITHMS))
def test_what_comes_and_what_leaves_by_a_side_is_a_sequence_of_slots(
    op: LineOp, nodes: int, algorithm: Algorithm
) -> None:
    """So commands hold them: one of sums, one of copies, and SENDs as :func:`nop.forwarding.sendings` has them."""
    slot = slots(algorithm, nodes)
    assert sorted(slot) == list(range(nodes))
    schedule = line(op, nodes, algorithm)
    for place in range(nodes):
        for up in (True, False):
            commands = [
                [t.chunk for t in part.transfers if t.receiver == place and (t.sender > place) == up]
                for part in schedule.parts()
            ]
            sent = sendings(schedule, place, up)
            commands += [[*sending.own, *(chunk for _, chunk in sending.forwarded)] for sending in sent]
            for chunks in filter(None, commands):
                expected = [slot[chunk] for chunk in chunks]
                first, step, lap = slot_sequence(expected, nodes)
                found = [
                    first + number * step - (step * nodes if lap and number >= lap else 0)
                    for number in range(len(expected))
                ]
                assert found == expected
            leaving = [t for t in schedule.transfers if t.sender == place and (t.receiver > place) == up]
            assert {sending.receiver for sending in sent} == {t.receiver for t in leaving}
            assert sum(len(sending.own) + len(sending.forwarded) for sending in sent) == len(leaving)


@given(op=st.sampled_from(OPS), nodes=st.integers(2, 30), flits=st.integers(1, 200))
def test_chunks_that_could_wait_in_a_circle_pass_only_if_queues_hold_them(
    op: LineOp, nodes: int, flits: int
) -> None:
    around = forwarding(op, "ring", nodes, flits, QUEUED_FLITS)
    assert around == ("passed" if flits <= QUEUED_FLITS else "stored")
    there = forwarding(op, "chain", nodes, flits, QUEUED_FLITS)
    if op != "all-reduce":
        assert there == "passed"
    elif there == "passed":
        assert (nodes + 1) // 2 * flits <= QUEUED_FLITS * (nodes - 1)
        assert flits <= QUEUED_FLITS


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_who_hands_over(nodes: int) -> None:
    for place in range(nodes):
        assert hands_over(place, nodes, QUEUED_FLITS, QUEUED_FLITS)
        assert hands_over(place, nodes, QUEUED_FLITS + 1, QUEUED_FLITS) == (2 * place == nodes - 1)

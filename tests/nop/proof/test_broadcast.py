"""The pipelined broadcast and its mirror image deliver what they promise, in the steps that they should take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nop.proof.broadcast import pipelined_broadcast
from nop.proof.delivery import check, check_buffers, check_links
from nop.topology import Mesh

NODES = st.integers(1, 14)


@given(nodes=NODES, pieces=st.integers(1, 9), data=st.data())
def test_pipelined_broadcast_and_reduce(nodes: int, pieces: int, data: st.DataObject) -> None:
    root = data.draw(st.integers(0, nodes - 1))
    schedule = pipelined_broadcast(nodes, root, pieces)
    for part in (schedule, schedule.mirrored()):
        check(part)
        check_links(part, Mesh(1, nodes))
        check_buffers(part, pieces)
        assert part.steps == (pieces - 1 + max(root, nodes - 1 - root) if nodes > 1 else 0)
    assert schedule.mirrored().op == "reduce"


def test_pieces_and_root_are_checked() -> None:
    with pytest.raises(ValueError, match="^pieces = 0: must be at least 1$"):
        pipelined_broadcast(3, 0, 0)
    with pytest.raises(ValueError, match="^root = 3: must be from 0 to 2$"):
        pipelined_broadcast(3, 3, 1)

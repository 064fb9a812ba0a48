"""The graph as a schedule."""

from __future__ import annotations

import pytest

from benchmarks.astra_sim.replay import apart, replay, shared, vector_in_turn
from chiplet.export.layer_graph import DieGroup, Node
from chiplet.workload.operations import GemmStep

GEMM = GemmStep("XW", 1, 1, 1, 1, 1, "m")
ROW, COLUMN = DieGroup("row", 2), DieGroup("column", 2)


def nodes() -> list[Node]:
    """Two collectives on different axes and vector work at once, then a GEMM that waits for one of each."""
    return [
        Node(0, "gather", 3.0, (), ROW, "all-gather"),
        Node(1, "scatter", 4.0, (), COLUMN, "reduce-scatter"),
        Node(2, "norm", 2.0, ()),
        Node(3, "XW", 5.0, (0, 2), gemm=GEMM),
        Node(4, "activation", 1.0, (1,)),
    ]


def seconds(listed: list[Node]) -> list[float]:
    return [node.seconds for node in listed]


def test_resources_apart_work_at_the_same_time() -> None:
    listed = nodes()
    assert replay(listed, seconds(listed), apart) == 3 + 5


def test_vector_work_in_turn_waits_for_the_array() -> None:
    listed = nodes()
    assert replay(listed, seconds(listed), vector_in_turn) == 3 + 5 + 1


def test_one_collective_in_flight() -> None:
    listed = nodes()
    # The GEMM runs from 3 to 8, the scatter from 3 to 7, the activation after the GEMM.
    assert replay(listed, seconds(listed), shared) == 9
    listed[1] = Node(1, "scatter", 9.0, (), COLUMN, "reduce-scatter")
    assert replay(listed, seconds(listed), shared) == 3 + 9 + 1


@pytest.mark.parametrize("resource", [apart, vector_in_turn, shared])
def test_a_chain_takes_the_sum(resource: object) -> None:
    listed = [Node(number, "step", 0.5 + number, (number - 1,) if number else ()) for number in range(7)]
    assert replay(listed, seconds(listed), resource) == sum(seconds(listed))  # type: ignore[arg-type]


def test_nothing_takes_no_time() -> None:
    assert replay([], [], shared) == 0

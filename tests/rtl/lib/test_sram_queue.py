"""Queue in an SRAM: order, room, back-pressure and throughput at any depth."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.lib.sram_queue import SramQueue
from tests.rtl.lib.queues import check_against_deque, check_order


@pytest.mark.parametrize("latency", [1, 2, 3, 8])
@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6, 9, 16])
def test_every_cycle_matches_a_deque(depth: int, latency: int) -> None:
    """At any latency of the SRAM, more cycles than the queue has entries among them."""
    dut = SramQueue(width=9, depth=depth, sram_latency=latency)
    check_against_deque(dut, depth)


@pytest.mark.parametrize(("depth", "latency"), [(2, 1), (5, 1), (6, 3)])
def test_nothing_is_lost_or_doubled(depth: int, latency: int) -> None:
    check_order(SramQueue(width=8, depth=depth, sram_latency=latency))


@pytest.mark.parametrize(
    ("name", "value", "least"), [("width", 0, 1), ("depth", 1, 2), ("depth", 2.5, 2), ("sram_latency", 0, 1)]
)
def test_sizes_are_checked(name: str, value: Any, least: int) -> None:
    message = rf"^SRAM queue: {name} = {value}: must be an integer of at least {least}$"
    with pytest.raises(ValueError, match=message):
        SramQueue(**{"width": 4, "depth": 4, name: value})

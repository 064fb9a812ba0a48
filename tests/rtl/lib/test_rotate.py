"""Rotate against slicing, for lanes that are no powers of two too."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.lib.rotate import Rotate


def rotated(*, lanes: int, width: int, cases: list[tuple[list[int], int]]) -> list[list[int]]:
    """Lanes of ``o`` for each pair of lanes of ``i`` and amount."""
    dut = Rotate(lanes=lanes, width=width)
    seen: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        for vector, amount in cases:
            ctx.set(dut.i, sum(value << (width * lane) for lane, value in enumerate(vector)))
            ctx.set(dut.amount, amount)
            packed = ctx.get(dut.o)
            seen.append([packed >> (width * lane) & ((1 << width) - 1) for lane in range(lanes)])

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 7, 8, 13, 16])
def test_every_amount_rotates_down(lanes: int) -> None:
    vector = list(range(1, lanes + 1))
    # All that the port can carry: more than lanes - 1 if lanes is no power of two.
    amounts = range(1 << max(1, (lanes - 1).bit_length()))
    seen = rotated(lanes=lanes, width=5, cases=[(vector, amount) for amount in amounts])
    assert seen == [[vector[(lane + amount) % lanes] for lane in range(lanes)] for amount in amounts]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_any_size(data: st.DataObject) -> None:
    lanes = data.draw(st.integers(1, 20))
    width = data.draw(st.integers(1, 40))
    vector = data.draw(st.lists(st.integers(0, (1 << width) - 1), min_size=lanes, max_size=lanes))
    amount = data.draw(st.integers(0, lanes - 1))
    assert rotated(lanes=lanes, width=width, cases=[(vector, amount)]) == [vector[amount:] + vector[:amount]]


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Rotate: lanes = 0: must be an integer of at least 1$"):
        Rotate(lanes=0, width=1)
    with pytest.raises(ValueError, match=r"^Rotate: width = '8': must be an integer of at least 1$"):
        Rotate(lanes=1, width="8")  # type: ignore[arg-type]

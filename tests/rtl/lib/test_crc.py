# amaranth: UnusedElaboratable=no
"""CRC of frames: against one that goes bit by bit, in any number of steps, and what it is said to find."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from amaranth.sim import Simulator

from chiplet.machine.link_frame import LinkFrame
from rtl.lib.crc import POLYNOMIAL, RESIDUE, START, Crc


def after(state: int, message: int, width: int) -> int:
    """The register, a bit at a time, as the polynomial is defined."""
    for place in range(width):
        state ^= message >> place & 1
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state


def test_the_polynomial_is_the_published_one() -> None:
    assert int(f"{POLYNOMIAL:032b}"[::-1], 2) == 0x741B8CD7
    # A multiple of x + 1: every odd number of flips is found.
    assert (POLYNOMIAL.bit_count() + 1) % 2 == 0


@pytest.mark.parametrize("width", [1, 3, 31, 32, 33, 101])
def test_the_register_after_a_vector(width: int) -> None:
    dut = Crc(width=width)
    coin = Random(width)

    async def bench(ctx: Any) -> None:
        for _ in range(30):
            state, message = coin.getrandbits(32), coin.getrandbits(width)
            ctx.set(dut.state, state)
            ctx.set(dut.i, message)
            assert ctx.get(dut.o) == after(state, message, width)
            await ctx.delay(1e-9)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_message_with_its_crc_leaves_the_residue() -> None:
    for width in (1, 40, 333):
        message = Random(width).getrandbits(width)
        state = after(START, message, width)
        assert after(state, state ^ START, 32) == RESIDUE


def test_a_line_that_is_stuck_is_no_message() -> None:
    """Of any length of a frame. 32 bits are a CRC of nothing. 64 bits are fewer than those of a frame of one phit, and
    longer frames have marks, which are stuck as well.
    """
    lengths = []
    for value in (0, 1):
        state = START
        for length in range(1, 17_000):
            state = after(state, value, 1)
            if state == RESIDUE:
                lengths.append(length)
    assert lengths == [32, 64]
    narrowest = next(
        frame
        for phit_bits in range(1, 100)
        if (
            frame := LinkFrame.fit(data_bits=16, width=22, phit_bits=phit_bits, flight_cycles=0)
        ).longest_cycles
        == 1
    )
    assert narrowest.frame_bits > 64


def test_a_width_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Crc: width = 0: must be an integer of at least 1$"):
        Crc(width=0)

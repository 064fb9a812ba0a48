# amaranth: UnusedElaboratable=no
"""CRC-32C: against a table-driven one over bytes, and what it is said to find."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.lib.crc import Crc

TABLE = []
for _byte in range(256):
    _state = _byte
    for _ in range(8):
        _state = _state >> 1 ^ (0x82F63B78 if _state & 1 else 0)
    TABLE.append(_state)


def crc32c(message: bytes) -> int:
    """The CRC as iSCSI (RFC 3720) has it, a byte at a time."""
    state = 0xFFFFFFFF
    for byte in message:
        state = state >> 8 ^ TABLE[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


def syndromes(bits: int) -> np.ndarray:
    """What a flip of each bit of a codeword of ``bits`` bits, its CRC included, does to the remainder."""
    found = np.empty(bits, dtype=np.uint32)
    state = 1 << 31
    for place in range(bits):
        found[place] = state
        state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return found


@pytest.mark.parametrize("size", [1, 2, 9, 16, 33])
def test_vectors_of_bytes_have_the_crc_of_the_bytes(size: int) -> None:
    dut = Crc(width=8 * size)
    coin = Random(size)
    messages = [coin.randbytes(size) for _ in range(20)] + [bytes(size), b"\xff" * size]
    if size == 9:
        assert crc32c(b"123456789") == 0xE3069283  # the check value of the published CRC
        messages.append(b"123456789")

    async def bench(ctx: Any) -> None:
        for message in messages:
            ctx.set(dut.i, int.from_bytes(message, "little"))
            assert ctx.get(dut.o) == crc32c(message)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("width", [1, 3, 7, 13, 101])
def test_any_width_differs_from_that_of_the_rest_by_the_last_bit(width: int) -> None:
    # Bit by bit, as the polynomial is defined.
    dut = Crc(width=width)
    coin = Random(width)

    def expected(message: int) -> int:
        state = 0xFFFFFFFF
        for place in range(width):
            state ^= message >> place & 1
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        return state ^ 0xFFFFFFFF

    async def bench(ctx: Any) -> None:
        for message in [coin.getrandbits(width) for _ in range(30)]:
            ctx.set(dut.i, message)
            assert ctx.get(dut.o) == expected(message)
            await ctx.delay(1e-9)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("width", [300, 1200, pytest.param(5243, marks=pytest.mark.slow)])
def test_errors_of_up_to_five_bits_are_found(width: int) -> None:
    # The polynomial is a multiple of x + 1, so every odd number of flips is found (the remainder of each bit has an
    # odd value of the polynomial at 1). Two flips cancel if two remainders are equal, four if two pairs are.
    bits = width + 32
    single = syndromes(bits)
    assert len(np.unique(single)) == bits
    first, second = np.triu_indices(bits, 1)
    pairs = single[first] ^ single[second]
    assert len(np.unique(pairs)) == len(pairs)
    assert bin(0x1_1EDC6F41).count("1") % 2 == 0


def test_a_line_that_is_stuck_is_no_codeword() -> None:
    state_0 = state_1 = 0xFFFFFFFF
    for width in range(1, 6000):
        state_0 = state_0 >> 1 ^ (0x82F63B78 if state_0 & 1 else 0)
        state_1 ^= 1
        state_1 = state_1 >> 1 ^ (0x82F63B78 if state_1 & 1 else 0)
        assert state_0 != 0xFFFFFFFF
        # 32 bits are the one exception: there, a link whose wires are stuck at 1 is dead for want of progress.
        assert width == 32 or state_1 != 0


def test_a_width_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Crc: width = 0: must be an integer of at least 1$"):
        Crc(width=0)

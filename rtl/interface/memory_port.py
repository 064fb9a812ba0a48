"""The memory port of a die: layouts of requests and responses, and the addresses of the exchange buffer."""

from __future__ import annotations

from amaranth.lib import data

from rtl.interface.isa import MEMORY_ADDRESS_BITS

EXCHANGE_ADDRESS = 1 << (MEMORY_ADDRESS_BITS - 1)
"""Memory address of the first word of the exchange buffer: LOAD and STORE reach it like any memory."""


def request_layout(word_bytes: int) -> data.StructLayout:
    """A request: read or write of one word. ``strobe`` has one bit for each 32-bit sum of a written word."""
    return data.StructLayout(
        {
            "write": 1,
            "tag": 1,  # comes back with the word read
            "address": MEMORY_ADDRESS_BITS,  # in words
            "strobe": word_bytes // 4,
            "data": 8 * word_bytes,
        }
    )


def response_layout(word_bytes: int) -> data.StructLayout:
    """The word of a read, with the tag of its request. Words come in the order of the requests."""
    return data.StructLayout({"tag": 1, "data": 8 * word_bytes})


def address_bits(depth: int) -> int:
    """Width of the address of one of ``depth`` words."""
    return max(1, (depth - 1).bit_length())

"""The memory port of a die, the ports of its exchange buffer, and the address at which memory requests reach that."""

from __future__ import annotations

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.interface.isa import MEMORY_ADDRESS_BITS
from rtl.lib.widths import index_bits

__all__ = [
    "EXCHANGE_ADDRESS",
    "ExchangeReadPort",
    "ExchangeWritePort",
    "MemoryPort",
    "request_layout",
    "response_layout",
]

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


class MemoryPort(Bundle):
    """Memory port, seen from the die: word reads and writes, taken in order.

    Members
    -------
    request : Out(stream), response : In(stream)
        Vectors of :func:`request_layout` and :func:`response_layout`.
    """

    def __init__(self, word_bytes: int) -> None:
        super().__init__(
            {
                "request": Out(stream.Signature(request_layout(word_bytes).size)),
                "response": In(stream.Signature(response_layout(word_bytes).size)),
            }
        )


class ExchangeReadPort(Bundle):
    """Read port of the exchange buffer, seen from the reader.

    Members
    -------
    valid, address : Out; ready : In(1)
        A read, taken in a cycle in which valid and ready are high.
    data : In(8 * word_bytes)
        The word, in the cycle after that.
    """

    def __init__(self, *, depth: int, word_bytes: int) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(index_bits(depth)),
                "ready": In(1),
                "data": In(8 * word_bytes),
            }
        )


class ExchangeWritePort(Bundle):
    """Write port of the exchange buffer, seen from the writer.

    Members
    -------
    valid, address, strobe, data : Out; ready : In(1)
        A write of the 32-bit parts of a word that ``strobe`` selects, taken in a cycle in which valid and ready are
        high.
    """

    def __init__(self, *, depth: int, word_bytes: int) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(index_bits(depth)),
                "strobe": Out(word_bytes // 4),
                "data": Out(8 * word_bytes),
                "ready": In(1),
            }
        )

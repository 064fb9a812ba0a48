"""The memory port of a die."""

from __future__ import annotations

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.interface.isa import MEMORY_ADDRESS_BITS

__all__ = ["EPOCH_BITS", "MemoryPort", "MemoryRefusals", "request_layout", "response_layout"]

EPOCH_BITS = 4
"""Bits of the number of an epoch, which begins with a reset of the die."""


def request_layout(word_bytes: int) -> data.StructLayout:
    """A request: read or write of one word. ``strobe`` has one bit for each 32-bit sum of a written word."""
    return data.StructLayout(
        {
            "write": 1,
            "tag": 1,  # comes back with the word read, and so does the epoch
            "epoch": EPOCH_BITS,
            "address": MEMORY_ADDRESS_BITS,  # in words
            "strobe": word_bytes // 4,
            "data": 8 * word_bytes,
        }
    )


def response_layout(word_bytes: int) -> data.StructLayout:
    """The word of a read, with tag and epoch of its request. Words come in the order of the requests."""
    return data.StructLayout({"tag": 1, "epoch": EPOCH_BITS, "data": 8 * word_bytes})


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


class MemoryRefusals(Bundle):
    """Requests that memory refuses, seen from who reports them.

    Members
    -------
    {fetch, load, store}_faulty, {fetch, load, store}_missing : Out(1)
        In this cycle one of the fetch, the load unit, the store unit has been refused: the memory cannot serve it
        (SLVERR), or there is no memory at its address (DECERR).
    """

    def __init__(self) -> None:
        super().__init__(
            {
                f"{unit}_{kind}": Out(1)
                for unit in ("fetch", "load", "store")
                for kind in ("faulty", "missing")
            }
        )

"""Ports of the scratchpad."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.lib.widths import index_bits

__all__ = ["STROBE_BYTES", "ScratchpadReadPort", "ScratchpadWritePort", "lane_names"]

STROBE_BYTES = 2
"""Bytes of a scratchpad word that a bit of the strobe writes: a bf16 value, or half of a sum."""


def lane_names(name: str, lanes: int) -> Callable[[int], str]:
    """Verilog names of the ports of a unit that uses ``lanes`` words in a cycle: the only one has no number."""
    return lambda lane: name if lanes == 1 else f"{name}_{lane}"


class ScratchpadReadPort(Bundle):
    """Read port of the scratchpad, seen from the reader.

    Members
    -------
    valid, address : Out; ready : In(1)
        A read, taken in a cycle in which valid and ready are high.
    data : In(8 * word_bytes)
        The word, in the cycle after that, or later if the SRAMs have a longer latency.
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


class ScratchpadWritePort(Bundle):
    """Write port of the scratchpad, seen from the writer.

    Members
    -------
    valid, address, strobe, data : Out; ready : In(1)
        A write of those parts of a word that ``strobe`` selects, :data:`STROBE_BYTES` each, taken in a cycle in which
        valid and ready are high.
    """

    def __init__(self, *, depth: int, word_bytes: int) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(index_bits(depth)),
                "strobe": Out(word_bytes // STROBE_BYTES),
                "data": Out(8 * word_bytes),
                "ready": In(1),
            }
        )

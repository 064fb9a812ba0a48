"""AXI4: a port with bursts of words."""

from __future__ import annotations

from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.block import Bundle
from rtl.interface.isa import MEMORY_ADDRESS_BITS

__all__ = [
    "ADDRESS",
    "BURST_BYTES",
    "BURST_INCREMENT",
    "CACHE_BUFFERABLE",
    "CHANNELS",
    "LENGTH_BITS",
    "WIDEST_BYTES",
    "AxiPort",
    "address_bits",
]

WIDEST_BYTES = 128
"""Widest data bus of AXI4."""

BURST_INCREMENT = 1
"""AxBURST of a burst with ascending addresses, also usual for a single word."""

BURST_BYTES = 4096
"""A burst does not cross a multiple of this."""

LENGTH_BITS = 8
"""Bits of AxLEN, the words of a burst less one."""

CACHE_BUFFERABLE = 0b0011
"""AxCACHE of normal memory that is not cached and whose writes may be buffered."""

ADDRESS = ("id", "addr", "len", "size", "burst", "cache", "prot")
"""Signals of an address channel beside valid and ready."""

CHANNELS: dict[str, tuple[str, ...]] = {
    "aw": ADDRESS,
    "w": ("data", "strb", "last"),
    "b": ("id", "resp"),
    "ar": ADDRESS,
    "r": ("id", "data", "resp", "last"),
}
"""Signals of each channel beside valid and ready. Lock, qos, region and user are left out."""

_ANSWERS = ("b", "r")


def address_bits(memory: MemorySpec) -> int:
    """Bits of a byte address: memory words are numbered with 32 bits."""
    return MEMORY_ADDRESS_BITS + exact_log2(memory.word_bytes)


def _widths(nop: NopSpec, memory: MemorySpec) -> dict[str, int]:
    return {
        "id": nop.coordinate_bits,
        "addr": address_bits(memory),
        "len": LENGTH_BITS,
        "size": 3,
        "burst": 2,
        "cache": 4,
        "prot": 3,
        "data": 8 * memory.word_bytes,
        "strb": memory.word_bytes,
        "last": 1,
        "resp": 2,
    }


class AxiPort(Bundle):
    """AXI4 port, seen from the manager: members ``awid``, ``awaddr`` and so on.

    Ids are places of dies in their row or column, the data bus has the width of a memory word.

    Raises
    ------
    ValueError
        If a memory word is wider than the widest AXI4 data bus.
    """

    def __init__(self, *, nop: NopSpec, memory: MemorySpec) -> None:
        if memory.word_bytes > WIDEST_BYTES:
            raise ValueError(
                f"memory.word_bytes = {memory.word_bytes} is wider than an AXI4 data bus: "
                f"must be at most {WIDEST_BYTES} with IO dies"
            )
        widths = _widths(nop, memory)
        members = {}
        for channel, signals in CHANNELS.items():
            forward, back = (In, Out) if channel in _ANSWERS else (Out, In)
            for signal in signals:
                members[f"{channel}{signal}"] = forward(widths[signal])
            members[f"{channel}valid"] = forward(1)
            members[f"{channel}ready"] = back(1)
        super().__init__(members)

"""AXI4: the signals of a manager port with bursts of one word, as flat ports of a block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import exact_log2

from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.interface.isa import MEMORY_ADDRESS_BITS

__all__ = [
    "ADDRESS",
    "BURST_INCREMENT",
    "CACHE_BUFFERABLE",
    "CHANNELS",
    "WIDEST_BYTES",
    "address_bits",
    "connect_axi",
    "manager_members",
    "subordinate_members",
]

WIDEST_BYTES = 128
"""Widest data bus of AXI4."""

BURST_INCREMENT = 1
"""AxBURST of a burst with ascending addresses, the usual one also for a single word."""

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
"""Signals of each channel beside valid and ready. Not there: lock, qos, region and user."""

_ANSWERS = ("b", "r")


def address_bits(memory: MemorySpec) -> int:
    """Bits of a byte address: memory words are numbered with 32 bits."""
    return MEMORY_ADDRESS_BITS + exact_log2(memory.word_bytes)


def _widths(nop: NopSpec, memory: MemorySpec) -> dict[str, int]:
    return {
        "id": nop.coordinate_bits,
        "addr": address_bits(memory),
        "len": 8,
        "size": 3,
        "burst": 2,
        "cache": 4,
        "prot": 3,
        "data": 8 * memory.word_bytes,
        "strb": memory.word_bytes,
        "last": 1,
        "resp": 2,
    }


def manager_members(*, nop: NopSpec, memory: MemorySpec, prefix: str = "m_axi_") -> dict[str, Member]:
    """Members of a manager port: ``m_axi_awaddr`` and so on.

    Ids are columns of dies, the data bus has the width of a memory word.

    Raises
    ------
    ValueError
        If a memory word is wider than the widest AXI4 data bus.
    """
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
            members[f"{prefix}{channel}{signal}"] = forward(widths[signal])
        members[f"{prefix}{channel}valid"] = forward(1)
        members[f"{prefix}{channel}ready"] = back(1)
    return members


def subordinate_members(*, nop: NopSpec, memory: MemorySpec, prefix: str = "s_axi_") -> dict[str, Member]:
    """Members of the port at the other end, see :func:`manager_members`."""
    return {
        name: member.flip() for name, member in manager_members(nop=nop, memory=memory, prefix=prefix).items()
    }


def connect_axi(manager: Any, subordinate: Any, *, manager_prefix: str, subordinate_prefix: str) -> list[Any]:
    """Statements that connect the port of a manager block with that of a subordinate block."""
    statements = []
    for name, from_manager in _signals():
        ends = (getattr(subordinate, subordinate_prefix + name), getattr(manager, manager_prefix + name))
        sink, source = ends if from_manager else ends[::-1]
        statements.append(sink.eq(source))
    return statements


def _signals() -> Iterable[tuple[str, bool]]:
    """Names without prefix, each with whether the manager drives it."""
    for channel, signals in CHANNELS.items():
        forward = channel not in _ANSWERS
        yield from ((channel + signal, forward) for signal in (*signals, "valid"))
        yield f"{channel}ready", not forward

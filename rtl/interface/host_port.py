"""The host port of a die: its registers, see :mod:`rtl.interface.register_map`."""

from __future__ import annotations

from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.interface.register_map import ADDRESS_BITS

__all__ = ["HostPort"]


class HostPort(Bundle):
    """Port to the registers of a die, seen from the host.

    Members
    -------
    address, write, write_data : Out
        Write ``write_data`` to the register at ``address`` in a cycle with ``write``.
    read : Out(1), read_data : In(32)
        ``read_data`` shows the register at ``address`` from the cycle after ``read`` until the next read.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "address": Out(ADDRESS_BITS),
                "write": Out(1),
                "write_data": Out(32),
                "read": Out(1),
                "read_data": In(32),
            }
        )

"""What a link adapter says of itself, as a die's registers show it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data

__all__ = ["LINK_STATUS", "PENDING_BITS", "set_link_status"]

PENDING_BITS = 8
"""Bits of ``pending``, which stops at its largest value."""

LINK_STATUS = data.StructLayout(
    {
        "up": 1,
        "dead": 1,
        "lanes": 2,
        "timed_out": 1,
        "restarted": 1,
        "unused": 2,
        "pending": PENDING_BITS,
        "lost": 16,
    }
)
"""A register of 32 bits, from its lowest bit on.

- ``up``, ``dead``, ``lanes``: as of :class:`rtl.network.link.LinkPort`, now.
- ``timed_out``, ``restarted``: of an adapter, in this cycle; of a register, since software wrote to it.
- ``pending``, ``lost``: flits, as of :class:`rtl.network.link.LinkPort`.
"""


def set_link_status(m: Module, status: data.View, port: Any) -> None:
    """Drive ``status`` with what ``port``, a :class:`rtl.network.link.LinkPort`, says of itself."""
    pending = Signal(PENDING_BITS)
    m.d.comb += pending.eq(port.pending)
    if len(port.pending) > PENDING_BITS:
        with m.If(port.pending[PENDING_BITS:].any()):
            m.d.comb += pending.eq(Const(-1, PENDING_BITS))
    m.d.comb += [
        *(
            status[name].eq(getattr(port, name))
            for name in ("up", "dead", "lanes", "timed_out", "restarted", "lost")
        ),
        status.pending.eq(pending),
    ]

"""Sides of the dies of a package: the ends of the links between neighbours in one plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import NopSpec
from rtl.block import Bundle, place
from rtl.interface.flit import flit_stream
from rtl.interface.link_shape import LinkShape
from rtl.interface.link_status import LINK_STATUS, set_link_status
from rtl.network.link import LinkPort, Wires

__all__ = ["DieSide", "LinkSide", "attach", "connect_sides"]


class LinkSide(Bundle):
    """A side of a die, seen from the die: both directions of its link.

    Parameters
    ----------
    nop : NopSpec
        Flits.
    link : LinkShape or None
        Adapter; without one, flits pass as streams.
    has_used : bool
        Whether the neighbour may be missing.

    Members
    -------
    rx : In, tx : Out
        Wires of the adapter, in Verilog ``<side>_rx`` and ``<side>_tx``; or streams of flits, ``<side>_in`` and
        ``<side>_out``.
    used : In(1)
        Whether there is a neighbour; constant.
    """

    def __init__(self, *, nop: NopSpec, link: LinkShape | None, has_used: bool = False) -> None:
        way = flit_stream(nop) if link is None else Wires(link)
        super().__init__(
            {"rx": In(way), "tx": Out(way), **({"used": In(1)} if has_used else {})},
            names={"rx": "in", "tx": "out"} if link is None else None,
        )


@dataclass(frozen=True, kw_only=True)
class DieSide:
    """A side as the logic of the die uses it.

    Attributes
    ----------
    inward, outward
        Streams of the flits that come in, and of those that leave.
    status
        What the link says of itself, :data:`rtl.interface.link_status.LINK_STATUS`. 0 without an adapter.
    replayed, error
        In this cycle the link sends a flit again, or receives a bad frame. 0 without an adapter.
    """

    inward: Any
    outward: Any
    status: data.View
    replayed: Value
    error: Value


def attach(
    m: Module, platform: object, name: str, side: Any, *, nop: NopSpec, link: LinkShape | None, invert: Value
) -> DieSide:
    """Add the logic behind ``side``, the member ``name`` of a block: its link adapter, if ``link`` asks for one, which
    takes ``invert``.
    """
    flit = flit_stream(nop)
    status = Signal(LINK_STATUS, name=f"{name}_status")
    inward, outward = flit.create(path=(name, "inward")), flit.create(path=(name, "outward"))
    if link is None:
        connect(m, flipped(side.rx), flipped(inward))
        connect(m, outward, flipped(side.tx))
        never = Const(0, 1)
        return DieSide(inward=inward, outward=flipped(outward), status=status, replayed=never, error=never)
    port = LinkPort(shape=link)
    place(m, platform, f"{name}_link", port)
    connect(m, port.o, flipped(inward))
    connect(m, outward, port.i)
    m.d.comb += port.invert.eq(invert)
    connect(m, flipped(side.rx), port.rx)
    connect(m, port.tx, flipped(side.tx))
    set_link_status(m, status, port)
    return DieSide(
        inward=inward,
        outward=flipped(outward),
        status=status,
        replayed=port.replayed,
        error=port.crc_error,
    )


def connect_sides(m: Module, one: Any, other: Any) -> None:
    """Connect two sides as the ends of one link, in both directions."""
    connect(m, one.tx, other.rx)
    connect(m, other.tx, one.rx)

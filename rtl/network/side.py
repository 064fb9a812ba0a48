"""Sides of the dies of a package: what a die has towards a neighbour in one plane, and what goes between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from chiplet.machine.specs import NopSpec
from rtl.block import place
from rtl.interface.flit import flit_layout
from rtl.interface.link_shape import LinkShape
from rtl.lib.streams import joined
from rtl.network.link import LinkPort

__all__ = ["DieSide", "attach", "neighbours", "side_members"]


def side_members(name: str, *, nop: NopSpec, link: LinkShape | None) -> dict[str, Member]:
    """Members of a block for the side ``name``: wires ``<name>_rx`` and ``<name>_tx`` of a link adapter.

    Without an adapter they are streams of flits, ``<name>_in`` and ``<name>_out``.
    """
    if link is None:
        flit = stream.Signature(flit_layout(nop).size)
        return {f"{name}_in": In(flit), f"{name}_out": Out(flit)}
    return {f"{name}_rx": In(link.wires), f"{name}_tx": Out(link.wires)}


@dataclass(frozen=True, kw_only=True)
class DieSide:
    """A side, seen from inside the block.

    Attributes
    ----------
    inward, outward
        Streams of the flits that come in, and of those that leave.
    dead, replayed, error
        The link is dead; it sends a flit again, or has found an error, in this cycle. 0 without an adapter.
    """

    inward: Any
    outward: Any
    dead: Value
    replayed: Value
    error: Value


def attach(
    m: Module, platform: object, block: Any, name: str, *, nop: NopSpec, link: LinkShape | None
) -> DieSide:
    """Make the side ``name`` of ``block``, with its link adapter if it has one."""
    flit = stream.Signature(flit_layout(nop).size)
    inward, outward = flit.create(path=(name, "inward")), flit.create(path=(name, "outward"))
    if link is None:
        m.d.comb += [
            *joined(getattr(block, f"{name}_in"), inward),
            *joined(outward, getattr(block, f"{name}_out")),
        ]
        never = Const(0, 1)
        return DieSide(inward=inward, outward=outward, dead=never, replayed=never, error=never)
    port = LinkPort(shape=link)
    place(m, platform, f"{name}_link", port)
    m.d.comb += [
        *joined(port.o, inward),
        *joined(outward, port.i),
        port.rx.eq(getattr(block, f"{name}_rx")),
        getattr(block, f"{name}_tx").eq(port.tx),
    ]
    return DieSide(
        inward=inward, outward=outward, dead=port.dead, replayed=port.replayed, error=port.crc_error
    )


def neighbours(one: Any, one_side: str, other: Any, other_side: str, *, link: LinkShape | None) -> list[Any]:
    """Statements that make a side of a block and one of another the two ends of a link, both directions."""
    ends = ((one, one_side, other, other_side), (other, other_side, one, one_side))
    if link is None:
        return [
            statement
            for sender, from_side, receiver, to_side in ends
            for statement in joined(getattr(sender, f"{from_side}_out"), getattr(receiver, f"{to_side}_in"))
        ]
    return [
        getattr(receiver, f"{to_side}_rx").eq(getattr(sender, f"{from_side}_tx"))
        for sender, from_side, receiver, to_side in ends
    ]

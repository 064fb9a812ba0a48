"""Flits of the network-on-package: what crosses a link in a cycle."""

from __future__ import annotations

from enum import IntEnum

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import NopSpec
from rtl.block import Bundle
from rtl.interface import register_map

__all__ = ["NEIGHBOUR", "PORTS", "SIDES", "FlitPort", "RouterPort", "flit_layout", "flit_stream", "opposite"]


class RouterPort(IntEnum):
    """Port of a router. Row 0 of the mesh is its northern edge, column 0 its western one."""

    LOCAL = 0
    NORTH = 1
    EAST = 2
    SOUTH = 3
    WEST = 4

    @property
    def text(self) -> str:
        """Name in the names of Verilog ports."""
        return self.name.lower()


PORTS = tuple(RouterPort)

SIDES = tuple(RouterPort[side.upper()] for side in register_map.SIDES)
"""Ports to the neighbours."""

NEIGHBOUR = {
    RouterPort.NORTH: (-1, 0),
    RouterPort.EAST: (0, 1),
    RouterPort.SOUTH: (1, 0),
    RouterPort.WEST: (0, -1),
}
"""Rows and columns from a node to its neighbour on each side."""

_OPPOSITE = {
    RouterPort.NORTH: RouterPort.SOUTH,
    RouterPort.EAST: RouterPort.WEST,
    RouterPort.SOUTH: RouterPort.NORTH,
    RouterPort.WEST: RouterPort.EAST,
}


def opposite(port: RouterPort) -> RouterPort:
    """The port at the other end of the link of ``port``. Raises KeyError for the local port, which has none."""
    return _OPPOSITE[port]


def flit_layout(nop: NopSpec) -> data.StructLayout:
    """A flit: its data, and where its packet goes, which is the same in every flit of the packet.

    - ``col``, ``row``: place of the target's router.
    - ``source``: place of the sender along the row or column that the packet follows; routers do not read it.
    - ``copy``: the engines of the dies on the way take a copy. Only for packets that follow one row or column.
    - ``engine``: the packet leaves for the engine of the die, not by the local port.
    - ``tail``: the last flit of its packet. The flit after a tail is the first of another one, its head.
    """
    place = nop.coordinate_bits
    return data.StructLayout(
        {
            "data": nop.flit_bits,
            "col": place,
            "row": place,
            "source": place,
            "copy": 1,
            "engine": 1,
            "tail": 1,
        }
    )


def flit_stream(nop: NopSpec) -> stream.Signature:
    """Stream of flits, each a vector of :func:`flit_layout`."""
    return stream.Signature(flit_layout(nop).size)


class FlitPort(Bundle):
    """Flits both ways, seen from the owner of the port.

    Parameters
    ----------
    width : int
        Bits of a flit.

    Members
    -------
    i : In(stream), o : Out(stream)
        Flits that come and go; in Verilog ``<name>_in`` and ``<name>_out``.
    """

    def __init__(self, width: int) -> None:
        super().__init__(
            {"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))},
            names={"i": "in", "o": "out"},
        )

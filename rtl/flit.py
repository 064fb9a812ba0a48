"""Flits of the network-on-package: what crosses a link in a cycle, and what the first flit of a packet says."""

from __future__ import annotations

from enum import IntEnum

from amaranth.lib import data

from chiplet.specs import NopSpec

__all__ = ["PORTS", "Port", "flit_layout", "head_layout", "opposite"]


class Port(IntEnum):
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


PORTS = tuple(Port)

_OPPOSITE = {Port.NORTH: Port.SOUTH, Port.EAST: Port.WEST, Port.SOUTH: Port.NORTH, Port.WEST: Port.EAST}


def opposite(port: Port) -> Port:
    """The port at the other end of the link of ``port``. Raises KeyError for the local port, which has none."""
    return _OPPOSITE[port]


def flit_layout(nop: NopSpec) -> data.StructLayout:
    """A flit: its data, and whether it is the last one (tail) of its packet. The flit after a tail is a head."""
    return data.StructLayout({"data": nop.flit_bits, "tail": 1})


def head_layout(nop: NopSpec) -> data.StructLayout:
    """Data of a packet's first flit: the packet's target, and bits that routers carry but do not read."""
    fields = {"col": nop.coordinate_bits, "row": nop.coordinate_bits}
    rest = nop.flit_bits - 2 * nop.coordinate_bits
    return data.StructLayout({**fields, "body": rest} if rest else fields)

"""Cyclic redundancy check of a whole vector in a cycle: CRC-32C."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers

__all__ = ["CRC_BITS", "Crc"]

CRC_BITS = 32

_POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli, Braeckl and Herrmann, IEEE Transactions on Communications 41(6), 1993), bits reversed."""

_ONES = (1 << CRC_BITS) - 1


def _shifted(state: int) -> int:
    """The register after one more message bit 0."""
    return state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)


class Crc(Block):
    """CRC-32C of a vector, its lowest bit first; of whole bytes in little-endian order, this is that of iSCSI.

    All errors of 1 to 5 bits are found in vectors of up to 5243 bits, all of 1 to 3 bits and every odd number of bits
    in vectors of any length used here, every burst of up to 32 bits, and all but one in 2^32 of the others. As the
    register starts and ends inverted, an all-0 vector does not have an all-0 CRC: wires stuck at 0 are not a message.

    Parameters
    ----------
    width : int
        Bits of the vector, at least 1.

    Members
    -------
    i : In(width)
    o : Out(32)

    Raises
    ------
    ValueError
        If ``width`` is no integer of at least 1.
    """

    def __init__(self, *, width: int) -> None:
        check_integers("Crc", minimum=1, width=width)
        self._width = width
        super().__init__({"i": In(width), "o": Out(CRC_BITS)})

    @property
    def block_name(self) -> str:
        return f"crc32c_{self._width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The register is linear in the message: each bit adds what a lone 1 in its place leaves there.
        parts: list[Value] = []
        remainder, alone = _ONES, _shifted(1)
        for place in reversed(range(self._width)):
            parts.append(Mux(self.i[place], Const(alone, CRC_BITS), 0))
            remainder, alone = _shifted(remainder), _shifted(alone)
        parts.append(Const(remainder ^ _ONES, CRC_BITS))
        while len(parts) > 1:  # a tree, not a chain
            parts = [reduce(xor, parts[n : n + 2]) for n in range(0, len(parts), 2)]
        m.d.comb += self.o.eq(parts[0])
        return m

"""Cyclic redundancy check of a whole vector in a cycle: CRC-32C."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module
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
    register starts and ends inverted, an all-0 vector does not have an all-0 CRC: a line that is stuck is no message.

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
        # The register is linear in the message: each of its bits is the parity of some message bits.
        parts = [0] * CRC_BITS
        constant, of_bit = _ONES, _shifted(1)
        for place in reversed(range(self._width)):
            for bit in range(CRC_BITS):
                parts[bit] |= (of_bit >> bit & 1) << place
            constant, of_bit = _shifted(constant), _shifted(of_bit)
        parities = Cat((self.i & Const(part, self._width)).xor() for part in parts)
        m.d.comb += self.o.eq(parities ^ constant ^ _ONES)
        return m

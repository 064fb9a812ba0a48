"""Cyclic redundancy check, a vector in a cycle: the 32-bit polynomial of Koopman for long frames."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.link_frame import CRC_BITS
from rtl.block import Block, check_integers

__all__ = ["POLYNOMIAL", "RESIDUE", "START", "Crc", "shifted"]

POLYNOMIAL = 0xEB31D82E
"""CRC-32K, 0x741B8CD7 with its bits reversed (Koopman, 32-bit cyclic redundancy codes for internet applications,
International Conference on Dependable Systems and Networks, 2002)."""

START = (1 << CRC_BITS) - 1
"""The register before the first bit."""


def shifted(state: int) -> int:
    """The register after one more message bit 0."""
    return state >> 1 ^ (POLYNOMIAL if state & 1 else 0)


RESIDUE = reduce(lambda state, _: shifted(state), range(CRC_BITS), START)
"""The register after a message and its CRC, which is the register after the message, inverted."""


class Crc(Block):
    """Register of a CRC after the bits of a vector, its lowest bit first.

    The CRC of a message is the register after it, inverted, lowest bit first. The polynomial finds all errors of 1 to 5
    bits in messages of up to 16,360 bits, every odd number of flips and every burst of up to 32 bits. As the register
    starts and ends inverted, an all-0 message does not have an all-0 CRC: wires stuck at 0 are not a message.

    Parameters
    ----------
    width : int
        Bits of the vector, at least 1.

    Members
    -------
    state : In(32)
        The register before the vector; at the start of a message ``START``.
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
        super().__init__({"state": In(CRC_BITS), "i": In(width), "o": Out(CRC_BITS)})

    @property
    def block_name(self) -> str:
        return f"crc32k_{self._width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The register is linear in the message: each bit adds what a lone 1 in its place leaves there. Before the
        # vector, the register stands for its first 32 bits; what lies beyond the vector is not yet shifted out.
        low = min(self._width, CRC_BITS)
        bits = Signal(self._width)
        parts: list[Value] = [self.state[low:]] if low < CRC_BITS else []
        alone = 1
        for place in reversed(range(self._width)):
            alone = shifted(alone)
            parts.append(Mux(bits[place], Const(alone, CRC_BITS), 0))
        while (
            len(parts) > 1
        ):  # a tree, not a chain; whole registers, as simulators take parities of picked bits slowly
            parts = [reduce(xor, parts[n : n + 2]) for n in range(0, len(parts), 2)]
        m.d.comb += [
            bits.eq(Cat(self.i[:low] ^ self.state[:low], self.i[low:])),
            self.o.eq(parts[0]),
        ]
        return m

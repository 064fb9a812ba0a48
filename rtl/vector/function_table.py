"""The coefficients of :mod:`rtl.interface.function_tables`, as a read-only table."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.function_tables import INDEX_BITS, TABLES
from rtl.interface.vector_operations import Function

__all__ = ["FunctionTable"]


def _bits(column: int) -> int:
    """Bits of a coefficient, with its sign; C0 has none."""
    most = max(max(entry[column], ~entry[column]) for entries in TABLES.values() for entry in entries)
    return most.bit_length() + (column > 0)


class FunctionTable(Block):
    """Coefficients of an interval, in the same cycle.

    Members
    -------
    which : In(3)
        A :class:`rtl.interface.vector_operations.Function`.
    odd : In(1)
        The exponent of a reciprocal square root's argument is odd.
    index : In(6)
        The interval.
    c0, c1, c2 : Out
        Its coefficients; c1 and c2 signed.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "which": In(3),
                "odd": In(1),
                "index": In(INDEX_BITS),
                "c0": Out(_bits(0)),
                "c1": Out(signed(_bits(1))),
                "c2": Out(signed(_bits(2))),
            }
        )

    @property
    def block_name(self) -> str:
        return "function_table"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        names = list(TABLES)
        chosen = Signal(range(len(names)))  # table
        with m.Switch(self.which):
            for function, name in (
                (Function.RECIP, "RECIPROCAL"),
                (Function.LOG, "LOG"),
            ):
                with m.Case(function):
                    m.d.comb += chosen.eq(names.index(name))
            with m.Case(Function.RSQRT):
                m.d.comb += chosen.eq(Mux(self.odd, names.index("RSQRT_ODD"), names.index("RSQRT")))
            with m.Default():
                m.d.comb += chosen.eq(names.index("EXP2"))
        entry = Signal(len(Cat(self.c0, self.c1, self.c2)))
        with m.Switch(Cat(self.index, chosen)):
            for number, name in enumerate(names):
                for index, coefficients in enumerate(TABLES[name]):
                    bits, place = 0, 0
                    for port, coefficient in zip((self.c0, self.c1, self.c2), coefficients, strict=True):
                        bits |= (coefficient & (1 << len(port)) - 1) << place
                        place += len(port)
                    with m.Case(number << INDEX_BITS | index):
                        m.d.comb += entry.eq(bits)
        m.d.comb += Cat(self.c0, self.c1, self.c2).eq(entry)
        return m

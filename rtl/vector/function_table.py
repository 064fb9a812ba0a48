"""The coefficients of :mod:`rtl.interface.function_tables`, as a read-only table."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.function_tables import INDEX_BITS, TABLES
from rtl.interface.vector_operations import Function

__all__ = ["FunctionTable"]


def _bits(column: int) -> int:
    """Bits of a coefficient, with its sign; C0 has none."""
    most = max(max(entry[column], ~entry[column]) for entries in TABLES.values() for entry in entries)
    return most.bit_length() + (column > 0)


def _packed(coefficients: tuple[int, ...], ports: tuple[Signal, ...]) -> int:
    """Coefficients side by side, each as wide as its port."""
    bits, place = 0, 0
    for port, coefficient in zip(ports, coefficients, strict=True):
        bits |= (coefficient & (1 << len(port)) - 1) << place
        place += len(port)
    return bits


def _wire(m: Module, name: str, value: Value) -> Signal:
    wire = Signal(len(value), name=name)
    m.d.comb += wire.eq(value)
    return wire


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
        ports = (self.c0, self.c1, self.c2)
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
        # Pairs of entries first, by the lowest bit of their address. Written so, it is a quarter of a case statement's
        # text, and simulators compare no addresses.
        level: list[Value] = [
            C(_packed(coefficients, ports), sum(map(len, ports)))
            for name in names
            for coefficients in TABLES[name]
        ]
        for number, bit in enumerate(Cat(self.index, chosen)):
            level += level[-1:] * (len(level) % 2)
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [
                _wire(m, f"level_{number}_{n}", Mux(bit, high, low)) for n, (low, high) in enumerate(pairs)
            ]
        (entry,) = level
        m.d.comb += Cat(ports).eq(entry)
        return m

"""Amaranth's conversion of a block to RTLIL, the same text in a fraction of the time.

Amaranth handles a word bit by bit, each of them an object of Python. Here words are spans of nets: this module and
:mod:`rtl.emit.span_netlist` replace what Amaranth does once for each bit, and leave all decisions to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from threading import Lock
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Fragment, _ast, _nir

from rtl.block import CELL_BITS
from rtl.emit.late_signals import SignalMap
from rtl.emit.net_spans import Value
from rtl.emit.span_netlist import SpanNetlist
from rtl.emit.span_netlist_emitter import SpanNetlistEmitter

__all__ = ["convert"]

_LOCK = Lock()


def convert(fragment: Fragment, *, name: str, ports: Mapping[str, Any]) -> str:
    """What ``rtlil.convert(fragment, name=name, ports=ports, emit_src=False)`` of Amaranth returns.

    Raises
    ------
    CombinationalCycle
        If a net depends on itself.
    DriverConflict
        If a bit has two drivers.
    """
    with _spans_instead_of_bits():
        design = fragment.prepare(ports=ports, hierarchy=(name,))
        netlist = SpanNetlist()
        SpanNetlistEmitter(netlist, design).emit_fragment(design.fragment, None)
        netlist.check_comb_cycles()
        netlist.resolve_all_nets()
        netlist.compute_ports()
        empty = rtlil.EmptyModuleChecker(netlist)
        builder = rtlil.Design(emit_src=False)
        for number, module in enumerate(netlist.modules):
            if not empty.is_empty(number):
                module_builder = builder.module(".".join(module.name))
                if number == 0:
                    module_builder.attribute("top", 1)
                _SpanModuleEmitter(module_builder, netlist, module, SignalMap(), empty).emit()
        return str(builder)


@contextmanager
def _spans_instead_of_bits() -> Iterator[None]:
    """Let Amaranth's code make our kind of values and maps where it makes its own."""
    with _LOCK:
        stock = _nir.Value, _ast.SignalDict
        _nir.Value, _ast.SignalDict = Value, SignalMap
        try:
            yield
        finally:
            _nir.Value, _ast.SignalDict = stock


class _Wires:
    """Wires of a module, found by the nets that they carry."""

    def __init__(self) -> None:
        self._of_cell: dict[int, list[tuple[int, int, Any]]] = {}  # first net, its bit of the wire, the wire

    def add(self, value: Value, wire: Any) -> None:
        """``wire`` carries ``value``."""
        bit = 0
        for start, length, _ in value.spans:
            wires = self._of_cell.setdefault(start >> CELL_BITS, [])
            wires.append((start, bit, wire))
            if len(wires) > 1 and wires[-2][0] > start:
                wires.sort(key=itemgetter(0))
            bit += length

    def pieces(self, start: int, length: int) -> Iterator[tuple[Any, int, int]]:
        """Wires of a span of nets, each with its first bit and the number of its bits."""
        wires = self._of_cell[start >> CELL_BITS]
        position = bisect_right(wires, start, key=itemgetter(0)) - 1
        while length:
            first, bit, wire = wires[position]
            position += 1
            stop = wires[position][0] if position < len(wires) else start + length
            part = min(length, stop - start)
            yield wire, bit + start - first, part
            start += part
            length -= part


class _SpanModuleEmitter(rtlil.ModuleEmitter):
    """Writes a module of a netlist whose values are spans of nets."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.nets = _Wires()

    def collect_init_attrs(self) -> None:
        """Initial values of registers."""
        for number in self.module.cells:
            cell = self.netlist.cells[number]
            if isinstance(cell, _nir.FlipFlop):
                width = len(cell.data)
                init = _ast.Const(cell.init, width)
                self.value_attrs[Value.of_cell(number, width)] = {"init": init, **cell.attributes}

    def emit_port_wires(self) -> None:
        """Wires that are ports."""
        signals = {name: signal for signal, name in self.module.signal_names.items()}
        for name, (value, flow) in self.module.ports.items():
            wire = self.builder.wire(
                width=len(value),
                signed=name in signals and signals[name].shape().signed,
                port_kind=flow.value,
                name=name,
                attrs=self.value_attrs.get(value, {}),
            )
            self.sigport_wires[name] = (wire, value)
            if flow != _nir.ModuleNetFlow.Output:
                self.driven_sigports.add(name)
                self.nets.add(value, wire)

    def emit_driven_wire(self, value: Any) -> Any:
        """The wire that a cell drives: that of a signal if the cell drives all of it, or a new one."""
        if value in self.value_names:
            name = self.value_names[value]
            wire, named_value = self.sigport_wires[name]
            assert value == named_value
            self.driven_sigports.add(name)
        else:
            wire = self.builder.wire(len(value), attrs=self.value_attrs.get(value, {}))
        self.nets.add(value, wire)
        return wire

    def emit_cell_wires(self) -> None:
        """The wires that cells drive."""
        for number in self.module.cells:
            cell = self.netlist.cells[number]
            if isinstance(cell, _nir.Instance):
                for name, (first, width) in cell.ports_o.items():
                    wire = self.emit_driven_wire(Value.of_cell(number, width, first))
                    self.instance_wires[number, name] = wire
            elif not isinstance(cell, (_nir.Top, _nir.PriorityMatch, _nir.Matches)):
                width = _output_width(cell)
                if width is not None:
                    self.cell_wires[number] = self.emit_driven_wire(Value.of_cell(number, width))

    def sigspec(self, *parts: Any) -> str:
        """Text of a value: constants, and slices of wires."""
        chunks: list[str] = []
        for part in parts:
            for start, length, bits in Value(part).spans:
                if not start:
                    chunks.append(f"{length}'{bits:0{length}b}")
                    continue
                for wire, bit, width in self.nets.pieces(start, length):
                    range_ = f"{bit}" if width == 1 else f"{bit + width - 1}:{bit}"
                    chunks.append(f"{wire.name} [{range_}]")
        return chunks[0] if len(chunks) == 1 else "{ " + " ".join(reversed(chunks)) + " }"

    def shorten_operand(self, value: Any, *, signed: bool) -> Any:
        """An operand of an arithmetic operator without the bits that only extend it."""
        return value.shortened(signed=signed)


def _output_width(cell: Any) -> int | None:
    """Number of outputs of a cell; None if it is none that drives a wire."""
    match cell:
        case _nir.AssignmentList():
            return len(cell.default)
        case _nir.FlipFlop():
            return len(cell.data)
        case _nir.Operator() | _nir.Part() | _nir.AnyValue() | _nir.SyncReadPort() | _nir.AsyncReadPort():
            return int(cell.width)
        case _nir.Initial():
            return 1
        case _nir.IOBuffer():
            return None if cell.dir is _nir.IODirection.Output else len(cell.port)
        case _:
            return None

"""Amaranth's netlist of one block, with values as spans of nets (:mod:`rtl.emit.net_spans`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from amaranth.hdl import DriverConflict, _ir, _nir

from rtl.block import CELL_BITS
from rtl.emit.late_signals import Connected, Connections, LateSignals, SignalMap
from rtl.emit.net_spans import Span, Value, joined

__all__ = ["SpanNetlist"]


class SpanNetlist(_nir.Netlist):
    """A netlist whose values are spans of nets."""

    def __init__(self) -> None:
        super().__init__()
        self.signals = SignalMap()
        self.signal_fields = SignalMap()
        self.lates = LateSignals()
        self.connections = Connections(self.lates)

    def add_value_cell(self, width: int, cell: Any) -> Value:
        """Add a cell; return its outputs."""
        return Value.of_cell(self.add_cell(cell), width)

    def alloc_late_value(self, signal: Any) -> Value:
        """The nets of a new signal."""
        stop = self.last_late_net
        self.last_late_net -= len(signal)
        self.lates.add(signal, self.last_late_net, stop)
        return Value.of(((self.last_late_net, len(signal), 0),) if len(signal) else ())

    def connect(self, lhs: Value, rhs: Value, src_loc: Any) -> None:
        """Let ``rhs`` drive the signals that ``lhs`` is made of. Raises DriverConflict if a bit is driven already."""
        assert len(lhs) == len(rhs)
        position = 0
        for start, length, _ in lhs.spans:
            for late, first, stop in self.lates.split(start, length):
                others = list(late.overlapping(first, stop))
                if others:
                    other = min(others, key=attrgetter("first"))
                    raise DriverConflict(
                        f"Bit {max(other.first, first)} of signal {late.signal!r} has multiple drivers: "
                        f"{other.src_loc[0]}:{other.src_loc[1]} and {src_loc[0]}:{src_loc[1]}"
                    )
                value = rhs[position : position + stop - first]
                late.connected.append(Connected(first, value, src_loc))
                position += stop - first

    def is_driven(self, value: Value) -> bool:
        """Whether something drives a bit of the signals that ``value`` is made of."""
        return any(
            any(late.overlapping(first, stop))
            for start, length, _ in value.spans
            for late, first, stop in self.lates.split(start, length)
        )

    def connect_undriven(self) -> None:
        """Let the initial value of each signal drive those of its bits that nothing drives."""
        for late in self.lates.signals:
            late.connected.sort(key=attrgetter("first"))
            gaps = list(late.gaps())
            for first, stop in gaps:
                value = Value.from_const(late.signal.init >> first, stop - first)
                late.connected.append(Connected(first, value, None))
            if gaps:
                late.connected.sort(key=attrgetter("first"))

    def resolve_net(self, net: Any) -> Any:
        """The output of a cell, or the constant, that drives ``net``."""
        return self.resolve_value(Value(net))[0] if net < 0 else net

    def resolve_value(self, value: Value) -> Value:
        """``value`` with outputs of cells and constants only."""
        if all(start >= 0 for start, _, _ in value.spans):
            return value
        return Value.of(joined(self._resolved(value.spans)))

    def _resolved(self, spans: Iterable[Span]) -> Iterator[Span]:
        for span in spans:
            if span[0] >= 0:
                yield span
                continue
            for late, first, stop in self.lates.split(span[0], span[1]):
                if late.resolved is None and not late.being_resolved:
                    late.being_resolved = True
                    whole = [part for piece in late.connected for part in self._resolved(piece.value.spans)]
                    late.resolved = Value.of(joined(whole))
                if late.resolved is not None:
                    yield from late.resolved.between(first, stop)
                    continue
                for piece in late.overlapping(first, stop):  # a signal some of whose bits drive others of it
                    begin, end = max(first, piece.first), min(stop, piece.stop)
                    yield from self._resolved(piece.value.between(begin - piece.first, end - piece.first))

    def check_comb_cycles(self) -> None:
        """Raise CombinationalCycle if a net depends on itself.

        Cells and signals are checked as wholes. If one depends on itself, its bits need not: then all nets are checked.
        """
        if self._has_cycle():
            for late in self.lates.signals:
                for bit in range(late.stop - late.start):
                    self.late_to_signal[late.start + bit] = late.signal, bit
            super().check_comb_cycles()

    def compute_ports(self) -> None:
        """The ports of all modules, from the uses of their nets."""
        if len(self.modules) > 1:
            _ir._compute_net_flows(self)
            _ir._compute_ports(self)
            return
        ports = self.modules[0].ports
        for name, (first, width) in self.top.ports_i.items():
            ports[name] = Value.of_cell(0, width, first), _nir.ModuleNetFlow.Input
        for name, value in self.top.ports_o.items():
            ports[name] = value, _nir.ModuleNetFlow.Output

    def _has_cycle(self) -> bool:
        """Whether a cell or a signal as a whole depends on itself. Cells have their numbers, signals -1, -2, ..."""
        open_nodes: set[int] = set()
        checked: set[int] = set()
        for root in (*range(len(self.cells)), *range(-len(self.lates.signals), 0)):
            stack = [(root, iter(self._sources(root)))]
            open_nodes.add(root)
            while stack:
                node, sources = stack[-1]
                for source in sources:
                    if source in open_nodes:
                        return True
                    if source not in checked:
                        open_nodes.add(source)
                        stack.append((source, iter(self._sources(source))))
                        break
                else:
                    stack.pop()
                    open_nodes.discard(node)
                    checked.add(node)
        return False

    def _sources(self, node: int) -> set[int]:
        """Cells and signals that a cell or a signal depends on."""
        if node >= 0:
            values = _inputs(self.cells[node])
        else:
            values = [connected.value for connected in self.lates.signals[-node - 1].connected]
        sources = set()
        for value in values:
            for start, length, _ in value.spans:
                if start > 0:
                    sources.add(start >> CELL_BITS)
                elif start < 0:
                    sources.update(
                        -index - 1
                        for index in range(self.lates.index(start + length - 1), self.lates.index(start) + 1)
                    )
        return sources


def _inputs(cell: Any) -> Iterable[Value]:
    """Inputs that outputs of ``cell`` depend on in the same cycle."""
    match cell:
        case _nir.Operator():
            return cell.inputs
        case _nir.AssignmentList():
            conditions = [Value(assign.cond) for assign in cell.assignments]
            return [cell.default, *conditions, *(assign.value for assign in cell.assignments)]
        case _nir.PriorityMatch():
            return [Value(cell.en), cell.inputs]
        case _nir.Matches():
            return [cell.value]
        case _nir.Part():
            return [cell.value, cell.offset]
        case _nir.FlipFlop():
            return [Value(cell.clk), Value(cell.arst)]
        case _nir.AsyncReadPort():
            return [cell.addr]
        case _nir.Top() | _nir.Memory() | _nir.SyncWritePort() | _nir.SyncReadPort() | _nir.Instance():
            return []
        case _:
            return [Value(net) for net in cell.input_nets()]

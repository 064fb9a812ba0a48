"""Amaranth's way from statements to a netlist, with values as spans of nets (:mod:`rtl.emit.net_spans`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import _ast, _ir, _nir

from rtl.emit.late_signals import SignalMap
from rtl.emit.net_spans import Value, joined

__all__ = ["SpanNetlistEmitter"]

_PLAIN = (_ir.PortDirection.Input, _ir.PortDirection.Output)


class SpanNetlistEmitter(_ir.NetlistEmitter):
    """Fills a :class:`rtl.emit.span_netlist.SpanNetlist`."""

    drivers: Any

    def emit_signal(self, signal: Any) -> Any:
        """The nets of a signal."""
        if signal not in self.netlist.signals:
            self.netlist.signals[signal] = self.netlist.alloc_late_value(signal)
        return self.netlist.signals[signal]

    def emit_lhs(self, value: Any) -> Any:
        """The nets that a memory or an instance drives."""
        if isinstance(value, _ast.Concat):
            return _concatenation(self.emit_lhs(part) for part in value.parts)
        return super().emit_lhs(value)

    def emit_rhs(self, module_idx: int, value: Any) -> Any:
        """The nets of an expression, and whether it is signed."""
        if not isinstance(value, _ast.Concat):
            return super().emit_rhs(module_idx, value)
        if id(value) not in self.rhs_cache:
            result = _concatenation(self.emit_rhs(module_idx, part)[0] for part in value.parts)
            self.rhs_cache[id(value)] = result, False, value
        return self.rhs_cache[id(value)][:2]

    def extend(self, value: Any, signed: bool, width: int) -> Any:
        """The value with at least ``width`` bits."""
        return value.extended(width, signed=signed)

    def connect(self, lhs: Any, rhs: Any, *, src_loc: Any) -> None:
        """Let ``rhs`` drive ``lhs``."""
        self.netlist.connect(lhs, rhs, src_loc)

    def emit_top_ports(self, fragment: Any) -> None:
        """The ports of the block."""
        if not all(
            isinstance(port, _ast.Signal) and direction in _PLAIN for _, port, direction in self.design.ports
        ):
            super().emit_top_ports(fragment)
            return
        top = self.netlist.top
        first = 2  # 0 and 1 are constants
        for name, signal, direction in self.design.ports:
            value = self.emit_signal(signal)
            if direction is _ir.PortDirection.Output:
                top.ports_o[name] = value
            else:
                top.ports_i[name] = first, len(signal)
                self.connect(value, Value.of_cell(0, len(signal), first), src_loc=signal.src_loc)
                first += len(signal)

    def emit_drivers(self) -> None:
        """What drives the signals that statements assign to."""
        drivers: SignalMap = self.drivers
        for signal, signal_drivers in drivers.items():
            if len(signal_drivers) > 1 or not self._emit_only_driver(*signal_drivers.values()):
                self.drivers = SignalMap([(signal, signal_drivers)])
                super().emit_drivers()
        self.drivers = drivers

    def _emit_only_driver(self, driver: Any) -> bool:
        """Let ``driver`` drive its whole signal, unless something else drives a bit of it; return whether it does."""
        signal, domain, module = driver.signal, driver.domain, driver.module_idx
        target = self.emit_signal(signal)
        if not target or self.netlist.is_driven(target) or (domain is not None and domain.async_reset):
            return False
        if domain is not None and domain.rst is not None and not signal.reset_less:
            reset, src_loc = self.emit_signal(domain.rst), domain.rst.src_loc
            match = self.emit_matches(module, reset, ("1",), src_loc=src_loc)
            (condition,) = self.emit_priority_match(module, _nir.Net(1), Value(match), src_loc=src_loc)
            init = Value.from_const(signal.init, len(signal))
            driver.assignments.append(
                _nir.Assignment(cond=condition, start=0, value=init, src_loc=signal.src_loc)
            )
        value = driver.emit_value(self, 0, len(signal))
        if domain is not None:
            (clock,) = self.emit_signal(domain.clk)
            register = _nir.FlipFlop(
                module,
                data=value,
                init=signal.init & ((1 << len(signal)) - 1),
                clk=clock,
                clk_edge=domain.clk_edge,
                arst=_nir.Net(0),
                attributes=signal.attrs,
                src_loc=signal.src_loc,
            )
            value = self.netlist.add_value_cell(len(signal), register)
        src_loc = driver.assignments[0].src_loc if driver.assignments else signal.src_loc
        self.connect(target, value, src_loc=src_loc)
        return True

    def emit_undriven(self) -> None:
        """Let initial values drive what nothing drives."""
        self.netlist.connect_undriven()


def _concatenation(values: Iterable[Value]) -> Value:
    return Value.of(joined(span for value in values for span in value.spans))

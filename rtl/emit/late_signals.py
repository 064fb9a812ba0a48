"""Signals of a netlist before it is resolved: what drives each of their bits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from amaranth.hdl import _ast

from rtl.emit.net_spans import Value

__all__ = ["Connected", "Connections", "LateSignal", "LateSignals", "SignalMap"]


class SignalMap(_ast.SignalDict):
    """Amaranth's map of signals, whose loops do not look up each signal again."""

    def items(self) -> Any:
        """Signals and what they map to."""
        return [(key.signal, value) for key, value in self._storage.items()]

    def values(self) -> Any:
        """What the signals map to."""
        return self._storage.values()

    def __contains__(self, signal: object) -> bool:
        return _ast.SignalKey(signal) in self._storage


class Connected:
    """Bits of a signal from ``first`` to ``stop`` and what drives them."""

    __slots__ = ("first", "src_loc", "stop", "value")

    def __init__(self, first: int, value: Value, src_loc: Any) -> None:
        self.first = first
        self.stop = first + len(value)
        self.value = value
        self.src_loc = src_loc


class LateSignal:
    """A signal in a netlist that is not resolved: its bits are the nets from ``start`` to ``stop``."""

    __slots__ = ("being_resolved", "connected", "resolved", "signal", "start", "stop")

    def __init__(self, signal: Any, start: int, stop: int) -> None:
        self.signal = signal
        self.start = start
        self.stop = stop
        self.connected: list[Connected] = []
        self.resolved: Value | None = None
        self.being_resolved = False

    def overlapping(self, first: int, stop: int) -> Iterator[Connected]:
        for connected in self.connected:
            if connected.first < stop and first < connected.stop:
                yield connected

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Bits that nothing drives."""
        end = 0
        for connected in self.connected:
            if connected.first > end:
                yield end, connected.first
            end = connected.stop
        if end < self.stop - self.start:
            yield end, self.stop - self.start


class LateSignals:
    """The signals of a netlist, found by their nets."""

    def __init__(self) -> None:
        self.signals: list[LateSignal] = []
        self._starts: list[int] = []  # negated, so that they ascend
        self._last = LateSignal(None, 0, 0)

    def add(self, signal: Any, start: int, stop: int) -> None:
        self.signals.append(LateSignal(signal, start, stop))
        self._starts.append(-start)

    def index(self, net: int) -> int:
        """Number of the signal of ``net``."""
        return bisect_left(self._starts, -net)

    def of(self, net: int) -> LateSignal:
        if not self._last.start <= net < self._last.stop:
            self._last = self.signals[self.index(net)]
        return self._last

    def split(self, start: int, length: int) -> Iterator[tuple[LateSignal, int, int]]:
        """Signals of a span of nets, each with its first bit and the bit after its last."""
        while length:
            late = self.of(start)
            part = min(length, late.stop - start)
            yield late, start - late.start, start - late.start + part
            start += part
            length -= part


class Connections(Mapping[int, Any]):
    """What drives each net of a signal, as Amaranth's code looks it up."""

    def __init__(self, lates: LateSignals) -> None:
        self._lates = lates

    def __contains__(self, net: object) -> bool:
        assert isinstance(net, int)
        late = self._lates.of(net)
        return bool(late.connected) and any(late.overlapping(net - late.start, net - late.start + 1))

    def __getitem__(self, net: int) -> Any:
        late = self._lates.of(net)
        bit = net - late.start
        for connected in late.overlapping(bit, bit + 1):
            return connected.value[bit - connected.first]
        raise KeyError(net)

    def __iter__(self) -> Iterator[int]:
        for late in self._lates.signals:
            for connected in late.connected:
                yield from range(late.start + connected.first, late.start + connected.stop)

    def __len__(self) -> int:
        return sum(len(connected.value) for late in self._lates.signals for connected in late.connected)

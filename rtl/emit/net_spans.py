"""Values of a netlist as spans of consecutive nets, in the place of Amaranth's tuples with one net for each bit.

A word of 4096 bits is one or a few spans, so what is done with a value takes time for its spans instead of its bits. A
:class:`Value` does all that a tuple of nets does in Amaranth's code. Nets are numbered as there: 0 and 1 are constants,
the outputs of a cell follow one another, and so do the bits of a signal, which have negative numbers until the netlist
is resolved.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from amaranth.hdl import _nir

from rtl.block import CELL_BITS

__all__ = ["Span", "Value", "joined"]

Span = tuple[int, int, int]
"""First net, number of nets, and bits: a span of constants has 0 as its first net, any other span has 0 as its bits."""

_CELL_MASK = (1 << CELL_BITS) - 1


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """``spans`` with as few spans as possible: equal nets are equal spans. A span ends with its cell at the latest."""
    result: list[Span] = []
    start = length = bits = 0
    for next_start, next_length, next_bits in spans:
        if not next_length:
            continue
        if length:
            if next_start == 0 == start:
                bits |= next_bits << length
                length += next_length
                continue
            if start and start + length == next_start and (next_start < 0 or next_start & _CELL_MASK):
                length += next_length
                continue
            result.append((start, length, bits))
        start, length, bits = next_start, next_length, next_bits
    if length:
        result.append((start, length, bits))
    return tuple(result)


def _spans_of(nets: Iterable[int]) -> Iterator[Span]:
    for net in nets:
        yield (0, 1, int(net)) if net in (0, 1) else (int(net), 1, 0)


class Value:
    """A sequence of nets, the lowest bit first.

    Parameters
    ----------
    nets
        A net, or nets.
    """

    __slots__ = ("_length", "_stops", "spans")

    spans: tuple[Span, ...]
    _length: int
    _stops: list[int] | None

    def __new__(cls, nets: Any = ()) -> Value:
        if type(nets) is cls:
            return nets
        return cls.of(joined(_spans_of((nets,) if isinstance(nets, int) else nets)))

    @classmethod
    def of(cls, spans: tuple[Span, ...]) -> Value:
        """The value of ``spans``, which are joined already."""
        self: Value = object.__new__(cls)
        self.spans = spans
        self._stops = None
        self._length = spans[0][1] if len(spans) == 1 else sum(span[1] for span in spans)
        return self

    @classmethod
    def of_cell(cls, cell: int, width: int, first: int = 0) -> Value:
        """``width`` outputs of the cell of number ``cell``, from its output ``first`` on."""
        assert first + width <= 1 << CELL_BITS
        return cls.of((((cell << CELL_BITS) | first, width, 0),) if width else ())

    @classmethod
    def from_const(cls, value: int, width: int) -> Value:
        """A constant."""
        return cls.of(((0, width, value & ((1 << width) - 1)),) if width else ())

    @classmethod
    def zeros(cls, digits: int = 1) -> Value:
        """A constant of zeros."""
        return cls.from_const(0, digits)

    @classmethod
    def ones(cls, digits: int = 1) -> Value:
        """A constant of ones."""
        return cls.from_const(-1, digits)

    @property
    def is_const(self) -> bool:
        """Whether all nets are constants."""
        return not self.spans or (len(self.spans) == 1 and not self.spans[0][0])

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        net = _nir.Net
        for start, length, bits in self.spans:
            if start:
                yield from map(net, range(start, start + length))
            else:
                for bit in range(length):
                    yield net(bits >> bit & 1)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            first, stop, step = index.indices(self._length)
            assert step == 1
            return Value.of(self.between(first, stop))
        first = index + self._length if index < 0 else index
        if not 0 <= first < self._length:
            raise IndexError(index)
        ((start, _, bits),) = self.between(first, first + 1)
        return _nir.Net(start or bits)

    def between(self, first: int, stop: int) -> tuple[Span, ...]:
        """Runs of the bits from ``first`` to ``stop``, exclusive."""
        if first >= stop:
            return ()
        if first == 0 and stop == self._length:
            return self.spans
        if len(self.spans) == 1:
            return (_part(self.spans[0], first, stop),)
        if self._stops is None:
            self._stops = list(accumulate(span[1] for span in self.spans))
        position = bisect_right(self._stops, first)
        result = []
        while first < stop:
            span = self.spans[position]
            begin = self._stops[position] - span[1]
            end = min(stop, self._stops[position])
            result.append(_part(span, first - begin, end - begin))
            first = end
            position += 1
        return tuple(result)

    def __add__(self, other: Value) -> Value:
        return Value.of(joined((*self.spans, *other.spans)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self.spans == other.spans

    def __hash__(self) -> int:
        return hash(self.spans)

    def __repr__(self) -> str:
        return f"Value({list(self)!r})"

    def extended(self, width: int, *, signed: bool) -> Value:
        """The value with at least ``width`` bits: its highest bit repeated if it is signed, zeros if it is not."""
        missing = width - self._length
        if missing <= 0:
            return self
        if not signed:
            return Value.of(joined((*self.spans, (0, missing, 0))))
        (highest,) = self.between(self._length - 1, self._length)
        return Value.of(joined((*self.spans, *(highest,) * missing)))

    def shortened(self, *, signed: bool) -> Value:
        """The value without the highest bits that :meth:`extended` would add again; a signed one has at least a bit."""
        spans = list(self.spans)
        if spans and not spans[-1][0]:
            _, length, bits = spans.pop()
            if not signed:
                length = bits.bit_length()
            else:
                negative = bits >> (length - 1)
                length = min(length, 1 + (bits ^ ((1 << length) - 1) if negative else bits).bit_length())
            return Value.of((*spans, *(((0, length, bits & ((1 << length) - 1)),) if length else ())))
        if signed:
            while (
                len(spans) > 1
                and spans[-1][1] == 1
                and spans[-2][0]
                and spans[-1][0] == sum(spans[-2][:2]) - 1
            ):
                del spans[-1]
        return Value.of(tuple(spans))


def _part(span: Span, first: int, stop: int) -> Span:
    start, _, bits = span
    length = stop - first
    return (start + first, length, 0) if start else (0, length, bits >> first & ((1 << length) - 1))

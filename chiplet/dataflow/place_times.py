"""When the tensors of a die, and their parts, have been written and read: what a unit has to wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from chiplet.layout.operator_parts import Part

__all__ = ["PlaceTimes", "Use"]


class Use(NamedTuple):
    """A tensor, and the part of it that is used."""

    tensor: Hashable
    part: Part = Part()


class _Times(NamedTuple):
    """By unit, when the last write, and the last read, is known to others."""

    writes: dict[str, float]
    reads: dict[str, float]


class PlaceTimes:
    """Times by tensor and part. A unit does not wait for itself: it takes its commands in order.

    Attributes
    ----------
    floor
        When anything may be used at the earliest.
    """

    def __init__(self) -> None:
        self.floor = 0.0
        self._rows: dict[Hashable, list[tuple[range, float]]] = {}
        self._parts: dict[Hashable, dict[Part, _Times]] = defaultdict(dict)

    def ready(self, unit: str, reads: tuple[Use, ...], writes: tuple[Use, ...]) -> float:
        """When what ``unit`` reads is there, and what it writes is not used any more."""
        latest = self.floor
        for uses, both in ((reads, False), (writes, True)):
            for use in uses:
                for part, times in self._parts[use.tensor].items():
                    if not _meet(part, use.part):
                        continue
                    for by_unit in (times.writes, times.reads) if both else (times.writes,):
                        for other, time in by_unit.items():
                            if other != unit and time > latest:
                                latest = time
        return latest

    def use(self, unit: str, reads: tuple[Use, ...], writes: tuple[Use, ...], time: float) -> None:
        """``unit`` has used them at ``time``."""
        for use in reads:
            self._times(use).reads[unit] = time
        for use in writes:
            if use.part == Part():
                self._parts[use.tensor] = {}
            self._times(use).writes[unit] = time

    def new_rows(self, tensor: Hashable) -> None:
        """Rows of ``tensor`` are written block by block from now on."""
        self._rows[tensor] = []

    def write_rows(self, tensor: Hashable, rows: range, time: float) -> None:
        """``rows`` of ``tensor`` are there at ``time``."""
        self._rows[tensor].append((rows, time))

    def rows_ready(self, unit: str, use: Use, rows: range) -> float:
        """When ``rows`` of what ``unit`` reads are there."""
        blocks = self._rows.get(use.tensor)
        if not blocks:
            return self.ready(unit, (use,), ())
        times = [time for of, time in blocks if of.start < rows.stop and rows.start < of.stop]
        return max([self.floor, *times])

    def rows_before(self, unit: str, use: Use) -> Callable[[range], float]:
        """When rows of what ``unit`` reads are there, as they were written until now."""
        blocks, latest = tuple(self._rows.get(use.tensor, ())), self.ready(unit, (use,), ())
        if latest > max((time for _, time in blocks), default=0.0):  # written by others than blocks
            blocks = ()

        def there(rows: range) -> float:
            times = [time for of, time in blocks if of.start < rows.stop and rows.start < of.stop]
            return max([self.floor, *times]) if times else latest

        return there

    def same(self, tensor: Hashable, other: Hashable) -> None:
        """``tensor`` is where ``other`` is."""
        self._parts[tensor] = self._parts[other]

    def _times(self, use: Use) -> _Times:
        parts = self._parts[use.tensor]
        if use.part not in parts:
            parts[use.part] = _Times({}, {})
        return parts[use.part]


def _meet(one: Part, other: Part) -> bool:
    return (one.sequence is None or other.sequence is None or one.sequence == other.sequence) and (
        one.head is None or other.head is None or one.head == other.head
    )

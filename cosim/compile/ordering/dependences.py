"""Which commands have to have ended before a step begins: those of other units that use the same places.

Two steps that use the same place, one of which writes it, stay in the order of the list. Of each unit only the last
such step counts, since a unit ends its commands in order. Steps of one unit are in order by themselves; only a RECEIVE
reads words ahead of what an earlier RECEIVE of the same side writes. Steps of one group do not depend on each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.compile.ordering.die_steps import AddressSpace, DieStep, Touch, Unit
from rtl.interface.isa import Opcode

__all__ = ["NEVER", "Dependences", "dependences"]

NEVER = -1
"""Number of a step where there is none."""


class Dependences(NamedTuple):
    """What each step depends on.

    ``units`` are the units of the steps, in ascending order; ``unit_of`` has the place of each step's unit there.
    ``latest`` is (steps, units): the latest step of each unit that has to have ended, or :data:`NEVER`; ``sums`` are
    those that use the same places of the accumulator buffer, which ``latest`` has not.
    """

    units: tuple[Unit, ...]
    unit_of: NDArray[np.int32]
    latest: NDArray[np.int32]
    sums: NDArray[np.int32]


class _Places:
    """The last step that used each place of a space: a row for each unit that writes, then for each that reads."""

    def __init__(self, touches: Iterable[tuple[int, Touch]]) -> None:
        spans, users = [], set()
        for unit, touch in touches:
            ends = touch.first, touch.first + (touch.rows - 1) * touch.pitch
            spans.append((min(ends), max(ends) + touch.words))
            users.add((unit, touch.writes))
        rows = sorted(users, key=lambda user: (not user[1], user[0]))
        self.row_of = {user: row for row, user in enumerate(rows)}
        self.units = np.array([unit for unit, _ in rows], np.intp)
        self.writers = sum(writes for _, writes in rows)
        self.shared = self.writers > 0 and len(rows) > 1
        self._low = min(low for low, _ in spans)
        size = max(high for _, high in spans) - self._low if self.shared else 0
        self._last = np.full((len(rows), size), NEVER, np.int32)

    def block(self, touch: Touch) -> NDArray[np.int32]:
        """The last users of the places of a touch, as a view: (users, rows, words)."""
        first, words, rows, pitch = touch.first - self._low, touch.words, touch.rows, touch.pitch
        if rows == 1 or pitch == words:
            return self._last[:, None, first : first + rows * words]
        outer, inner = self._last.strides
        return np.ndarray(
            (len(self._last), rows, words),
            self._last.dtype,
            self._last,
            first * inner,
            (outer, pitch * inner, inner),
        )


class _Follower:
    """Follows the steps in order, and keeps the last uses of all places."""

    def __init__(self, steps: Sequence[DieStep]) -> None:
        self.units = tuple(sorted({step.unit for step in steps}, key=_order))
        numbers = {unit: number for number, unit in enumerate(self.units)}
        self.unit_of = np.array([numbers[step.unit] for step in steps], np.int32)
        touches: dict[AddressSpace, list[tuple[int, Touch]]] = defaultdict(list)
        for unit, step in zip(self.unit_of.tolist(), steps, strict=True):
            for touch in step.touches:
                touches[touch.space].append((unit, touch))
        self._places = {space: _Places(of) for space, of in touches.items()}
        # The last one is that of no step.
        groups: dict[int | None, int] = {None: NEVER}
        self._group_of = np.array(
            [*(groups.setdefault(step.group, len(groups)) for step in steps), NEVER], np.int32
        )
        self._before = np.full((len(groups), len(self.units)), NEVER, np.int32)
        """By group and unit, the latest step before those of the group where these use the same places."""
        self._steps = steps

    def find(self, number: int, latest: NDArray[np.int32], sums: NDArray[np.int32]) -> None:
        """Find what a step depends on, of each unit."""
        step, unit = self._steps[number], int(self.unit_of[number])
        group = int(self._group_of[number])
        for touch in step.touches:
            places = self._places[touch.space]
            if not places.shared:
                continue
            users = places.units if touch.writes else places.units[: places.writers]
            last = places.block(touch)[: len(users)]
            if group == NEVER:
                newest = last.max(axis=(1, 2))
            else:
                own = self._group_of[last] == group
                newest = np.where(own, NEVER, last).max(axis=(1, 2))
                hidden = np.where(own.any(axis=(1, 2)), self._before[group, users], NEVER)
                newest = np.maximum(newest, hidden)
            if step.opcode != Opcode.RECEIVE or touch.writes:
                newest[users == unit] = NEVER
            np.maximum.at(sums if touch.space == "accumulator" else latest, users, newest)

    def use(self, number: int) -> None:
        """A step uses its places."""
        unit, group = int(self.unit_of[number]), int(self._group_of[number])
        for touch in self._steps[number].touches:
            places = self._places[touch.space]
            if not places.shared:
                continue
            last: NDArray[Any] = places.block(touch)[places.row_of[unit, touch.writes]]
            if group != NEVER:
                before = last[self._group_of[last] != group]
                if before.size:
                    self._before[group, unit] = max(self._before[group, unit], before.max())
            last[...] = number


def _order(unit: Unit) -> tuple[int, int]:
    return unit.opcode, -1 if unit.side is None else unit.side


def dependences(steps: Sequence[DieStep]) -> Dependences:
    """What each of the steps depends on."""
    follower = _Follower(steps)
    latest = np.full((len(steps), len(follower.units)), NEVER, np.int32)
    sums = np.full_like(latest, NEVER)
    for number in range(len(steps)):
        follower.find(number, latest[number], sums[number])
        follower.use(number)
    return Dependences(follower.units, follower.unit_of, latest, sums)

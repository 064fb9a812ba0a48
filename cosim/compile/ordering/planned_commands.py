"""Commands with their waits, and what each knows to have ended: when it begins, and when it has ended.

A command knows what the one before it of its unit knew, and of each command that it waits for that this one and those
before it of the same unit have ended, and what that one knew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from cosim.compile.ordering.dependences import NEVER
from cosim.compile.ordering.die_steps import DieStep, Unit
from rtl.interface.isa import FIELDS, Opcode

__all__ = ["Needed", "Pair", "PlannedCommand", "PlannedCommands"]

Needed = dict[int, int]
"""By unit, the command that has to have ended."""


class Pair(NamedTuple):
    """Two units, by their numbers: commands of one post, or each of their panels does, and those of the other wait."""

    posts: int
    waits: int
    panels: bool = False


@dataclass
class PlannedCommand:
    """A step, or a relay.

    ``waits`` and ``posts`` are the commands that it waits for and that wait for it, by their numbers; ``panels_of`` is
    the one whose panels it takes one by one, and ``panels_to`` the unit that takes its own so.
    """

    step: DieStep
    unit: int
    waits: list[int] = field(default_factory=list)
    posts: list[int] = field(default_factory=list)
    panels_of: int | None = None
    panels_to: int | None = None

    def fields(self, kind: Literal["wait", "post"]) -> list[str]:
        """Fields for semaphores that it takes, or posts, once."""
        step = self.step
        names = [f"{kind}_0", f"{kind}_1", f"{kind}_2"]
        by_panel = self.panels_of if kind == "wait" else self.panels_to
        drained = step.opcode == Opcode.DRAIN and kind == "post"  # that only tells that the sums have left
        if step.fields.get("panels") == 1 and by_panel is None and not drained:
            names.append(f"panel_{kind}")
        return [
            name
            for name in names
            if name in FIELDS[step.opcode] and not step.fields.get(name) and name not in step.local
        ]


class PlannedCommands:
    """A list of commands that grows, by their numbers.

    Parameters
    ----------
    units
        All units, by their numbers.
    barred
        Pairs of units that are to have no semaphore.
    size
        Commands that there may be, about.

    Attributes
    ----------
    commands
        All of them.
    unit_of, posts_left
        Unit of each, and how many may still wait for it.
    clocks
        By unit, what its next command knows at least.
    begun, ended
        What the first panel of each, and its end, tell one that waits for it.
    """

    def __init__(self, units: Sequence[Unit], barred: Collection[Pair], size: int) -> None:
        count, size = len(units), size + 64
        self.commands: list[PlannedCommand] = []
        self.clocks = np.full((count, count), NEVER, np.int32)
        self.begun = np.full((size, count), NEVER, np.int32)
        self.ended = np.full((size, count), NEVER, np.int32)
        self.unit_of = np.zeros(size, np.int32)
        self.posts_left = np.zeros(size, np.int8)
        self.of_unit: list[list[int]] = [[] for _ in range(count)]
        self._edges: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        """By pair of units, commands that post and that wait, both in ascending order."""
        self._may = np.ones((count, count), np.bool_)
        for pair in barred:
            self._may[pair.waits, pair.posts] &= pair.panels

    @property
    def pairs(self) -> dict[Pair, int]:
        """How often a unit waits for another one: once a command, and for panels apart."""
        found: Counter[Pair] = Counter()
        for command in self.commands:
            found.update(Pair(self.commands[other].unit, command.unit) for other in command.waits)
            if command.panels_of is not None:
                found[Pair(self.commands[command.panels_of].unit, command.unit, panels=True)] += 1
        return found

    def add(self, command: PlannedCommand, posters: Collection[int]) -> int:
        """Add a command behind all others, which waits for ``posters``, and return its number."""
        number, unit = len(self.commands), command.unit
        if number == len(self.unit_of):
            self.begun, self.ended, self.unit_of, self.posts_left = (
                np.concatenate([of, np.zeros_like(of)])
                for of in (self.begun, self.ended, self.unit_of, self.posts_left)
            )
        clock = self.clocks[unit]
        before = self.of_unit[unit][-1] if self.of_unit[unit] else NEVER
        self.commands.append(command)
        self.of_unit[unit].append(number)
        self.unit_of[number] = unit
        self.posts_left[number] = len(command.fields("post"))
        for poster in self._apart(posters):
            self._link(poster, number)
            np.maximum(clock, self.ended[poster], out=clock)
        self.begun[number] = clock
        self.begun[number, unit] = before
        if command.panels_of is not None:
            np.maximum(clock, self.ended[command.panels_of], out=clock)
        self.ended[number] = clock
        self.ended[number, unit] = number
        return number

    def unknown(self, needed: Mapping[int, int], unit: int) -> Needed:
        """What the next command of a unit does not know, and is not implied by what else is needed."""
        known = self.clocks[unit].copy()
        wanted = {}
        for of, command in sorted(needed.items(), key=lambda of: -of[1]):
            if known[of] < command:
                wanted[of] = command
                np.maximum(known, self.ended[command], out=known)
        return wanted

    def poster(self, waiter: int, needed: Mapping[int, int], before: int) -> int | None:
        """The first command before ``before`` that tells all that is needed and may post to a unit, if there is one."""
        first = max(needed.values())
        if first >= before:
            return None
        may = self._may[waiter]
        if len(needed) == 1 and self.posts_left[first] and may[self.unit_of[first]]:
            return first
        columns = np.fromiter(needed, np.intp)
        values = np.fromiter(needed.values(), np.int32)
        units = self.unit_of[first:before]
        fit = (self.ended[first:before, columns] >= values).all(axis=1)
        fit &= (self.posts_left[first:before] > 0) & may[units] & (units != waiter)
        found = int(fit.argmax())
        return first + found if fit[found] else None

    def wait_too(self, waiter: int, poster: int) -> bool:
        """Let a command before wait for one more; return whether it can. Those planned since do not count on it."""
        command, unit = self.commands[waiter], self.unit_of[poster]
        # In place of an earlier command of the same unit, if it waits for one.
        old = next((of for of in command.waits if self.unit_of[of] == unit), None)
        if old is None and len(command.waits) == len(command.fields("wait")):
            return False
        if old is None or old < poster:
            if old is not None:
                self._unlink(old, waiter)
            fits = self._fits(poster, waiter)
            if fits:
                self._link(poster, waiter)
            elif old is not None:
                self._link(old, waiter)
            if not fits:
                return False
        for clock in (self.begun[waiter], self.ended[waiter], self.clocks[command.unit]):
            np.maximum(clock, self.ended[poster], out=clock)
        return True

    def _apart(self, posters: Collection[int]) -> Collection[int]:
        """The last one of each unit."""
        return {int(self.unit_of[poster]): poster for poster in sorted(posters)}.values()

    def _pair(self, poster: int, waiter: int) -> list[tuple[int, int]]:
        return self._edges[int(self.unit_of[poster]), int(self.unit_of[waiter])]

    def _fits(self, poster: int, waiter: int) -> bool:
        """Whether a wait among others of the same two units takes its own post."""
        edges = self._pair(poster, waiter)
        place = bisect_left(edges, (poster, waiter))
        before = edges[place - 1] if place else (NEVER, NEVER)
        behind = edges[place] if place < len(edges) else (poster + 1, waiter + 1)
        return before[0] < poster < behind[0] and before[1] < waiter < behind[1]

    def _link(self, poster: int, waiter: int) -> None:
        self.commands[waiter].waits.append(poster)
        self.commands[poster].posts.append(waiter)
        self.posts_left[poster] -= 1
        insort(self._pair(poster, waiter), (poster, waiter))

    def _unlink(self, poster: int, waiter: int) -> None:
        self.commands[waiter].waits.remove(poster)
        self.commands[poster].posts.remove(waiter)
        self.posts_left[poster] += 1
        self._pair(poster, waiter).remove((poster, waiter))

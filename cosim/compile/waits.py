"""Which command waits for which, so that steps stay in order: as few waits as possible, and as a command has fields for.

A command knows what has ended for sure when it begins: what the one before it of its unit knew, and for each command
that it waits for, that this one and those before it of the same unit have ended, and what that one knew. So a wait is
left out where it is known already. A command with too few fields lets one before it of the same unit wait, waits for a
later command that knows more, or has a relay in front: a pass of the vector unit over one element, which waits for
others and is waited for. All waits are for commands before, so a program cannot block.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.compile.dependences import NEVER, Dependences
from cosim.compile.steps import Step, Touch, Unit
from rtl.interface.isa import FIELDS, Opcode
from rtl.interface.vector_operations import Spread

__all__ = ["POSTS", "WAITS", "PlannedCommand", "Relay", "Waits", "plan_waits"]

WAITS = ("wait_0", "wait_1", "wait_2")
POSTS = ("post_0", "post_1")

_EARLIER = 8
"""Commands of a unit that are looked at for a free wait."""

_Needed = dict[int, int]
"""By unit, the command that has to have ended."""


class Relay(NamedTuple):
    """Where relays work: a word of the scratchpad, which nothing else uses, and a word of the memory that holds data."""

    word: int
    memory_word: int

    @property
    def load(self) -> Step:
        """Fills the word, before all else."""
        fields = {
            "base": self.word,
            "pitch": 1,
            "rows": 1,
            "words": 1,
            "address": self.memory_word,
            "memory_pitch": 1,
        }
        touches = Touch("memory", self.memory_word, 1), Touch("scratchpad", self.word, 1, writes=True)
        return Step(Opcode.LOAD, fields, touches, "relay")

    @property
    def step(self) -> Step:
        """A pass that writes an element to where it is."""
        fields = {
            "a": self.word,
            "a_spread": int(Spread.VALUE),
            "a_bf16": 1,
            "y": self.word,
            "result": 2,
            "rows": 1,
            "cols": 1,
        }
        touches = Touch("scratchpad", self.word, 1), Touch("scratchpad", self.word, 1, writes=True)
        return Step(Opcode.VECTOR, fields, touches, "relay")


@dataclass
class PlannedCommand:
    """A step, or a relay, and the commands that it waits for and that wait for it, by their numbers.

    ``drains`` is the GEMM whose panels a DRAIN takes one by one.
    """

    step: Step
    unit: int
    waits: list[int] = field(default_factory=list)
    posts: list[int] = field(default_factory=list)
    drains: int | None = None

    def free(self, names: Sequence[str]) -> int:
        """How many of the fields the step leaves free."""
        step = self.step
        return sum(
            name in FIELDS[step.opcode] and not step.fields.get(name) and name not in step.local
            for name in names
        )


class Waits(NamedTuple):
    """All commands with their waits, the units by number, and how many relays there are."""

    units: tuple[Unit, ...]
    commands: list[PlannedCommand]
    relays: int

    @property
    def pairs(self) -> dict[tuple[int, int], int]:
        """How often a unit (the second one) waits for another one (the first one)."""
        found: dict[tuple[int, int], int] = {}
        for command in self.commands:
            for other in command.waits:
                pair = self.commands[other].unit, command.unit
                found[pair] = found.get(pair, 0) + 1
        return found


class _Planner:
    """Goes through the steps, and gives each its waits."""

    def __init__(
        self,
        steps: Sequence[Step],
        needs: Dependences,
        relay: Relay | None,
        barred: Collection[tuple[int, int]],
    ) -> None:
        self._steps, self._needs, self._relay = steps, needs, relay
        self.units = needs.units
        if relay is not None and Unit(Opcode.VECTOR) not in self.units:
            self.units = (*self.units, Unit(Opcode.VECTOR))
        count = len(self.units)
        self.commands: list[PlannedCommand] = []
        self.relays = 0
        self._numbers: list[int] = []  # of each step's command
        self._of_unit: list[list[int]] = [[] for _ in range(count)]
        self._clocks = np.full((count, count), NEVER, np.int32)
        """By unit, what its last command knows."""
        size = len(steps) + 64
        self._knows = np.full((size, count), NEVER, np.int32)
        """By command, what a command that waits for it knows."""
        self._unit_of = np.zeros(size, np.int32)
        self._posts_left = np.zeros(size, np.int8)
        self._may = np.ones((count, count), np.bool_)
        for poster, waiter in barred:
            self._may[waiter, poster] = False

    def run(self) -> None:
        for number, step in enumerate(self._steps):
            self._plan(number, step)

    def _plan(self, number: int, step: Step) -> None:
        unit = int(self._needs.unit_of[number])
        command = PlannedCommand(step, unit)
        clock = self._clocks[unit]
        if step.opcode == Opcode.DRAIN and step.panels:
            command.drains = self._numbers[number - 1]
            np.maximum(clock, self._knows[command.drains], out=clock)
        latest = self._needs.latest[number]
        needed = {int(other): self._numbers[int(latest[other])] for other in np.flatnonzero(latest != NEVER)}
        wanted = self._unknown(needed, clock)
        fields = command.free(WAITS)
        if step.fields.get("ahead"):
            # Its words are read before it takes its semaphores, so only one before it can wait.
            self._wait_earlier(unit, wanted, 0)
            if wanted:
                command.step = replace(step, fields={**step.fields, "ahead": 0})
        elif len(wanted) > fields:
            self._wait_earlier(unit, wanted, fields)
        posters = self._posters(unit, wanted, fields)
        if posters is None:
            posters = self._relayed(command, wanted, fields)
        self._numbers.append(self._add(command, posters))

    def _unknown(self, needed: Mapping[int, int], clock: NDArray[np.int32]) -> _Needed:
        """What is not known, and is not implied by what else is needed."""
        known = clock.copy()
        wanted = {}
        for unit, command in sorted(needed.items(), key=lambda of: -of[1]):
            if known[unit] < command:
                wanted[unit] = command
                np.maximum(known, self._knows[command], out=known)
        return wanted

    def _poster(self, waiter: int, needed: _Needed, before: int | None = None) -> int | None:
        """The first command that knows all that is needed, and may post to a unit; None if there is none."""
        first, end = max(needed.values()), len(self.commands) if before is None else before
        if first >= end:
            return None
        may = self._may[waiter]
        if len(needed) == 1 and self._posts_left[first] and may[self._unit_of[first]]:
            return first
        columns = np.fromiter(needed, np.intp)
        values = np.fromiter(needed.values(), np.int32)
        units = self._unit_of[first:end]
        fit = (self._knows[first:end, columns] >= values).all(axis=1)
        fit &= (self._posts_left[first:end] > 0) & may[units] & (units != waiter)
        found = int(fit.argmax())
        return first + found if fit[found] else None

    def _wait_earlier(self, unit: int, wanted: _Needed, fields: int) -> None:
        """Let commands before of the same unit wait for what is needed, until ``fields`` are enough."""
        clock = self._clocks[unit]
        for other, needed in sorted(wanted.items(), key=lambda of: of[1]):
            if len(wanted) <= fields:
                return
            for number in reversed(self._of_unit[unit][-_EARLIER:]):
                if number < needed:
                    break
                earlier = self.commands[number]
                if len(earlier.waits) == earlier.free(WAITS) or earlier.step.fields.get("ahead"):
                    continue
                poster = self._poster(unit, {other: needed}, number)
                if poster is None or self._unit_of[poster] in {self._unit_of[of] for of in earlier.waits}:
                    continue
                self._link(poster, number)
                np.maximum(clock, self._knows[poster], out=clock)
                left = self._unknown(wanted, clock)
                for known in wanted.keys() - left.keys():
                    del wanted[known]
                break

    def _posters(self, unit: int, wanted: _Needed, fields: int) -> list[int] | None:
        """Commands to wait for, as few as there are fields; None if there are none."""
        if not wanted:
            return []
        single = {of: self._poster(unit, {of: wanted[of]}) for of in wanted}
        found = [poster for poster in single.values() if poster is not None]
        if len(found) == len(wanted) <= fields:
            return self._apart(found)
        best: list[int] | None = None
        if fields and len(wanted) > 1:
            for kept in combinations(
                [of for of in wanted if single[of] is not None], min(fields, len(wanted)) - 1
            ):
                rest = {of: wanted[of] for of in wanted if of not in kept}
                joint = self._poster(unit, rest)
                if joint is not None and (best is None or joint < best[0]):
                    best = [joint, *(poster for of in kept if (poster := single[of]) is not None)]
        return None if best is None else self._apart(best)

    def _apart(self, posters: Sequence[int]) -> list[int]:
        """The last one of each unit."""
        last: dict[int, int] = {}
        for poster in sorted(posters):
            last[int(self._unit_of[poster])] = poster
        return list(last.values())

    def _relayed(self, command: PlannedCommand, wanted: _Needed, fields: int) -> list[int]:
        """Put relays in front of a command; return what is left for it to wait for."""
        if self._relay is None or not fields:
            step = command.step
            names = ", ".join(self.units[of].opcode.name for of in wanted)
            why = (
                "no field of its own for a wait" if self._relay else "no field for it, and there is no relay"
            )
            raise ValueError(
                f"{step.opcode.name} of {step.label or 'a step'} waits for {names}: there is {why}"
            )
        vector = self.units.index(Unit(Opcode.VECTOR))
        latest = sorted(wanted, key=lambda of: -wanted[of])
        kept = [of for of in latest if self._poster(command.unit, {of: wanted[of]}) is not None][: fields - 1]
        last = self._relays(vector, {of: needed for of, needed in wanted.items() if of not in kept})
        posters = [self._poster(command.unit, {of: wanted[of]}) for of in kept]
        if None in posters:  # a relay has taken its last post
            last, posters = self._relays(vector, {of: wanted[of] for of in kept}), []
        if command.unit != vector:
            posters.append(last)
        return self._apart([poster for poster in posters if poster is not None])

    def _relays(self, vector: int, needed: Mapping[int, int]) -> int:
        """Add relays that wait for all that is needed; return the last one."""
        assert self._relay is not None
        step, load = self._relay.step, self.units.index(Unit(Opcode.LOAD))
        left: Mapping[int, int] = {load: 0, **needed}
        while True:
            relay = PlannedCommand(step, vector)
            wanted = self._unknown(left, self._clocks[vector])
            posters = []
            for of in sorted(wanted, key=wanted.__getitem__)[: relay.free(WAITS)]:
                poster = self._poster(vector, {of: wanted[of]})
                if poster is None:
                    raise ValueError(
                        f"{self.commands[wanted[of]].step.opcode.name} has no field to post to a relay"
                    )
                posters.append(poster)
            last = self._add(relay, self._apart(posters))
            self.relays += 1
            left = self._unknown(left, self._clocks[vector])
            if not left:
                return last

    def _link(self, poster: int, waiter: int) -> None:
        self.commands[waiter].waits.append(poster)
        self.commands[poster].posts.append(waiter)
        self._posts_left[poster] -= 1

    def _add(self, command: PlannedCommand, posters: Sequence[int]) -> int:
        """Add a command behind all others, and return its number."""
        number, unit = len(self.commands), command.unit
        if number == len(self._knows):
            self._grow()
        self.commands.append(command)
        self._of_unit[unit].append(number)
        self._unit_of[number] = unit
        self._posts_left[number] = command.free(POSTS)
        clock = self._clocks[unit]
        for poster in posters:
            self._link(poster, number)
            np.maximum(clock, self._knows[poster], out=clock)
        self._knows[number] = clock
        self._knows[number, unit] = number
        return number

    def _grow(self) -> None:
        self._knows = np.concatenate([self._knows, np.full_like(self._knows, NEVER)])
        self._unit_of = np.concatenate([self._unit_of, np.zeros_like(self._unit_of)])
        self._posts_left = np.concatenate([self._posts_left, np.zeros_like(self._posts_left)])


def plan_waits(
    steps: Sequence[Step],
    needs: Dependences,
    relay: Relay | None = None,
    barred: Collection[tuple[int, int]] = (),
) -> Waits:
    """The waits of all steps.

    Parameters
    ----------
    steps, needs
        The steps, and what they depend on.
    relay
        Where relays work, if they may be used; the first step is then the one that fills their word.
    barred
        Units that are not to post, each with the unit that would wait.

    Raises
    ------
    ValueError
        If a step would have to wait for more than is possible.
    """
    planner = _Planner(steps, needs, relay, barred)
    planner.run()
    return Waits(planner.units, planner.commands, planner.relays)

"""Which command waits for which, so that steps stay in order: as few waits as possible, and as a command has fields for.

A command knows what has ended for sure when it begins: what the one before it of its unit knew, and for each command
that it waits for, that this one and those before it of the same unit have ended, and what that one knew. So a wait is
left out where it is known already. A command with too few fields lets one before it of the same unit wait, waits for a
later command that knows more, or has a relay in front: a pass of the vector unit over one element, which waits for
others and is waited for. All waits are for commands before, so a program cannot block.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.compile.dependences import NEVER, Dependences
from cosim.compile.steps import Step, Touch, Unit
from rtl.interface.isa import FIELDS, Opcode
from rtl.interface.vector_operations import Spread

__all__ = ["Pair", "PlannedCommand", "Relay", "Waits", "plan_waits", "same_panels"]

_EARLIER = 8
"""Commands of a unit that are looked at for a free wait."""

_SHORT = {Opcode.FEED_ACTIVATION, Opcode.FEED_WEIGHT, Opcode.FEED_SUMS, Opcode.LOAD, Opcode.STORE}
"""Commands that hold up little if they wait for more."""

_Needed = dict[int, int]
"""By unit, the command that has to have ended."""


class Relay(NamedTuple):
    """Where relays work: a word of the scratchpad, which nothing else uses, and a word of the memory that holds data."""

    word: int
    memory_word: int

    @property
    def load(self) -> Step:
        """Fills the word, before all else."""
        fields = {"base": self.word, "pitch": 1, "rows": 1, "words": 1, "address": self.memory_word, "memory_pitch": 1}
        touches = Touch("memory", self.memory_word, 1), Touch("scratchpad", self.word, 1, writes=True)
        return Step(Opcode.LOAD, fields, touches, "relay")

    @property
    def step(self) -> Step:
        """A pass that writes an element to where it is."""
        fields = {
            **{"a": self.word, "a_spread": int(Spread.VALUE), "a_bf16": 1},
            **{"y": self.word, "result": 2, "rows": 1, "cols": 1},
        }
        touches = Touch("scratchpad", self.word, 1), Touch("scratchpad", self.word, 1, writes=True)
        return Step(Opcode.VECTOR, fields, touches, "relay")


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

    step: Step
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
        if step.fields.get("panels") == 1 and by_panel is None:
            names.append(f"panel_{kind}")
        return [
            name
            for name in names
            if name in FIELDS[step.opcode] and not step.fields.get(name) and name not in step.local
        ]


class Waits(NamedTuple):
    """All commands with their waits, and the units by number."""

    units: tuple[Unit, ...]
    commands: list[PlannedCommand]

    @property
    def pairs(self) -> dict[Pair, int]:
        """How often a unit waits for another one: once a command, and for panels apart."""
        found: Counter[Pair] = Counter()
        for command in self.commands:
            found.update(Pair(self.commands[other].unit, command.unit) for other in command.waits)
            if command.panels_of is not None:
                found[Pair(self.commands[command.panels_of].unit, command.unit, panels=True)] += 1
        return found


class _Planner:
    """Goes through the steps, and gives each its waits."""

    def __init__(
        self, steps: Sequence[Step], needs: Dependences, relay: Relay | None, barred: Collection[Pair]
    ) -> None:
        self._steps, self._needs, self._relay = steps, needs, relay
        self.units = needs.units
        if relay is not None and Unit(Opcode.VECTOR) not in self.units:
            self.units = (*self.units, Unit(Opcode.VECTOR))
        count = len(self.units)
        self.commands: list[PlannedCommand] = []
        self._numbers: list[int] = []  # of each step's command
        self._of_unit: list[list[int]] = [[] for _ in range(count)]
        self._edges: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        """By pair of units, commands that post and that wait, both in ascending order."""
        self._clocks = np.full((count, count), NEVER, np.int32)
        """By unit, what its next command knows at least."""
        size = len(steps) + 64
        self._begun = np.full((size, count), NEVER, np.int32)
        """By command, what its first panel tells."""
        self._ended = np.full((size, count), NEVER, np.int32)
        """By command, what its end tells."""
        self._unit_of = np.zeros(size, np.int32)
        self._posts_left = np.zeros(size, np.int8)
        self._may = np.ones((count, count), np.bool_)
        self._barred = barred
        for pair in barred:
            self._may[pair.waits, pair.posts] &= pair.panels

    def run(self) -> None:
        for number, step in enumerate(self._steps):
            self._plan(number, step)

    def _plan(self, number: int, step: Step) -> None:
        unit = int(self._needs.unit_of[number])
        command = PlannedCommand(step, unit)
        if step.opcode == Opcode.GEMM and step.panels:
            command.panels_to = self.units.index(Unit(Opcode.DRAIN))
        clock = self._clocks[unit]
        latest = self._needs.latest[number]
        if not self._takes_panels(command, self._needs.sums[number], clock):
            latest = np.maximum(latest, self._needs.sums[number])
        needed = {int(other): self._numbers[int(latest[other])] for other in np.flatnonzero(latest != NEVER)}
        wanted = self._unknown(needed, clock)
        fields = len(command.fields("wait"))
        if step.fields.get("ahead") and wanted:
            # Its words are read before it takes its semaphores, so only a command before it can wait.
            self._share(unit, wanted, clock, 0, others=False)
            if wanted:
                command.step = replace(step, fields={**step.fields, "ahead": 0})
        self._share(unit, wanted, clock, fields, others=True)
        posters = self._posters(unit, wanted, fields)
        if posters is None:
            posters = self._relayed(command, wanted, fields)
        self._numbers.append(self._add(command, posters))

    def _takes_panels(
        self, command: PlannedCommand, sums: NDArray[np.int32], clock: NDArray[np.int32]
    ) -> bool:
        """Let a DRAIN take the panels of its GEMM one by one, and a GEMM those that were fed or drained right before.

        These have waited for all that used the same sums before them, so that nothing else has to be waited for.
        """
        if command.step.opcode == Opcode.DRAIN and command.step.panels:
            command.panels_of = self._numbers[-1]
        elif command.step.opcode == Opcode.GEMM and sums.max() != NEVER:
            unit = int(sums.argmax())
            number = self._numbers[int(sums[unit])]
            before = self.commands[number]
            single = before.step.fields.get("panels") == 1
            if (
                clock[unit] < number
                and Pair(unit, command.unit, panels=True) not in self._barred
                and before.step.opcode in (Opcode.DRAIN, Opcode.FEED_SUMS)
                and before.panels_to is None
                and same_panels(command.step, before.step)
                and command.step.fields["m"] <= before.step.fields["rows"]
                and (self._posts_left[number] or not single)
            ):
                command.panels_of, before.panels_to = number, command.unit
                self._posts_left[number] -= single
        if command.panels_of is None:
            return False
        np.maximum(clock, self._begun[command.panels_of], out=clock)
        return True

    def _unit_number(self, command: int) -> int:
        return int(self._unit_of[command])

    def _unknown(self, needed: Mapping[int, int], clock: NDArray[np.int32]) -> _Needed:
        """What is not known, and is not implied by what else is needed."""
        known = clock.copy()
        wanted = {}
        for unit, command in sorted(needed.items(), key=lambda of: -of[1]):
            if known[unit] < command:
                wanted[unit] = command
                np.maximum(known, self._ended[command], out=known)
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
        fit = (self._ended[first:end, columns] >= values).all(axis=1)
        fit &= (self._posts_left[first:end] > 0) & may[units] & (units != waiter)
        found = int(fit.argmax())
        return first + found if fit[found] else None

    def _share(self, unit: int, wanted: _Needed, clock: NDArray[np.int32], fields: int, *, others: bool) -> None:
        """Let commands before wait for what is needed, until ``fields`` are enough: those of the same unit, and
        ``others`` that have to be waited for anyway, if they are short. The last ones are delayed least.
        """
        for other, needed in sorted(wanted.items(), key=lambda of: of[1]):
            if len(wanted) <= fields:
                return
            short = {of for of in wanted.values() if others and self.commands[of].step.opcode in _SHORT}
            for number in sorted({*self._of_unit[unit][-_EARLIER:], *short}, reverse=True):
                if number <= needed or other not in wanted:
                    break
                if self._wait_too({other: needed}, number):
                    if self.commands[number].unit != unit:
                        del wanted[other]
                    left = self._unknown(wanted, clock)
                    for known in wanted.keys() - left.keys():
                        del wanted[known]

    def _wait_too(self, needed: _Needed, waiter: int) -> bool:
        """Let a command before wait for what is needed, too; return whether it can."""
        command = self.commands[waiter]
        poster = self._poster(command.unit, needed, waiter)
        if poster is None or command.step.fields.get("ahead"):
            return False
        unit = self._unit_of[poster]
        # In place of an earlier command of the same unit, if it waits for one.
        old = next((of for of in command.waits if self._unit_of[of] == unit), None)
        if old is not None:
            self._unlink(old, waiter)
        elif len(command.waits) == len(command.fields("wait")):
            return False
        if not self._fits(poster, waiter):
            if old is not None:
                self._link(old, waiter)
            return False
        self._link(poster, waiter)
        # Commands that were planned since do not count on it.
        for clock in (self._begun[waiter], self._ended[waiter], self._clocks[command.unit]):
            np.maximum(clock, self._ended[poster], out=clock)
        return True

    def _unlink(self, poster: int, waiter: int) -> None:
        self.commands[waiter].waits.remove(poster)
        self.commands[poster].posts.remove(waiter)
        self._posts_left[poster] += 1
        self._edges[self._unit_number(poster), self._unit_number(waiter)].remove((poster, waiter))

    def _fits(self, poster: int, waiter: int) -> bool:
        """Whether a wait among others of the same two units takes its own post."""
        edges = self._edges[self._unit_number(poster), self._unit_number(waiter)]
        place = bisect_left(edges, (poster, waiter))
        before = edges[place - 1] if place else (NEVER, NEVER)
        behind = edges[place] if place < len(edges) else (poster + 1, waiter + 1)
        return before[0] < poster < behind[0] and before[1] < waiter < behind[1]

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
            for kept in combinations([of for of in wanted if single[of] is not None], min(fields, len(wanted)) - 1):
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
            why = "no field of its own for a wait" if self._relay else "no field for it, and there is no relay"
            raise ValueError(f"{step.opcode.name} of {step.label or 'a step'} waits for {names}: there is {why}")
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
        left: Mapping[int, int] = {load: 0, **{of: number for of, number in needed.items() if of != vector}}
        while True:
            relay = PlannedCommand(step, vector)
            fields = len(relay.fields("wait"))
            wanted = self._unknown(left, self._clocks[vector])
            posters = []
            for of in sorted(wanted, key=wanted.__getitem__)[:fields]:
                poster = self._poster(vector, {of: wanted[of]})
                if poster is None:
                    raise ValueError(f"{self.commands[wanted[of]].step.opcode.name} has no field to post to a relay")
                posters.append(poster)
            last = self._add(relay, self._apart(posters))
            left = self._unknown(left, self._clocks[vector])
            if not left:
                return last

    def _link(self, poster: int, waiter: int) -> None:
        self.commands[waiter].waits.append(poster)
        self.commands[poster].posts.append(waiter)
        self._posts_left[poster] -= 1
        insort(self._edges[self._unit_number(poster), self._unit_number(waiter)], (poster, waiter))

    def _add(self, command: PlannedCommand, posters: Sequence[int]) -> int:
        """Add a command behind all others, and return its number."""
        number, unit = len(self.commands), command.unit
        if number == len(self._unit_of):
            self._grow()
        clock = self._clocks[unit]
        before = self._of_unit[unit][-1] if self._of_unit[unit] else NEVER
        self.commands.append(command)
        self._of_unit[unit].append(number)
        self._unit_of[number] = unit
        self._posts_left[number] = len(command.fields("post"))
        for poster in posters:
            self._link(poster, number)
            np.maximum(clock, self._ended[poster], out=clock)
        self._begun[number] = clock
        self._begun[number, unit] = before
        if command.panels_of is not None:
            np.maximum(clock, self._ended[command.panels_of], out=clock)
        self._ended[number] = clock
        self._ended[number, unit] = number
        return number

    def _grow(self) -> None:
        self._begun, self._ended, self._unit_of, self._posts_left = (
            np.concatenate([of, np.zeros_like(of)])
            for of in (self._begun, self._ended, self._unit_of, self._posts_left)
        )


def same_panels(gemm: Step, other: Step) -> bool:
    """Whether each panel of a GEMM meets only the one of the same number of a DRAIN or FEED_SUMS."""
    fields, more = gemm.fields, other.fields
    first, step, wrap = (more.get(name, 0) for name in ("base", "step", "wrap"))
    same = (first, step, wrap) == tuple(fields.get(f"accumulator_{name}", 0) for name in ("base", "step", "wrap"))
    last = first + (more["panels"] - 1) * step
    apart = more["panels"] == 1 or (max(fields["m"], more["rows"]) <= step and not first < wrap <= last)
    return same and apart and more["panels"] == fields["panels"]


def plan_waits(
    steps: Sequence[Step],
    needs: Dependences,
    relay: Relay | None = None,
    barred: Collection[Pair] = (),
) -> Waits:
    """The waits of all steps.

    Parameters
    ----------
    steps, needs
        The steps, and what they depend on.
    relay
        Where relays work, if they may be used; the first step is then the one that fills their word.
    barred
        Pairs of units that are to have no semaphore.

    Raises
    ------
    ValueError
        If a step would have to wait for more than is possible.
    """
    planner = _Planner(steps, needs, relay, barred)
    planner.run()
    return Waits(planner.units, planner.commands)

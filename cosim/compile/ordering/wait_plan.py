"""Which command waits for which, so that steps stay in order: as few waits as possible, and as there are fields for.

A wait is left out where a command knows already (:mod:`cosim.compile.ordering.planned_commands`). A command with too
few fields lets one before it of the same unit wait, or a short one that it waits for anyway; or waits for a later
command that knows more; or has relays in front: passes of the vector unit over one element, which wait for others and
are waited for. All waits are for commands before, so a program of one die cannot block. Steps of a group need those
of other dies, and so go on together: what they wait for is before all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.compile.ordering.dependences import NEVER, Dependences
from cosim.compile.ordering.die_steps import DieStep, Touch, Unit
from cosim.compile.ordering.planned_commands import Needed, Pair, PlannedCommand, PlannedCommands
from rtl.interface.isa import Opcode
from rtl.interface.vector_operations import Spread

__all__ = ["Relay", "WaitPlan", "plan_waits", "same_panels"]

_EARLIER = 8
"""Commands of a unit that are looked at for a free wait."""

_SHORT = {Opcode.FEED_ACTIVATION, Opcode.FEED_WEIGHT, Opcode.FEED_SUMS, Opcode.LOAD, Opcode.STORE}
"""Commands that hold up little if they wait for more."""


class Relay(NamedTuple):
    """Where relays work: a word of the scratchpad that nothing else uses, and a word of the memory that holds data."""

    word: int
    memory_word: int

    @property
    def load(self) -> DieStep:
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
        return DieStep(Opcode.LOAD, fields, touches, "relay")

    @property
    def step(self) -> DieStep:
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
        return DieStep(Opcode.VECTOR, fields, touches, "relay")


class WaitPlan(NamedTuple):
    """All commands with their waits, the units by number, how often pairs of these wait for each other, and the groups
    whose steps found too few posts: their waits are not complete.
    """

    units: tuple[Unit, ...]
    commands: list[PlannedCommand]
    pairs: dict[Pair, int]
    crowded: set[int]

    def without_first(self) -> WaitPlan:
        """The same without the first command, which no other one waits for."""
        commands = [
            replace(
                command,
                waits=[of - 1 for of in command.waits],
                posts=[of - 1 for of in command.posts],
                panels_of=None if command.panels_of is None else command.panels_of - 1,
            )
            for command in self.commands[1:]
        ]
        return self._replace(commands=commands)


class _Planner:
    """Goes through the steps, and gives each its waits."""

    def __init__(
        self,
        steps: Sequence[DieStep],
        needs: Dependences,
        relay: Relay | None,
        barred: Collection[Pair],
        gated: Collection[int],
    ) -> None:
        self._steps, self._needs, self._relay = steps, needs, relay
        self.units = needs.units
        if relay is not None and Unit(Opcode.VECTOR) not in self.units:
            self.units = (*self.units, Unit(Opcode.VECTOR))
        self._plan = PlannedCommands(self.units, barred, len(steps))
        self._barred, self._gated = barred, gated
        self._numbers: list[int] = []  # of each step's command
        self._first: dict[int, int] = {}
        """By group, its first command."""
        self._gates: list[int] = []
        self._echoes: dict[int, int] = {}
        """Relays right behind a pass, and the pass."""
        self._crowded: set[int] = set()

    def run(self) -> WaitPlan:
        for number, step in enumerate(self._steps):
            if step.group is not None and step.group not in self._first:
                self._gates = []
                if step.group in self._gated:
                    self._gate(number, step.group)
                self._first[step.group] = len(self._plan.commands)
            self._add(number, step)
        plan = self._plan
        return WaitPlan(self.units, plan.commands, plan.pairs, self._crowded)

    def _add(self, number: int, step: DieStep) -> None:
        """Add a step with its waits."""
        plan, unit = self._plan, int(self._needs.unit_of[number])
        command = PlannedCommand(step, unit)
        if step.opcode == Opcode.GEMM and step.panels:
            command.panels_to = self.units.index(Unit(Opcode.DRAIN))
        wanted = self._wanted(number, command)
        fields = len(command.fields("wait"))
        if step.fields.get("ahead") and wanted:
            # Its words are read before it takes its semaphores, so only a command before it can wait.
            self._share(unit, wanted, 0, others=False)
            if wanted:
                command.step = replace(step, fields={**step.fields, "ahead": 0})
        gate = next((of for of in self._gates if plan.posts_left[of]), None)
        if wanted and fields and gate is not None:
            self._numbers.append(plan.add(command, [gate]))
            return
        self._share(unit, wanted, fields, others=True)
        posters = self._posters(unit, wanted, fields, self._end(step))
        if posters is None:
            try:
                posters = self._relayed(command, wanted, fields)
            except ValueError:
                if step.group is None or step.group in self._gated or self._relay is None:
                    raise
                self._crowded.add(step.group)
                posters = []
        self._numbers.append(plan.add(command, posters))

    def _end(self, step: DieStep) -> int:
        """What a step waits for is before this command."""
        end = len(self._plan.commands)
        return end if step.group is None else self._first.get(step.group, end)

    def _wanted(self, number: int, command: PlannedCommand | None = None) -> Needed:
        """What a step has to wait for."""
        unit = int(self._needs.unit_of[number])
        latest, sums = self._needs.latest[number], self._needs.sums[number]
        if command is None or not self._takes_panels(command, sums, self._plan.clocks[unit]):
            latest = np.maximum(latest, sums)
        needed = {int(of): self._numbers[int(latest[of])] for of in np.flatnonzero(latest != NEVER)}
        return self._plan.unknown(needed, unit)

    def _gate(self, number: int, group: int) -> None:
        """Put relays in front of a group, which wait for all that its steps wait for, with a post for each unit."""
        needed: Needed = {}
        units = set()
        for of in takewhile(lambda of: self._steps[of].group == group, range(number, len(self._steps))):
            wanted = self._wanted(of)
            units |= {int(self._needs.unit_of[of])} if wanted else set()
            for unit, command in wanted.items():
                needed[unit] = max(needed.get(unit, NEVER), command)
        if not units:
            return
        vector = self.units.index(Unit(Opcode.VECTOR))
        last = self._relays(vector, needed, len(self._plan.commands))
        self._gates = [last]
        while sum(self._plan.posts_left[gate] for gate in self._gates) < len(units):
            self._gates.append(self._relays(vector, {}, last))

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
            before = self._plan.commands[number]
            taken = "panel_post" in before.fields("post")
            if (
                clock[unit] < number
                and Pair(unit, command.unit, panels=True) not in self._barred
                and before.step.opcode in (Opcode.DRAIN, Opcode.FEED_SUMS)
                and before.panels_to is None
                and same_panels(command.step, before.step)
                and command.step.fields["m"] <= before.step.fields["rows"]
                and (self._plan.posts_left[number] or not taken)
            ):
                command.panels_of, before.panels_to = number, command.unit
                self._plan.posts_left[number] -= taken
        if command.panels_of is None:
            return False
        np.maximum(clock, self._plan.begun[command.panels_of], out=clock)
        return True

    def _share(self, unit: int, wanted: Needed, fields: int, *, others: bool) -> None:
        """Let commands before wait for what is needed, until ``fields`` are enough: those of the same unit, and
        ``others`` that have to be waited for anyway, if they are short. The last ones are delayed least.
        """
        commands = self._plan.commands
        for other, needed in sorted(wanted.items(), key=lambda of: of[1]):
            if len(wanted) <= fields:
                return
            short = {of for of in wanted.values() if others and commands[of].step.opcode in _SHORT}
            for number in sorted({*self._plan.of_unit[unit][-_EARLIER:], *short}, reverse=True):
                if number <= needed or other not in wanted:
                    break
                if self._wait_too(number, {other: needed}):
                    if commands[number].unit != unit:
                        del wanted[other]
                    left = self._plan.unknown(wanted, unit)
                    for known in wanted.keys() - left.keys():
                        del wanted[known]

    def _wait_too(self, waiter: int, needed: Needed) -> bool:
        command = self._plan.commands[waiter]
        end = min(waiter, self._end(command.step))
        poster = self._plan.poster(command.unit, needed, end)
        return (
            poster is not None
            and not command.step.fields.get("ahead")
            and self._plan.wait_too(waiter, poster)
        )

    def _posters(self, unit: int, wanted: Needed, fields: int, end: int) -> list[int] | None:
        """Commands to wait for, as few as there are fields; None if there are none."""
        if not wanted:
            return []
        find = self._echo if len(wanted) <= fields else self._poster
        single = {of: find(unit, of, wanted[of], end) for of in wanted}
        found = {of: poster for of, poster in single.items() if poster is not None}
        if len(found) == len(wanted) <= fields:
            return [*found.values()]
        best: list[int] | None = None
        for kept in combinations(found, min(fields, len(wanted)) - 1) if fields and len(wanted) > 1 else ():
            joint = self._plan.poster(unit, {of: wanted[of] for of in wanted if of not in kept}, end)
            if joint is not None and (best is None or joint < best[0]):
                best = [joint, *(found[of] for of in kept)]
        return best

    def _poster(self, unit: int, of: int, needed: int, end: int) -> int | None:
        """A command that tells what is needed of one unit."""
        return self._plan.poster(unit, {of: needed}, end)

    def _echo(self, unit: int, of: int, needed: int, end: int) -> int | None:
        """The same; for a pass without posts left a relay, right behind it."""
        poster = self._poster(unit, of, needed, end)
        if poster == needed or self._relay is None or self.units[of].opcode != Opcode.VECTOR or unit == of:
            return poster
        last = self._plan.of_unit[of][-1]
        if last != needed and self._echoes.get(last) != needed:
            return poster
        if last == needed or not self._plan.posts_left[last]:
            last = self._relays(of, {}, end)
            self._echoes[last] = needed
        return last

    def _relayed(self, command: PlannedCommand, wanted: Needed, fields: int) -> list[int]:
        """Put relays in front of a command; return what is left for it to wait for."""
        step = command.step
        if self._relay is None or not fields:
            names = ", ".join(self.units[of].opcode.name for of in wanted)
            why = (
                "no field of its own for a wait" if self._relay else "no field for it, and there is no relay"
            )
            raise ValueError(
                f"{step.opcode.name} of {step.label or 'a step'} waits for {names}: there is {why}"
            )
        vector, end = self.units.index(Unit(Opcode.VECTOR)), self._end(step)
        latest = sorted(wanted, key=lambda of: -wanted[of])
        kept = [of for of in latest if self._plan.poster(command.unit, {of: wanted[of]}, end) is not None]
        kept = kept[: fields - 1]
        last = self._relays(vector, {of: needed for of, needed in wanted.items() if of not in kept}, end)
        posters = [self._plan.poster(command.unit, {of: wanted[of]}, end) for of in kept]
        if None in posters:  # a relay has taken its last post
            last, posters = self._relays(vector, {of: wanted[of] for of in kept}, end), []
        if command.unit != vector:
            posters.append(last)
        return [poster for poster in posters if poster is not None]

    def _relays(self, vector: int, needed: Mapping[int, int], end: int) -> int:
        """Add relays that wait for all that is needed, by commands before ``end``; return the last one."""
        assert self._relay is not None
        load = self.units.index(Unit(Opcode.LOAD))
        left: Mapping[int, int] = {load: 0, **{of: number for of, number in needed.items() if of != vector}}
        while True:
            relay = PlannedCommand(self._relay.step, vector)
            wanted = self._plan.unknown(left, vector)
            posters = []
            for of in sorted(wanted, key=wanted.__getitem__)[: len(relay.fields("wait"))]:
                poster = self._plan.poster(vector, {of: wanted[of]}, end)
                if poster is None:
                    opcode = self._plan.commands[wanted[of]].step.opcode
                    raise ValueError(f"{opcode.name} has no field left to post to a relay")
                posters.append(poster)
            last = self._plan.add(relay, posters)
            left = self._plan.unknown(left, vector)
            if not left:
                return last


def same_panels(gemm: DieStep, other: DieStep) -> bool:
    """Whether each panel of a GEMM meets only the one of the same number of a DRAIN or FEED_SUMS."""
    fields, more = gemm.fields, other.fields
    first, step, wrap = (more.get(name, 0) for name in ("base", "step", "wrap"))
    same = (first, step, wrap) == tuple(
        fields.get(f"accumulator_{name}", 0) for name in ("base", "step", "wrap")
    )
    last = first + (more["panels"] - 1) * step
    apart = more["panels"] == 1 or (max(fields["m"], more["rows"]) <= step and not first < wrap <= last)
    return same and apart and more["panels"] == fields["panels"]


def plan_waits(
    steps: Sequence[DieStep],
    needs: Dependences,
    relay: Relay | None = None,
    barred: Collection[Pair] = (),
    gated: Collection[int] = (),
) -> WaitPlan:
    """The waits of all steps.

    Parameters
    ----------
    steps, needs
        The steps, and what they depend on.
    relay
        Where relays work, if they may be used; the first step is then the one that fills their word.
    barred
        Pairs of units that are to have no semaphore.
    gated
        Groups with relays in front that wait for all that their steps wait for.

    Raises
    ------
    ValueError
        If a step would have to wait for more than is possible.
    """
    return _Planner(steps, needs, relay, barred, gated).run()

"""Semaphores of a program: each wait of a step for one of another unit becomes a semaphore of the two units.

Both units take their commands in order, so the k-th wait takes the k-th post. Panels that a GEMM hands to its DRAIN
have a semaphore of their own, and so have what a group uses by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from cosim.compile.ordering.dependences import dependences
from cosim.compile.ordering.die_steps import DieStep, Touch, Unit
from cosim.compile.ordering.planned_commands import Pair
from cosim.compile.ordering.wait_plan import Relay, WaitPlan, plan_waits, same_panels
from cosim.program.checker.command_steps import steps_of
from cosim.program.command import Command
from rtl.interface.isa import SEMAPHORES, Opcode

__all__ = ["Relay", "Semaphore", "semaphore_table", "with_semaphores"]

_Local = tuple[int | None, str]
"""A group, and the name of one of its semaphores."""

_TRIES = 16
"""How often pairs of units are taken out until the rest have numbers."""


class Semaphore(NamedTuple):
    """Units that post a semaphore, and the one that waits for it."""

    posts: tuple[Unit, ...]
    waits: Unit


def with_semaphores(
    steps: Sequence[DieStep], *, relay: Relay | None = None, numbers: int = SEMAPHORES - 1
) -> list[Command]:
    """The commands of all steps, which keep accesses of different units to the same place in the order of the steps.

    Parameters
    ----------
    steps
        In the order in which they are handed out. A group's steps that wait on one of its ``local`` semaphores are all
        of one unit.
    relay
        Where relays work, if they may be used. There are then more commands than steps, if relays are needed.
    numbers
        Semaphores that may be used, from 1 on.

    Raises
    ------
    ValueError
        If panels of a GEMM are not those of the DRAIN behind it, if other steps are between those of a group, if
        several units or none wait on a local semaphore, if a step uses the relay's word, or if waits, posts or numbers
        do not suffice.
    """
    _check_panels(steps)
    _check_groups(steps)
    if relay is not None:
        _check_relay(steps, relay)
    local = _local_numbers(steps)
    left = numbers - len({*local.values()})
    if relay is None:
        return _commands(_fitted(steps, None, left), local)
    waits = _fitted([relay.load, *steps], relay, left)
    if len(waits.commands) == len(steps) + 1 and not waits.commands[0].posts:
        waits = waits.without_first()
    return _commands(waits, local)


def semaphore_table(commands: Sequence[Command]) -> dict[int, Semaphore]:
    """Who posts and who waits for each semaphore of a program, by its number, for people and for tests.

    Raises
    ------
    ValueError
        If several units wait on a semaphore, or none does.
    """
    posts: dict[int, set[Unit]] = defaultdict(set)
    waits: dict[int, set[Unit]] = defaultdict(set)
    for index, command in enumerate(commands):
        unit = DieStep(command.opcode, command.fields, ()).unit
        steps = steps_of(index, command, 0)
        for use in steps.posts:
            posts[use.semaphore].add(unit)
        for use in steps.takes:
            waits[use.semaphore].add(unit)
    for number in posts.keys() | waits.keys():
        if len(waits[number]) != 1:
            raise ValueError(f"semaphore {number}: {len(waits[number])} units wait on it: must be one")
    return {
        number: Semaphore(tuple(sorted(posts[number], key=str)), *waits[number]) for number in sorted(waits)
    }


def _check_panels(steps: Sequence[DieStep]) -> None:
    for number, step in enumerate(steps):
        if step.panels:
            first = number - (step.opcode == Opcode.DRAIN)
            pair = steps[max(first, 0) : first + 2]
            if (
                [of.opcode for of in pair] != [Opcode.GEMM, Opcode.DRAIN]
                or {of.panels for of in pair} != {pair[0].fields["panels"]}
                or not same_panels(*pair)
                or pair[1].fields["rows"] > pair[0].fields["m"]
            ):
                raise ValueError(
                    f"{step.opcode.name} of {step.label or 'a step'}: its {step.panels} panels must be all of a GEMM "
                    "and of the DRAIN right behind it, at the same addresses"
                )


def _check_groups(steps: Sequence[DieStep]) -> None:
    runs = [key for key, _ in groupby(step.group for step in steps) if key is not None]
    interrupted = sorted(group for group, count in Counter(runs).items() if count > 1)
    if interrupted:
        raise ValueError(
            f"group {interrupted[0]}: other steps are between its steps: must be one behind the other"
        )


def _check_relay(steps: Sequence[DieStep], relay: Relay) -> None:
    def covers(touch: Touch) -> bool:
        starts = (touch.first + row * touch.pitch for row in range(touch.rows))
        return touch.space == "scratchpad" and any(0 <= relay.word - start < touch.words for start in starts)

    for step in steps:
        if any(covers(touch) for touch in step.touches):
            raise ValueError(
                f"{step.opcode.name} of {step.label or 'a step'} uses word {relay.word} of the relay"
            )


def _local_numbers(steps: Sequence[DieStep]) -> dict[_Local, Hashable]:
    """For each local semaphore what has a number: the same for groups that may share it, one after the other.

    They may if one unit posts it, and the same ones post and wait: these take the groups in the same order.
    """
    posts: dict[_Local, set[Unit]] = defaultdict(set)
    waits: dict[_Local, set[Unit]] = defaultdict(set)
    for step in steps:
        for name, of in step.local.items():
            (waits if "wait" in name else posts)[step.group, of].add(step.unit)
    found: dict[_Local, Hashable] = {}
    counts: dict[Hashable, int] = defaultdict(int)
    for key in dict.fromkeys([*posts, *waits]):
        if len(waits[key]) != 1 or not posts[key]:
            raise ValueError(
                f"local semaphore {key[1]}: {len(posts[key])} units post it and {len(waits[key])} wait on it: must be "
                "one or more, and one"
            )
        found[key] = key
        if len(posts[key]) == 1:
            pair = (*posts[key], *waits[key])
            found[key] = (pair, counts[key[0], pair])
            counts[key[0], pair] += 1
    return found


def _fitted(steps: Sequence[DieStep], relay: Relay | None, numbers: int) -> WaitPlan:
    """Waits of so few pairs of units that there are numbers for all."""
    needs = dependences(steps)
    barred: set[Pair] = set()
    gated: set[int] = set()
    for _ in range(_TRIES):
        waits = plan_waits(steps, needs, relay, barred, gated)
        if waits.crowded:
            gated |= waits.crowded
            continue
        pairs = waits.pairs
        surplus = len(pairs) - numbers
        if surplus <= 0:
            return waits
        # Relays need those of the vector unit, and a DRAIN its GEMM; those that are used least cost least.
        spare = [pair for pair in pairs if not _needed(pair, waits)]
        spare.sort(key=lambda pair: (pairs[pair], pair))
        if len(spare) < surplus:
            break
        barred.update(spare[:surplus])
    raise ValueError(
        f"program: {len(pairs)} pairs of units wait for each other: there are {numbers} semaphores"
    )


def _needed(pair: Pair, waits: WaitPlan) -> bool:
    posts, taken = waits.units[pair.posts].opcode, waits.units[pair.waits].opcode
    return Opcode.VECTOR in (posts, taken) or (pair.panels and posts == Opcode.GEMM)


def _commands(waits: WaitPlan, local: Mapping[_Local, Hashable]) -> list[Command]:
    """The commands, with the numbers of their semaphores."""
    commands = waits.commands
    keys: list[Hashable] = [*dict.fromkeys(local.values()), *sorted(waits.pairs)]
    numbers = {key: number for number, key in enumerate(keys, 1)}
    made = []
    for command in commands:
        step = command.step
        fields = dict(step.fields)
        fields |= {name: numbers[local[step.group, of]] for name, of in step.local.items()}
        taken = [Pair(commands[other].unit, command.unit) for other in command.waits]
        posted = [Pair(command.unit, commands[other].unit) for other in command.posts]
        uses: tuple[tuple[Literal["wait", "post"], list[Pair]], ...] = (("wait", taken), ("post", posted))
        for kind, pairs in uses:
            names = command.fields(kind)[: len(pairs)]
            fields |= {name: numbers[pair] for name, pair in zip(names, pairs, strict=True)}
        if command.panels_of is not None:
            fields["panel_wait"] = numbers[Pair(commands[command.panels_of].unit, command.unit, panels=True)]
        if command.panels_to is not None:
            fields["panel_post"] = numbers[Pair(command.unit, command.panels_to, panels=True)]
        made.append(Command(step.opcode, fields))
    return made

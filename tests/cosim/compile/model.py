"""A model of the order in which a die's units use places: words hold a hash of all that they were made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from chiplet.machine.specs import DieSpec
from cosim.program.checker.accesses import Access, AccessMap
from cosim.program.checker.command_steps import CommandSteps
from cosim.program.checker.queue_run import QueuedProgram
from cosim.program.command import Command

Places = dict[tuple[str, int], int]


def places_after(
    commands: Sequence[Command], die: DieSpec, accesses: AccessMap, random: Random | None = None
) -> tuple[Places, list[int]]:
    """What all places hold after a program, and the values of all semaphores; the units take turns at random, or else
    in the order of the program.

    Raises AssertionError if it blocks.
    """
    program = QueuedProgram(commands, queue_depth=die.queue_depth)
    held: Places = {}
    tokens = [0] * 64
    at: dict[str, tuple[int, int]] = dict.fromkeys(program.queues, (0, 0))  # command of the queue, step
    handed = dict.fromkeys(program.queues, 0)
    order = [unit for unit, _ in program.order]
    out = 0
    choose: Callable[[list[CommandSteps]], CommandSteps] = (
        random.choice if random else lambda ready: min(ready, key=lambda steps: steps.index)
    )
    while True:
        while out < len(order) and handed[order[out]] - at[order[out]][0] < program.depth_of(order[out]):
            handed[order[out]] += 1
            out += 1
        heads = [program.queues[unit][number] for unit, (number, _) in at.items() if number < handed[unit]]
        if not heads:
            assert out == len(order)
            return held, tokens
        ready = [steps for steps in heads if all(tokens[s] for s in _numbers(steps.takes, at[steps.unit][1]))]
        assert ready, "the program blocks"
        steps = choose(ready)
        number, now = at[steps.unit]
        for semaphore in _numbers(steps.takes, now):
            tokens[semaphore] -= 1
        _carry_out([*accesses.of(steps, now, now + 1)], (steps.index, now), held)
        for semaphore in _numbers(steps.posts, now):
            tokens[semaphore] += 1
        at[steps.unit] = (number, now + 1) if now + 1 < steps.steps else (number + 1, 0)


def _numbers(uses: Sequence[object], step: int) -> list[int]:
    return [use.semaphore for use in uses if step in use.steps]  # type: ignore[attr-defined]


def _carry_out(accesses: Sequence[Access], who: tuple[int, int], held: Places) -> None:
    read = hash((who, *(held.get(place) for a in accesses if a.reads for place in _places(a))))
    for access in accesses:
        if access.writes:
            for place in _places(access):
                held[place] = hash((read, place[1]))


def _places(access: Access) -> list[tuple[str, int]]:
    found = [access.base]
    for count, pitch in zip(access.counts, access.pitches, strict=True):
        found = [place + number * pitch for place in found for number in range(count)]
    return [(access.memory, place) for place in found]

"""Dependences of steps: those that a look at all pairs of steps and all places finds."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from cosim.compile.ordering.dependences import NEVER, dependences
from cosim.compile.ordering.die_steps import DieStep, Touch
from rtl.interface.isa import Opcode, Side

UNITS = [(Opcode.LOAD, {}), (Opcode.STORE, {}), (Opcode.VECTOR, {}), (Opcode.RECEIVE, {"side": Side.EAST})]


def random_steps(random: Random, count: int, groups: int) -> list[DieStep]:
    """Steps that use blocks of two spaces, with rows apart, side by side or one over the other."""

    def touch() -> Touch:
        space = random.choice(["scratchpad", "accumulator"])
        first, writes = random.randrange(20), random.random() < 0.5
        return Touch(space, first, random.randint(1, 4), random.randint(1, 3), random.randint(-2, 5), writes)  # type: ignore[arg-type]

    steps = []
    for number in range(count):
        opcode, fields = random.choice(UNITS)
        touches = tuple(touch() for _ in range(random.randint(0, 3)))
        group = number // 4 if groups and number % 8 < 4 else None
        steps.append(DieStep(opcode, fields, touches, group=group))
    return steps


def places(step: DieStep, space: str, *, writes: bool) -> set[int]:
    return {
        touch.first + row * touch.pitch + word
        for touch in step.touches
        if touch.space == space and touch.writes == writes
        for row in range(touch.rows)
        for word in range(touch.words)
    }


def meets(step: DieStep, earlier: DieStep, space: str) -> bool:
    """Whether a step has to come behind an earlier one."""
    if step.group is not None and step.group == earlier.group:
        return False
    wrote, read = (places(earlier, space, writes=writes) for writes in (True, False))
    writes, reads = (places(step, space, writes=writes) for writes in (True, False))
    if step.unit == earlier.unit:
        return step.opcode == Opcode.RECEIVE and bool(reads & wrote)
    return bool(reads & wrote or writes & (wrote | read))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("groups", [0, 1])
def test_they_are_those_of_all_pairs(seed: int, groups: int) -> None:
    steps = random_steps(Random(seed), 40, groups)
    found = dependences(steps)
    for space, latest in (("scratchpad", found.latest), ("accumulator", found.sums)):
        expected = np.full_like(latest, NEVER)
        for number, step in enumerate(steps):
            for earlier in range(number):
                if meets(step, steps[earlier], space):
                    expected[number, found.unit_of[earlier]] = earlier
        if groups:
            # What a step of the same group covers counts for all of the group.
            alone = np.array([step.group is None for step in steps])
            assert np.array_equal(latest[alone], expected[alone])
            assert (latest >= expected).all()
        else:
            assert np.array_equal(latest, expected)


def test_no_step_depends_on_a_later_one_or_on_its_group() -> None:
    steps = random_steps(Random(0), 60, 1)
    found = dependences(steps)
    for number, step in enumerate(steps):
        for latest in (found.latest[number], found.sums[number]):
            before = [int(of) for of in latest if of != NEVER]
            assert all(of < number for of in before)
            assert all(step.group is None or steps[of].group != step.group for of in before)

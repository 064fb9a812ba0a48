"""Steps of products leave the golden model's bits, stay in the buffers, and name all that they touch."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings

from chiplet.machine.specs import scratchpad_depth
from cosim.compile.product_steps import ProductSteps
from cosim.compile.steps import Step, Touch
from cosim.golden.interpreter import Interpreter
from cosim.program.checker.accesses import AccessMap
from cosim.program.checker.command_limits import CommandLimits
from cosim.program.checker.command_steps import steps_of
from cosim.program.command import Command
from tests.cosim.compile.products import Case, cases, fill, read_matrix

many = settings(max_examples=60, deadline=None)


def made(case: Case) -> list[list[Step]]:
    """Steps of each product of a case; what does not fit is left out."""
    maker = ProductSteps(case.die, case.memory)
    try:
        return [list(maker.steps(product)) for product in case.products]
    except ValueError as error:
        assume("fit" not in str(error))
        raise


def command(step: Step) -> Command:
    return Command(step.opcode, step.fields)


@many
@given(cases())
def test_bits_are_those_of_the_golden_model(case: Case) -> None:
    interpreter = Interpreter(die=case.die, memory=case.memory, words=0)
    rng = np.random.default_rng(1)
    steps = made(case)
    wanted = [fill(interpreter, product, rng) for product in case.products]
    interpreter.run(command(step) for of in steps for step in of)
    for product, patterns in zip(case.products, wanted, strict=True):
        np.testing.assert_array_equal(read_matrix(interpreter, product.y), patterns)


def places(touches: list[Touch]) -> set[tuple[str, bool, int]]:
    return {
        (t.space, t.writes, t.first + row * t.pitch + word)
        for t in touches
        for row in range(t.rows)
        for word in range(t.words)
    }


@many
@given(cases(most=1))
def test_touches_are_what_commands_access(case: Case) -> None:
    accesses = AccessMap(case.die, case.memory)
    for of in made(case):
        for step in of:
            steps = steps_of(0, command(step), 0)
            used = set()
            for access in accesses.of(steps, 0, steps.steps):
                along = [np.arange(n) * p for n, p in zip(access.counts, access.pitches, strict=True)]
                grid = access.base + sum(np.ix_(*along), start=np.zeros(access.counts, int))
                for writes, does in ((True, access.writes), (False, access.reads)):
                    if does:
                        used |= {(access.memory, writes, int(place)) for place in np.ravel(grid)}
            assert places(list(step.touches)) == used


@many
@given(cases(most=1))
def test_commands_keep_their_limits(case: Case) -> None:
    die = case.die
    limits = CommandLimits(
        die=die,
        engine=False,
        accesses=AccessMap(die, case.memory),
        sizes={
            "scratchpad": scratchpad_depth(die, case.memory),
            "activation": die.activation_depth,
            "weight": die.weight_depth,
            "accumulator": die.accumulator_depth,
        },
        word_bytes=case.memory.word_bytes,
    )
    for of in made(case):
        for step in of:
            assert not list(limits.violations(steps_of(0, command(step), 0)))

"""Semaphores of steps: programs that the checker accepts, with the same result in every order; and no wait too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.compile.semaphores import Relay, semaphore_table, with_semaphores
from cosim.compile.steps import Step
from cosim.golden.interleaving import at_random, in_program_order, loads_first
from cosim.golden.interpreter import Interpreter
from cosim.program.checker.die_checker import CheckedDie, die_violations
from cosim.program.command import Command
from tests.cosim.compile.model import places_after
from tests.cosim.compile.random_steps import (
    ACCESSES,
    DIE,
    MEMORY,
    MEMORY_WORDS,
    RELAY_WORD,
    RandomSteps,
)

CHECKED = CheckedDie(die=DIE, memory=MEMORY, memory_words=MEMORY_WORDS)
RELAY = Relay(RELAY_WORD, 0)
WAITS = ("wait_0", "wait_1", "wait_2", "panel_wait")


def program(steps: Sequence[Step], relay: Relay | None = RELAY) -> list[Command]:
    return with_semaphores(steps, relay=relay)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 60))
def test_the_checker_accepts_and_every_order_gives_the_same(seed: int, count: int) -> None:
    commands = program(RandomSteps(seed).steps(count))
    assert die_violations(CHECKED, commands) == []
    right, tokens = places_after(commands, DIE, ACCESSES)
    assert not any(tokens)
    for number in range(3):
        assert places_after(commands, DIE, ACCESSES, Random(seed + number)) == (right, tokens)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_order_of_the_interpreter_leaves_the_same_bits(seed: int) -> None:
    commands = program(RandomSteps(seed, passes=False).steps(40))
    left = []
    for order in (in_program_order, loads_first, *(at_random(np.random.default_rng([seed, n])) for n in range(2))):
        interpreter = Interpreter(die=DIE, memory=MEMORY, words=MEMORY_WORDS)
        values = np.random.default_rng(seed).normal(size=MEMORY_WORDS * 2).astype("<f4")
        interpreter.write_memory(0, values.tobytes())
        interpreter.run(commands, order=order)
        left.append((interpreter.read_memory(0, MEMORY_WORDS), interpreter.scratchpad.filled(0).tobytes()))
        assert not any(interpreter.semaphores)
    assert left == left[:1] * len(left)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32))
def test_no_wait_is_too_many(seed: int) -> None:
    """Without one of them the checker finds accesses that are not in order."""
    commands = program(RandomSteps(seed).steps(25))
    given_waits = [(n, name) for n, command in enumerate(commands) for name in WAITS if command.fields.get(name)]
    for number, name in given_waits:
        changed = list(commands)
        changed[number] = replace(commands[number], fields={**commands[number].fields, name: 0})
        assert die_violations(CHECKED, changed), (number, name)

"""Compiled programs keep everything that is checked, and each way of spoiling one is found before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.machine.config import load_configuration
from cosim.compile.compiled_step import CompiledStep, DieProgram
from cosim.compile.compiler import compile_step
from cosim.compile.inspection.check import step_violations
from cosim.compile.ordering.die_steps import DieStep
from cosim.program.command import Command
from rtl.interface.isa import SEMAPHORES, Opcode

MODEL = ModelSizes(hidden=6, heads=3, kv_heads=1, head_dim=4, ffn=5, layers=1, vocab=7)


@cache
def compiled(rows: int, cols: int, sequences: int = 2, tiles: int = 1) -> CompiledStep:
    keys = [f"package.rows={rows}", f"package.cols={cols}", "die.rows=3", "die.cols=5"]
    system = load_configuration(None, keys, preset="bench").system
    sizes = StepSizes(
        model=MODEL, rows=rows, cols=cols, sequences=sequences, length=3, tiles=tiles, algorithm="chain"
    )
    return compile_step(sizes, system)


def with_die(step: CompiledStep, number: int, die: DieProgram) -> CompiledStep:
    return replace(step, dies=[*step.dies[:number], die, *step.dies[number + 1 :]])


def with_commands(step: CompiledStep, number: int, commands: Sequence[Command]) -> CompiledStep:
    return with_die(step, number, replace(step.dies[number], commands=commands))


@pytest.mark.parametrize(
    ("rows", "cols", "sequences", "tiles"),
    [
        (1, 1, 1, 1),
        (1, 2, 3, 3),
        (2, 1, 2, 1),
        (2, 2, 3, 2),
        pytest.param(2, 3, 5, 2, marks=pytest.mark.slow),
        pytest.param(3, 2, 2, 1, marks=pytest.mark.slow),
    ],
)
def test_compiled_programs_keep_everything(rows: int, cols: int, sequences: int, tiles: int) -> None:
    assert step_violations(compiled(rows, cols, sequences, tiles)) == []


def test_sums_that_come_back_as_copies_are_behind_their_reads() -> None:
    # Three dies add up a head; the outer ones store what comes, and the middle one takes copies over its summands.
    model = ModelSizes(hidden=8, heads=3, kv_heads=1, head_dim=4, ffn=10, layers=1, vocab=9, tied=True)
    system = load_configuration(
        None, ["package.rows=2", "package.cols=3", "die.rows=8", "die.cols=4"], preset="bench"
    ).system
    sizes = StepSizes(model=model, rows=2, cols=3, sequences=1, length=2, algorithm="chain")
    step = compile_step(sizes, system)
    assert any(command.fields.get("keep") == 2 for command in step.dies[0].commands)
    assert step_violations(step) == []


def semaphores_of(command: Command) -> dict[str, int]:
    return {
        name: value for name, value in command.fields.items() if ("wait" in name or "post" in name) and value
    }


@pytest.mark.parametrize("seed", range(8))
def test_two_semaphores_that_are_swapped_are_found(seed: int) -> None:
    step, rng = compiled(1, 2), Random(seed)
    commands = list(step.dies[1].commands)
    place = rng.choice([place for place, command in enumerate(commands) if semaphores_of(command)])
    there = semaphores_of(commands[place])
    name = rng.choice(sorted(there))
    used = {number for command in commands for number in semaphores_of(command).values()}
    # Two that a command posts, or waits for, may change places.
    other = rng.choice(sorted(used - {*there.values()}))
    commands[place] = Command(commands[place].opcode, {**commands[place].fields, name: other})
    assert step_violations(with_commands(step, 1, commands))


@pytest.mark.parametrize(
    "opcode",
    [
        Opcode.FEED_ACTIVATION,
        Opcode.FEED_WEIGHT,
        Opcode.GEMM,
        Opcode.STORE,
        Opcode.SEND,
        Opcode.RECEIVE,
        Opcode.VECTOR,
    ],
)
def test_a_wait_that_is_left_out_is_found(opcode: Opcode) -> None:
    step = compiled(1, 2)
    commands = list(step.dies[0].commands)
    place = next(
        place
        for place, command in enumerate(commands)
        if command.opcode == opcode and command.fields.get("wait_0")
    )
    commands[place] = Command(opcode, {**commands[place].fields, "wait_0": 0})
    assert step_violations(with_commands(step, 0, commands))


@pytest.mark.parametrize("seed", range(5))
def test_a_dropped_command_is_found(seed: int) -> None:
    step, rng = compiled(1, 2), Random(seed)
    commands = list(step.dies[1].commands)
    del commands[rng.randrange(len(commands))]
    (line,) = step_violations(with_commands(step, 1, commands))
    assert line.startswith("die 1: step ")
    assert line.endswith("has no command")


def test_a_flipped_sign_is_found() -> None:
    step = compiled(1, 2)
    commands = list(step.dies[0].commands)
    place = next(place for place, command in enumerate(commands) if command.opcode == Opcode.VECTOR)
    changed = {**commands[place].fields, "negate": 1 - commands[place].fields.get("negate", 0)}
    commands[place] = Command(Opcode.VECTOR, changed)
    (line,) = step_violations(with_commands(step, 0, commands))
    assert "(VECTOR, " in line
    assert line.endswith("has no command")


def test_a_semaphore_that_does_not_exist_is_no_command() -> None:
    with pytest.raises(ValueError, match=r"LOAD.post_0 = 64 is out of range"):
        Command(Opcode.LOAD, {"rows": 1, "words": 1, "post_0": SEMAPHORES})


ENGINE = (Opcode.SEND, Opcode.RECEIVE)


def taken_out(die: DieProgram, group: int | None) -> tuple[DieProgram, list[DieStep], list[Command]]:
    """A die without one of its collectives, and the steps and commands of that."""
    numbers = die.step_numbers()
    gone = {number for number, step in enumerate(die.steps) if step.opcode in ENGINE and step.group == group}
    left = replace(
        die,
        steps=[step for number, step in enumerate(die.steps) if number not in gone],
        commands=[c for c, number in zip(die.commands, numbers, strict=True) if number not in gone],
    )
    chosen = [c for c, number in zip(die.commands, numbers, strict=True) if number in gone]
    return left, [die.steps[number] for number in sorted(gone)], chosen


def test_collectives_in_another_order_on_one_die_are_refused_by_name() -> None:
    step = compiled(2, 2)
    die = step.dies[3]
    groups = list(dict.fromkeys((s.group, s.label) for s in die.steps if s.opcode in ENGINE))
    (first, name), (second, other) = next(pair for pair in pairwise(groups) if pair[0][1] != pair[1][1])
    left, steps, commands = taken_out(die, second)
    at = next(n for n, s in enumerate(left.steps) if s.opcode in ENGINE and s.group == first)
    behind = left.step_numbers().index(at)
    spoilt = replace(
        left,
        steps=[*left.steps[:at], *steps, *left.steps[at:]],
        commands=[*left.commands[:behind], *commands, *left.commands[behind:]],
    )
    (line,) = step_violations(with_die(step, 3, spoilt))
    assert line.startswith("collectives have no order that all dies keep: ")
    assert f"{name} before {other} on die 0" in line
    assert f"{other} before {name} on die 3" in line


def test_a_missing_collective_blocks() -> None:
    step = compiled(2, 2)
    group = next(s.group for s in step.dies[2].steps if s.opcode == Opcode.SEND)
    spoilt, steps, _ = taken_out(step.dies[2], group)
    assert len(steps) >= 2
    lines = step_violations(with_die(step, 2, spoilt))
    assert any("the program blocks" in line or "a chunk of" in line for line in lines)


def test_a_program_that_writes_into_the_memory_of_another_die_is_found() -> None:
    step = compiled(1, 2)
    system = step.system.model_copy(update={"package": step.system.package.model_copy(update={"io": "west"})})
    both = compile_step(step.sizes, system)
    assert step_violations(both) == []
    die = both.dies[0]
    place = next(place for place, command in enumerate(die.commands) if command.opcode == Opcode.STORE)
    other = next(c for c in both.dies[1].commands if c.opcode == Opcode.STORE).fields["address"]
    commands, steps = list(die.commands), list(die.steps)
    number = die.step_numbers()[place]
    assert number is not None
    commands[place] = Command(Opcode.STORE, {**commands[place].fields, "address": other})
    steps[number] = replace(steps[number], fields={**steps[number].fields, "address": other})
    lines = step_violations(with_die(both, 0, replace(die, commands=commands, steps=steps)))
    assert any("die 0: writes words" in line and "which die 1 uses" in line for line in lines)

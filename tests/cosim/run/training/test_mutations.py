"""Spoilt training programs: the checker refuses each, or it stops, or it leaves other bits than the golden run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest
from numpy.typing import NDArray

from chiplet.graph.graph import TensorKey
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.config import load_configuration
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.compiler import compile_step
from cosim.compile.inspection.check import step_violations
from cosim.golden.interpreter import ProgramError
from cosim.golden.training.initial import random_weights, repeated_tokens
from cosim.golden.training.step_trace import StepTrace
from cosim.jobs.folder import ResultWords
from cosim.program.command import Command
from cosim.run.training.train_step import golden_training, prepare
from cosim.run.training.training_memory import Words
from rtl.interface.isa import SEMAPHORES, Opcode
from rtl.interface.vector_operations import SecondOp

LAST = 1
"""The die whose program is spoilt."""


@cache
def compiled() -> CompiledStep:
    """A step in which two dies share a key/value head, so that its gradients are summed."""
    keys = ["package.rows=1", "package.cols=2", "die.rows=3", "die.cols=5"]
    system = load_configuration(None, keys, preset="bench").system
    model = ModelSizes(hidden=6, heads=3, kv_heads=1, head_dim=4, ffn=5, layers=1, vocab=7)
    sizes = StepSizes(model=model, rows=1, cols=2, sequences=2, length=3, algorithm="chain", optimizer="sgd")
    return compile_step(sizes, system, gradients=True)


def with_program(commands: Sequence[Command], dropped: int | None = None) -> CompiledStep:
    """The step with another program on its last die, and without a step of its that is ``dropped``."""
    step = compiled()
    die = step.dies[LAST]
    steps = [each for number, each in enumerate(die.steps) if number != dropped]
    return replace(step, dies=[*step.dies[:LAST], replace(die, commands=commands, steps=steps)])


def differing(step: CompiledStep) -> set[str]:
    """Names of stored tensors with words that are not the golden run's."""
    weights = random_weights(step.sizes.model, seed=1)
    golden = golden_training(step, weights, ConstantSettings(rate=0.1))
    prepared = prepare(step, golden, repeated_tokens(step.sizes, 1, seed=2))
    seen: set[str] = set()
    compared = prepared.memory.compared

    def noting(
        number: int, key: TensorKey, found: ResultWords, trace: StepTrace
    ) -> tuple[NDArray[Any], Words]:
        values, words = compared(number, key, found, trace)
        if words.mismatches:
            seen.add(key.name)
        return values, words

    prepared.memory.compared = noting  # type: ignore[method-assign]
    run = prepared.interpret()
    assert bool(seen) == (run.mismatches > 0)
    return seen


def found_out(step: CompiledStep) -> str:
    """What finds a spoilt step: the checker, the run, or the comparison; nothing: an empty text."""
    if step_violations(step):
        return "checker"
    try:
        return "comparison" if differing(step) else ""
    except ProgramError:
        return "run"


def places(chosen: Callable[[Command], bool]) -> list[int]:
    return [number for number, command in enumerate(compiled().dies[LAST].commands) if chosen(command)]


def changed(place: int, **fields: int) -> CompiledStep:
    """The step with other fields in a command, and in its step, as if the compiler had meant it."""
    die = compiled().dies[LAST]
    commands, steps = list(die.commands), list(die.steps)
    number = die.step_numbers()[place]
    assert number is not None
    commands[place] = Command(commands[place].opcode, {**commands[place].fields, **fields})
    steps[number] = replace(steps[number], fields={**steps[number].fields, **fields})
    spoilt = replace(die, commands=commands, steps=steps)
    return replace(compiled(), dies=[*compiled().dies[:LAST], spoilt])


def test_the_step_as_it_is_passes() -> None:
    assert found_out(compiled()) == ""


def vectors(name: str, value: int) -> list[int]:
    """Passes of the vector unit with a field of this value."""
    return places(lambda command: command.opcode == Opcode.VECTOR and command.fields.get(name, 0) == value)


@pytest.mark.parametrize("operation", [SecondOp.SUB, SecondOp.RSUB])
@pytest.mark.parametrize("seed", range(3))
def test_a_subtraction_that_adds_leaves_other_bits(operation: SecondOp, seed: int) -> None:
    place = Random(seed).choice(vectors("op2", operation))
    assert found_out(changed(place, op2=SecondOp.ADD)) == "comparison"


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_sign_leaves_other_bits(seed: int) -> None:
    place = Random(seed).choice(vectors("negate", seed % 2))
    assert found_out(changed(place, negate=1 - seed % 2)) == "comparison"


def test_a_missing_sum_of_replicas_leaves_other_keys_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compiled()
    monkeypatch.setattr("cosim.compile.compiler.reduce_replicas", lambda *_: None)
    spoilt = compile_step(whole.sizes, whole.system, gradients=True)
    for die, less in zip(whole.dies, spoilt.dies, strict=True):
        assert {step.label for step in die.steps} - {step.label for step in less.steps} != set()
    # All programs agree with each other: nothing but the numbers can tell.
    assert step_violations(spoilt) == []
    found = differing(spoilt)
    assert {name.split(".")[1] for name in found if name.startswith("attention.") and "gain" not in name} == {
        "k",
        "v",
    }


@pytest.mark.parametrize("seed", range(6))
def test_two_semaphores_that_are_swapped_are_found(seed: int) -> None:
    """Of two commands of different units: what one posted, the other one posts now."""
    rng, die = Random(seed), compiled().dies[LAST]
    posts = places(lambda command: bool(command.fields.get("post_0")))
    one = rng.choice(posts)
    other = rng.choice(
        [at for at in posts if die.commands[at].fields["post_0"] != die.commands[one].fields["post_0"]]
    )
    commands = list(die.commands)
    for at, source in ((one, other), (other, one)):
        post = die.commands[source].fields["post_0"]
        assert 0 < post < SEMAPHORES
        commands[at] = Command(die.commands[at].opcode, {**die.commands[at].fields, "post_0": post})
    assert found_out(with_program(commands))


@pytest.mark.parametrize("opcode", sorted({command.opcode for command in compiled().dies[LAST].commands}))
def test_a_command_that_is_dropped_is_found(opcode: Opcode) -> None:
    """With its step, as if the compiler had forgotten it."""
    rng, die = Random(int(opcode)), compiled().dies[LAST]
    place = rng.choice(places(lambda command: command.opcode == opcode))
    commands = [command for number, command in enumerate(die.commands) if number != place]
    assert found_out(with_program(commands, dropped=die.step_numbers()[place]))

"""Programs of all dies are checked together: what they must keep, and one order of their collectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cosim.compile.compiled_step import CompiledStep, DieProgram
from cosim.compile.inspection.check import check_step, step_violations
from cosim.program.command import Command
from cosim.program.shape import Shape
from rtl.interface.isa import Opcode
from tests.cosim.compile.inspection.hand_made import compiled_of, die_of, gemm_step, step_of
from tests.cosim.packages import system

GEMM = gemm_step(system(2, 2, dtype="bf16"), Shape(m=5, k=7, n=9))


def with_commands(compiled: CompiledStep, number: int, commands: Sequence[Command]) -> CompiledStep:
    """The same with other commands on a die, each a step."""
    steps = [step_of(command, "", 0) for command in commands if command.opcode != Opcode.SET]
    dies = [
        replace(die, commands=commands, steps=steps) if place == number else die
        for place, die in enumerate(compiled.dies)
    ]
    return replace(compiled, dies=dies)


def test_programs_that_keep_everything_pass() -> None:
    check_step(GEMM)


def test_a_dropped_command_is_found() -> None:
    commands = list(GEMM.dies[1].commands)
    found = [
        step_violations(with_commands(GEMM, 1, commands[:place] + commands[place + 1 :]))
        for place, command in enumerate(commands)
        if command.opcode not in (Opcode.LOAD, Opcode.STORE)
    ]
    assert len(found) == 9
    assert all(found)


def test_a_step_without_command_is_found() -> None:
    die = GEMM.dies[1]
    place = next(place for place, step in enumerate(die.steps) if step.opcode == Opcode.DRAIN)
    number = die.step_numbers().index(place)
    commands = [*die.commands[:number], *die.commands[number + 1 :]]
    dies = [GEMM.dies[0], replace(die, commands=commands), *GEMM.dies[2:]]
    with pytest.raises(ValueError, match=r"die 1: step \d+ \(\w+, \w+\) has no command"):
        check_step(replace(GEMM, dies=dies))


def collectives(*names: str) -> DieProgram:
    commands = [Command(Opcode.SEND, {"side": 1, "chunks": 1, "flits": 1, "target": 2}) for _ in names]
    return die_of(
        commands,
        steps=[
            step_of(command, name, group)
            for group, (command, name) in enumerate(zip(commands, names, strict=True))
        ],
    )


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([["a", "b"], ["b", "a"]], "a before b on die 0, b before a on die 1"),
        (
            [["a", "b"], ["b", "c"], ["c", "a"]],
            "a before b on die 0, b before c on die 1, c before a on die 2",
        ),
        (
            [["a", "b", "a"], ["a", "a", "b"]],
            "a (number 1) before b on die 1, b before a (number 1) on die 0",
        ),
    ],
)
def test_collectives_without_one_order_are_refused_by_name(orders: list[list[str]], message: str) -> None:
    compiled = compiled_of(system(1, len(orders)), [collectives(*names) for names in orders])
    assert step_violations(compiled) == [f"collectives have no order that all dies keep: {message}"]


def test_dies_may_leave_out_collectives_of_others() -> None:
    orders = [["a", "b", "d"], ["a", "c", "d"], ["b", "c"]]
    compiled = compiled_of(system(1, 3), [collectives(*names) for names in orders])
    lines = step_violations(compiled)
    assert not [line for line in lines if line.startswith("collectives")]

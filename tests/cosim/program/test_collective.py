"""Programs of the dies of a mesh and of a package, made from the commands of their lines."""

from __future__ import annotations

from itertools import product

import pytest

from cosim.program.collective import gate_command, mesh_programs, package_program
from cosim.program.command import Command
from cosim.program.line_commands import AXES, LineCollective, line_commands
from rtl.interface.isa import SET_PLACES, Opcode

TWO_AXES = {
    "row": LineCollective("all-gather", "chain", 3, 4, 0, 1),
    "column": LineCollective("all-gather", "chain", 2, 4, 9, 1),
}


def test_all_dies_of_a_mesh_open_their_gates_with_the_same_command() -> None:
    programs = mesh_programs(TWO_AXES, 2, 3)
    dies = [
        [line_commands(TWO_AXES[axis], AXES[axis], place) for axis, place in (("row", col), ("column", row))]
        for row, col in product(range(2), range(3))
    ]
    number = gate_command(sum(len(line.parts[0]) for line in die) for die in dies)
    for program, die in zip(programs, dies, strict=True):
        first = [command for line in die for command in line.parts[0]]
        gates = die[0].gates + die[1].gates
        assert program[: len(first)] == first
        assert set(map(str, program[len(first) : number])) == {str(Command(Opcode.SET, {}))}
        assert_opens(program[number], gates)
        assert len(program) == number + 1


def test_later_parts_come_behind_the_gates() -> None:
    lines = {"row": LineCollective("all-reduce", "ring", 3, 4, 0, 1)}
    for place, program in enumerate(mesh_programs(lines, 1, 3)):
        _, later = line_commands(lines["row"], AXES["row"], place).parts
        assert program[-len(later) :] == later


def assert_opens(command: Command, gates: tuple[int, ...]) -> None:
    fields = command.all_fields
    assert command.opcode == Opcode.SET
    given = {fields[f"semaphore_{n}"]: fields[f"value_{n}"] for n in range(SET_PLACES)}
    assert {semaphore: value for semaphore, value in given.items() if semaphore} == dict.fromkeys(gates, 1)
    assert gates


@pytest.mark.parametrize(("op", "algorithm"), [*product(("all-gather", "reduce-scatter"), ("chain", "ring"))])
def test_the_first_die_of_a_package_has_number_1(op: str, algorithm: str) -> None:
    work = LineCollective(op, algorithm, 5, 7, 3, 2)  # type: ignore[arg-type]
    for col in range(5):
        program, gates = package_program({"row": work}, 4, col)
        of_line = line_commands(work, AXES["row"], col, origin=1)
        assert gates == sum(1 << gate for gate in of_line.gates) != 0
        assert program == of_line.parts[0]


def test_software_can_open_the_gates() -> None:
    _, gates = package_program(TWO_AXES, 0, 1)
    row, column = (AXES[axis].semaphore for axis in ("row", "column"))
    assert gates == 0b11 << row | 0b1 << column
    assert gates >> 32 == 0


def test_a_die_alone_on_its_lines_has_no_command() -> None:
    lines = {"row": LineCollective("all-gather", "chain", 1, 4, 0, 1)}
    assert package_program(lines, 0, 0) == ([], 0)

"""Programs of the dies of a mesh and of a package, made from the commands of their lines."""

from __future__ import annotations

from itertools import product

import pytest

from cosim.program.collective import mesh_programs, package_program
from cosim.program.line_commands import AXES, LineCollective, line_commands

TWO_AXES = {
    "row": LineCollective("all-gather", "chain", 3, 4, 0, 1),
    "column": LineCollective("all-gather", "chain", 2, 4, 9, 1),
}


def test_a_die_of_a_mesh_has_the_commands_of_its_row_and_its_column() -> None:
    programs, gates = mesh_programs(TWO_AXES, 2, 3)
    seen = set()
    for program, (row, col) in zip(programs, product(range(2), range(3)), strict=True):
        die = [
            line_commands(TWO_AXES[axis], AXES[axis], place)
            for axis, place in (("row", col), ("column", row))
        ]
        assert program == [command for line in die for command in line.commands]
        seen |= {gate for line in die for gate in line.gates}
    assert gates == sum(1 << gate for gate in seen)


@pytest.mark.parametrize(("op", "algorithm"), [*product(("all-gather", "reduce-scatter"), ("chain", "ring"))])
def test_the_first_die_of_a_package_has_number_1(op: str, algorithm: str) -> None:
    work = LineCollective(op, algorithm, 5, 7, 3, 2)  # type: ignore[arg-type]
    for col in range(5):
        program, gates = package_program({"row": work}, 4, col)
        of_line = line_commands(work, AXES["row"], col, origin=1)
        assert gates == sum(1 << gate for gate in of_line.gates) != 0
        assert program == of_line.commands


def test_software_can_open_the_gates() -> None:
    _, gates = package_program(TWO_AXES, 0, 1)
    row, column = (AXES[axis].semaphore for axis in ("row", "column"))
    assert gates == 0b11 << row | 0b1 << column
    assert gates >> 32 == 0


def test_a_die_alone_on_its_lines_has_no_command() -> None:
    lines = {"row": LineCollective("all-gather", "chain", 1, 4, 0, 1)}
    assert package_program(lines, 0, 0) == ([], 0)

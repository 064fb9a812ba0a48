"""Programs of lines on a package: the commands of a line, with the places of its dies among the IO dies."""

from __future__ import annotations

from itertools import product

import pytest

from cosim.program.collective import AXES, LineCollective, line_commands
from cosim.program.package_lines import line_program
from rtl.interface.isa import Opcode, decode


@pytest.mark.parametrize(("op", "algorithm"), [*product(("all-gather", "reduce-scatter"), ("chain", "ring"))])
def test_places_begin_with_one(op: str, algorithm: str) -> None:
    work = LineCollective(op, algorithm, 5, 7, 3, 2)  # type: ignore[arg-type]
    for col in range(5):
        program, gates = line_program({"row": work}, 4, col, opened=False)
        found, expected_gates = line_commands(work, AXES["row"], col)
        assert gates == expected_gates != 0
        assert decode(program[0]) == (Opcode.SET, decode(program[0])[1] | {"mask": 255, "value_0": 0})
        for command, plain in zip(program[1:], found[0], strict=True):
            (opcode, fields), (_, before) = decode(command), decode(plain)
            if opcode == Opcode.SEND:
                assert fields == before | {"target": before["target"] + 1}
            elif before["by_source"]:
                # Sender p comes as p + 1.
                assert (fields["base"] + fields["pitch"]) % (1 << 20) == before["base"]
                assert fields == before | {"base": fields["base"]}
            else:
                assert fields == before


def test_the_program_or_the_host_opens_the_gates() -> None:
    lines = {
        "row": LineCollective("all-gather", "chain", 3, 4, 0, 1),
        "column": LineCollective("all-gather", "chain", 2, 4, 9, 1),
    }
    closed, gates = line_program(lines, 0, 1, opened=False)
    opened, same = line_program(lines, 0, 1, opened=True)
    assert gates == same == 0b10011
    assert opened[:-1] == closed
    opcode, fields = decode(opened[-1])
    assert opcode == Opcode.SET
    assert fields["mask"] == gates
    assert [fields[f"value_{s}"] for s in range(8)] == [gates >> s & 1 for s in range(8)]


def test_a_die_alone_on_its_lines_has_no_command() -> None:
    assert line_program({"row": LineCollective("all-gather", "chain", 1, 4, 0, 1)}, 0, 0, opened=True) == (
        [],
        0,
    )

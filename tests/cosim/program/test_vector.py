"""Programs of a die for vector programs: run command by command, they leave the golden model's bits in memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chiplet.graph.vector_pass import PassOperand, VectorPass
from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from cosim.golden.vector_program import random_inputs, run_vector_program
from cosim.program.vector import DieVectorProgram, schedule_vector
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import Opcode

DIE = DieSpec(scratchpad_bytes=1 << 18)


class Words:
    """A memory in whole words, and commands that run on it and a scratchpad one after the other."""

    def __init__(self, made: DieVectorProgram, memory: MemorySpec) -> None:
        self.size = memory.word_bytes
        self.memory = bytearray(made.memory_words * self.size)
        self.scratchpad = bytearray(scratchpad_depth(DIE, memory) * self.size)
        self.semaphores: dict[int, int] = {}

    def run(self, made: DieVectorProgram) -> None:
        for command in made.commands:
            fields = command.all_fields
            for name in ("wait_0", "wait_1", "wait_2"):
                if fields.get(name):
                    self.semaphores[fields[name]] -= 1
                    assert self.semaphores[fields[name]] >= 0
            if command.opcode == Opcode.VECTOR:
                self.vector(fields)
            else:
                self.copy(fields, load=command.opcode == Opcode.LOAD)
            if fields["post_0"]:
                self.semaphores[fields["post_0"]] = self.semaphores.get(fields["post_0"], 0) + 1
        assert not any(self.semaphores.values())

    def copy(self, fields: dict[str, int], *, load: bool) -> None:
        length = fields["words"] * self.size
        for row in range(fields["rows"]):
            here = (fields["base"] + row * fields["pitch"]) * self.size
            there = (fields["address"] + row * fields["memory_pitch"]) * self.size
            if load:
                self.scratchpad[here : here + length] = self.memory[there : there + length]
            else:
                self.memory[there : there + length] = self.scratchpad[here : here + length]

    def rows(self, word: int, pitch: int, rows: int, cols: int, element: str) -> Any:
        kind = np.dtype(PATTERN_TYPE[element])
        return np.array(
            [
                np.frombuffer(self.scratchpad, kind, cols, (word + row * pitch) * self.size)
                for row in range(rows)
            ]
        )

    def vector(self, fields: dict[str, int]) -> None:
        def name(family: Any, field: str) -> Any:
            return family(fields[field]).name.lower()

        op1, rows, cols = name(numbers.FirstOp, "op1"), fields["rows"], fields["cols"]
        operands, values = {}, {}
        for operand, there in (("a", True), ("b", op1 != "none"), ("d", fields["op2"] != 0)):
            if there:
                spread = name(numbers.Spread, f"{operand}_spread")
                label = operand == "b" and op1 == "pick"
                element: Any = "int32" if label else "bf16" if fields[f"{operand}_bf16"] else "fp32"
                operands[operand] = PassOperand(element, spread)
                height = rows if spread == "matrix" else 1
                width = {"matrix": cols, "row": cols, "column": rows, "value": 1}[spread]
                array = self.rows(fields[operand], fields[f"{operand}_pitch"], height, width, element)
                values[operand] = (
                    array if spread == "matrix" else array[0] if spread != "value" else array[0, 0]
                )
        work = VectorPass(
            **operands,
            op1=op1,
            function=name(numbers.Function, "function"),
            negate=bool(fields["negate"]),
            op2=name(numbers.SecondOp, "op2"),
            reduction=name(numbers.Reduction, "reduction"),
            causal=bool(fields["causal"]),
            result=(None, "fp32", "bf16")[fields["result"]],
        )
        offset = (fields["offset"] + (1 << 15)) % (1 << 16) - (1 << 15)
        result = vector_pass(work, **values, rows=rows, cols=cols, lanes=8, offset=offset)
        if result.y is not None:
            for row, line in enumerate(result.y):
                self.write(fields["y"] + row * fields["y_pitch"], line)
        if result.reduction is not None:
            self.write(fields["row"], result.reduction)

    def write(self, word: int, line: Any) -> None:
        data = line.tobytes()
        self.scratchpad[word * self.size : word * self.size + len(data)] = data


@pytest.mark.parametrize("name", PROGRAM_NAMES)
@pytest.mark.parametrize(("rows", "cols", "word_bytes"), [(13, 22, 32), (1, 2, 32), (9, 34, 64)])
def test_commands_leave_the_golden_results(name: str, rows: int, cols: int, word_bytes: int) -> None:
    memory, program = MemorySpec(word_bytes=word_bytes), vector_program(name, lines=2)
    causal, offset = name == "softmax", -3 if "cross" in name else 0
    made = schedule_vector(DIE, memory, program, rows=rows, cols=cols, causal=causal, offset=offset)
    inputs = random_inputs(program, np.random.default_rng(7), rows=rows, cols=cols)
    sizes: dict[str, int] = {"rows": rows, "cols": cols, "lanes": 8, "offset": offset}
    expected = run_vector_program(program, inputs, **sizes, causal=causal)
    words = Words(made, memory)
    for address, image in made.images(inputs, word_bytes=word_bytes).items():
        words.memory[address * word_bytes : address * word_bytes + len(image)] = image
    words.run(made)
    first, last = made.result_address, made.result_address + made.result_words
    found = made.outputs(
        bytes(words.memory[first * word_bytes : last * word_bytes]), expected, word_bytes=word_bytes
    )
    assert found.keys() == set(program.outputs)
    for output, bits in found.items():
        np.testing.assert_array_equal(bits, expected[output])


@pytest.mark.parametrize(
    ("die", "name", "rows", "cols", "message"),
    [
        (
            DieSpec(dtype="int8"),
            "softmax",
            4,
            4,
            "vector program softmax: a die with int8 operands has no vector unit: die.dtype must be bf16",
        ),
        (
            DieSpec(),
            "adam",
            64,
            128,
            "vector program adam on 64 x 128 needs 4620 words of the scratchpad: must be at most the 2048 of die",
        ),
        (DieSpec(), "sgd", 0, 4, "vector program sgd: rows = 0: must be 1 to 65535"),
        (DieSpec(), "rotary", 4, 5, "cols = 5: must be even, as the program works on halves of them"),
        (
            DieSpec(scratchpad_bytes=1 << 22),
            "residual",
            2,
            40_000,
            "vector program residual: rows of 5000 words: must be at most 4095",
        ),
    ],
)
def test_what_a_die_cannot_run_is_refused(
    die: DieSpec, name: str, rows: int, cols: int, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        schedule_vector(die, MemorySpec(), vector_program(name), rows=rows, cols=cols)

"""Programs of a die for vector programs: run command by command, they leave the golden model's bits in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.graph.vector_pass import PassOperand, VectorPass
from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from cosim.golden.vector_program import random_inputs, run_vector_program
from cosim.program.checker.die_checker import CheckedDie, check_program
from cosim.program.vector.die_vector_program import DieVectorProgram
from cosim.program.vector.row_blocks import row_blocks, schedule_vector
from cosim.program.vector.tensor_places import RowBlocks
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
            for name in ("post_0", "post_1"):
                if fields[name]:
                    self.semaphores[fields[name]] = self.semaphores.get(fields[name], 0) + 1
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
    """However the rows are cut; the golden model does not know of blocks."""
    memory, program = MemorySpec(word_bytes=word_bytes), vector_program(name, lines=2)
    causal, offset = name == "softmax", -3 if "cross" in name else 0
    inputs = random_inputs(program, np.random.default_rng(7), rows=rows, cols=cols)
    sizes: dict[str, int] = {"rows": rows, "cols": cols, "lanes": 8, "offset": offset}
    expected = run_vector_program(program, inputs, **sizes, causal=causal)
    ways = row_blocks(DIE, memory, program, rows=rows, cols=cols)
    assert ways[0] == RowBlocks(rows)
    for blocks in dict.fromkeys((*ways[:3], ways[-1])):
        made = schedule_vector(
            DIE, memory, program, rows=rows, cols=cols, causal=causal, offset=offset, blocks=blocks
        )
        checked = CheckedDie(
            die=DIE,
            memory=memory,
            memory_words=made.memory_words,
            program_words=range(made.program_address, made.memory_words),
            inputs=[range(made.result_address)],
        )
        check_program(checked, made.commands)
        words = Words(made, memory)
        for address, image in made.images(inputs).items():
            words.memory[address * word_bytes : address * word_bytes + len(image)] = image
        words.run(made)
        first, last = made.result_address, made.result_address + made.result_words
        found = made.outputs(bytes(words.memory[first * word_bytes : last * word_bytes]), expected)
        assert found.keys() == set(program.outputs)
        for output, bits in found.items():
            np.testing.assert_array_equal(bits, expected[output], f"{output} in {blocks}")


def test_the_mask_of_a_block_begins_at_its_rows() -> None:
    """Blocks whose columns are all before the mask have none, so that their offset always fits its field."""
    made = schedule_vector(
        DIE, MemorySpec(), vector_program("softmax"), rows=40_000, cols=9, causal=True, blocks=RowBlocks(4, 2)
    )
    assert list(made.offsets) == [0, 0, 4, 4]
    fields = [command.all_fields for command in made.commands if command.opcode == Opcode.VECTOR]
    assert [each["causal"] for each in fields[:12]] == [1, 1, 0, 0] * 2 + [0] * 4

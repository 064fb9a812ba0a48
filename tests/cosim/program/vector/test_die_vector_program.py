"""Programs of a die for vector programs: run command by command, they leave the golden model's bits in memory."""

from __future__ import annotations

import numpy as np
import pytest

from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.golden.interpreter import Interpreter
from cosim.golden.vector_program import random_inputs, run_vector_program
from cosim.program.checker.die_checker import CheckedDie, check_program
from cosim.program.vector.row_blocks import row_blocks, schedule_vector
from cosim.program.vector.tensor_places import RowBlocks
from rtl.interface.isa import Opcode

DIE = DieSpec(scratchpad_bytes=1 << 18)


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
        die = Interpreter(die=DIE, memory=memory, words=made.memory_words, vector=VectorSpec(lanes=8))
        for address, image in made.images(inputs).items():
            die.write_memory(address, image)
        die.run(made.commands)
        found = made.outputs(die.read_memory(made.result_address, made.result_words), expected)
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

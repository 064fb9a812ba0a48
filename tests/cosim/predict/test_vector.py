"""Timeline of vector programs: the bound by which ways to cut a program are left out."""

from __future__ import annotations

import pytest

from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms
from chiplet.machine.vector_specs import VectorSpec
from cosim.predict.vector import least_vector_cycles, predict_vector
from cosim.program.vector.row_blocks import row_blocks, schedule_vector


@pytest.mark.parametrize("name", PROGRAM_NAMES)
@pytest.mark.parametrize(
    ("rows", "cols", "word_bytes", "interval"), [(13, 14, 16, 1), (5, 22, 8, 3), (1, 8, 64, 1)]
)
def test_no_prediction_is_below_the_least_cycles(
    name: str, rows: int, cols: int, word_bytes: int, interval: int
) -> None:
    die, memory = DieSpec(stages=2), MemorySpec(word_bytes=word_bytes, latency_cycles=2)
    vector, program = VectorSpec(function_lanes=1), vector_program(name, lines=2)
    for blocks in row_blocks(die, memory, program, rows=rows, cols=cols)[:3]:
        made = schedule_vector(die, memory, program, rows=rows, cols=cols, blocks=blocks)
        least = least_vector_cycles(made, die, memory, vector=vector, interval=interval)
        predicted = predict_vector(made.commands, die, memory, DieTerms(), vector=vector, interval=interval)
        assert predicted / 4 < least <= predicted

"""A pass takes as many cycles as :mod:`chiplet.graph.pass_cycles` says: a beat a cycle, whatever the operands."""

from __future__ import annotations

import pytest

from chiplet.graph.pass_cycles import pass_cycles
from chiplet.graph.vector_pass import PassOperand, VectorPass
from chiplet.machine.specs import DieSpec
from chiplet.machine.vector_specs import VectorSpec
from rtl.vector.vector_shape import VectorShape
from rtl.vector.vector_unit import VectorUnit
from tests.rtl.vector.passes import placed_pass, run_passes

MATRIX, BF16 = PassOperand(), PassOperand("bf16")
COLUMN, ROW = PassOperand(spread="column"), PassOperand(spread="row")


@pytest.mark.parametrize(
    ("work", "lanes", "function_lanes", "stages"),
    [
        (VectorPass(MATRIX, MATRIX, op1="add"), 4, 4, 1),
        (VectorPass(MATRIX, MATRIX, BF16, op1="mul", op2="add", result="bf16"), 2, 2, 1),
        (VectorPass(MATRIX, COLUMN, ROW, op1="sub", function="exp", op2="mul"), 2, 1, 3),
        (VectorPass(MATRIX, COLUMN, ROW, op1="sub", function="exp", op2="mul"), 2, 2, 2),
        (VectorPass(BF16, reduction="sum", result=None), 4, 1, 4),
    ],
)
def test_a_beat_a_cycle(work: VectorPass, lanes: int, function_lanes: int, stages: int) -> None:
    word_bytes, rows, cols = 16, 3, 21
    shape = VectorShape(
        depth=4096,
        word_bytes=word_bytes,
        lanes=lanes,
        function_lanes=function_lanes,
        adder_stages=stages,
    )
    dut = VectorUnit(shape=shape)
    runs = [
        placed_pass(
            work, rows=rows, cols=cols, lanes=lanes, word_bytes=word_bytes, base=512 * n, seed=n, post_1=3
        )
        for n in range(2)
    ]
    _, ends = run_passes(dut, runs, word_bytes=word_bytes)
    assert ends[1] - ends[0] == pass_cycles(
        work,
        rows=rows,
        cols=cols,
        lanes=lanes,
        function_lanes=function_lanes,
        word_bytes=word_bytes,
        die=DieSpec(stages=stages),
        vector=VectorSpec(),
    )

"""Passes that mean something, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.graph.pass_cycles import pass_cycles
from chiplet.graph.vector_pass import PassOperand, VectorPass
from chiplet.machine.specs import DieSpec
from chiplet.machine.vector_specs import VectorSpec

MATRIX, LABELS = PassOperand(), PassOperand("int32", "column")


def test_operands_that_are_there() -> None:
    assert VectorPass(MATRIX).operands == {"a": MATRIX}
    work = VectorPass(MATRIX, LABELS, MATRIX, op1="pick", op2="mul")
    assert list(work.operands) == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op1": "min"}, "vector pass: op1 = 'min': must be one of none, add, sub, mul, max, pick"),
        ({"function": "tanh"}, "function = 'tanh': must be one of none, exp, exp2, recip, rsqrt, log"),
        ({"op1": "add"}, "operand b is missing with operation add"),
        ({"d": MATRIX}, "operand d is not used with operation none"),
        ({"op1": "pick", "b": MATRIX}, "operand b has elements fp32: must be int32, as it holds labels"),
        ({"op1": "add", "b": LABELS}, "operand b has elements int32: must be fp32 or bf16"),
        ({"result": None}, "leaves nothing: must have a result or a reduction"),
        ({"result": "int8"}, "result = 'int8': must be one of fp32, bf16, None"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}$"):
        VectorPass(MATRIX, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"element": "fp16"}, "vector operand: element = 'fp16': must be one of fp32, bf16, int32"),
        ({"spread": "rows"}, "spread = 'rows': must be one of value, column, row, matrix"),
    ],
)
def test_operands_that_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}$"):
        PassOperand(**fields)


def test_cycles_of_beats_of_functions_and_of_words() -> None:
    sizes: dict[str, Any] = {
        "rows": 100,
        "cols": 16,
        "lanes": 8,
        "word_bytes": 32,
        "die": DieSpec(),
        "vector": VectorSpec(),
    }
    copy, exp = VectorPass(MATRIX), VectorPass(MATRIX, function="exp")
    assert pass_cycles(copy, function_lanes=8, **sizes) == 200 + 9
    assert pass_cycles(exp, function_lanes=2, **sizes) == 800 + 14
    # The values of 100 rows are 13 words more.
    both = VectorPass(MATRIX, reduction="sum")
    assert pass_cycles(both, function_lanes=8, **sizes) == 213 + 15

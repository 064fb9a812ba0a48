"""Vector programs in bits against the same passes in float64."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from cosim.golden.numerics import bf16_to_float32, fp32_values
from cosim.golden.vector_program import random_inputs, run_vector_program
from tests.chiplet.graph.exact_programs import run_exact


def values(patterns: Any, element: str) -> Any:
    if element == "int32":
        return np.asarray(patterns).view(np.int32).astype(np.float64)
    return (bf16_to_float32(patterns) if element == "bf16" else fp32_values(patterns)).astype(np.float64)


@pytest.mark.parametrize("name", PROGRAM_NAMES)
@pytest.mark.parametrize(("rows", "cols", "lanes"), [(7, 22, 4), (1, 2, 8), (64, 64, 8)])
def test_bits_are_near_exact_results(name: str, rows: int, cols: int, lanes: int) -> None:
    program = vector_program(name, lines=3)
    inputs = random_inputs(program, np.random.default_rng(rows), rows=rows, cols=cols)
    causal = name == "softmax"
    found = run_vector_program(program, inputs, rows=rows, cols=cols, lanes=lanes, causal=causal)
    exact_inputs = {
        key: values(patterns, program.tensors[key].element).reshape(program.tensors[key].shape(rows, cols))
        for key, patterns in inputs.items()
    }
    exact = run_exact(program, exact_inputs, causal=causal)
    for output in program.outputs:
        tensor = program.tensors[output]
        expected = exact[output]
        difference = values(found[output], tensor.element).reshape(expected.shape) - expected
        # Of each element's own size, and of the largest where terms cancel.
        most = 2.0**-8 if tensor.element == "bf16" else 2.0**-17
        allowed = most * (np.abs(expected) + 0.01 * np.abs(expected).max())
        assert (np.abs(difference) <= allowed).all(), (output, np.abs(difference / allowed).max())


def test_what_is_missing_or_odd_is_refused() -> None:
    residual, rotary = vector_program("residual"), vector_program("rotary")
    with pytest.raises(ValueError, match="^vector program residual: input branch is missing$"):
        run_vector_program(residual, {"x": np.zeros((2, 2), np.uint32)}, rows=2, cols=2, lanes=1)
    message = "cols = 3: must be even, as the program works on halves of them"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        random_inputs(rotary, np.random.default_rng(0), rows=2, cols=3)


@pytest.mark.parametrize("name", ["silu", "residual", "adam"])
def test_inputs_of_all_bits_have_each_bf16_or_upper_half_once(name: str) -> None:
    program = vector_program(name)
    inputs = random_inputs(program, np.random.default_rng(1), rows=4096, cols=16, operands="bits")
    matrices = {key: value for key, value in inputs.items() if np.size(value) == 1 << 16}
    assert matrices
    for key, patterns in matrices.items():
        high = patterns if program.tensors[key].element == "bf16" else patterns >> 16
        assert sorted(high.reshape(-1).tolist()) == list(range(1 << 16))

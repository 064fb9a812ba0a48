"""A training step in the generated Verilog on many meshes: every stored word is the golden run's."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.config import load_configuration
from cosim.backends.registry import backend
from cosim.compile.compiler import compile_step
from cosim.golden.training.initial import random_weights, repeated_tokens
from cosim.run.training.train_step import golden_training, prepare

SMALL: dict[str, Any] = {
    "hidden": 7, "heads": 3, "kv_heads": 1, "head_dim": 4, "ffn": 9, "layers": 1, "vocab": 11
}  # fmt: skip
"""Heads are not columns; two columns share the key/value head; no mesh divides its sizes."""
LAYERS = {**SMALL, "layers": 2}
GROUPED = {**LAYERS, "heads": 6, "kv_heads": 2}
QUARTERS = {**SMALL, "heads": 6, "kv_heads": 2}


def mismatches(sim: str, mesh: tuple[int, int], array: tuple[int, int], model: dict[str, Any]) -> int:
    """Words that differ after a step with two token tiles, on links without adapters."""
    given = {"package.rows": mesh[0], "package.cols": mesh[1], "die.rows": array[0], "die.cols": array[1]}
    system = load_configuration(
        None, [f"{key}={value}" for key, value in given.items()], preset="bench"
    ).system
    sizes = StepSizes(
        model=ModelSizes(**model),
        rows=mesh[0],
        cols=mesh[1],
        sequences=3,
        length=3,
        tiles=2,
        optimizer="sgd",
        algorithm="chain",
    )
    compiled = compile_step(sizes, system, gradients=True)
    golden = golden_training(compiled, random_weights(sizes.model, seed=3), ConstantSettings(rate=0.05))
    run = prepare(compiled, golden, repeated_tokens(sizes, 1, seed=5), backend(sim), direct=True).run()
    assert run.words.compared > 100
    return run.mismatches


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mesh", "array", "model"),
    [
        ((1, 1), (4, 4), LAYERS),
        ((1, 2), (4, 4), SMALL),
        ((2, 1), (4, 4), LAYERS),
        ((2, 2), (4, 4), SMALL),
        ((2, 4), (4, 4), QUARTERS),
        ((3, 2), (3, 5), SMALL),
    ],
)
def test_a_step_in_icarus_leaves_the_golden_bits(
    mesh: tuple[int, int], array: tuple[int, int], model: dict[str, Any]
) -> None:
    assert mismatches("icarus", mesh, array, model) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "array"), [((2, 4), (4, 4)), ((3, 2), (3, 5))])
def test_a_step_on_more_dies_leaves_the_golden_bits(mesh: tuple[int, int], array: tuple[int, int]) -> None:
    assert mismatches("cxxrtl", mesh, array, GROUPED) == 0

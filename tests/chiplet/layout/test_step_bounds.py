"""What a step takes at least: never more than what programs take, and counted without a play."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.layout.step_bounds import least_commands, least_scratchpad_bytes
from cosim.compile.compiler import compile_step
from tests.chiplet.dataflow.steps import machine

MODEL = {"hidden": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "ffn": 24, "layers": 2, "vocab": 20}


def sizes_of(mesh: tuple[int, int], changes: dict[str, Any]) -> StepSizes:
    model = {name: changes.get(name, value) for name, value in MODEL.items()}
    step: dict[str, Any] = {name: value for name, value in changes.items() if name not in MODEL}
    given: dict[str, Any] = {"sequences": 2, "length": 4, **step}
    return StepSizes(model=ModelSizes(**model), rows=mesh[0], cols=mesh[1], **given)


@pytest.mark.parametrize(
    ("mesh", "changes"),
    [
        ((1, 1), {}),
        ((1, 1), {"hidden": 64, "ffn": 100, "layers": 1}),
        ((2, 2), {"sequences": 5, "tiles": 2, "kv_heads": 1}),
        ((3, 2), {"hidden": 19, "vocab": 23, "layers": 1, "optimizer": "adam"}),
    ],
)
def test_programs_take_at_least_as_much(mesh: tuple[int, int], changes: dict[str, Any]) -> None:
    sizes, system = sizes_of(mesh, changes), machine(*mesh)
    compiled = compile_step(sizes, system)
    commands = sum(len(die.commands) for die in compiled.dies)
    assert commands / 8 < least_commands(compiled.graph, sizes, system.die) <= commands
    highest = max(buffer.end * system.memory.word_bytes for die in compiled.dies for buffer in die.scratchpad)
    assert least_scratchpad_bytes(compiled.graph, sizes) <= highest


def test_operands_that_the_backward_pass_uses_are_there_together() -> None:
    """On one die: of all layers and of the head, in bf16; that of the embedding serves the forward pass alone."""
    sizes = sizes_of((1, 1), {})
    of_layer = 16 * (16 + 8 + 8) + 16 * 16 + 2 * 16 * 24 + 24 * 16
    assert least_scratchpad_bytes(training_step(sizes), sizes) == 2 * (2 * of_layer + 16 * 20)


def test_counts_grow_with_what_is_counted() -> None:
    def commands(**changes: Any) -> int:
        sizes = sizes_of((2, 2), changes)
        return least_commands(training_step(sizes), sizes, machine(2, 2).die)

    one = commands()
    for changes in ({"layers": 3}, {"sequences": 4}, {"sequences": 2, "tiles": 2}, {"hidden": 4096}):
        assert commands(**changes) > one

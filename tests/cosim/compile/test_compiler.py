"""Compiled training steps in the functional model of a package, in any order of the units: the golden run's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.compile.compiler import compile_step
from cosim.compile.inspection.check import check_step
from cosim.run.training.train_step import golden_training, prepare
from tests.cosim.golden.training.models import random_tokens, random_weights

REMAINDERS: dict[str, Any] = {
    "hidden": 13, "heads": 5, "kv_heads": 5, "head_dim": 4, "ffn": 11, "layers": 1, "vocab": 19
}  # fmt: skip
GROUPED = {**REMAINDERS, "heads": 4, "kv_heads": 2}
SHARED = {**REMAINDERS, "heads": 6, "kv_heads": 2}
EVEN: dict[str, Any] = {
    "hidden": 16, "heads": 2, "kv_heads": 1, "head_dim": 8, "ffn": 16, "layers": 1, "vocab": 16
}  # fmt: skip


def machine(
    rows: int, cols: int, *, array: tuple[int, int] = (4, 4), word_bytes: int = 32, flit_bits: int = 64
) -> SystemSpec:
    return SystemSpec(
        die=DieSpec(
            rows=array[0],
            cols=array[1],
            dtype="bf16",
            stages=1,
            weight_bytes=4096,
            activation_bytes=4096,
            accumulator_bytes=8192,
            scratchpad_bytes=1 << 19,
            queue_depth=4,
        ),
        package=PackageSpec(rows=rows, cols=cols, io="all"),
        nop=NopSpec(flit_bits=flit_bits),
        memory=MemorySpec(word_bytes=word_bytes),
    )


def mismatches(sizes: StepSizes, system: SystemSpec, *, seed: int, steps: int = 1) -> tuple[int, int]:
    """Words that differ from the golden run after ``steps``, and words that were compared."""
    compiled = compile_step(sizes, system, gradients=True)
    check_step(compiled)
    golden = golden_training(compiled, random_weights(sizes.model, seed=seed), ConstantSettings(rate=0.05))
    given, labels = random_tokens(sizes, seed=seed)
    tokens = np.concatenate([given, labels[:, -1:]], axis=1)
    rng = np.random.default_rng(seed)
    run = prepare(compiled, golden, np.stack([tokens] * steps)).interpret(
        order=lambda choices: int(rng.integers(choices))
    )
    return run.words.mismatches, run.words.compared


CASES = [
    ((1, 1), REMAINDERS, {}, {}),
    ((1, 2), {**GROUPED, "tied": True}, {"tiles": 2}, {"array": (3, 5)}),
    ((2, 1), REMAINDERS, {"tiles": 2, "optimizer": "adam"}, {"word_bytes": 16}),
    ((2, 2), SHARED, {}, {"flit_bits": 256}),
    ((2, 2), EVEN, {"tiles": 4, "optimizer": "adam", "algorithm": "ring"}, {"flit_bits": 512}),
    ((1, 2), {**EVEN, "head_dim": 2}, {"sequences": 2}, {}),
    ((1, 1), {**REMAINDERS, "hidden": 1, "vocab": 1, "ffn": 1, "heads": 1, "kv_heads": 1}, {}, {}),
]
SLOW = [
    ((2, 4), {**GROUPED, "layers": 2}, {}, {"array": (3, 5)}),
    ((2, 4), {**SHARED, "tied": True}, {"optimizer": "adam"}, {}),
    ((3, 2), {**REMAINDERS, "kv_heads": 1}, {"tiles": 3, "sequences": 7}, {}),
    ((4, 3), {**GROUPED, "layers": 2}, {"optimizer": "adam"}, {"word_bytes": 16}),
    ((1, 5), REMAINDERS, {"optimizer": "adam", "tiles": 2}, {"array": (1, 1)}),
]


def sizes_of(mesh: tuple[int, int], model: dict[str, Any], step: dict[str, Any]) -> StepSizes:
    given = {"sequences": 4, "length": 5, **step}
    return StepSizes(model=ModelSizes(**model), rows=mesh[0], cols=mesh[1], **given)


@pytest.mark.parametrize(("mesh", "model", "step", "dies"), CASES)
def test_programs_leave_the_bits_of_the_golden_run(
    mesh: tuple[int, int], model: dict[str, Any], step: dict[str, Any], dies: dict[str, Any]
) -> None:
    wrong, words = mismatches(sizes_of(mesh, model, step), machine(*mesh, **dies), seed=3)
    assert wrong == 0
    assert words > 20


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "model", "step", "dies"), SLOW)
def test_programs_leave_the_bits_of_the_golden_run_on_larger_meshes(
    mesh: tuple[int, int], model: dict[str, Any], step: dict[str, Any], dies: dict[str, Any]
) -> None:
    wrong, words = mismatches(sizes_of(mesh, model, step), machine(*mesh, **dies), seed=4)
    assert wrong == 0
    assert words > 100


def test_weights_stay_in_memory_from_step_to_step() -> None:
    sizes = sizes_of((1, 2), EVEN, {"optimizer": "adam", "sequences": 2})
    assert mismatches(sizes, machine(1, 2), seed=5, steps=3)[0] == 0


@pytest.mark.parametrize(
    ("mesh", "step", "changes", "message"),
    [
        ((2, 2), {}, {"die.scratchpad_bytes": 8192}, "scratchpad: .* needs .* bytes .* has 8192"),
        ((1, 3), {"algorithm": "ring"}, {}, "nop.collective = ring on 1x3 dies: must be chain"),
        ((2, 2), {}, {"die.dtype": "int8"}, "die.dtype = int8: must be bf16"),
        ((2, 2), {}, {"package.rows": 1}, "for 2x2 dies: the package has 1x2"),
    ],
)
def test_what_does_not_fit_is_refused(
    mesh: tuple[int, int], step: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    system = machine(*mesh)
    for key, value in changes.items():
        section, name = key.split(".")
        part = getattr(system, section).model_copy(update={name: value})
        system = system.model_copy(update={section: part})
    model = {**EVEN, "heads": 3, "kv_heads": 3}
    with pytest.raises(ValueError, match=message):
        compile_step(sizes_of(mesh, model, step), system)


def test_what_no_scratchpad_holds_is_refused_before_anything_is_ordered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = {**EVEN, "vocab": 4096}
    sizes = StepSizes(model=ModelSizes(**model), rows=2, cols=2, sequences=2, length=4)
    system = machine(2, 2)
    system = system.model_copy(update={"die": system.die.model_copy(update={"scratchpad_bytes": 1 << 14})})

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("cosim.compile.compiler.step_schedule", never)
    message = r"^scratchpad: embedding.weight needs \d+ bytes: die.scratchpad_bytes has 16384$"
    with pytest.raises(ValueError, match=message):
        compile_step(sizes, system)

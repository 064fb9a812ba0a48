"""The prediction of a step goes through the very commands that the compiler makes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.dataflow.die_tensors import DieTensors
from chiplet.dataflow.package_play import PackagePlay, StepTerms
from chiplet.dataflow.place_times import Use
from chiplet.dataflow.step_schedule import step_schedule
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_pass import VectorPass
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.compiler import compile_step
from rtl.interface.isa import Opcode, Side
from tests.chiplet.dataflow.steps import machine

UNITS = {
    Opcode.GEMM: "array",
    Opcode.FEED_ACTIVATION: "feed_activation",
    Opcode.FEED_WEIGHT: "feed_weight",
    Opcode.FEED_SUMS: "feed_sums",
    Opcode.DRAIN: "drain",
    Opcode.VECTOR: "vector",
    Opcode.LOAD: "load",
    Opcode.STORE: "store",
}


def played(compiled: CompiledStep) -> PackagePlay:
    play = PackagePlay(
        compiled.graph, compiled.sizes, compiled.system, StepTerms.of_design(compiled.system), direct=True
    )
    order = step_schedule(compiled.graph, compiled.sizes, compiled.system, gradients=False).order
    for bundle in order:
        play.play(bundle)
    return play


def check(sizes: StepSizes, **die: Any) -> None:
    compiled = compile_step(sizes, machine(sizes.rows, sizes.cols, **die))
    play = played(compiled)
    for program, units in zip(compiled.dies, play.units, strict=True):
        steps: Counter[str] = Counter()
        work: dict[str, int] = defaultdict(int)
        for step in program.steps:
            fields = step.fields
            unit = UNITS.get(step.opcode, "")
            if not unit:
                unit = f"{step.opcode.name} {Side(fields['side']).name}".lower()
                work[unit] += fields["chunks"] * fields["flits"]
            elif unit == "array":
                work[unit] += fields["m"] * fields["k_tiles"] * fields["panels"]
            elif unit in ("load", "store"):
                work[unit] += fields["rows"] * fields["words"]
            steps[unit] += 1
        assert {name: len(times.taken) for name, times in units.units.items() if times.taken} == steps
        assert {name: units.units[name].busy for name in work} == work


def sizes_of(mesh: tuple[int, int], **changes: Any) -> StepSizes:
    model: dict[str, Any] = {
        "hidden": 16,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 8,
        "ffn": 24,
        "layers": 1,
        "vocab": 16,
    }
    model |= {name: changes.pop(name) for name in list(changes) if name in model}
    sizes: dict[str, Any] = {"sequences": 4, "length": 8, **changes}
    return StepSizes(model=ModelSizes(**model), rows=mesh[0], cols=mesh[1], **sizes)


@pytest.mark.parametrize(
    ("mesh", "changes"),
    [
        ((1, 1), {}),
        ((2, 2), {"tiles": 2, "optimizer": "adam"}),
        ((2, 3), {"hidden": 19, "ffn": 25, "vocab": 17, "length": 5, "sequences": 3}),
    ],
)
def test_commands_and_work_of_each_unit_are_those_of_the_programs(
    mesh: tuple[int, int], changes: dict[str, Any]
) -> None:
    check(sizes_of(mesh, **changes))


def passes_of(compiled: CompiledStep, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    """Rows and columns of the passes that each die is played with."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    play = DieTensors._pass

    def recorded(
        die: DieTensors,
        work: VectorPass,
        rows: int,
        cols: int,
        reads: tuple[Use, ...],
        writes: tuple[Use, ...],
    ) -> None:
        found[id(die.units)].append((rows, cols))
        play(die, work, rows, cols, reads, writes)

    monkeypatch.setattr(DieTensors, "_pass", recorded)
    return [found[id(units)] for units in played(compiled).units]


@pytest.mark.parametrize("flit_bits", [64, 512, 1024])
@pytest.mark.parametrize(
    ("mesh", "changes"),
    [
        ((1, 4), {"hidden": 13, "kv_heads": 1, "length": 5, "sequences": 3}),
        ((2, 3), {"hidden": 19, "ffn": 25, "vocab": 17, "length": 5, "sequences": 3}),
        ((2, 4), {"tiles": 2}),
    ],
)
def test_each_pass_is_as_large_as_that_of_the_program(
    mesh: tuple[int, int], changes: dict[str, Any], flit_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With flits that are wider than words, too: these are filled up, and cleared before."""
    sizes = sizes_of(mesh, **changes)
    system = machine(*mesh)
    system = system.model_copy(update={"nop": system.nop.model_copy(update={"flit_bits": flit_bits})})
    compiled = compile_step(sizes, system)
    for program, passes in zip(compiled.dies, passes_of(compiled, monkeypatch), strict=True):
        vectors = [step for step in program.steps if step.opcode == Opcode.VECTOR]
        assert [(step.fields["rows"], step.fields["cols"]) for step in vectors] == passes


@pytest.mark.slow
@settings(max_examples=12)
@given(
    st.sampled_from([(1, 1), (1, 2), (2, 1), (1, 4), (2, 2), (3, 2), (2, 4)]),
    st.fixed_dictionaries(
        {
            "hidden": st.integers(4, 33),
            "kv_heads": st.sampled_from([1, 2, 4]),
            "ffn": st.integers(4, 30),
            "layers": st.integers(1, 2),
            "vocab": st.integers(4, 30),
            "length": st.integers(1, 9),
            "sequences": st.integers(2, 5),
            "tiles": st.integers(1, 2),
            "optimizer": st.sampled_from(["sgd", "adam"]),
        }
    ),
    st.sampled_from([(4, 4), (3, 5), (2, 2)]),
)
def test_commands_and_work_are_those_of_programs_of_any_size(
    mesh: tuple[int, int], changes: dict[str, Any], array: tuple[int, int]
) -> None:
    check(sizes_of(mesh, **changes), rows=array[0], cols=array[1])

"""Training on a package, in numpy and in the generated Verilog: every stored word is the golden run's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.dataflow.predicted_step import predicted_step
from chiplet.graph.graph import TensorKey
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.config import load_configuration
from chiplet.machine.specs import SystemSpec
from cosim.backends.registry import backend
from cosim.compile.compiled_step import CompiledStep, DieProgram
from cosim.compile.compiler import compile_step
from cosim.golden.interpreter import ProgramError
from cosim.golden.training.golden_step import GoldenTraining, Parameter
from cosim.golden.training.initial import random_weights, repeated_tokens
from cosim.golden.training.step_trace import StepTrace
from cosim.jobs.folder import ResultWords
from cosim.program.command import Command
from cosim.records.links import FaultyLinks
from cosim.run.training.train_step import PreparedTraining, TrainingRun, golden_training, prepare
from cosim.run.training.training_record import unit_cycles
from rtl.interface.isa import Opcode

TINY: dict[str, Any] = {
    "hidden": 4,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 4,
    "ffn": 5,
    "layers": 1,
    "vocab": 7,
}
GROUPED: dict[str, Any] = {**TINY, "hidden": 7, "heads": 3, "layers": 2}
SETTINGS = ConstantSettings(rate=0.05)


def system_of(rows: int, cols: int, *overrides: str) -> SystemSpec:
    sizes = [f"package.rows={rows}", f"package.cols={cols}", "die.rows=3", "die.cols=5"]
    return load_configuration(None, [*sizes, *overrides], preset="bench").system


def sizes_of(mesh: tuple[int, int], model: dict[str, Any], **fields: Any) -> StepSizes:
    given: dict[str, Any] = {"sequences": 2, "length": 3, "algorithm": "chain", **fields}
    return StepSizes(model=ModelSizes(**model), rows=mesh[0], cols=mesh[1], **given)


def compiled_of(
    mesh: tuple[int, int], model: dict[str, Any], *, gradients: bool = True, **fields: Any
) -> CompiledStep:
    return compile_step(sizes_of(mesh, model, **fields), system_of(*mesh), gradients=gradients)


def golden_of(compiled: CompiledStep) -> GoldenTraining:
    return golden_training(compiled, random_weights(compiled.sizes.model, seed=3), SETTINGS)


def prepared_of(compiled: CompiledStep, steps: int = 1, **fields: Any) -> PreparedTraining:
    return prepare(compiled, golden_of(compiled), repeated_tokens(compiled.sizes, steps, seed=5), **fields)


def moments_of(run: TrainingRun) -> dict[Parameter, NDArray[np.float32]]:
    return {name: value for name, value in run.last.items() if name.tensor.endswith((".m", ".v"))}


@pytest.mark.parametrize(
    ("mesh", "model", "fields"),
    [
        ((1, 1), {**TINY, "tied": True}, {"optimizer": "sgd"}),
        ((1, 2), GROUPED, {"optimizer": "adam", "tiles": 2}),
        ((2, 1), TINY, {"optimizer": "adam", "sequences": 3, "tiles": 2}),
    ],
)
def test_steps_leave_the_golden_bits(
    mesh: tuple[int, int], model: dict[str, Any], fields: dict[str, Any]
) -> None:
    compiled = compiled_of(mesh, model, **fields)
    run = prepared_of(compiled, 3).interpret()
    assert run.mismatches == 0
    golden = golden_of(compiled)
    tokens = repeated_tokens(compiled.sizes, 3, seed=5)
    gradients: dict[Parameter, NDArray[np.float32]] = {}
    losses: list[float] = []
    for step in tokens:
        losses.append(golden.step(step[:, :-1], step[:, 1:]))
        gradients = gradients or {
            name: golden.whole(name.tensor, name.layer) for name in run.first if ".gradient" in name.tensor
        }
    assert run.losses == losses
    assert losses[2] < losses[0]
    weights = golden.weights()
    assert all(np.array_equal(run.last[name], value) for name, value in weights.items())
    assert len(gradients) == len(weights) + compiled.sizes.model.tied  # of a tied head as well
    assert all(np.array_equal(run.first[name], value) for name, value in gradients.items())
    moments = moments_of(run)
    assert len(moments) == (2 * len(weights) if fields["optimizer"] == "adam" else 0)
    assert all(np.array_equal(golden.whole(*name), value) for name, value in moments.items())
    # Every word of these, on every die, and the loss on every die in the step between.
    stored = sum(
        prepared_of(compiled).memory.region(number, key).words
        for number in range(len(compiled.dies))
        for key in prepared_of(compiled).memory.results(number, everything=True)
    )
    assert run.words.compared == 2 * stored + len(compiled.dies)


def test_any_order_of_the_units_leaves_the_same_bits() -> None:
    compiled = compiled_of((1, 2), TINY, optimizer="sgd")
    runs = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        runs.append(prepared_of(compiled).interpret(order=lambda steps, rng=rng: int(rng.integers(steps))))  # type: ignore[misc]
        assert runs[-1].mismatches == 0
    assert runs[0].losses == runs[1].losses


def test_the_host_writes_tokens_and_scalars_only_between_steps() -> None:
    compiled = compiled_of((1, 2), TINY, optimizer="adam", sequences=3, tiles=2)
    sizes = compiled.sizes
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, sizes.model.vocab, (3, sizes.sequences, sizes.length + 1))
    prepared = prepare(compiled, golden_of(compiled), tokens)
    assert prepared.interpret().mismatches == 0
    for work, die in zip(prepared.work, compiled.dies, strict=True):
        given = {
            key[0]: tensor.storage.run.word
            for key, tensor in die.memory.items()
            if key[0] in ("tokens", "labels")
        }
        assert given.keys() == {"tokens", "labels"}
        words = {tensor.storage.run.word for key, tensor in die.memory.items() if key[0] in given}
        scalars = {
            word
            for (program, name), word in die.constants.items()
            if program.startswith("adam") and name in ("rate", "scale_v")
        }
        assert work.writes[0] == {}
        for writes in work.writes[1:]:
            assert scalars <= writes.keys() <= scalars | words
            assert writes.keys() & words


def test_the_program_is_in_memory_once_and_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    monkeypatch.setattr("cosim.run.package.check_phase", lambda *_, number: checked.append(number))
    prepared = prepared_of(compiled_of((1, 2), TINY), 4, simulator=backend("icarus"))
    programs = prepared.programs
    assert programs is not None
    assert [phase.programs for phase in programs.phases] == [programs.phases[0].programs] * 4
    used = max(prepared.compiled.places.used.values())
    commands = max(len(die.commands) for die in prepared.compiled.dies)
    size = prepared.compiled.system.memory.command_words
    assert programs.memory_words <= used + 2 * commands * size
    assert checked == [0]


def changed(compiled: CompiledStep, change: Callable[[Sequence[Command]], Sequence[Command]]) -> CompiledStep:
    """The step with another program on its last die."""
    *others, last = compiled.dies
    dies: list[DieProgram] = [*others, replace(last, commands=change(last.commands))]
    return replace(compiled, dies=dies)


def with_sign(commands: Sequence[Command]) -> list[Command]:
    """The last subtraction becomes an addition: that of an update."""
    number = max(n for n, c in enumerate(commands) if c.opcode == Opcode.VECTOR and c.fields["op2"] == 4)
    command = commands[number]
    return [
        *commands[:number],
        Command(command.opcode, {**command.fields, "op2": 1}),
        *commands[number + 1 :],
    ]


def without_store(commands: Sequence[Command]) -> list[Command]:
    """One command less that nobody waits for."""
    number = max(n for n, c in enumerate(commands) if c.opcode == Opcode.STORE)
    return [command for n, command in enumerate(commands) if n != number]


@pytest.mark.parametrize("change", [with_sign, without_store])
def test_a_changed_program_is_found_out(change: Callable[[Sequence[Command]], Sequence[Command]]) -> None:
    compiled = changed(compiled_of((1, 2), TINY, optimizer="sgd"), change)
    try:
        mismatches = prepared_of(compiled, 2).interpret().mismatches
    except ProgramError:
        return
    assert mismatches > 0


def test_undefined_bits_are_mismatches() -> None:
    prepared = prepared_of(compiled_of((1, 1), TINY))
    prepared.interpret()
    key = TensorKey("head.gain")
    words = prepared.memory.region(0, key).words
    size = words * prepared.compiled.system.memory.word_bytes
    nothing = ResultWords(bytes(size), b"\xff" * size)
    _, found = prepared.memory.compared(0, key, nothing, StepTrace())
    assert found == (words, words)


@pytest.mark.slow
def test_steps_in_verilog_leave_the_golden_bits() -> None:
    compiled = compiled_of((1, 2), TINY, optimizer="sgd")
    run = prepared_of(compiled, 2, simulator=backend("icarus"), direct=True).run()
    assert run.mismatches == 0
    assert run.losses == prepared_of(compiled, 2).interpret().losses
    assert run.package is not None
    first, second = run.package.phases.values()
    assert first.cycles == second.cycles
    predicted = predicted_step(compiled.graph, compiled.sizes, compiled.system, gradients=True, direct=True)
    assert predicted.cycles == pytest.approx(second.cycles, rel=0.05)
    units = unit_cycles(second.counters, predicted.units)
    for name in ("array", "load", "store", "row links", "column links"):
        assert units[name].measured == units[name].predicted
    assert all(die.exposed > 0 for die in run.activity)
    assert all(0 < die.busy < second.cycles for die in run.activity)


@pytest.mark.slow
def test_faults_of_links_and_stalls_of_memories_change_no_bit() -> None:
    compiled = compiled_of((1, 2), TINY, optimizer="sgd")
    links = FaultyLinks.of(compiled.system, flips=1e-3, stalls=1e-4)
    run = prepared_of(compiled, simulator=backend("icarus"), stall=0.2, links=links).run()
    assert run.mismatches == 0
    assert run.losses == prepared_of(compiled).interpret().losses
    assert run.package is not None
    assert run.package.link_faults is not None
    assert min(run.package.link_faults.flips, run.package.link_faults.stalls) > 0

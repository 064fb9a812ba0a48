"""Compiled steps made by hand: of given commands, and of the programs of a GEMM on a package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.layout.storage import matrix_storage
from chiplet.machine.specs import SystemSpec
from cosim.compile.compiled_step import Buffer, CompiledStep, DieProgram, StoredTensor
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.golden.operands import random_operands
from cosim.program.command import Command
from cosim.program.layout import Places
from cosim.program.package_gemm import gemm_parts
from cosim.program.shape import Shape
from rtl.interface.isa import Opcode

SEMAPHORES = ("wait_", "post_", "row_wait", "row_post", "panel_wait", "panel_post", "word_wait", "word_post")


def step_of(command: Command, label: str = "", group: int | None = None, *touches: Touch) -> DieStep:
    """The step that a command carries out."""
    fields = {name: value for name, value in command.fields.items() if not name.startswith(SEMAPHORES)}
    return DieStep(command.opcode, fields, touches, label, group)


def die_of(
    commands: Sequence[Command],
    *,
    steps: Sequence[DieStep] | None = None,
    scratchpad: Sequence[Buffer] = (),
    memory: Sequence[StoredTensor] = (),
    constants: Mapping[tuple[str, str], int] | None = None,
    io_die: str = "io_west_0",
) -> DieProgram:
    """A die with ``commands``, all of which are steps if none are given."""
    return DieProgram(
        io_die=io_die,
        steps=[step_of(command) for command in commands] if steps is None else steps,
        commands=commands,
        memory={(tensor.name, tensor.layer, tensor.tile): tensor for tensor in memory},
        scratchpad=scratchpad,
        constants=constants or {},
    )


def compiled_of(system: SystemSpec, dies: Sequence[DieProgram], places: Places | None = None) -> CompiledStep:
    """A compiled step of these dies."""
    model = ModelSizes(hidden=8, heads=4, kv_heads=4, head_dim=2, ffn=8, layers=2, vocab=8)
    sizes = StepSizes(model=model, rows=system.package.rows, cols=system.package.cols, sequences=1, length=1)
    taken = places or Places()
    return CompiledStep(
        sizes=sizes,
        system=system,
        graph=training_step(sizes),
        order=[],
        dies=dies,
        memory_words=max(taken.used.values(), default=0),
        places=taken,
    )


def gemm_step(system: SystemSpec, shape: Shape, algorithm: Any = "chain") -> CompiledStep:
    """The programs of a GEMM; its operands stand for weights, and what moves along lines for two collectives."""
    a, b = random_operands(np.random.default_rng(0), shape, dtype=system.die.dtype, operands="normal")
    places = Places()
    parts = gemm_parts(system, shape, a, b, algorithm=algorithm, places=places)
    dies = []
    for part in parts:
        (commands,) = part.work.programs
        memory = [
            StoredTensor(
                name="tokens",
                layer=number,
                storage=matrix_storage(
                    "fp32", system.memory.word_bytes, len(image) // system.memory.word_bytes, [1], address
                ),
            )
            for number, (address, image) in enumerate(part.work.image.items())
        ]
        dies.append(
            die_of(
                commands,
                steps=[step for command in commands if (step := _gemm_step(command)) is not None],
                memory=memory,
                io_die=part.work.io_die,
            )
        )
    return compiled_of(system, dies, places)


def _gemm_step(command: Command) -> DieStep | None:
    if command.opcode == Opcode.SET:
        return None
    engine = command.opcode in (Opcode.SEND, Opcode.RECEIVE)
    return step_of(command, "gather" if engine else command.opcode.name.lower(), 0 if engine else None)

"""More SRAM or DRAM never makes a step slower: machines with twice and four times as much of one part."""

from __future__ import annotations

from random import Random

import pytest

from chiplet.machine.config import ConfigError, load_system
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.schedule.buffers import DoesNotFitError

BOUND = 1.02
PARTS = ("die.scratchpad_bytes", "die.accumulator_bytes", "die.weight_bytes", "memory.channel_bytes")
Machine = dict[str, int]
Step = tuple[str, str, tuple[int, int], int, int, str]
"""Model, method, mesh, sequences, tokens of a sequence, and recomputation."""

MIB = 1 << 20


def _machine(rows: int, cols: int, scratchpad: int, accumulator: int, weight: int, lanes: int) -> Machine:
    """A machine with buffers of so many MiB."""
    return {
        "die.rows": rows,
        "die.cols": cols,
        "die.scratchpad_bytes": scratchpad * MIB,
        "die.accumulator_bytes": accumulator * MIB,
        "die.weight_bytes": weight * MIB,
        "link.lanes": lanes,
        "memory.channels_per_edge_die": 2,
        "memory.channel_bytes": 16 << 30,
    }


def _seconds(machine: Machine, step: Step) -> float | None:
    """Time of a step; None if there is no such machine, or the step does not fit."""
    model, method, mesh, batch, length, recompute = step
    try:
        system = load_system(None, [f"{key}={value}" for key, value in machine.items()], preset="package")
        request = StepRequest(
            model,
            system,
            mesh=mesh,
            method=method,
            switches={"recompute": recompute},
            global_batch=batch,
            sequence_length=length,
        )
        return project(request).step_seconds
    except (ConfigError, DoesNotFitError):
        return None


def _holds(machine: Machine, step: Step) -> int:
    """Assert it for one machine; return how many larger ones there are."""
    least = _seconds(machine, step)
    if least is None:
        return 0
    larger = 0
    for part in PARTS:
        for factor in (2, 4):
            seconds = _seconds(machine | {part: factor * machine[part]}, step)
            larger += seconds is not None
            assert seconds is None or seconds <= BOUND * least, (part, factor, machine, step)
    return larger


@pytest.mark.parametrize(
    ("machine", "step"),
    [
        # Two parts whose weights are loaded ahead, where a fused block fits but waits for them.
        (_machine(128, 16, 32, 16, 16, 4), ("llama2-7b", "torus-ring", (8, 7), 3, 512, "full")),
        (_machine(16, 256, 32, 64, 4, 16), ("tinyllama-1.1b", "hecaton", (5, 2), 64, 1, "selective")),
        (_machine(16, 8, 8, 4, 16, 16), ("tinyllama-1.1b", "hecaton", (5, 4), 64, 1, "full")),
        # Slices whose columns fill the array.
        (_machine(8, 64, 32, 2, 4, 32), ("llama2-7b", "flat-ring", (4, 7), 7, 512, "selective")),
        # Slices that leave room for a mini-batch in one piece.
        (_machine(256, 64, 4, 16, 4, 32), ("llama2-7b", "optimus", (3, 4), 3, 128, "selective")),
    ],
)
def test_more_of_a_buffer_keeps_the_quicker_schedule(machine: Machine, step: Step) -> None:
    assert _holds(machine, step) > 0


def test_more_of_a_buffer_never_costs_more_on_random_machines() -> None:
    random = Random(7)
    compared = 0
    for _ in range(40):
        machine = _machine(
            random.choice((8, 16, 64, 128, 256)),
            random.choice((8, 16, 64, 256)),
            random.choice((4, 8, 16, 32)),
            random.choice((2, 4, 16)),
            random.choice((1, 4, 16)),
            random.choice((4, 16, 32)),
        )
        step: Step = (
            random.choice(("tinyllama-1.1b", "llama2-7b")),
            random.choice(("hecaton", "optimus", "flat-ring", "torus-ring")),
            (random.randint(1, 8), random.randint(1, 8)),
            random.choice((1, 3, 7, 16, 64)),
            random.choice((1, 127, 512, 2048)),
            random.choice(("none", "selective", "full")),
        )
        compared += _holds(machine, step)
    assert compared > 100

"""Mini-batches: each sequence runs once, and the last mini-batch costs what is in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.schedule.buffers import BlockMemory, DoesNotFitError
from chiplet.schedule.mini_batches import NEGLIGIBLE, mini_batches
from chiplet.workload.experts import Experts
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

MODEL = small_model()
METHOD = method_type("hecaton")(MODEL, Mesh(2, 3), make_switches("hecaton", None), 2)
BLOCKS = METHOD.blocks()


@given(
    block=st.integers(0, 2),
    size=st.integers(1, 60),
    sequences=st.integers(1, 20),
    global_batch=st.integers(1, 90),
    length=st.integers(1, 200),
)
def test_every_token_runs_once(block: int, size: int, sequences: int, global_batch: int, length: int) -> None:
    memory = BlockMemory(METHOD, BLOCKS[block], PACKAGE.die, length, 1)
    sequences = min(sequences, global_batch)
    unit = 1 if BLOCKS[block].name == "attention" else length
    size = min(size, sequences * unit)
    parts = mini_batches(memory, size, sequences, global_batch)
    counted = sum(part.times * part.batch.tokens for part in parts)
    assert 1 <= counted / (global_batch * length) <= 1 + (0 if block == 0 else NEGLIGIBLE)
    assert parts[0].batch.tokens * unit == size * length
    assert all(part.times > 0 and part.batch.tokens < parts[0].batch.tokens for part in parts[1:])


def test_many_machines_have_the_mini_batches_of_each() -> None:
    sizes, sequences, batches = np.array([[3.0], [2.0], [4.0]]), np.array([[7.0], [6.0], [8.0]]), 20.0
    memory = BlockMemory(METHOD, BLOCKS[0], PACKAGE.die, 5, 1)
    parts = mini_batches(memory, sizes, sequences, batches)
    for row in range(3):
        alone = mini_batches(memory, int(sizes[row, 0]), int(sequences[row, 0]), 20)
        there = [
            (float(np.broadcast_to(part.batch.tokens, (3, 1))[row, 0]), times)
            for part in parts
            if (times := float(np.broadcast_to(part.times, (3, 1))[row, 0]))
        ]
        assert there == [(part.batch.tokens, part.times) for part in alone]


@given(
    method=st.sampled_from(list(METHODS)),
    rows=st.integers(1, 6),
    cols=st.integers(1, 6),
    whole=st.integers(1, 4),
    left=st.integers(1, 5),
)
def test_the_last_mini_batch_takes_the_time_of_its_own_size(
    method: str, rows: int, cols: int, whole: int, left: int
) -> None:
    def times(global_batch: int, mini_batch: int) -> list[float]:
        request = StepRequest(
            MODEL,
            small_package(),
            mesh=(rows, cols),
            method=method,
            global_batch=global_batch,
            sequence_length=16,
            mini_batch=mini_batch,
        )
        return [
            (one.on_package.elapsed - one.once.elapsed) * one.layers for one in account(request).step.passes
        ]

    together = times(6 * whole + left, 6)
    assert together == pytest.approx(
        [a + b for a, b in zip(times(6 * whole, 6), times(left, left), strict=True)]
    )


def test_a_partial_last_round_costs_what_it_does() -> None:
    """DRAM holds two sequences of activations: the third round of five sequences has one."""

    def seconds(global_batch: int) -> float:
        request = StepRequest(
            MODEL,
            package("memory.channel_bytes=1100000"),
            mesh=(1, 1),
            global_batch=global_batch,
            sequence_length=64,
        )
        step = account(request)
        assert step.projection.memory.rounds == -(-global_batch // 2)
        return float(sum(one.on_package.elapsed for one in step.step.passes))

    assert seconds(5) - seconds(4) == pytest.approx(seconds(1))


@pytest.mark.parametrize("method", ["flat-ring", "torus-ring"])
def test_more_dram_costs_no_more(method: str) -> None:
    """Rounds of more sequences, whose mini-batches would fill one tile more of the array by a few tokens."""
    seconds = []
    for share in (1, 2, 4):
        system = package(f"memory.channel_bytes={share * PACKAGE.memory.channel_bytes}")
        done = account(StepRequest("gpt3-175b", system, mesh=Mesh(4, 4), method=method))
        assert done.projection.memory.mini_batch_tokens["ffn"] % system.die.rows == 0
        seconds.append(done.projection.step_seconds)
    assert all(more <= 1.001 * less for less, more in pairwise(seconds))


@st.composite
def _steps(draw: st.DrawFn) -> StepRequest:
    """A step of a small model, most often with experts, on a small machine, any mesh, method and buffers."""
    rows = draw(st.sampled_from([4, 8, 16, 32]))
    changes: dict[str, Any] = {"hidden": draw(st.sampled_from([96, 192])), "max_positions": 256}
    experts = Experts(
        count=draw(st.sampled_from([4, 7, 16, 64])),
        active=draw(st.sampled_from([1, 2, 4])),
        ffn=draw(st.sampled_from([50, 100, 300])),
        shared=draw(st.sampled_from([0, 80])),
    )
    sizes = [
        f"die.{name}_bytes={int(2 ** draw(st.floats(least, 22)))}"
        for name, least in (("scratchpad", 16), ("weight", 17), ("accumulator", 17))
    ]
    return StepRequest(
        small_model(**changes, experts=draw(st.sampled_from([experts, experts, None]))),
        small_package(f"die.rows={rows}", f"die.cols={rows}", *sizes),
        mesh=(draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        method=draw(st.sampled_from(list(METHODS))),
        global_batch=draw(st.sampled_from([6, 12, 16])),
        sequence_length=draw(st.sampled_from([16, 32, 64, 100, 256])),
    )


def _seconds(request: StepRequest) -> float:
    try:
        return account(request).projection.step_seconds
    except DoesNotFitError:
        return inf


@settings(max_examples=25, deadline=None, derandomize=True)
@given(request=_steps())
def test_no_given_mini_batch_is_quicker(request: StepRequest) -> None:
    batch = request.global_batch or 0
    given_ones = min(_seconds(replace(request, mini_batch=size)) for size in range(1, batch + 1))
    assert _seconds(request) <= 1.02 * given_ones


@pytest.mark.parametrize("scratchpad", [400_000, 800_000, 1_600_000])
def test_token_tiles_have_rows_for_every_expert(scratchpad: int) -> None:
    """Mini-batches leave room for tiles of which each expert sees enough, where the largest ones that fit would take up
    to 1.8 times as long.
    """
    model = small_model(experts=Experts(count=64, active=2, ffn=100))
    system = small_package(f"die.scratchpad_bytes={scratchpad}")
    request = StepRequest(model, system, mesh=(2, 2), global_batch=64)
    given_ones = min(_seconds(replace(request, mini_batch=size)) for size in range(1, 65))
    assert _seconds(request) <= 1.02 * given_ones

"""The quickest step: no other way to run it is quicker, and more of a resource never costs more than 2 %."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.memory_plane import memory_plane
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.schedule.combination import TOLERANCE
from chiplet.schedule.double_buffers import double_buffered, pairs_of
from chiplet.schedule.fit import Fit, tile_limit
from chiplet.schedule.schedule import StepWork, step_work
from chiplet.step.account import StepUpdate, account_step
from chiplet.step.fused_blocks import BlockAccount, BlockPlan, account_block, sent_once, sum_of_runs
from chiplet.step.overlap import Machine
from chiplet.step.quickest import quickest_step
from chiplet.step.runs import account_run
from chiplet.workload.operations import FusedBlock
from nop.topology import Mesh
from tests.chiplet.machines import MIXED, PACKAGE, package, small_model, small_package


def _block(block: FusedBlock, fit: Fit, step: StepWork, method: Method, machine: Machine) -> BlockAccount:
    batches = step.mini_batches(block, fit)
    memory = step.work.memory_of(block, fit)
    limit = tile_limit(memory, batches[0].batch)
    runs = [
        account_run(method, machine, block, part.batch, times=part.times, slices=fit.slices, tile_limit=limit)
        for part in batches
    ]
    plan = BlockPlan(memory, step.rounds, step.tokens)
    plane = memory_plane(machine.system, method.mesh)
    once = sent_once(block, method, machine)
    return account_block(plan, sum_of_runs(runs), method, machine, plane, once)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(METHODS)),
    model=st.sampled_from([{}] * 12 + MIXED),
    rows=st.integers(1, 4),
    cols=st.integers(1, 4),
    weight_kilobytes=st.integers(2, 300),
    scratchpad_kilobytes=st.integers(20, 600),
    sum_kilobytes=st.integers(6, 600),
    channel_rate=st.sampled_from([1e8, 1e10]),
    global_batch=st.integers(1, 20),
)
def test_no_combination_is_quicker(
    name: str,
    model: dict[str, Any],
    rows: int,
    cols: int,
    weight_kilobytes: int,
    scratchpad_kilobytes: int,
    sum_kilobytes: int,
    channel_rate: float,
    global_batch: int,
) -> None:
    system = small_package(
        f"die.weight_bytes={weight_kilobytes * 1024}",
        f"die.scratchpad_bytes={scratchpad_kilobytes * 1024}",
        f"die.accumulator_bytes={sum_kilobytes * 1024}",
        f"memory.channel_bytes_per_second={channel_rate}",
    )
    method = method_type(name)(small_model(**model), Mesh(rows, cols), make_switches(name, None), 2)
    machine = Machine(system, GemmTerms())
    step = step_work(method, system, global_batch=global_batch, length=32, optimizer="adam", mini_batch=None)
    try:
        found = quickest_step(method, machine, step, "adam").account.seconds
    except DoesNotFitError:
        return
    plane = memory_plane(system, method.mesh)
    update = StepUpdate.of(method, machine, plane, step, "adam")
    every = []
    for fits in product(*(step.candidates(block) for block in method.blocks())):
        memories = [step.work.memory_of(block, fit) for block, fit in zip(method.blocks(), fits, strict=True)]
        blocks = [
            _block(block, fit, step, method, machine).waiting(*double_buffered(memory, pair))
            for block, fit, memory, pair in zip(
                method.blocks(), fits, memories, pairs_of(memories), strict=True
            )
        ]
        every.append(account_step(blocks, method, machine, plane, step, update).seconds)
    assert min(every) <= found * (1 + 1e-12)
    assert found <= min(every) * (1 + 2 * TOLERANCE)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(sorted(METHODS)),
    rows=st.integers(1, 4),
    cols=st.integers(1, 4),
    buffer=st.sampled_from(["weight", "scratchpad", "accumulator"]),
    kilobytes=st.tuples(st.integers(24, 300), st.integers(60, 600), st.integers(40, 600)),
    more=st.sampled_from([1.1, 1.5, 2, 4, 16]),
)
def test_a_larger_buffer_never_costs_more(
    name: str, rows: int, cols: int, buffer: str, kilobytes: tuple[int, int, int], more: float
) -> None:
    sizes = dict(zip(("weight", "scratchpad", "accumulator"), kilobytes, strict=True))

    def seconds() -> float:
        system = small_package(*(f"die.{key}_bytes={int(size * 1024)}" for key, size in sizes.items()))
        request = StepRequest(
            small_model(), system, mesh=(rows, cols), method=name, global_batch=13, sequence_length=48
        )
        return project(request).step_seconds

    try:
        before = seconds()
    except DoesNotFitError:
        return
    sizes[buffer] = int(sizes[buffer] * more)
    assert seconds() <= 1.02 * before


@pytest.mark.parametrize("scale", [1 / 4, 1 / 2])
@pytest.mark.parametrize("key", ["weight", "scratchpad", "accumulator"])
@pytest.mark.parametrize(
    ("model", "dies"), [("llama2-7b", 64), ("llama3.1-405b", 210), ("llama3.1-405b", 1024)]
)
def test_scaled_buffers_of_the_package(model: str, dies: int, key: str, scale: float) -> None:
    size = getattr(PACKAGE.die, f"{key}_bytes")

    def seconds(share: float) -> float:
        system = package(f"die.{key}_bytes={int(size * share)}")
        return project(StepRequest(model, system, dies=dies)).step_seconds

    assert seconds(2 * scale) <= 1.02 * seconds(scale)

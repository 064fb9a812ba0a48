"""The update of weights behind the backward pass, against a walk through its blocks one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.step.weight_update import WeightUpdate
from chiplet.workload.operations import FusedBlock, linears
from tests.chiplet.machines import MIXED, small_model, small_package


def stored_weights(block: FusedBlock) -> float:
    """Weights of a block, those that several dies hold counted once."""
    if block.name in ("attention", "ffn"):
        return float(block.layer.attention_weights if block.name == "attention" else block.layer.ffn_weights)
    return sum(float(linear.weights) for linear in linears(block))


def walked(found: Accounted) -> float:
    """What the update adds to the step: each block of the last round takes what is busiest in it."""
    model, step, schedule = found.method.model, found.step, found.schedule
    last_round = 1 - (schedule.rounds - 1) * schedule.sequences / found.job.global_batch
    passes = {one.block: one for one in step.passes if one.direction == "backward"}
    blocks = {block.label: block for block in found.method.blocks()}
    order = ["head"]
    for number in reversed(range(model.layers)):
        order += [kind.label for kind in model.ffn_kinds if number in kind.numbers]
        order += [kind.label for kind in model.attention_kinds if number in kind.numbers]
    if "input" in blocks:
        order.append("input")
    busy = {"DRAM": step.update_dram / model.parameters, "vector": step.update_vector / model.parameters}
    added, waiting, left = 0.0, 0.0, float(model.parameters)
    for label in order:
        one, block = passes[label], blocks[label]
        second = 0.0 if block.contract is None else float(block.contract.weights)
        seconds = max(one.on_package.elapsed, one.memory_seconds)
        later = one.later.elapsed / one.on_package.elapsed
        there = {"DRAM": one.memory_seconds, "vector": one.on_package.vector}
        behind_second = {"DRAM": later * one.memory_seconds, "vector": one.later.vector}
        added += max(
            0.0,
            *(last_round * (there[of] - seconds) + (waiting + second) * busy[of] for of in busy),
            *(behind_second[of] - later * seconds + second * busy[of] for of in busy if second),
        )
        left -= waiting + second
        waiting = 0.0
        if not (label == "head" and model.tied):
            waiting = stored_weights(block) - second
    return float(added + left * max(busy.values()))


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    model=st.sampled_from([{}] * 4 + [{"layers": 1}, {"layers": 3, "kv_heads": 8}, {"tied": True}, *MIXED]),
    mesh=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    rate=st.sampled_from([1e7, 1e8, 1e9, 1e11]),
    lanes=st.sampled_from([1, 4, 32]),
    capacity=st.sampled_from([1_200_000, 1 << 30]),
    batch=st.integers(1, 20),
    optimizer=st.sampled_from(["adam", "sgd"]),
)
def test_it_takes_what_a_walk_through_the_blocks_takes(
    method: str,
    model: dict[str, Any],
    mesh: tuple[int, int],
    rate: float,
    lanes: int,
    capacity: int,
    batch: int,
    optimizer: Any,
) -> None:
    system = small_package(
        f"memory.channel_bytes_per_second={rate}",
        f"memory.channel_bytes={capacity}",
        f"vector.lanes={lanes}",
        f"vector.function_lanes={lanes}",
    )
    request = StepRequest(
        small_model(**model),
        system,
        mesh=mesh,
        method=method,
        global_batch=batch,
        sequence_length=32,
        optimizer=optimizer,
    )
    try:
        found = account(request)
    except DoesNotFitError:
        return
    step = found.step
    whole = max(step.update_dram, step.update_vector)
    assert step.update_seconds <= whole * (1 + 1e-9)
    assert step.update_seconds == pytest.approx(walked(found), rel=1e-9, abs=1e-12 * step.seconds)


@pytest.mark.parametrize("method", METHODS)
def test_without_overlap_it_follows_the_backward_pass(method: str) -> None:
    def update(overlap: bool) -> tuple[float, float]:
        switches = {"overlap": overlap}
        request = StepRequest(
            small_model(), small_package(), mesh=(2, 2), method=method, switches=switches, global_batch=8
        )
        step = account(request).step
        return step.update_seconds, max(step.update_dram, step.update_vector)

    hidden, whole = update(True)
    assert update(False)[0] == pytest.approx(whole)
    assert hidden < whole


def test_only_what_nothing_follows_is_left_beside_a_long_pass() -> None:
    """Of two layers on a machine with much DRAM: the first linears of the last attention, embedding and gains."""
    system = small_package("memory.channel_bytes_per_second=1e13", "nop.flit_bits=4096", "link.lanes=512")
    model = small_model(layers=2)
    found = account(StepRequest(model, system, mesh=(1, 1), global_batch=64, sequence_length=64))
    attention = found.method.blocks()[0]
    of_layers = [block for block in found.method.blocks() if block.contract is not None]
    hidden = sum(block.layers * linear.weights for block in of_layers for linear in linears(block))
    hidden += found.method.blocks()[-1].expand.weights - attention.expand.weights
    step = found.step
    share = 1 - hidden / model.parameters
    assert step.update_seconds == pytest.approx(share * max(step.update_dram, step.update_vector))


def test_a_stage_updates_what_it_has() -> None:
    """A stage of one layer: its FFN behind its attention, the head behind its FFN."""
    found = account(
        StepRequest(
            small_model(layers=2),
            small_package("parallel.pipeline=2", "memory.channel_bytes_per_second=1e13"),
            mesh=(1, 1),
            global_batch=8,
            sequence_length=32,
        )
    )
    assert found.parallel is not None
    method = found.method
    seconds = (2.0, 1.0)
    update = WeightUpdate.of(
        method,
        seconds,
        parameters=found.parallel.stages[1].parameters,
        layers=(1,),
        ends=("input", "head"),
        last_round=1.0,
        overlap=True,
    )
    assert {label: dict(befores) for label, befores in update.behind.items()} == {
        "attention": {"ffn": 1},
        "ffn": {"head": 1},
        "head": {"": 1},
    }
    first = float(method.blocks()[0].expand.weights) / found.parallel.stages[1].parameters
    assert first < update.last < 1.1 * first  # gains beside them
    assert update.ending == pytest.approx(update.last * max(seconds))

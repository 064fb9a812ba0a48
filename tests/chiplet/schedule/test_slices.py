"""Linears cut by output columns: the same work, with inputs gathered once a slice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.workload.operations import (
    Batch,
    BlockPasses,
    CommStep,
    Linear,
    largest_slice,
    slice_count,
    sliced,
)
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, small_model, small_package


def _steps(plan: BlockPasses, direction: str) -> list[CommStep]:
    return [
        step
        for operation in getattr(plan, direction)
        for _ in range(operation.times)
        for step in operation.comms
    ]


def _received(plan: BlockPasses, direction: str, kind: str) -> float:
    return sum(step.elements for step in _steps(plan, direction) if kind in step.name)


@given(h_out=st.integers(1, 500), slices=st.integers(1, 600))
def test_slices_cover_a_linear(h_out: int, slices: int) -> None:
    linear = Linear("X", 7, h_out, True)
    found = [part for part, times in sliced(linear, slices) for _ in range(times)]
    assert sum(part.h_out for part in found) == h_out
    assert len(found) <= slices
    assert found[0] == largest_slice(linear, slices)
    assert all(0 < part.h_out <= found[0].h_out and part.h_in == 7 for part in found)


@given(
    method=st.sampled_from(list(METHODS)),
    rows=st.integers(1, 6),
    cols=st.integers(1, 6),
    slices=st.integers(1, 30),
    recompute=st.sampled_from(["none", "full"]),
)
def test_sliced_blocks_do_the_same_work(
    method: str, rows: int, cols: int, slices: int, recompute: str
) -> None:
    model = small_model()
    instance = method_type(method)(
        model, Mesh(rows, cols), make_switches(method, {"recompute": recompute}), 2
    )
    batch = Batch(128, 2, 64)
    for block in instance.blocks():
        whole, cut = instance.passes(block, batch), instance.passes(block, batch, slices)
        for direction in ("forward", "backward"):
            macs = [
                sum(
                    gemm.macs * operation.times
                    for operation in getattr(plan, direction)
                    for gemm in operation.gemms
                )
                for plan in (whole, cut)
            ]
            assert macs[0] == macs[1]
        # What belongs to output columns crosses the NoP once, whatever the slices.
        for direction, kind in (
            ("forward", "scatter Y"),
            ("backward", "gather dY"),
            ("forward", "norm sums"),
        ):
            assert _received(cut, direction, kind) == pytest.approx(_received(whole, direction, kind))
    assert instance.passes(block, batch, 1) == whole


@given(rows=st.integers(1, 6), cols=st.integers(1, 6), slices=st.integers(1, 12))
def test_inputs_are_gathered_and_their_gradients_scattered_once_a_slice(
    rows: int, cols: int, slices: int
) -> None:
    instance = method_type("hecaton")(small_model(), Mesh(rows, cols), make_switches("hecaton"), 2)
    block = instance.blocks()[2]
    batch = Batch(128, 2, 64)
    count = slice_count(block.expand, slices)
    whole, cut = instance.passes(block, batch), instance.passes(block, batch, slices)
    for direction, kind in (
        ("forward", "gather X"),
        ("backward", "scatter dX"),
        ("backward", "gather X again"),
    ):
        assert _received(cut, direction, kind) == pytest.approx(count * _received(whole, direction, kind))


@pytest.mark.parametrize("dies", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["hecaton", "flat-ring"])
def test_a_model_too_large_for_the_buffers_runs_in_slices(method: str, dies: int) -> None:
    found = project(StepRequest("llama2-7b", PACKAGE, dies=dies, method=method))
    assert all(slices > 1 for slices in found.memory.slices.values())
    assert 0.5 < found.mfu <= 1
    for use in found.memory.buffers.values():
        assert use.needed_bytes <= use.available_bytes


def test_slices_cost_dram_traffic_and_time() -> None:
    tight = ("die.weight_bytes=20000", "die.accumulator_bytes=100000")
    slow, quick = (
        project(StepRequest(small_model(), small_package(*overrides), mesh=(1, 2), sequence_length=64))
        for overrides in (tight, ())
    )
    assert max(slow.memory.slices.values()) > max(quick.memory.slices.values()) == 1
    assert slow.energy["dram"] > quick.energy["dram"]
    assert slow.step_seconds > quick.step_seconds

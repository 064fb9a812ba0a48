"""Time of operations: pipelines, token tiles, exposed parts."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.terms import GemmTerms
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.step.overlap import Busy, Machine, gemm_seconds, operation_busy
from chiplet.workload.operations import Batch, GemmStep
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model

MACHINE = Machine(PACKAGE, GemmTerms())


@given(tokens=st.integers(1, 500), tile=st.integers(1, 200))
def test_token_tiles_cut_rows_or_the_summed_tokens(tokens: int, tile: int) -> None:
    terms, die = GemmTerms(), PACKAGE.die
    sizes = [tile] * (tokens // tile) + ([tokens % tile] if tokens % tile else [])
    assert len(sizes) == ceil(tokens / tile)
    rows = gemm_seconds(GemmStep("XW", tokens, 96, 70, 1, 0.0, "m"), MACHINE, tile)
    assert rows * die.clock_hz == pytest.approx(sum(terms.on(die, size, 96, 70) for size in sizes))
    summed = gemm_seconds(GemmStep("X^T dY", 96, tokens, 70, 1, 0.0, "k"), MACHINE, tile)
    assert summed * die.clock_hz == pytest.approx(sum(terms.on(die, 96, size, 70) for size in sizes))


@given(
    name=st.sampled_from(list(METHODS)),
    overlap=st.booleans(),
    rows=st.integers(1, 6),
    cols=st.integers(1, 6),
    sequences=st.integers(1, 9),
    tile=st.integers(1, 64),
)
def test_an_operation_takes_as_long_as_its_busiest_part_and_no_longer_than_all(
    name: str, overlap: bool, rows: int, cols: int, sequences: int, tile: int
) -> None:
    method = method_type(name)(small_model(), Mesh(rows, cols), make_switches(name, {"overlap": overlap}), 2)
    batch = Batch(sequences * 64, sequences, 64)
    for block in method.blocks():
        plan = method.passes(block, batch)
        for operation in (*plan.forward, *plan.backward):
            busy = operation_busy(operation, MACHINE, method, batch.tokens, min(tile, batch.tokens))
            assert busy.elapsed >= max(busy.compute, busy.vector, busy.nop) * (1 - 1e-12)
            assert busy.compute + busy.nop_exposed + busy.vector_exposed == pytest.approx(busy.elapsed)
            assert min(busy.nop_exposed, busy.vector_exposed) >= -1e-18
            if not overlap and len({step.axis for step in operation.comms}) <= 1:
                assert busy.elapsed == pytest.approx(busy.compute + busy.vector + busy.nop)


def test_busy_adds_and_scales() -> None:
    one = Busy(6.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert one + one == one * 2


def test_faster_clock_means_faster_array() -> None:
    step = GemmStep("XW", 128, 96, 70, 2, 0.0, None)
    fast = Machine(package("die.clock_hz=2e9"), GemmTerms())
    assert gemm_seconds(step, fast, 1) == pytest.approx(gemm_seconds(step, MACHINE, 1) / 2)

"""The baselines: published volumes, and results equal to one die's."""

from __future__ import annotations

from math import log2, sqrt
from typing import Any, Literal

import numpy as np
import pytest

from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.workload.operations import Batch, Operation
from nop.topology import Mesh
from tests.chiplet.machines import small_model

PLAIN = small_model(hidden=128, heads=16, kv_heads=16, head_dim=8, ffn=512, gated=False)
"""Plain attention and FFN of 4 h: what the published formulas are for."""

BATCH = Batch(tokens=16 * 64, sequences=16, length=64)


def _method(name: str, mesh: Mesh, **switches: Any) -> Method:
    return method_type(name)(PLAIN, mesh, make_switches(name, switches), 2)


def _sum(operations: tuple[Operation, ...], what: Literal["elements", "serial_elements"]) -> float:
    """Sum over linears only: norms and the loss have steps of their own."""
    return sum(
        step.elements if what == "elements" else step.serial_elements
        for operation in operations
        for step in operation.comms
        if not step.name.startswith("norm")
    )


def _layer(method: Method, what: Literal["elements", "serial_elements"]) -> tuple[float, float]:
    plans = [method.passes(block, BATCH) for block in method.blocks()[:2]]
    return sum(_sum(plan.forward, what) for plan in plans), sum(_sum(plan.backward, what) for plan in plans)


@pytest.mark.parametrize("name", ["flat-ring", "torus-ring"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 8), (3, 5)])
def test_megatron_volume_is_the_published_formula(name: str, shape: tuple[int, int]) -> None:
    mesh = Mesh(*shape)
    p, bsh = mesh.nodes, BATCH.tokens * 128
    forward, backward = _layer(_method(name, mesh), "elements")
    assert (forward, backward) == pytest.approx((4 * (p - 1) / p * bsh,) * 2)
    # The published backward figure is with full recomputation.
    _, backward = _layer(_method(name, mesh, recompute="full"), "elements")
    assert backward == pytest.approx(8 * (p - 1) / p * bsh)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_optimus_cost_is_the_published_formula(side: int) -> None:
    p, bsh, h = side * side, BATCH.tokens * 128, 128
    factor = log2(p) / (2 * sqrt(p))
    tree = _method("optimus", Mesh(side, side), broadcast="tree", recompute="full")
    forward, backward = _layer(tree, "serial_elements")
    assert forward == pytest.approx(factor * (7 * bsh + 12 * h * h))
    assert backward == pytest.approx(factor * (21 * bsh + 36 * h * h))
    # What a die receives does not depend on how it is sent.
    received = (side - 1) / p * (7 * bsh + 12 * h * h)
    for broadcast in ("tree", "pipelined"):
        assert _layer(_method("optimus", Mesh(side, side), broadcast=broadcast), "elements")[0] == (
            pytest.approx(received)
        )


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (1, 7), (8, 16)])
def test_gemms_of_all_dies_cover_the_work(name: str, shape: tuple[int, int]) -> None:
    """No die has less than its share, and the exact multiply-adds are those of the model."""
    mesh = Mesh(*shape)
    method = _method(name, mesh)
    forward = 0.0
    for block in method.blocks()[:2]:
        plan = method.passes(block, BATCH)
        for operation in (*plan.forward, *plan.backward):
            for gemm in operation.gemms:
                assert gemm.m * gemm.k * gemm.n * gemm.count * mesh.nodes >= gemm.macs
        forward += sum(gemm.macs for operation in plan.forward for gemm in operation.gemms)
    assert 2 * forward == PLAIN.layer_forward_flops(BATCH.tokens, BATCH.length)


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_backward_work_is_twice_the_forward_and_what_is_recomputed(name: str, recompute: str) -> None:
    method = _method(name, Mesh(2, 2), recompute=recompute)
    plan = method.passes(method.blocks()[0], BATCH)
    forward, backward = (
        sum(gemm.macs for operation in operations for gemm in operation.gemms)
        for operations in (plan.forward, plan.backward)
    )
    scores = BATCH.sequences * 64 * 64 * 128
    assert backward - 2 * forward == {"none": 0, "selective": scores, "full": forward}[recompute]


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 2), (2, 3), (3, 2)])
def test_summa_sweeps_equal_one_die(rows: int, cols: int) -> None:
    """The panels of the three sweeps add up to X W, dY W^T and X^T dY."""
    rng = np.random.default_rng(3)
    tokens, h_in, h_out = 4 * rows, 6 * rows * cols, 5 * cols
    X, W, dY = (
        rng.integers(-9, 9, size).astype(float) for size in ((tokens, h_in), (h_in, h_out), (tokens, h_out))
    )
    xs = [np.split(band, cols, axis=1) for band in np.split(X, rows)]
    ys = [np.split(band, cols, axis=1) for band in np.split(dY, rows)]
    panels = [np.split(band, cols, axis=1) for band in np.split(W, cols)]
    for i in range(rows):
        for j in range(cols):
            Y = sum(xs[i][panel] @ panels[panel][j] for panel in range(cols))
            np.testing.assert_array_equal(Y, np.split(np.split(X @ W, rows)[i], cols, axis=1)[j])
            dX = sum(ys[i][col] @ panels[j][col].T for col in range(cols))
            np.testing.assert_array_equal(dX, np.split(np.split(dY @ W.T, rows)[i], cols, axis=1)[j])
    for a in range(cols):
        for b in range(cols):
            dW = sum(xs[i][a].T @ ys[i][b] for i in range(rows))
            np.testing.assert_array_equal(dW, np.split(np.split(X.T @ dY, cols)[a], cols, axis=1)[b])


def test_more_dies_than_heads_split_the_sequences() -> None:
    method = _method("flat-ring", Mesh(8, 8))
    assert (method.head_groups, method.sequence_groups) == (16, 4)
    attention = method.blocks()[0]
    assert method.weights_per_die(attention) == 4 * 128 * 128 / 16
    assert {step.group for step in method.passes(attention, BATCH).once} == {4}
    assert _method("flat-ring", Mesh(4, 4)).passes(attention, BATCH).once == ()

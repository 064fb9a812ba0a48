"""The Hecaton method computes what one die computes, and moves as many elements as it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.methods.base import Method
from chiplet.methods.hecaton import Hecaton, HecatonSwitches
from chiplet.workload.operations import Batch, Linear
from nop.collectives import ALGORITHMS, Algorithm, line
from nop.topology import Mesh
from tests.chiplet.machines import small_model

Blocks = dict[tuple[int, int], np.ndarray]
MESHES = [(1, 1), (2, 2), (2, 4), (3, 2), (1, 5)]


class Package:
    """Dies that hold blocks of matrices and run collectives along rows and columns by their explicit
    schedules.
    """

    def __init__(self, mesh: Mesh, algorithm: Algorithm) -> None:
        self.mesh = mesh
        self.algorithm = algorithm
        self.received = 0
        """Elements received by all dies."""

    def _groups(self, axis: str) -> list[list[tuple[int, int]]]:
        rows, cols = self.mesh.rows, self.mesh.cols
        if axis == "row":
            return [[(i, j) for j in range(cols)] for i in range(rows)]
        return [[(i, j) for i in range(rows)] for j in range(cols)]

    def gather(self, axis: str, blocks: Blocks) -> Blocks:
        """All-gather token tiles along ``axis``; each die ends with them in order."""
        result: Blocks = {}
        for group in self._groups(axis):
            held: list[dict[int, np.ndarray]] = [{place: blocks[die]} for place, die in enumerate(group)]
            for move in line("all-gather", len(group), self.algorithm).transfers:
                held[move.receiver][move.chunk] = held[move.sender][move.chunk]
                self.received += held[move.sender][move.chunk].size
            for place, die in enumerate(group):
                result[die] = np.concatenate([held[place][tile] for tile in range(len(group))])
        return result

    def scatter(self, axis: str, partial: Blocks) -> Blocks:
        """Reduce-scatter partial sums along ``axis``; each die ends with its token tile of the sum."""
        result: Blocks = {}
        for group in self._groups(axis):
            held = [np.array_split(partial[die].copy(), len(group)) for die in group]
            for move in line("reduce-scatter", len(group), self.algorithm).transfers:
                held[move.receiver][move.chunk] = (
                    held[move.receiver][move.chunk] + held[move.sender][move.chunk]
                )
                self.received += held[move.sender][move.chunk].size
            for place, die in enumerate(group):
                result[die] = held[place][place]
        return result


def _split(matrix: np.ndarray, row_parts: int, col_parts: int) -> dict[tuple[int, int], np.ndarray]:
    return {
        (i, j): block
        for i, band in enumerate(np.array_split(matrix, row_parts))
        for j, block in enumerate(np.array_split(band, col_parts, axis=1))
    }


def _layout_a(matrix: np.ndarray, mesh: Mesh) -> Blocks:
    """Die (i, j) has token tile j of feature block i."""
    return {(i, j): block for (j, i), block in _split(matrix, mesh.cols, mesh.rows).items()}


def _layout_b(matrix: np.ndarray, mesh: Mesh) -> Blocks:
    """Die (i, j) has token tile i of feature block j."""
    return _split(matrix, mesh.rows, mesh.cols)


def _method(mesh: Mesh, **switches: Any) -> Method:
    return Hecaton(small_model(), mesh, HecatonSwitches(**switches), 2)


@pytest.mark.parametrize("expand", [True, False], ids=["type-A", "type-B"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shape", MESHES)
def test_forward_and_gradients_equal_those_of_one_die(
    shape: tuple[int, int], algorithm: Algorithm, expand: bool
) -> None:
    mesh = Mesh(*shape)
    rng = np.random.default_rng(7)
    tokens, h_in, h_out = 4 * mesh.nodes, 3 * mesh.nodes, 5 * mesh.nodes
    X, W, dY = (
        rng.integers(-9, 9, size).astype(float) for size in ((tokens, h_in), (h_in, h_out), (tokens, h_out))
    )
    # Type A goes from layout A to B: gather along the row, scatter down the column. Type B is its mirror
    # image.
    if expand:
        gather_axis, scatter_axis, layout_in, layout_out = "row", "column", _layout_a, _layout_b
        weights = _split(W, mesh.rows, mesh.cols)
    else:
        gather_axis, scatter_axis, layout_in, layout_out = "column", "row", _layout_b, _layout_a
        weights = {(i, j): block for (j, i), block in _split(W, mesh.cols, mesh.rows).items()}
    package = Package(mesh, algorithm)

    gathered = package.gather(gather_axis, layout_in(X, mesh))
    Y = package.scatter(scatter_axis, {die: gathered[die] @ weights[die] for die in weights})
    for die, block in layout_out(X @ W, mesh).items():
        np.testing.assert_array_equal(Y[die], block)
    method = _method(mesh, collective=algorithm)
    linear = Linear("linear", h_in, h_out, expand)
    forward = sum(step.elements for step in method.linear_forward(linear, tokens).comms)
    assert package.received == pytest.approx(forward * mesh.nodes)

    package.received = 0
    gathered_dY = package.gather(scatter_axis, layout_out(dY, mesh))
    dX = package.scatter(gather_axis, {die: gathered_dY[die] @ weights[die].T for die in weights})
    for die, block in layout_in(dY @ W.T, mesh).items():
        np.testing.assert_array_equal(dX[die], block)
    again = package.gather(gather_axis, layout_in(X, mesh))
    whole = X.T @ dY
    parts = (
        _split(whole, mesh.rows, mesh.cols)
        if expand
        else {(i, j): block for (j, i), block in _split(whole, mesh.cols, mesh.rows).items()}
    )
    for die, block in parts.items():
        np.testing.assert_array_equal(again[die].T @ gathered_dY[die], block)
    backward = sum(step.elements for step in method.linear_backward(linear, tokens).comms)
    assert package.received == pytest.approx(backward * mesh.nodes)


@pytest.mark.parametrize("shape", [*MESHES, (32, 32), (7, 13)])
def test_volume_is_the_published_formula(shape: tuple[int, int]) -> None:
    R, C = shape
    method = _method(Mesh(R, C))
    m, h_in, h_out = 1000, 96, 240
    type_a = method.linear_forward(Linear("A", h_in, h_out, True), m)
    type_b = method.linear_forward(Linear("B", h_in, h_out, False), m)
    assert sum(step.elements for step in type_a.comms) == pytest.approx(
        m * (h_in * (C - 1) + h_out * (R - 1)) / (R * C)
    )
    assert sum(step.elements for step in type_b.comms) == pytest.approx(
        m * (h_in * (R - 1) + h_out * (C - 1)) / (R * C)
    )


def test_keeping_x_saves_its_second_gather() -> None:
    mesh, linear = Mesh(4, 8), Linear("A", 96, 240, True)
    again = _method(mesh).linear_backward(linear, 100)
    kept = _method(mesh, gather_again=False).linear_backward(linear, 100)
    saved = sum(step.elements for step in again.comms) - sum(step.elements for step in kept.comms)
    assert saved == pytest.approx(100 * 96 * 7 / 32)
    assert _method(mesh, gather_again=False).gathered_copies(linear) == 8


def test_rows_and_columns_are_different_links() -> None:
    operation = _method(Mesh(4, 8)).linear_forward(Linear("A", 96, 240, True), 100)
    assert [(step.op, step.axis, step.group) for step in operation.comms] == [
        ("all-gather", "row", 8),
        ("reduce-scatter", "column", 4),
    ]


def test_weights_stay_and_only_replicas_sum_their_gradients() -> None:
    method = _method(Mesh(4, 8))  # two key/value heads, eight columns: four replicas of each
    attention, ffn, head = method.blocks()
    assert (method.kv_heads, method.kv_replicas) == (8, 4)
    for block in (ffn, head):
        assert method.replica_comms(block) == ()
    steps = method.replica_comms(attention)
    shared = 2 * 96 * 8 * 12 / 32
    assert [step.elements for step in steps] == pytest.approx([shared * 3 / 4] * 2)
    assert _method(Mesh(4, 2)).replica_comms(_method(Mesh(4, 2)).blocks()[0]) == ()
    # Besides, parts of a gain's gradient go along the row, once a step.
    once = method.once_comms(ffn)
    assert [(step.axis, step.elements) for step in once] == [("row", 96 / 4 * 7)]


def test_attention_is_local_and_split_by_sequence_and_head() -> None:
    method = _method(Mesh(4, 8))
    plan = method.passes(method.blocks()[0], Batch(tokens=6 * 64, sequences=6, length=64))
    middle = plan.forward[1]
    assert middle.comms == ()
    assert [(gemm.m, gemm.k, gemm.n, gemm.count) for gemm in middle.gemms] == [
        (64, 12, 64, 2),
        (64, 64, 12, 2),
    ]

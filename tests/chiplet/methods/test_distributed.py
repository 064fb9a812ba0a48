"""Every method's linears, forward, dX and dW, on small meshes: equal to one die's, with the volume and the steps that
the method says, counted by moving labelled chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chiplet.methods.base import Method
from chiplet.methods.registry import make_switches, method_type
from chiplet.workload.operations import CommStep, Linear
from nop.collectives import Op, line, ring
from nop.topology import Mesh
from tests.chiplet.machines import small_model
from tests.chiplet.methods.dies import Dies, Held, Matrix, at_once

MESHES = [(1, 1), (2, 2), (2, 4), (4, 4), (5, 1), (3, 5)]
CASES = [
    ("hecaton", {"collective": "ring"}),
    ("hecaton", {"collective": "chain"}),
    ("flat-ring", {"direction": "one", "gather_again": True}),
    ("flat-ring", {"direction": "both", "gather_again": True}),
    ("torus-ring", {"dimensions": "one", "gather_again": True}),
    ("torus-ring", {"dimensions": "both", "gather_again": True}),
    ("optimus", {"broadcast": "tree"}),
    ("optimus", {"broadcast": "pipelined"}),
]
Blocks = dict[int, Matrix]
Phases = tuple[Callable[[], None], Callable[[], None]]


class Distributed:
    """One linear on a mesh: what each die does to get Y, dX and dW, for one method."""

    def __init__(self, mesh: Mesh, switches: dict[str, Any], expand: bool) -> None:
        self.mesh, self.switches, self.expand = mesh, switches, expand
        self.dies = Dies(mesh.nodes)
        cols = mesh.cols
        self.rows_of = [[row * cols + col for col in range(cols)] for row in range(mesh.rows)]
        self.columns_of = [[row * cols + col for row in range(mesh.rows)] for col in range(cols)]

    def split(self, matrix: Matrix, rows: int, cols: int) -> list[list[Matrix]]:
        return [np.array_split(band, cols, axis=1) for band in np.array_split(matrix, rows)]

    def forward(self, X: Matrix, W: Matrix) -> Matrix:
        raise NotImplementedError

    def backward(self, X: Matrix, W: Matrix, dY: Matrix) -> tuple[Matrix, Matrix]:
        raise NotImplementedError


class Hecaton(Distributed):
    """Gather along one dimension, multiply, scatter along the other."""

    def _sides(self) -> tuple[list[list[int]], list[list[int]]]:
        sides = self.rows_of, self.columns_of
        return sides if self.expand else (sides[1], sides[0])

    def _gather(self, groups: list[list[int]], matrix: Matrix) -> Blocks:
        """Group g has feature block g, its place p token tile p; afterwards all tokens of it."""
        size = len(groups[0])
        blocks = self.split(matrix, size, len(groups))
        own = {die: blocks[place][g] for g, group in enumerate(groups) for place, die in enumerate(group)}
        held = self.dies.gather(groups, line("all-gather", size, self.switches["collective"]), own)
        return {die: np.concatenate([chunks[p] for p in range(size)]) for die, chunks in held.items()}

    def _scatter(self, groups: list[list[int]], partial: Blocks) -> Matrix:
        size = len(groups[0])
        chunks: Held = {die: dict(enumerate(np.array_split(sums, size))) for die, sums in partial.items()}
        done = self.dies.scatter(groups, line("reduce-scatter", size, self.switches["collective"]), chunks)
        return np.concatenate(
            [np.concatenate([done[group[place]] for group in groups], axis=1) for place in range(size)]
        )

    def _weights(self, W: Matrix) -> Blocks:
        gather, scatter = self._sides()
        blocks = self.split(W, len(scatter[0]), len(gather[0]))
        return {die: blocks[g][p] for g, group in enumerate(gather) for p, die in enumerate(group)}

    def forward(self, X: Matrix, W: Matrix) -> Matrix:
        gather, scatter = self._sides()
        weights, gathered = self._weights(W), self._gather(gather, X)
        return self._scatter(scatter, {die: gathered[die] @ weights[die] for die in weights})

    def backward(self, X: Matrix, W: Matrix, dY: Matrix) -> tuple[Matrix, Matrix]:
        gather, scatter = self._sides()
        weights, gathered_dY = self._weights(W), self._gather(scatter, dY)
        dX = self._scatter(gather, {die: gathered_dY[die] @ weights[die].T for die in weights})
        again = self._gather(gather, X)
        dW = np.block([[again[die].T @ gathered_dY[die] for die in group] for group in gather])
        return dX, dW


class OneDimensional(Distributed):
    """Megatron's tensor parallelism: a die has its share of the features, in between of the tokens."""

    def gather(self, matrix: Matrix) -> list[Matrix]:
        """All tokens on every die, out of a token tile of each."""
        raise NotImplementedError

    def scatter(self, partial: list[Matrix]) -> Matrix:
        raise NotImplementedError

    def forward(self, X: Matrix, W: Matrix) -> Matrix:
        nodes = self.mesh.nodes
        if self.expand:
            gathered, parts = self.gather(X), np.array_split(W, nodes, axis=1)
            return np.concatenate([gathered[die] @ parts[die] for die in range(nodes)], axis=1)
        inputs, parts = np.array_split(X, nodes, axis=1), np.array_split(W, nodes)
        return self.scatter([inputs[die] @ parts[die] for die in range(nodes)])

    def backward(self, X: Matrix, W: Matrix, dY: Matrix) -> tuple[Matrix, Matrix]:
        nodes = self.mesh.nodes
        if self.expand:
            own, parts = np.array_split(dY, nodes, axis=1), np.array_split(W, nodes, axis=1)
            dX = self.scatter([own[die] @ parts[die].T for die in range(nodes)])
            again = self.gather(X)
            return dX, np.concatenate([again[die].T @ own[die] for die in range(nodes)], axis=1)
        gathered, parts = self.gather(dY), np.array_split(W, nodes)
        inputs = np.array_split(X, nodes, axis=1)
        dX = np.concatenate([gathered[die] @ parts[die].T for die in range(nodes)], axis=1)
        return dX, np.concatenate([inputs[die].T @ gathered[die] for die in range(nodes)])


class FlatRing(OneDimensional):
    """One ring through all dies."""

    def _schedule(self, op: Op) -> Any:
        return ring(op, self.mesh.flat_ring(), bidirectional=self.switches["direction"] == "both")

    def gather(self, matrix: Matrix) -> list[Matrix]:
        nodes = self.mesh.nodes
        own = dict(enumerate(np.array_split(matrix, nodes)))
        held = self.dies.gather([list(range(nodes))], self._schedule("all-gather"), own)
        return [np.concatenate([held[die][tile] for tile in range(nodes)]) for die in range(nodes)]

    def scatter(self, partial: list[Matrix]) -> Matrix:
        nodes = self.mesh.nodes
        chunks: Held = {die: dict(enumerate(np.array_split(sums, nodes))) for die, sums in enumerate(partial)}
        done = self.dies.scatter([list(range(nodes))], self._schedule("reduce-scatter"), chunks)
        return np.concatenate([done[die] for die in range(nodes)])


class TorusRing(OneDimensional):
    """Rings along one dimension and then along the other; or halves of the features both ways round."""

    def _ways(self, features: int) -> list[tuple[slice, list[list[int]], list[list[int]]]]:
        columns_first = (self.columns_of, self.rows_of)
        if self.switches["dimensions"] == "one":
            return [(slice(0, features), *columns_first)]
        half = features // 2
        return [(slice(0, half), *columns_first), (slice(half, features), self.rows_of, self.columns_of)]

    def _both_phases(self, phases: list[Phases]) -> None:
        """The first phase of every way at once, then the second."""
        at_once(self.dies, *(first for first, _ in phases))
        at_once(self.dies, *(second for _, second in phases))

    def gather(self, matrix: Matrix) -> list[Matrix]:
        nodes = self.mesh.nodes
        result = [np.zeros_like(matrix) for _ in range(nodes)]
        phases: list[Phases] = []
        for part, first, second in self._ways(matrix.shape[1]):
            tiles = np.array_split(matrix[:, part], nodes)
            between: dict[int, Matrix] = {}

            def one(first: Any = first, tiles: Any = tiles, between: Any = between) -> None:
                size = len(first[0])
                held = self.dies.gather(first, line("all-gather", size, "ring"), dict(enumerate(tiles)))
                between |= {die: np.stack([chunks[p] for p in range(size)]) for die, chunks in held.items()}

            def two(
                first: Any = first, second: Any = second, between: Any = between, part: Any = part
            ) -> None:
                size = len(second[0])
                held = self.dies.gather(second, line("all-gather", size, "ring"), between)
                for group in second:
                    for die in group:
                        tiles: dict[int, Matrix] = {}
                        for place, other in enumerate(group):
                            line_of = next(members for members in first if other in members)
                            tiles |= dict(zip(line_of, held[die][place], strict=True))
                        result[die][:, part] = np.concatenate([tiles[tile] for tile in range(nodes)])

            phases.append((one, two))
        self._both_phases(phases)
        return result

    def scatter(self, partial: list[Matrix]) -> Matrix:
        nodes = self.mesh.nodes
        result = np.zeros_like(partial[0])
        phases: list[Phases] = []
        for part, first, second in self._ways(partial[0].shape[1]):
            # The all-gather backwards: along the second dimension with all tiles of a line of the first, then
            # along that.
            between: dict[int, Matrix] = {}

            def one(
                first: Any = first, second: Any = second, between: Any = between, part: Any = part
            ) -> None:
                chunks: Held = {}
                for group in second:
                    for die in group:
                        tiles = np.array_split(partial[die][:, part], nodes)
                        lines = [next(members for members in first if other in members) for other in group]
                        chunks[die] = {
                            place: np.stack([tiles[tile] for tile in members])
                            for place, members in enumerate(lines)
                        }
                size = len(second[0])
                between |= self.dies.scatter(second, line("reduce-scatter", size, "ring"), chunks)

            def two(first: Any = first, between: Any = between, part: Any = part) -> None:
                size = len(first[0])
                chunks: Held = {die: dict(enumerate(tiles)) for die, tiles in between.items()}
                done = self.dies.scatter(first, line("reduce-scatter", size, "ring"), chunks)
                result[:, part] = np.concatenate([done[die] for die in range(nodes)])

            phases.append((one, two))
        self._both_phases(phases)
        return result


class Optimus(Distributed):
    """SUMMA: die (i, j) has block (i, j) of X, W and Y."""

    def _sweep(self, groups: list[list[int]], matrix: Matrix, axis: int) -> Blocks:
        """Blocks broadcast along every line of ``groups``, put together along ``axis``."""
        blocks = self.split(matrix, self.mesh.rows, self.mesh.cols)
        own = {
            row * self.mesh.cols + col: block
            for row, band in enumerate(blocks)
            for col, block in enumerate(band)
        }
        held = self.dies.broadcasts(groups, own, self.switches["broadcast"])
        return {
            die: np.concatenate([chunks[place] for place in range(len(chunks))], axis=axis)
            for die, chunks in held.items()
        }

    def _reduce(self, groups: list[list[int]], partial: Blocks, axis: int) -> Matrix:
        chunks: Held = {
            die: dict(enumerate(np.array_split(sums, len(groups[0]), axis=axis)))
            for die, sums in partial.items()
        }
        done = self.dies.reductions(groups, chunks, self.switches["broadcast"])
        return np.block([[done[die] for die in row] for row in self.rows_of])

    def _own(self, matrix: Matrix) -> Blocks:
        blocks = self.split(matrix, self.mesh.rows, self.mesh.cols)
        return {
            row * self.mesh.cols + col: block
            for row, band in enumerate(blocks)
            for col, block in enumerate(band)
        }

    def forward(self, X: Matrix, W: Matrix) -> Matrix:
        rows = self._sweep(self.rows_of, X, 1)
        columns = self._sweep(self.columns_of, W, 0)
        return np.block([[rows[die] @ columns[die] for die in row] for row in self.rows_of])

    def backward(self, X: Matrix, W: Matrix, dY: Matrix) -> tuple[Matrix, Matrix]:
        own = self._own(dY)
        columns = self._sweep(self.columns_of, W, 0)
        dX = self._reduce(self.rows_of, {die: own[die] @ columns[die].T for die in own}, 1)
        rows = self._sweep(self.rows_of, X, 1)
        return dX, self._reduce(self.columns_of, {die: rows[die].T @ own[die] for die in own}, 0)


KINDS: dict[str, type[Distributed]] = {
    "hecaton": Hecaton,
    "flat-ring": FlatRing,
    "torus-ring": TorusRing,
    "optimus": Optimus,
}


def said(comms: tuple[CommStep, ...], nodes: int) -> tuple[float, int]:
    """Elements that all dies receive, and serial steps, as the method says."""
    return sum(step.elements for step in comms) * nodes, sum(step.steps for step in comms)


@pytest.mark.parametrize("expand", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("shape", MESHES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
@pytest.mark.parametrize(("name", "switches"), CASES, ids=lambda value: str(value))
def test_a_linear_equals_that_of_one_die(
    name: str, switches: dict[str, Any], shape: tuple[int, int], expand: bool
) -> None:
    mesh = Mesh(*shape)
    rng = np.random.default_rng(11)
    tokens, h_in, h_out = 4 * mesh.nodes, 2 * mesh.nodes, 6 * mesh.nodes
    X, W, dY = (
        rng.integers(-9, 9, size).astype(float) for size in ((tokens, h_in), (h_in, h_out), (tokens, h_out))
    )
    method: Method = method_type(name)(small_model(), mesh, make_switches(name, switches), 2)
    linear = Linear("linear", h_in, h_out, expand)

    forward = KINDS[name](mesh, switches, expand)
    np.testing.assert_array_equal(forward.forward(X, W), X @ W)
    elements, steps = said(method.linear_forward(linear, tokens).comms, mesh.nodes)
    assert forward.dies.received == pytest.approx(elements)
    assert forward.dies.steps == steps

    backward = KINDS[name](mesh, switches, expand)
    dX, dW = backward.backward(X, W, dY)
    np.testing.assert_array_equal(dX, dY @ W.T)
    np.testing.assert_array_equal(dW, X.T @ dY)
    elements, steps = said(method.linear_backward(linear, tokens).comms, mesh.nodes)
    assert backward.dies.received == pytest.approx(elements)
    assert backward.dies.steps == steps

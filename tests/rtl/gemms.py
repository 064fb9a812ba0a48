"""GEMM commands, and what the array unit has to read for them: elements of the stored blocks, vector after vector."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.specs import DieSpec
from rtl.interface.isa import Opcode, encode

Vector = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Block:
    """Where the elements (i, j) of a stored block lie in a buffer of B banks."""

    base: int
    rows: int
    cols: int
    lanes: int

    def label(self, bank: int, address: int) -> tuple[int, int] | None:
        """The element at an address of a bank, if one of the block is there."""
        panel, i = divmod(address - self.base, self.rows)
        if address < self.base or panel > (self.cols - 1) // self.lanes:
            return None
        j = panel * self.lanes + (bank - i) % self.lanes
        return (i, j) if j < self.cols else None

    def vector(self, address: int, rotate: int, column: int, count: int) -> Vector:
        """The elements that a read of the operand buffer gives."""
        return tuple(
            self.label((rotate + lane) % self.lanes, address + lane * column) if lane < count else None
            for lane in range(self.lanes)
        )


@dataclass(frozen=True)
class Gemm:
    """A GEMM command, m x k x n, and what has to come of it."""

    m: int
    k: int
    n: int
    form: str = "nn"
    a_base: int = 0
    b_base: int = 0
    base: int = 0
    step: int = 0
    wrap: int = 0
    accumulate: int = 0
    wait_0: int = 0
    wait_1: int = 0
    post_0: int = 0
    post_1: int = 0
    panel_wait: int = 0
    panel_post: int = 0

    def bits(self, spec: DieSpec) -> int:
        k_tiles, panels = -(-self.k // spec.rows), -(-self.n // spec.cols)
        return encode(
            Opcode.GEMM,
            wait_0=self.wait_0,
            wait_1=self.wait_1,
            post_0=self.post_0,
            post_1=self.post_1,
            panel_wait=self.panel_wait,
            panel_post=self.panel_post,
            accumulate=self.accumulate,
            activation_column=int(self.form == "tn"),
            weight_column=int(self.form == "nt"),
            activation_base=self.a_base,
            activation_pitch=self.k if self.form == "tn" else self.m,
            weight_base=self.b_base,
            weight_pitch=self.n if self.form == "nt" else self.k,
            accumulator_base=self.base,
            accumulator_step=self.step,
            accumulator_wrap=self.wrap,
            m=self.m,
            k_tiles=k_tiles,
            last_k=self.k - (k_tiles - 1) * spec.rows,
            panels=panels,
            last_cols=self.n - (panels - 1) * spec.cols,
        )

    def a_block(self, spec: DieSpec) -> Block:
        shape = (self.k, self.m) if self.form == "tn" else (self.m, self.k)
        return Block(self.a_base, *shape, spec.rows)

    def b_block(self, spec: DieSpec) -> Block:
        shape = (self.n, self.k) if self.form == "nt" else (self.k, self.n)
        return Block(self.b_base, *shape, spec.cols)

    def tiles(self, spec: DieSpec) -> list[tuple[int, int]]:
        """First n and first k of every stationary tile."""
        return [(n, k) for n in range(0, self.n, spec.cols) for k in range(0, self.k, spec.rows)]

    def weights(self, spec: DieSpec, n: int, k: int) -> list[Vector]:
        """Weight vectors of a tile, as elements of the stored block."""
        vectors: list[Vector] = []
        for row in range(k, k + spec.rows):
            places = [
                (row, col) if row < self.k and col < self.n else None for col in range(n, n + spec.cols)
            ]
            vectors.append(tuple(_stored(place, self.form == "nt") for place in places))
        return vectors

    def activations(self, spec: DieSpec, k: int) -> list[Vector]:
        """Activation vectors of a tile, as elements of the stored block."""
        vectors: list[Vector] = []
        for m in range(self.m):
            places = [(m, lane) if lane < self.k else None for lane in range(k, k + spec.rows)]
            vectors.append(tuple(_stored(place, self.form == "tn") for place in places))
        return vectors

    def macs(self, spec: DieSpec) -> int:
        return self.m * self.k * self.n


def _stored(place: tuple[int, int] | None, transposed: bool) -> tuple[int, int] | None:
    return place if place is None or not transposed else (place[1], place[0])

"""How a GEMM is cut into blocks that fit the buffers of a die.

A GEMM of any size is a sequence of steps; each step multiplies an activation block by a weight block from the
buffers. Blocks are as large as the buffers allow, with room for the next block while one is in use (double
buffering) as soon as there is more than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec
from cosim.program.command import MOST_COUNT
from cosim.program.shape import Shape
from rtl.interface.isa import SEMAPHORE_BITS

MOST_SLOTS = (1 << SEMAPHORE_BITS) - 1
"""Most panels that a semaphore can count."""
MOST_SUMS = (1 << BUFFER_ADDRESS_BITS) - 1
"""Largest accumulator address at which a command can let panels start again."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Block sizes of a GEMM. A block at the end of a dimension may be smaller.

    Attributes
    ----------
    m, k, n
        Rows of an activation block, summed elements of both blocks, columns of a weight block.
    slots
        Panels that the accumulator buffer holds.
    """

    m: int
    k: int
    n: int
    slots: int

    def blocks_of(self, shape: Shape) -> tuple[int, int, int]:
        """Number of blocks along M, K and N."""
        return -(-shape.m // self.m), -(-shape.k // self.k), -(-shape.n // self.n)


def blocks(size: int, block: int) -> Iterator[tuple[int, int]]:
    """Start and length of each block of a dimension."""
    for start in range(0, size, block):
        yield start, min(block, size - start)


def tile_cycles(die: DieSpec, m: int) -> int:
    """Cycles of one stationary tile with ``m`` activation rows."""
    return max(m, die.rows, die.stages)


def activation_addresses(die: DieSpec, shape: Shape, m: int, k: int) -> int:
    """Addresses of the activation buffer that an m x k block takes."""
    return -(-m // die.rows) * k if shape.activation_column else -(-k // die.rows) * m


def weight_addresses(die: DieSpec, shape: Shape, k: int, n: int) -> int:
    """Addresses of the weight buffer that a k x n block takes."""
    return -(-k // die.cols) * n if shape.weight_column else -(-n // die.cols) * k


def _candidates(size: int, align: int) -> list[int]:
    """Block sizes to try: the whole dimension, and balanced parts of it in multiples of ``align``."""
    sizes = {size}
    parts = 2
    while True:
        block = -(-size // (parts * align)) * align
        if block < size:
            sizes.add(block)
        if block <= align:
            return sorted((block for block in sizes if block <= MOST_COUNT), reverse=True)
        parts += max(1, parts // 4)


def choose_tiling(die: DieSpec, memory: MemorySpec, shape: Shape) -> Tiling:
    """Return the block sizes: one block if everything fits, else those with the fewest estimated cycles.

    With one block the array waits until all operands are loaded and then runs without a stall. With more blocks the
    whole GEMM could end sooner, as loads and array overlap, but the array would wait for memory again and again.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit: names the buffer, the bytes needed and the bytes available.
    """
    word_elements = memory.word_bytes // die.element_bytes
    word_sums = memory.word_bytes // 4
    # A block starts at a memory word in every stored matrix, and at a whole tile along K and N.
    align_m = word_elements if shape.activation_column else 1
    align_k = (
        die.rows if shape.activation_column and not shape.weight_column else math.lcm(die.rows, word_elements)
    )
    align_n = math.lcm(die.cols, word_sums if shape.weight_column else word_elements)

    whole = _with_slots(die, shape, shape.m, shape.k, shape.n)
    if max(shape.m, shape.k, shape.n) <= MOST_COUNT and _fits(_needs(die, shape, whole)):
        return whole
    best: tuple[float, Tiling] | None = None
    needs: list[dict[str, tuple[int, int]]] = []
    for m in _candidates(shape.m, align_m):
        for k in _candidates(shape.k, align_k):
            for n in _candidates(shape.n, align_n):
                tiling = _with_slots(die, shape, m, k, n)
                needs.append(_needs(die, shape, tiling))
                if _fits(needs[-1]):
                    cycles = _estimate(die, memory, shape, tiling)
                    if best is None or cycles < best[0]:
                        best = cycles, tiling
    if best is None:
        closest = min(needs, key=lambda need: max(wanted / max(have, 1) for wanted, have in need.values()))
        missing = ", ".join(
            f"die.{name} must be at least {wanted}, has {have} in use"
            for name, (wanted, have) in closest.items()
            if wanted > have
        )
        raise ValueError(f"no blocks of {shape.m}x{shape.k}x{shape.n} ({shape.form}) fit: {missing}")
    return best[1]


def _with_slots(die: DieSpec, shape: Shape, m: int, k: int, n: int) -> Tiling:
    panels = -(-shape.m // m) * -(-shape.n // n) * -(-n // die.cols)
    return Tiling(m=m, k=k, n=n, slots=min(die.accumulator_depth // m, panels, MOST_SLOTS, MOST_SUMS // m))


def _needs(die: DieSpec, shape: Shape, tiling: Tiling) -> dict[str, tuple[int, int]]:
    """Bytes that the blocks need and bytes that the die has, by buffer."""
    m_blocks, k_blocks, n_blocks = tiling.blocks_of(shape)
    a_copies = 1 if m_blocks * k_blocks == 1 else 2
    b_copies = 1 if k_blocks * n_blocks == 1 else 2
    # Sums stay until the next K block is added, so each panel of the block needs a place of its own.
    panels = -(-tiling.n // die.cols) if k_blocks > 1 else 1
    buffers = {
        "activation_bytes": (
            a_copies * activation_addresses(die, shape, tiling.m, tiling.k),
            die.activation_depth,
            die.rows * die.element_bytes,
        ),
        "weight_bytes": (
            b_copies * weight_addresses(die, shape, tiling.k, tiling.n),
            die.weight_depth,
            die.cols * die.element_bytes,
        ),
        "accumulator_bytes": (panels * tiling.m, die.accumulator_depth, 4 * die.cols),
    }
    return {name: (need * width, have * width) for name, (need, have, width) in buffers.items()}


def _fits(needs: dict[str, tuple[int, int]]) -> bool:
    return all(need <= have for need, have in needs.values())


def _estimate(die: DieSpec, memory: MemorySpec, shape: Shape, tiling: Tiling) -> float:
    """Approximate cycles of the whole GEMM: the busier of array and memory, the first load, the last store."""
    m_blocks, k_blocks, n_blocks = tiling.blocks_of(shape)
    word = memory.word_bytes
    m_cycles = (m_blocks - 1) * tile_cycles(die, tiling.m)
    m_cycles += tile_cycles(die, shape.m - (m_blocks - 1) * tiling.m)
    k_tiles = (k_blocks - 1) * -(-tiling.k // die.rows)
    k_tiles += -(-(shape.k - (k_blocks - 1) * tiling.k) // die.rows)
    compute = m_cycles * k_tiles * -(-shape.n // die.cols)
    a_loads = n_blocks if k_blocks > 1 else 1
    b_loads = m_blocks if k_blocks * n_blocks > 1 else 1
    traffic = (
        shape.m * shape.k * die.element_bytes * a_loads + shape.k * shape.n * die.element_bytes * b_loads
    )
    traffic += shape.m * shape.n * 4
    first = (tiling.m * tiling.k + tiling.k * tiling.n) * die.element_bytes
    last = tiling.m * min(tiling.n, die.cols if tiling.slots > 1 else tiling.n) * 4
    return max(compute, traffic / word) + (first + last) / word + 8 * m_blocks * k_blocks * n_blocks

"""How a GEMM is cut into blocks that fit the buffers of a die.

A GEMM of any size is a sequence of steps; each step multiplies an activation block by a weight block from the
buffers. Blocks are as large as the buffers allow, with room for the next block while one is in use (double
buffering) as soon as there is more than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chiplet.layout.block_sizes import MOST_COUNT, block_sizes, tile_cycles
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, scratchpad_depth
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
        Panels that have a place in the accumulator buffer.
    held
        Panels that may be in it at a time.
    slot_unit
        Each block begins at a multiple of so many places, so that the panels of a drain lie one behind the other.
    split
        Whether they do, so that a drain can take some of their rows only.
    """

    m: int
    k: int
    n: int
    slots: int
    held: int
    slot_unit: int
    split: bool

    def blocks_of(self, shape: Shape) -> tuple[int, int, int]:
        """Number of blocks along M, K and N."""
        return -(-shape.m // self.m), -(-shape.k // self.k), -(-shape.n // self.n)


def blocks(size: int, block: int) -> Iterator[tuple[int, int]]:
    """Start and length of each block of a dimension."""
    for start in range(0, size, block):
        yield start, min(block, size - start)


def activation_addresses(die: DieSpec, shape: Shape, m: int, k: int) -> int:
    """Addresses of the activation buffer that an m x k block takes."""
    return -(-m // die.rows) * k if shape.activation_column else -(-k // die.rows) * m


def weight_addresses(die: DieSpec, shape: Shape, k: int, n: int) -> int:
    """Addresses of the weight buffer that a k x n block takes."""
    return -(-k // die.cols) * n if shape.weight_column else -(-n // die.cols) * k


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Sizes in which a GEMM can be cut on a die, so that each part starts at a memory word and at a whole tile.

    Attributes
    ----------
    m, k, n
        Of blocks.
    k_part
        Of the parts of a block along K: panels of both operands start at its multiples.
    drain_panels
        Panels of C columns that end at a word of Y.
    weight_panels
        Panels of C columns that end at a word of stored B.
    """

    m: int
    k: int
    n: int
    k_part: int
    drain_panels: int
    weight_panels: int


def alignment(die: DieSpec, memory: MemorySpec, shape: Shape) -> Alignment:
    """Return the sizes in which the GEMM can be cut."""
    word_elements = memory.word_bytes // die.element_bytes
    word_sums = memory.word_bytes // 4
    columns_only = shape.activation_column and not shape.weight_column
    k = die.rows if columns_only else math.lcm(die.rows, word_elements)
    drain = math.lcm(die.cols, word_sums) // die.cols
    weight = drain if shape.weight_column else math.lcm(die.cols, word_elements) // die.cols
    return Alignment(
        m=word_elements if shape.activation_column else 1,
        k=k,
        n=die.cols * weight,
        k_part=math.lcm(k, die.cols),
        drain_panels=drain,
        weight_panels=weight,
    )


def choose_tiling(die: DieSpec, memory: MemorySpec, shape: Shape) -> Tiling:
    """Return the block sizes: one block if everything fits, else those with the fewest estimated cycles.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit: names the buffer, the bytes needed and the bytes available.
    """
    align = alignment(die, memory, shape)
    whole = _with_slots(die, shape, align, shape.m, shape.k, shape.n)
    if max(shape.m, shape.k, shape.n) <= MOST_COUNT and _fits(_needs(die, memory, shape, whole)):
        return whole
    best: tuple[float, Tiling] | None = None
    needs: list[dict[str, tuple[int, int]]] = []
    for m in block_sizes(shape.m, align.m):
        for k in block_sizes(shape.k, align.k):
            for n in block_sizes(shape.n, align.n):
                tiling = _with_slots(die, shape, align, m, k, n)
                needs.append(_needs(die, memory, shape, tiling))
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


def _with_slots(die: DieSpec, shape: Shape, align: Alignment, m: int, k: int, n: int) -> Tiling:
    of_block = -(-n // die.cols)
    of_row = -(-shape.n // die.cols)
    panels = -(-shape.m // m) * of_row
    slots = min(die.accumulator_depth // m, MOST_SLOTS, MOST_SUMS // m)
    if slots >= panels:
        return Tiling(m=m, k=k, n=n, slots=panels, held=panels, slot_unit=1, split=True)
    unit = min(align.drain_panels, of_block)
    units = slots // unit
    if units:
        # Only the last unit of a row of blocks may have fewer panels; its other places stay empty. A unit may begin
        # when the one that had its places is drained: then the units between them hold all panels but one.
        missing = -of_row % unit * -(-(units - 1) // -(-of_row // unit))
        held = 1 + (units - 1) * unit - missing
        if held >= (of_block if k < shape.k else unit):
            return Tiling(m=m, k=k, n=n, slots=units * unit, held=held, slot_unit=unit, split=True)
    return Tiling(m=m, k=k, n=n, slots=slots, held=slots, slot_unit=1, split=False)


def row_words(die: DieSpec, memory: MemorySpec, shape: Shape, tiling: Tiling) -> tuple[int, int, int]:
    """Least words of the scratchpad that a part of a stored A, of a stored B, and of Y takes: one row of it.

    Of a row, as few words as end at a panel of the operand buffer, or of Y. A drain of panels that cannot be split
    takes all of its rows at once.
    """
    word_elements, word_sums = memory.word_bytes // die.element_bytes, memory.word_bytes // 4

    def least(size: int, lanes: int, per_word: int) -> int:
        return -(-min(size, math.lcm(lanes, per_word)) // per_word)

    return (
        least(tiling.m if shape.activation_column else tiling.k, die.rows, word_elements),
        least(tiling.k if shape.weight_column else tiling.n, die.cols, word_elements),
        least(tiling.n, die.cols, word_sums) * (1 if tiling.split else tiling.m),
    )


def _needs(die: DieSpec, memory: MemorySpec, shape: Shape, tiling: Tiling) -> dict[str, tuple[int, int]]:
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
        "scratchpad_bytes": (
            sum(row_words(die, memory, shape, tiling)),
            scratchpad_depth(die, memory),
            memory.word_bytes,
        ),
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

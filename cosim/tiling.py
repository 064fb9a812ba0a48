"""How a GEMM is cut into blocks that fit the buffers of a die.

A GEMM of any size is a sequence of steps; each step multiplies an activation block by a weight block out of the
buffers. Blocks are as large as the buffers allow, with room for the next block while one is in use (double
buffering) as soon as there is more than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from chiplet.specs import DieSpec, MemorySpec
from rtl.isa import COUNT_BITS

Form = Literal["nn", "nt", "tn"]
MOST_ROWS = (1 << COUNT_BITS) - 1
"""Largest block dimension that a command can count."""
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A GEMM: Y (m x n) = A (m x k) B (k x n).

    ``form`` says how the operands are stored: ``nn`` A and B as they are (XW), ``nt`` B transposed (dY W^T), ``tn``
    A transposed (X^T dY).
    """

    m: int
    k: int
    n: int
    form: Form = "nn"

    def __post_init__(self) -> None:
        for name in ("m", "k", "n"):
            value = getattr(self, name)
            if not 1 <= value <= 1 << 24:
                raise ValueError(f"{name} = {value} is out of range: must be 1 to {1 << 24}")
        if self.form not in FORMS:
            raise ValueError(f"form = {self.form!r} is unknown: must be one of {', '.join(FORMS)}")

    @property
    def activation_column(self) -> bool:
        """The streamed vectors are columns of the stored operand."""
        return self.form == "tn"

    @property
    def weight_column(self) -> bool:
        """The stationary vectors are columns of the stored operand."""
        return self.form == "nt"

    @property
    def stored_a(self) -> tuple[int, int]:
        """Rows and columns of A as stored."""
        return (self.k, self.m) if self.activation_column else (self.m, self.k)

    @property
    def stored_b(self) -> tuple[int, int]:
        """Rows and columns of B as stored."""
        return (self.n, self.k) if self.weight_column else (self.k, self.n)


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


def blocks(size: int, block: int) -> Iterator[tuple[int, int]]:
    """Start and length of each block of a dimension."""
    for start in range(0, size, block):
        yield start, min(block, size - start)


def tile_cycles(die: DieSpec, m: int) -> int:
    """Cycles of one stationary tile with ``m`` activation rows."""
    return max(m, die.rows, die.stages)


def floor_cycles(die: DieSpec, shape: Shape) -> int:
    """Least array cycles of a GEMM out of the buffers: fill, tiles without a bubble, drain (see docs/numerics)."""
    tiles = -(-shape.k // die.rows) * -(-shape.n // die.cols)
    return die.rows + tiles * tile_cycles(die, shape.m) + die.rows * die.stages + die.cols - 2


def activation_addresses(die: DieSpec, shape: Shape, m: int, k: int) -> int:
    """Addresses of the activation buffer that an m x k block takes."""
    return -(-m // die.rows) * k if shape.activation_column else -(-k // die.rows) * m


def weight_addresses(die: DieSpec, shape: Shape, k: int, n: int) -> int:
    """Addresses of the weight buffer that a k x n block takes."""
    return -(-k // die.cols) * n if shape.weight_column else -(-n // die.cols) * k


def _candidates(size: int, align: int) -> list[int]:
    """Block sizes worth a try: the whole dimension, and balanced parts of it in multiples of ``align``."""
    sizes = {size}
    parts = 2
    while True:
        block = -(-size // (parts * align)) * align
        if block < size:
            sizes.add(block)
        if block <= align:
            return sorted((one for one in sizes if one <= MOST_ROWS), reverse=True)
        parts += max(1, parts // 4)


def choose_tiling(die: DieSpec, memory: MemorySpec, shape: Shape) -> Tiling:
    """Return the block sizes with the least estimated cycles.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit: names the buffer, the bytes needed and the bytes there.
    """
    word_elements = memory.word_bytes // die.element_bytes
    word_sums = memory.word_bytes // 4
    # A block starts at a memory word in every stored matrix, and at a whole tile along K and N.
    align_m = word_elements if shape.activation_column else 1
    align_k = die.rows if shape.activation_column and not shape.weight_column else math.lcm(die.rows, word_elements)
    align_n = math.lcm(die.cols, word_sums if shape.weight_column else word_elements)

    best: tuple[float, Tiling] | None = None
    smallest: dict[str, tuple[int, int]] = {}
    for m in _candidates(shape.m, align_m):
        for k in _candidates(shape.k, align_k):
            for n in _candidates(shape.n, align_n):
                found = _judge(die, memory, shape, m, k, n, smallest)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
    if best is None:
        name, (need, have) = min(smallest.items(), key=lambda item: item[1][0])
        raise ValueError(
            f"the smallest blocks of {shape.m}x{shape.k}x{shape.n} ({shape.form}) do not fit: "
            f"die.{name} must be at least {need}, is {have}"
        )
    return best[1]


def _judge(
    die: DieSpec, memory: MemorySpec, shape: Shape, m: int, k: int, n: int, smallest: dict[str, tuple[int, int]]
) -> tuple[float, Tiling] | None:
    """Estimated cycles of block sizes, or None if they do not fit; then the least need is noted by buffer."""
    m_blocks, k_blocks, n_blocks = (-(-size // block) for size, block in ((shape.m, m), (shape.k, k), (shape.n, n)))
    panels = -(-n // die.cols)
    a_copies = 1 if m_blocks * k_blocks == 1 else 2
    b_copies = 1 if k_blocks * n_blocks == 1 else 2
    needed_slots = panels if k_blocks > 1 else 1
    slots = min(die.accumulator_depth // m, m_blocks * n_blocks * panels)
    fits = True
    for name, need, have, address_bytes in (
        (
            "activation_bytes",
            a_copies * activation_addresses(die, shape, m, k),
            die.activation_depth,
            die.rows * die.element_bytes,
        ),
        (
            "weight_bytes",
            b_copies * weight_addresses(die, shape, k, n),
            die.weight_depth,
            die.cols * die.element_bytes,
        ),
        ("accumulator_bytes", needed_slots * m, die.accumulator_depth, 4 * die.cols),
    ):
        if need > have:
            fits = False
            known = smallest.get(name)
            if known is None or need * address_bytes < known[0]:
                smallest[name] = (need * address_bytes, have * address_bytes)
    if not fits:
        return None

    word = memory.word_bytes
    compute = sum(tile_cycles(die, size) for _, size in blocks(shape.m, m)) * sum(
        -(-size // die.rows) for _, size in blocks(shape.k, k)
    ) * -(-shape.n // die.cols)
    a_words = shape.m * shape.k * die.element_bytes / word * (1 if k_blocks == 1 or n_blocks == 1 else n_blocks)
    b_words = shape.k * shape.n * die.element_bytes / word * (1 if m_blocks == 1 or k_blocks * n_blocks == 1 else m_blocks)
    y_words = shape.m * shape.n * 4 / word
    steps = m_blocks * k_blocks * n_blocks
    first = (m * k + k * n) * die.element_bytes / word
    last = m * min(n, die.cols) * 4 / word * (1 if slots > 1 else panels)
    return max(compute, a_words + b_words + y_words) + first + last + 8 * steps, Tiling(m=m, k=k, n=n, slots=slots)

"""How a product on a die is cut into blocks that fit the operand buffers and the accumulator buffer.

Blocks take at most half of a buffer where that is possible: the next one is fed while the array works. Blocks begin
where a word does, and K is cut where a tile begins, so the cut changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from chiplet.layout.block_sizes import MOST_COUNT, Form, block_sizes, tile_cycles
from chiplet.layout.storage import Storage, joined_pieces
from chiplet.machine.specs import DieSpec, MemorySpec

__all__ = ["Panels", "ProductBlocks", "ProductCut", "Range", "Segment", "cut_product", "product_cut"]


class Range(NamedTuple):
    """Rows, columns or summed elements of a block: the first one, and how many."""

    start: int
    size: int


class Segment(NamedTuple):
    """Columns of y that lie in its words without a gap: the first one, how many, and the panel that they begin."""

    start: int
    cols: int
    panel: int


class Panels(NamedTuple):
    """Columns of a block: segments, each of which begins a panel of C columns, and panels of all of them."""

    segments: tuple[Segment, ...]
    panels: int

    def columns(self, cols: int) -> int:
        """Columns from the first panel of C = ``cols`` to the last column."""
        last = self.segments[-1]
        return last.panel * cols + last.cols


@dataclass(frozen=True)
class ProductBlocks:
    """Blocks of M, of N, and of K of each term, all in ascending order."""

    m: tuple[Range, ...]
    n: tuple[Panels, ...]
    k: tuple[tuple[Range, ...], ...]

    @property
    def one_k(self) -> bool:
        """Whether a block has all of K."""
        return sum(map(len, self.k)) == 1

    def in_order(self) -> Iterator[tuple[Range, Panels]]:
        """Blocks of y, in an order in which neighbours share an operand."""
        for number, m in enumerate(self.m):
            turned = self.one_k and number % 2
            for n in reversed(self.n) if turned else self.n:
                yield m, n


class Dimension(NamedTuple):
    """A dimension that is cut.

    Attributes
    ----------
    size
        Its elements.
    starts
        Where pieces begin: positions, and the numbers of elements of a block that may lie before them, of which each
        is a multiple of the second number.
    align
        A block may also begin at multiples of so many elements of a piece.
    """

    size: int
    starts: tuple[tuple[int, int], ...]
    align: int

    def blocks(self, most: int) -> tuple[Range, ...]:
        """Blocks of at most ``most`` elements, which are at least ``align`` of them."""
        positions = [start for start, _ in self.starts]
        units = dict(self.starts)
        ends = [*positions[1:], self.size]
        blocks = []
        at = piece = 0
        while at < self.size:
            end = at
            while piece < len(ends):
                if at < end == positions[piece] and (end - at) % units[end]:
                    break
                if ends[piece] - at > most:
                    end += (at + most - end) // self.align * self.align
                    break
                end = ends[piece]
                piece += 1
            blocks.append(Range(at, end - at))
            at = end
        return tuple(blocks)


@dataclass(frozen=True, kw_only=True)
class ProductCut:
    """What the cut of a product depends on: not on the words where it lies.

    Attributes
    ----------
    form
        How operands are stored.
    m, k
        The dimension M, and K of each term.
    n
        Starts and columns of N that lie without a gap in all that has them.
    n_align
        Columns at whose multiples such a segment may be cut: whole panels that end at a word.
    sum_bytes
        Bytes of an element of y.
    start
        Whether sums are fed.
    """

    form: Form
    m: Dimension
    k: tuple[Dimension, ...]
    n: tuple[tuple[int, int], ...]
    n_align: int
    sum_bytes: int
    start: bool


def product_cut(
    die: DieSpec,
    memory: MemorySpec,
    *,
    form: Form,
    terms: Sequence[tuple[Storage, Storage]],
    y: Storage,
    start: Storage | None,
) -> ProductCut:
    """What the cut of a product depends on: y = the sum of its terms, added to ``start`` if there is one."""
    per_word = memory.word_bytes // die.element_bytes
    rows_of_a = form == "tn"
    m_starts: set[int] = {0}
    if rows_of_a:
        m_starts = {piece.start for a, _ in terms for piece in joined_pieces(a)}
    n_starts = {piece.start for sums in (y, start or y) for piece in joined_pieces(sums)}
    sums_per_word = [memory.word_bytes // y.element_bytes] + ([memory.word_bytes // 4] if start else [])
    n_align = math.lcm(die.cols, *sums_per_word)
    if form != "nt":
        n_starts |= {piece.start for _, b in terms for piece in joined_pieces(b)}
        n_align = math.lcm(n_align, per_word)
    return ProductCut(
        form=form,
        m=Dimension(y.rows, tuple((at, die.rows) for at in sorted(m_starts)), per_word if rows_of_a else 1),
        k=tuple(
            Dimension(a.rows, ((0, 1),), die.rows)
            if rows_of_a
            else Dimension(a.cols, _k_starts(die, form, a, b), math.lcm(die.rows, per_word))
            for a, b in terms
        ),
        n=tuple((at, end - at) for at, end in pairwise([*sorted(n_starts), y.cols])),
        n_align=n_align,
        sum_bytes=y.element_bytes,
        start=start is not None,
    )


def _k_starts(die: DieSpec, form: Form, a: Storage, b: Storage) -> tuple[tuple[int, int], ...]:
    """Where pieces of summed columns begin: at a tile, and what is fed alone at a panel of the buffer."""
    fed = {piece.start for piece in joined_pieces(b)} if form == "nt" else set()
    return tuple(
        (piece.start, math.lcm(die.rows, die.cols) if piece.start in fed else die.rows) for piece in a.pieces
    )


def cut_product(die: DieSpec, memory: MemorySpec, cut: ProductCut) -> ProductBlocks:
    """Return the blocks with the fewest estimated cycles.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit: names the buffers, and what they need.
    """
    needs: list[dict[str, tuple[int, int]]] = []
    for parts in (2, 1):
        best: tuple[float, ProductBlocks] | None = None
        for blocks in _choices(die, cut):
            needs.append(_needs(die, cut, blocks))
            if all(need <= have // parts for need, have in needs[-1].values()):
                cycles = _estimate(die, memory, cut, blocks)
                if best is None or cycles < best[0]:
                    best = cycles, blocks
        if best is not None:
            return best[1]
    closest = min(needs, key=lambda need: max(wanted / max(have, 1) for wanted, have in need.values()))
    missing = ", ".join(
        f"the {name} buffer needs {wanted} addresses, has {have}"
        for name, (wanted, have) in closest.items()
        if wanted > have
    )
    raise ValueError(f"no blocks of a product ({cut.form}) fit: {missing}")


def _choices(die: DieSpec, cut: ProductCut) -> Iterator[ProductBlocks]:
    panels = sum(-(-cols // die.cols) for _, cols in cut.n)
    n_cuts = {
        _columns(die, cut, most)
        for most in block_sizes(panels, cut.n_align // die.cols)
        if most * die.cols <= MOST_COUNT
    }
    most_k = max(k.size for k in cut.k)
    k_align = max(k.align for k in cut.k)
    k_cuts = {tuple(k.blocks(most) for k in cut.k) for most in block_sizes(most_k, k_align)}
    for m in {cut.m.blocks(most) for most in block_sizes(cut.m.size, cut.m.align)}:
        for n in n_cuts:
            for k in k_cuts:
                yield ProductBlocks(m, n, k)


def _columns(die: DieSpec, cut: ProductCut, most: int) -> tuple[Panels, ...]:
    """Blocks of N of at most ``most`` panels."""
    unit = cut.n_align // die.cols
    blocks: list[Panels] = []
    segments: list[Segment] = []
    used = 0
    for start, cols in cut.n:
        end = start + cols
        while start < end:
            panels = -(-(end - start) // die.cols)
            taken = panels if panels <= most - used else (most - used) // unit * unit
            if not taken:
                blocks.append(Panels(tuple(segments), used))
                segments, used = [], 0
                continue
            size = min(end - start, taken * die.cols)
            segments.append(Segment(start, size, used))
            start, used = start + size, used + taken
    return (*blocks, Panels(tuple(segments), used))


def activation_addresses(die: DieSpec, form: Form, m: int, k: int) -> int:
    """Addresses of the activation buffer that a block takes."""
    return -(-m // die.rows) * k if form == "tn" else -(-k // die.rows) * m


def weight_addresses(die: DieSpec, form: Form, k: int, n: Panels) -> int:
    """Addresses of the weight buffer that a block takes."""
    return -(-k // die.cols) * n.columns(die.cols) if form == "nt" else n.panels * k


def _needs(die: DieSpec, cut: ProductCut, blocks: ProductBlocks) -> dict[str, tuple[int, int]]:
    """Addresses that the largest blocks take, and those that there are, by buffer."""
    m = max(block.size for block in blocks.m)
    k = max(block.size for term in blocks.k for block in term)
    return {
        "activation": (activation_addresses(die, cut.form, m, k), die.activation_depth),
        "weight": (max(weight_addresses(die, cut.form, k, n) for n in blocks.n), die.weight_depth),
        "accumulator": (m * max(n.panels for n in blocks.n), die.accumulator_depth),
    }


def feed_cycles(rows: int, cols: int, *, lanes: int, per_word: int) -> int:
    """About the cycles in which rows of a stored operand come into its buffer."""
    return rows * -(-cols // per_word) * -(-min(cols, per_word) // lanes)


def _estimate(die: DieSpec, memory: MemorySpec, cut: ProductCut, blocks: ProductBlocks) -> float:
    """About the cycles of the product: the busiest unit, the first feeds and the last drain."""
    per_word = memory.word_bytes // die.element_bytes
    sums, per_sum_word = len(blocks.m) * len(blocks.n), memory.word_bytes // cut.sum_bytes
    k_blocks = sum(map(len, blocks.k))

    def feed_a(m: int, k: int) -> int:
        rows, cols = (k, m) if cut.form == "tn" else (m, k)
        return feed_cycles(rows, cols, lanes=die.rows, per_word=per_word)

    def feed_b(k: int, n: int) -> int:
        rows, cols = (n, k) if cut.form == "nt" else (k, n)
        return feed_cycles(rows, cols, lanes=die.cols, per_word=per_word)

    tiles = sum(-(-block.size // die.rows) for term in blocks.k for block in term)
    panels = sum(n.panels for n in blocks.n)
    columns = [sum(segment.cols for segment in n.segments) for n in blocks.n]
    array = sum(tile_cycles(die, m.size) for m in blocks.m) * tiles * panels
    k_all = [block.size for term in blocks.k for block in term]
    a = sum(feed_a(m.size, k) for m in blocks.m for k in k_all) * (len(blocks.n) if k_blocks > 1 else 1)
    b = sum(feed_b(k, n) for n in columns for k in k_all)
    if k_blocks > 1:
        b *= len(blocks.m)
    else:
        b = round(b * (len(blocks.m) - (len(blocks.m) - 1) / len(blocks.n)))
    drain = sum(
        m.size * -(-segment.cols // per_sum_word)
        for m in blocks.m
        for n in blocks.n
        for segment in n.segments
    )
    first = max(feed_a(blocks.m[0].size, k_all[0]), feed_b(k_all[0], columns[0]))
    last = blocks.m[-1].size * -(-min(columns[-1], die.cols) // per_sum_word)
    return max(array, a, b, drain) + first + last + 8 * sums * k_blocks

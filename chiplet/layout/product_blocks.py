"""Where a product on a die can be cut: blocks begin where a word does, and K is cut where a tile begins.

So the cut changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

from chiplet.layout.block_sizes import Form
from chiplet.layout.storage import Storage, joined_pieces
from chiplet.machine.specs import DieSpec, MemorySpec

__all__ = [
    "Panels",
    "ProductBlocks",
    "ProductCut",
    "Range",
    "Segment",
    "StoredProduct",
    "panel_blocks",
    "product_cut",
]


class StoredProduct(Protocol):
    """A product y = the sum of its terms a b, added to ``start`` if there is one, and where its matrices lie."""

    @property
    def form(self) -> Form:
        """How operands are stored."""

    @property
    def terms(self) -> Sequence[tuple[Storage, Storage]]:
        """a and b of each term."""

    @property
    def y(self) -> Storage:
        """The result."""

    @property
    def start(self) -> Storage | None:
        """Sums that are added to."""


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
        Where pieces begin, and the number of whose multiples as many elements may lie before the piece in a block.
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


def product_cut(die: DieSpec, memory: MemorySpec, product: StoredProduct) -> ProductCut:
    """What the cut of ``product`` depends on."""
    per_word = memory.word_bytes // die.element_bytes
    form, y, start = product.form, product.y, product.start
    rows_of_a = form == "tn"
    m_starts: set[int] = {0}
    if rows_of_a:
        m_starts = {piece.start for a, _ in product.terms for piece in joined_pieces(a)}
    n_starts = {piece.start for sums in (y, start or y) for piece in joined_pieces(sums)}
    sums_per_word = [memory.word_bytes // y.element_bytes] + ([memory.word_bytes // 4] if start else [])
    n_align = math.lcm(die.cols, *sums_per_word)
    if form != "nt":
        n_starts |= {piece.start for _, b in product.terms for piece in joined_pieces(b)}
        n_align = math.lcm(n_align, per_word)
    return ProductCut(
        form=form,
        m=Dimension(y.rows, tuple((at, die.rows) for at in sorted(m_starts)), per_word if rows_of_a else 1),
        k=tuple(
            Dimension(a.rows, ((0, 1),), die.rows)
            if rows_of_a
            else Dimension(a.cols, _k_starts(die, form, a, b), math.lcm(die.rows, per_word))
            for a, b in product.terms
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


def panel_blocks(die: DieSpec, cut: ProductCut, most: int) -> tuple[Panels, ...]:
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

"""The blocks into which a product on a die is cut: those with the fewest estimated cycles that fit the buffers.

Blocks of at most half of a buffer are fed while the array works on others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chiplet.layout.block_sizes import MOST_COUNT, Form, block_sizes, tile_cycles
from chiplet.layout.product_blocks import Panels, ProductBlocks, ProductCut, panel_blocks
from chiplet.machine.specs import DieSpec, MemorySpec

__all__ = ["activation_addresses", "cut_product", "row_cycles", "weight_addresses"]

_BLOCK_CYCLES = 8
"""About the cycles that one more block costs: commands that are handed out, and units that wait for each other."""


def cut_product(die: DieSpec, memory: MemorySpec, cut: ProductCut) -> ProductBlocks:
    """Return the blocks with the fewest estimated cycles.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit: names the buffers, and what they need.
    """
    least: tuple[list[float], dict[str, tuple[int, int]]] | None = None
    # A tile takes R cycles at least, so M is cut into fewer rows only where nothing else fits.
    for m_align in (math.lcm(die.rows, cut.m.align), cut.m.align):
        best: tuple[float, _Choice] | None = None
        for choice in _choices(die, memory, cut, m_align):
            needs = choice.needs()
            shares = sorted((need / have for need, have in needs.values()), reverse=True)
            if shares[0] <= 1:
                halves = all(need <= have // 2 for need, have in needs.values())
                cycles = choice.estimate(at_a_time=halves)
                if best is None or cycles < best[0]:
                    best = cycles, choice
            elif least is None or shares < least[0]:
                least = shares, needs
        if best is not None:
            return best[1].blocks
    assert least is not None, "there is always a choice"
    missing = ", ".join(
        f"the {name} buffer needs {wanted} addresses, has {have}"
        for name, (wanted, have) in least[1].items()
        if wanted > have
    )
    raise ValueError(f"no blocks of a product ({cut.form}) fit: {missing}")


def activation_addresses(die: DieSpec, form: Form, m: int, k: int) -> int:
    """Addresses of the activation buffer that a block takes."""
    return -(-m // die.rows) * k if form == "tn" else -(-k // die.rows) * m


def weight_addresses(die: DieSpec, form: Form, k: int, n: Panels) -> int:
    """Addresses of the weight buffer that a block takes."""
    return -(-k // die.cols) * n.columns(die.cols) if form == "nt" else n.panels * k


def row_cycles(memory: MemorySpec, cols: int, lanes: int) -> int:
    """About the cycles in which a row of ``cols`` bf16 operands comes into its buffer."""
    per_word = memory.word_bytes // 2
    return -(-cols // per_word) * -(-min(cols, per_word) // lanes)


class _Way:
    """A dimension cut in one way: what all choices with it share."""

    def __init__(self, die: DieSpec, memory: MemorySpec, sizes: Sequence[int]) -> None:
        self.count, self.total, self.most = len(sizes), sum(sizes), max(sizes)
        self.first, self.last = sizes[0], sizes[-1]
        self.tiles = sum(-(-size // die.rows) for size in sizes)
        self.tile_cycles = sum(tile_cycles(die, size) for size in sizes)
        self.row_of_a, self.row_of_b = (
            sum(row_cycles(memory, size, lanes) for size in sizes) for lanes in (die.rows, die.cols)
        )


class _PanelsWay:
    """N cut in one way."""

    def __init__(self, die: DieSpec, memory: MemorySpec, cut: ProductCut, blocks: Sequence[Panels]) -> None:
        def words(block: Panels, element_bytes: int = cut.sum_bytes) -> int:
            return sum(-(-segment.cols * element_bytes // memory.word_bytes) for segment in block.segments)

        self.count, self.panels = len(blocks), sum(block.panels for block in blocks)
        self.widest = max(blocks, key=lambda block: block.columns(die.cols))
        self.most = max(block.panels for block in blocks)
        self.total, self.first = (
            sum(segment.cols for block in some for segment in block.segments) for some in (blocks, blocks[:1])
        )
        self.row_of_b, self.first_row_of_b = (
            sum(row_cycles(memory, segment.cols, die.cols) for block in some for segment in block.segments)
            for some in (blocks, blocks[:1])
        )
        self.words, self.last_words = sum(map(words, blocks)), words(blocks[-1])
        self.fed, self.first_fed = (
            sum(words(block, 4) for block in some) * cut.start for some in (blocks, blocks[:1])
        )
        self.last_panels = blocks[-1].panels


@dataclass(frozen=True)
class _Choice:
    """A way to cut a product."""

    die: DieSpec
    memory: MemorySpec
    cut: ProductCut
    blocks: ProductBlocks
    m: _Way
    n: _PanelsWay
    k: _Way

    def needs(self) -> dict[str, tuple[int, int]]:
        """Addresses that the largest blocks take, and those that there are, by buffer."""
        die, form = self.die, self.cut.form
        return {
            "activation": (activation_addresses(die, form, self.m.most, self.k.most), die.activation_depth),
            "weight": (weight_addresses(die, form, self.k.most, self.n.widest), die.weight_depth),
            "accumulator": (self.m.most * self.n.most, die.accumulator_depth),
        }

    def estimate(self, *, at_a_time: bool) -> float:
        """About the cycles of the product: the busiest unit, the first feeds and the last drain.

        ``at_a_time`` says whether units work at the same time, on different blocks.
        """
        m, n, k, memory, die = self.m, self.n, self.k, self.memory, self.die
        array = m.tile_cycles * k.tiles * n.panels
        # With all of K in a block, neighbours share one: see ProductBlocks.in_order.
        one = k.count == 1
        a_times, b_times = (1.0, m.count - (m.count - 1) / n.count) if one else (n.count, m.count)
        if self.cut.form == "tn":
            a, first_a = k.total * m.row_of_a, k.first * row_cycles(memory, m.first, die.rows)
        else:
            a, first_a = m.total * k.row_of_a, m.first * row_cycles(memory, k.first, die.rows)
        if self.cut.form == "nt":
            b, first_b = n.total * k.row_of_b, n.first * row_cycles(memory, k.first, die.cols)
        else:
            b, first_b = k.total * n.row_of_b, k.first * n.first_row_of_b
        # The last block leaves panel by panel, while the array works on its later panels.
        leaves = m.last * n.last_words
        hidden = (n.last_panels - 1) * -(-k.last // die.rows) * tile_cycles(die, m.last)
        last = max(leaves / n.last_panels, leaves - hidden)
        units = array, a_times * a, b_times * b, m.total * n.words, m.total * n.fed
        busiest = max(units) + sum(units) / 16 if at_a_time else sum(units)
        first = max(first_a, first_b, m.first * n.first_fed)
        return busiest + first + last + _BLOCK_CYCLES * m.count * n.count * k.count


def _choices(die: DieSpec, memory: MemorySpec, cut: ProductCut, m_align: int) -> Iterator[_Choice]:
    """Blocks of every size that is tried, with those of M at multiples of ``m_align`` in each piece."""
    panels = sum(-(-cols // die.cols) for _, cols in cut.n)
    n_cuts = dict.fromkeys(
        panel_blocks(die, cut, most)
        for most in block_sizes(panels, cut.n_align // die.cols)
        if most * die.cols <= MOST_COUNT
    )
    most_k, k_align = max(k.size for k in cut.k), max(k.align for k in cut.k)
    k_cuts = dict.fromkeys(tuple(k.blocks(most) for k in cut.k) for most in block_sizes(most_k, k_align))
    m = cut.m._replace(align=m_align)
    m_cuts = dict.fromkeys(m.blocks(most) for most in block_sizes(m.size, m_align))
    n_ways = [(n, _PanelsWay(die, memory, cut, n)) for n in n_cuts]
    k_ways = [(k, _Way(die, memory, [block.size for term in k for block in term])) for k in k_cuts]
    for m_blocks in m_cuts:
        m_way = _Way(die, memory, [block.size for block in m_blocks])
        for n_blocks, n_way in n_ways:
            for k_blocks, k_way in k_ways:
                blocks = ProductBlocks(m_blocks, n_blocks, k_blocks)
                yield _Choice(die, memory, cut, blocks, m_way, n_way, k_way)

"""Steps of products on a die: feeds of blocks, the array's commands, and drains panel by panel.

Blocks follow each other through places of the operand buffers and of the accumulator buffer, across products: while
the array works on one, the next ones are fed and sums of the last ones leave. A block that is still in its buffer is
not fed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from chiplet.layout.buffer_places import BufferPlaces, Place
from chiplet.layout.product_blocks import (
    Panels,
    ProductBlocks,
    ProductCut,
    Range,
    Segment,
    product_cut,
)
from chiplet.layout.product_choice import (
    activation_addresses,
    cut_product,
    row_cycles,
    weight_addresses,
)
from chiplet.layout.storage import Storage, joined_pieces, joined_runs
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.compile.products.die_product import DieProduct, word_of
from rtl.interface.isa import Opcode

__all__ = ["DieProduct", "ProductSteps"]


class _Corner(NamedTuple):
    """Where a part of a stored operand comes to lie in its block: rows, and columns, before it."""

    row: int
    col: int


class _Buffer:
    """An operand buffer, and the blocks that are in it."""

    def __init__(
        self, space: Literal["activation", "weight"], opcode: Opcode, lanes: int, depth: int
    ) -> None:
        self.space, self.opcode, self.lanes = space, opcode, lanes
        self._places = BufferPlaces(depth)
        self._held: dict[object, Place] = {}

    def forget(self) -> None:
        """What is in the buffer may differ from the operand in the scratchpad."""
        self._held.clear()

    def place(self, key: object, size: int) -> tuple[int, bool]:
        """First address of a block, and whether it is there already."""
        held = self._held.get(key)
        if held is not None:
            return held.base, True
        place = self._places.take(size)
        self._held = {
            other: of for other, of in self._held.items() if of.end <= place.base or place.end <= of.base
        }
        self._held[key] = place
        return place.base, False

    def feeds(
        self, operand: Storage, rows: Range, cols: Range, corner: _Corner, base: int, pitch: int, label: str
    ) -> Iterator[DieStep]:
        """Steps that bring a part of a stored operand into its block: one for each run of rows and piece of columns."""
        for piece in joined_pieces(operand):
            left, right = max(cols.start, piece.start), min(cols.start + cols.size, piece.start + piece.cols)
            if left >= right:
                continue
            panel, rest = divmod(corner.col + left - cols.start, self.lanes)
            assert not rest, "what is fed begins a panel of the buffer"
            word, words = word_of(operand, left), operand.words_of(right - left)
            for run in joined_runs(operand):
                top, end = max(rows.start, run.row), min(rows.start + rows.size, run.row + run.rows)
                if top >= end:
                    continue
                row = corner.row + top - rows.start
                address = base + panel * pitch + row
                source = run.word + (top - run.row) * operand.pitch + word
                yield DieStep(
                    self.opcode,
                    {
                        "base": address,
                        "pitch": pitch,
                        "lane": row % self.lanes,
                        "rows": end - top,
                        "cols": right - left,
                        "words": words,
                        "source": source,
                        "source_pitch": operand.pitch,
                    },
                    (
                        Touch("scratchpad", source, words, end - top, operand.pitch),
                        Touch(
                            self.space,
                            address,
                            end - top,
                            -(-(right - left) // self.lanes),
                            pitch,
                            writes=True,
                        ),
                    ),
                    label,
                )


class ProductSteps:
    """Makes the steps of products, one after the other, on a die.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        Array, buffers and words; operands are bf16.

    Raises
    ------
    ValueError
        If the die's operands are not bf16.
    """

    def __init__(self, die: DieSpec, memory: MemorySpec) -> None:
        if die.dtype != "bf16":
            raise ValueError(f"die.dtype = {die.dtype}: products of a training step need bf16")
        self._die, self._memory = die, memory
        self._activations = _Buffer("activation", Opcode.FEED_ACTIVATION, die.rows, die.activation_depth)
        self._weights = _Buffer("weight", Opcode.FEED_WEIGHT, die.cols, die.weight_depth)
        self._sums = BufferPlaces(die.accumulator_depth)
        self._blocks: dict[ProductCut, ProductBlocks] = {}

    def blocks(self, product: DieProduct) -> ProductBlocks:
        """How a product is cut. Raises ValueError if not even the smallest blocks fit the buffers."""
        cut = product_cut(self._die, self._memory, product)
        if cut not in self._blocks:
            self._blocks[cut] = cut_product(self._die, self._memory, cut)
        return self._blocks[cut]

    def steps(self, product: DieProduct, *, unchanged: bool = False) -> Iterator[DieStep]:
        """Steps of a product, in order.

        Parameters
        ----------
        product
            What is multiplied.
        unchanged
            Whether no word of its operands has been written since they were fed for the product before: blocks that
            are still in a buffer are then not fed again.

        Raises
        ------
        ValueError
            If not even the smallest blocks fit the buffers, or a panel would have to begin within a word.
        """
        if not unchanged:
            self._activations.forget()
            self._weights.forget()
        blocks = self.blocks(product)
        for m, n in blocks.in_order():
            sums = self._sums.take(m.size * n.panels).base
            summed = [(term, k) for term, ks in zip(product.terms, blocks.k, strict=True) for k in ks]
            for number, (term, k) in enumerate(summed):
                last = number == len(summed) - 1
                yield from self._block(product, term, m, n, k, sums, first=not number, last=last)

    def _block(
        self,
        product: DieProduct,
        term: tuple[Storage, Storage],
        m: Range,
        n: Panels,
        k: Range,
        sums: int,
        *,
        first: bool,
        last: bool,
    ) -> Iterator[DieStep]:
        """Steps of a block of a times a block of b, added to the panels at ``sums``."""
        a, a_feeds, a_cycles = self._a_block(product, term[0], m, k)
        b, b_feeds, b_cycles = self._b_block(product, term[1], k, n)
        feeds = [(a_cycles, a_feeds), (b_cycles, b_feeds)]
        if first and product.start is not None:
            fed = [self._fed_sums(product, product.start, m, segment, sums) for segment in n.segments]
            feeds.append((sum(step.touches[0].rows * step.touches[0].words for step in fed), fed))
        # The shorter one first: the array then waits for the longer one only.
        for _, some in sorted(feeds, key=lambda pair: pair[0]):
            yield from some
        for segment in n.segments:
            accumulate = not first or product.start is not None
            yield self._gemm(product, m, n, k, segment, a, b, sums, accumulate=accumulate, last=last)
            if last:
                yield self._drain(product, m, segment, sums)

    def _a_block(self, product: DieProduct, a: Storage, m: Range, k: Range) -> tuple[int, list[DieStep], int]:
        """Address of a block of a, the feeds that it needs, and about their cycles."""
        turned = product.form == "tn"
        rows, cols = (k, m) if turned else (m, k)
        size = activation_addresses(self._die, product.form, m.size, k.size)
        buffer = self._activations
        base, there = buffer.place((a, rows, cols), size)
        if there:
            return base, [], 0
        feeds = buffer.feeds(a, rows, cols, _Corner(0, 0), base, rows.size, product.label)
        cycles = rows.size * row_cycles(self._memory, cols.size, buffer.lanes)
        return base, list(feeds), cycles

    def _b_block(
        self, product: DieProduct, b: Storage, k: Range, n: Panels
    ) -> tuple[int, list[DieStep], int]:
        """Address of a block of b, the feeds that it needs, and about their cycles."""
        buffer, turned = self._weights, product.form == "nt"
        base, there = buffer.place((b, turned, k, n), weight_addresses(self._die, product.form, k.size, n))
        if there:
            return base, [], 0
        pitch = self._weight_pitch(product, k, n)
        feeds: list[DieStep] = []
        cycles = 0
        for segment in n.segments:
            columns, before = Range(segment.start, segment.cols), segment.panel * self._die.cols
            rows, cols = (columns, k) if turned else (k, columns)
            corner = _Corner(before, 0) if turned else _Corner(0, before)
            feeds += buffer.feeds(b, rows, cols, corner, base, pitch, product.label)
            cycles += rows.size * row_cycles(self._memory, cols.size, buffer.lanes)
        return base, feeds, cycles

    def _weight_pitch(self, product: DieProduct, k: Range, n: Panels) -> int:
        return n.columns(self._die.cols) if product.form == "nt" else k.size

    def _panels(self, segment: Segment) -> tuple[int, int]:
        """Panels of a segment, and columns of the last one."""
        panels = -(-segment.cols // self._die.cols)
        return panels, segment.cols - (panels - 1) * self._die.cols

    def _gemm(
        self,
        product: DieProduct,
        m: Range,
        n: Panels,
        k: Range,
        segment: Segment,
        a: int,
        b: int,
        sums: int,
        *,
        accumulate: bool,
        last: bool,
    ) -> DieStep:
        die = self._die
        panels, last_cols = self._panels(segment)
        k_tiles = -(-k.size // die.rows)
        a_column, b_column = product.form == "tn", product.form == "nt"
        a_pitch, b_pitch = k.size if a_column else m.size, self._weight_pitch(product, k, n)
        accumulator = sums + segment.panel * m.size
        if b_column:
            b += segment.panel * die.cols
            read = Touch("weight", b, segment.cols, -(-k.size // die.cols), b_pitch)
        else:
            b += segment.panel * b_pitch
            read = Touch("weight", b, k.size, panels, b_pitch)
        lines = -(-m.size // die.rows) if a_column else k_tiles
        touches = [Touch("activation", a, a_pitch, lines, a_pitch), read]
        if accumulate:
            touches.append(Touch("accumulator", accumulator, m.size, panels, m.size))
        touches.append(Touch("accumulator", accumulator, m.size, panels, m.size, writes=True))
        return DieStep(
            Opcode.GEMM,
            {
                "accumulate": int(accumulate),
                "activation_column": int(a_column),
                "weight_column": int(b_column),
                "activation_base": a,
                "activation_pitch": a_pitch,
                "weight_base": b,
                "weight_pitch": b_pitch,
                "accumulator_base": accumulator,
                "accumulator_step": m.size,
                "m": m.size,
                "k_tiles": k_tiles,
                "last_k": k.size - (k_tiles - 1) * die.rows,
                "panels": panels,
                "last_cols": last_cols,
            },
            tuple(touches),
            product.label,
            panels=panels if last else 0,
        )

    def _drain(self, product: DieProduct, m: Range, segment: Segment, sums: int) -> DieStep:
        fields, touches = self._rows_of_sums(product.y, m, segment, sums, "target", drains=True)
        fields["cast"] = int(product.y.element == "bf16")
        return DieStep(Opcode.DRAIN, fields, touches, product.label, panels=fields["panels"])

    def _fed_sums(
        self, product: DieProduct, start: Storage, m: Range, segment: Segment, sums: int
    ) -> DieStep:
        fields, touches = self._rows_of_sums(start, m, segment, sums, "source", drains=False)
        return DieStep(Opcode.FEED_SUMS, fields, touches, product.label)

    def _rows_of_sums(
        self, matrix: Storage, m: Range, segment: Segment, sums: int, field: str, *, drains: bool
    ) -> tuple[dict[str, int], tuple[Touch, ...]]:
        """Fields and touches of a DRAIN or FEED_SUMS of the panels of a segment."""
        panels, last_cols = self._panels(segment)
        base = sums + segment.panel * m.size
        word = matrix.run.word + m.start * matrix.pitch + word_of(matrix, segment.start)
        fields = {
            "base": base,
            "step": m.size,
            "rows": m.size,
            "panels": panels,
            "last_cols": last_cols,
            field: word,
            f"{field}_pitch": matrix.pitch,
        }
        words = matrix.words_of(segment.cols)
        return fields, (
            Touch("scratchpad", word, words, m.size, matrix.pitch, writes=drains),
            Touch("accumulator", base, m.size, panels, m.size, writes=not drains),
        )

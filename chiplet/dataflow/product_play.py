"""Products on the units of a die: feeds of blocks, the array, and drains, in the order of the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chiplet.dataflow.die_units import DieUnits
from chiplet.dataflow.place_times import Use
from chiplet.layout.block_sizes import Form
from chiplet.layout.buffer_places import BufferPlaces, Place
from chiplet.layout.operator_parts import Part
from chiplet.layout.product_blocks import Panels, ProductBlocks, ProductCut, Range, product_cut
from chiplet.layout.product_choice import activation_addresses, cut_product, row_cycles, weight_addresses
from chiplet.layout.storage import Storage, joined_pieces, joined_runs
from chiplet.machine.specs import SystemSpec

__all__ = ["OperandPair", "ProductPlay", "UsedOperand"]


class UsedOperand(NamedTuple):
    """A matrix, what is used of it, and what is used of its runs by their first rows if these came one by one."""

    storage: Storage
    use: Use
    runs: Mapping[int, Use]


OperandPair = tuple[UsedOperand, UsedOperand]
"""Operands a and b of a product."""


class _Stored(NamedTuple):
    """A product of what lies in the scratchpad."""

    form: Form
    terms: Sequence[tuple[Storage, Storage]]
    y: Storage
    start: Storage | None


class _Buffer:
    """An operand buffer: the blocks that are in it, and when the array has done with each address."""

    def __init__(self, unit: str, lanes: int, depth: int) -> None:
        self.unit, self.lanes = unit, lanes
        self._places = BufferPlaces(depth)
        self._free: dict[Place, float] = {}
        self._held: dict[object, tuple[Place, float]] = {}

    def forget(self) -> None:
        self._held.clear()

    def held(self, key: object) -> tuple[Place, float] | None:
        return self._held.get(key)

    def take(self, size: int) -> tuple[Place, float]:
        """The next place, and when it is free."""
        place = self._places.take(size)
        self._held = {other: of for other, of in self._held.items() if not _meet(of[0], place)}
        return place, max((time for other, time in self._free.items() if _meet(other, place)), default=0.0)

    def fed(self, key: object, place: Place, time: float) -> None:
        self._held[key] = place, time

    def used(self, place: Place, time: float) -> None:
        self._free = {other: until for other, until in self._free.items() if not _inside(other, place)}
        self._free[place] = time


class ProductPlay:
    """Plays the products of a die, one after the other."""

    def __init__(self, system: SystemSpec, units: DieUnits) -> None:
        self._die, self._memory, self._units = system.die, system.memory, units
        die = system.die
        self._activations = _Buffer("feed_activation", die.rows, die.activation_depth)
        self._weights = _Buffer("feed_weight", die.cols, die.weight_depth)
        self._sums = BufferPlaces(die.accumulator_depth)
        self._sums_free: dict[Place, float] = {}
        self._blocks: dict[ProductCut, ProductBlocks] = {}

    def play(self, form: Form, terms: Sequence[OperandPair], y: tuple[Storage, Use], *, start: bool) -> None:
        """A product, added to what ``y`` has if ``start``."""
        self._activations.forget()
        self._weights.forget()
        stored = _Stored(form, [(a[0], b[0]) for a, b in terms], y[0], y[0] if start else None)
        cut = product_cut(self._die, self._memory, stored)
        if cut not in self._blocks:
            self._blocks[cut] = cut_product(self._die, self._memory, cut)
        blocks = self._blocks[cut]
        # Sums that a block goes on with are not those of the blocks before it.
        self._start_there = self._units.places.rows_before("feed_sums", y[1])
        self._units.places.new_rows(y[1].tensor)
        for m, n in blocks.in_order():
            sums = self._sums.take(m.size * n.panels)
            summed = [(term, k) for term, ks in zip(terms, blocks.k, strict=True) for k in ks]
            for number, (term, k) in enumerate(summed):
                last = number == len(summed) - 1
                self._block(form, term, y, m, n, k, sums, start=start, first=not number, last=last)

    def _block(
        self,
        form: Form,
        term: OperandPair,
        y: tuple[Storage, Use],
        m: Range,
        n: Panels,
        k: Range,
        sums: Place,
        *,
        start: bool,
        first: bool,
        last: bool,
    ) -> None:
        die, units = self._die, self._units
        (a, a_use, a_runs), (b, b_use, b_runs) = term
        a_parts = [(k, m) if form == "tn" else (m, k)]
        a_key, a_size = (a_use, a, m, k), activation_addresses(die, form, m.size, k.size)
        columns = [Range(segment.start, segment.cols) for segment in n.segments]
        b_parts = [(cols, k) if form == "nt" else (k, cols) for cols in columns]
        b_key, b_size = (b_use, b, k, n), weight_addresses(die, form, k.size, n)
        feeds = []
        for buffer, operand, parts, key, size in (
            (self._activations, UsedOperand(a, a_use, a_runs), a_parts, a_key, a_size),
            (self._weights, UsedOperand(b, b_use, b_runs), b_parts, b_key, b_size),
        ):
            cycles = 0
            if buffer.held(key) is None:
                cycles = sum(
                    rows.size * row_cycles(self._memory, cols.size, buffer.lanes) for rows, cols in parts
                )
            feeds.append((cycles, buffer, operand, parts, key, size))
        sums_free = max((time for place, time in self._sums_free.items() if _meet(place, sums)), default=0.0)
        ready, places = 0.0, {}
        fed_sums: list[Iterator[float] | None] = [None] * len(n.segments)
        panels = [-(-segment.cols // die.cols) for segment in n.segments]
        if first and start:
            cycles = m.size * sum(panels)
            feeds.append((cycles, None, UsedOperand(*y, {}), [], None, 0))  # type: ignore[arg-type]
        for _, buffer, operand, parts, key, size in sorted(feeds, key=lambda feed: feed[0]):
            if buffer is None:
                there = self._start_there(range(m.start, m.start + m.size))
                fed_sums = [
                    units.feed_sums(
                        m.size,
                        self._panel_words(y[0], segment.cols),
                        y[1],
                        free=max(sums_free, there),
                    )
                    for segment in n.segments
                ]
                continue
            held = buffer.held(key)
            if held is None:
                place, free = buffer.take(size)
                time = free
                for rows, cols, row in _commands(operand.storage, parts):
                    reads = (operand.runs.get(row, operand.use),)
                    fed = units.feed(buffer.unit, rows, cols, lanes=buffer.lanes, reads=reads, free=free)
                    time = max(time, fed)
                buffer.fed(key, place, time)
                held = place, time
            places[buffer.unit] = buffer, held[0]
            ready = max(ready, held[1])
        if first and not start:
            ready = max(ready, sums_free)
        end = 0.0
        for segment, count, sums_there in zip(n.segments, panels, fed_sums, strict=True):
            panels_there = units.gemm(
                m=m.size,
                k_tiles=-(-k.size // die.rows),
                panels=count,
                accumulates=not first or start,
                ready=ready,
                sums=sums_there,
            )
            end = panels_there[-1]
            if last:
                words = self._panel_words(y[0], segment.cols)
                end = units.drain(rows=m.size, words=words, there=panels_there, writes=(y[1],))
                if y[1].part == Part():
                    units.places.write_rows(y[1].tensor, range(m.start, m.start + m.size), end)
        for buffer, place in places.values():
            buffer.used(place, panels_there[-1])
        self._sums_free = {place: time for place, time in self._sums_free.items() if not _inside(place, sums)}
        self._sums_free[sums] = end

    def _panel_words(self, y: Storage, cols: int) -> list[int]:
        """Words that a row of each panel lies in, from the start of a word on."""
        size, word, width = y.element_bytes, y.word_bytes, self._die.cols
        return [
            -(-min(cols, first + width) * size // word) - first * size // word
            for first in range(0, cols, width)
        ]


def _commands(storage: Storage, parts: Sequence[tuple[Range, Range]]) -> list[tuple[int, int, int]]:
    """Rows and columns of each feed, and the first row of its run: one for each run of rows and piece of columns."""
    found = []
    for rows, cols in parts:
        for piece in joined_pieces(storage):
            left = max(cols.start, piece.start)
            right = min(cols.start + cols.size, piece.start + piece.cols)
            for run in joined_runs(storage) if left < right else ():
                top, end = max(rows.start, run.row), min(rows.start + rows.size, run.row + run.rows)
                if top < end:
                    found.append((end - top, right - left, run.row))
    return found


def _meet(one: Place, other: Place) -> bool:
    return one.base < other.end and other.base < one.end


def _inside(one: Place, other: Place) -> bool:
    return other.base <= one.base and one.end <= other.end

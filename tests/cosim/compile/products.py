"""Random products on random dies, with their operands in a scratchpad."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from chiplet.graph.vector_pass import Element
from chiplet.layout.storage import RowRun, Storage, matrix_storage
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.compile.die_product import DieProduct
from cosim.golden.gemm import bf16_sums
from cosim.golden.interpreter import Interpreter
from cosim.golden.numerics import float32_to_bf16, fp32_patterns, fp32_values
from cosim.golden.operands import random_operand
from cosim.program.shape import FORMS, Form

ARRAYS = [(1, 1), (3, 5), (4, 4), (16, 16), (2, 7), (8, 2)]
SIZE_BF16 = 2


@dataclass(frozen=True)
class Scratchpad:
    """Gives out words, and a word between any two matrices."""

    count: Any

    def place(self, element: Element, word_bytes: int, pieces: list[int], runs: list[int]) -> Storage:
        """A matrix whose rows are in runs."""
        whole = matrix_storage(element, word_bytes, sum(runs), pieces)
        starts = itertools.accumulate(runs, initial=0)
        placed = []
        for row, rows in zip(starts, runs, strict=False):
            placed.append(RowRun(row, rows, self.count[0]))
            self.count[0] += rows * whole.pitch + rows % 2
        return Storage(element, word_bytes, whole.pieces, whole.pitch, tuple(placed))


@st.composite
def parts(draw: st.DrawFn, size: int, most: int = 3) -> list[int]:
    """A size in parts."""
    cuts = draw(st.sets(st.integers(1, size - 1), max_size=most - 1)) if size > 1 else set()
    bounds = [0, *sorted(cuts), size]
    return [end - start for start, end in itertools.pairwise(bounds)]


@st.composite
def dies(draw: st.DrawFn, rows: int, cols: int) -> DieSpec:
    def size(least: int) -> int:
        return least * draw(st.sampled_from([2, 3, 8, 40, 400]))

    return DieSpec(
        rows=rows,
        cols=cols,
        weight_bytes=size(rows * cols * SIZE_BF16),
        activation_bytes=size(rows * rows * SIZE_BF16),
        accumulator_bytes=size(2 * cols * 4),
        scratchpad_bytes=1 << 22,
    )


SIZES = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16, 23, 32, 37, 48])


@st.composite
def products(draw: st.DrawFn, scratchpad: Scratchpad, word_bytes: int) -> DieProduct:
    form: Form = draw(st.sampled_from(FORMS))
    m, n = draw(SIZES), draw(SIZES)
    m_pieces, n_pieces = draw(parts(m)), draw(parts(n))
    terms = []
    for _ in range(draw(st.integers(1, 2))):
        k = draw(SIZES)
        k_pieces = draw(parts(k))

        def place(pieces: list[int], rows: int) -> Storage:
            return scratchpad.place("bf16", word_bytes, pieces, draw(parts(rows)))

        a = place(m_pieces, k) if form == "tn" else place(k_pieces, m)
        b = place(k_pieces, n) if form == "nt" else place(n_pieces, k)
        terms.append((a, b))
    element: Element = draw(st.sampled_from(["fp32", "bf16"]))
    y = scratchpad.place(element, word_bytes, n_pieces, [m])
    start = None
    if draw(st.booleans()):
        start = (
            y
            if element == "fp32" and draw(st.booleans())
            else scratchpad.place("fp32", word_bytes, n_pieces, [m])
        )
    return DieProduct(form=form, terms=tuple(terms), y=y, start=start, label="product")


@dataclass(frozen=True)
class Case:
    die: DieSpec
    memory: MemorySpec
    products: tuple[DieProduct, ...]


@st.composite
def cases(draw: st.DrawFn, most: int = 2) -> Case:
    rows, cols = draw(st.sampled_from(ARRAYS))
    word_bytes = draw(st.sampled_from([4, 8, 32, 64]))
    scratchpad = Scratchpad([0])
    some = [draw(products(scratchpad, word_bytes)) for _ in range(draw(st.integers(1, most)))]
    return Case(draw(dies(rows, cols)), MemorySpec(word_bytes=word_bytes), tuple(some))


def element_places(storage: Storage) -> NDArray[Any]:
    """Byte of the scratchpad at which each element begins: (rows, cols)."""
    rows = np.concatenate([run.word + storage.pitch * np.arange(run.rows) for run in storage.runs])
    cols = np.concatenate(
        [
            piece.word * storage.word_bytes + storage.element_bytes * np.arange(piece.cols)
            for piece in storage.pieces
        ]
    )
    return rows[:, None] * storage.word_bytes + cols


def _bytes(interpreter: Interpreter, storage: Storage) -> tuple[Any, NDArray[Any]]:
    places = element_places(storage)[..., None] + np.arange(storage.element_bytes)
    return interpreter.scratchpad.reshape(-1), places


def write_matrix(interpreter: Interpreter, storage: Storage, patterns: NDArray[Any]) -> None:
    """Write a matrix of patterns."""
    content, places = _bytes(interpreter, storage)
    size = storage.element_bytes
    content[places] = (
        np.ascontiguousarray(patterns.astype(f"<u{size}")).view(np.uint8).reshape(*patterns.shape, size)
    )


def read_matrix(interpreter: Interpreter, storage: Storage) -> NDArray[Any]:
    """Patterns of a matrix, all of which must have been written."""
    content, places = _bytes(interpreter, storage)
    some = content[places]
    assert not np.ma.getmaskarray(some).any()
    values: NDArray[Any] = np.ascontiguousarray(np.ma.getdata(some)).view(f"<u{storage.element_bytes}")
    return values[..., 0]


def fill(interpreter: Interpreter, product: DieProduct, rng: np.random.Generator) -> NDArray[Any]:
    """Write random operands of a product; return the patterns of y that it must have, in the golden model's order."""
    total = np.zeros((product.y.rows, product.y.cols), np.float32)
    if product.start is not None:
        total = rng.standard_normal(total.shape, dtype=np.float32)
        write_matrix(interpreter, product.start, fp32_patterns(total))
    for a, b in product.terms:
        values = [random_operand(rng, s.rows, s.cols, dtype="bf16", operands="special") for s in (a, b)]
        for storage, of in zip((a, b), values, strict=True):
            write_matrix(interpreter, storage, of)
        x = values[0].T if product.form == "tn" else values[0]
        w = values[1].T if product.form == "nt" else values[1]
        pieces = [(0, a.rows)] if product.form == "tn" else [(p.start, p.cols) for p in a.pieces]
        for first, k in pieces:
            total = bf16_sums(x[:, first : first + k], w[first : first + k], rows_of(interpreter), total)
    patterns = fp32_patterns(total)
    return float32_to_bf16(fp32_values(patterns)) if product.y.element == "bf16" else patterns


def rows_of(interpreter: Interpreter) -> int:
    return interpreter._die.rows

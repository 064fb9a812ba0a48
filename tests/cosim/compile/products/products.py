"""Random products on random dies, with their operands in a scratchpad."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from chiplet.graph.vector_pass import Element
from chiplet.layout.block_sizes import Form
from chiplet.layout.storage import RowRun, Storage, matrix_storage
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.compile.products.die_product import DieProduct
from cosim.golden.gemm import bf16_sums
from cosim.golden.interpreter import Interpreter
from cosim.golden.numerics import float32_to_bf16, fp32_patterns, fp32_values
from cosim.golden.operands import random_operand
from cosim.program.shape import FORMS

ARRAYS = [(1, 1), (3, 5), (4, 4), (16, 16), (2, 7), (8, 2)]
SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 16, 23, 32, 37, 48]


@dataclass
class Words:
    """Gives words of a scratchpad to one matrix after the other."""

    word_bytes: int
    taken: int = field(default=0)

    def matrix(self, element: Element, pieces: list[int], runs: list[int]) -> Storage:
        """A matrix by the columns of its pieces and the rows of its runs; some runs lie apart."""
        whole = matrix_storage(element, self.word_bytes, sum(runs), pieces)
        placed = []
        for row, rows in zip(accumulate(runs, initial=0), runs, strict=False):
            placed.append(RowRun(row, rows, self.taken))
            self.taken += rows * whole.pitch + rows % 2
        return Storage(element, self.word_bytes, whole.pieces, whole.pitch, tuple(placed))


def product(
    words: Words,
    form: Form,
    m: int,
    k: int,
    n: int,
    *,
    element: Element = "fp32",
    k_pieces: list[int] | None = None,
    n_pieces: list[int] | None = None,
) -> DieProduct:
    """A product of one term, its matrices one behind the other; pieces are those of all that has these columns."""
    k_cut, n_cut = k_pieces or [k], n_pieces or [n]
    a = words.matrix("bf16", [m], [k]) if form == "tn" else words.matrix("bf16", k_cut, [m])
    b = words.matrix("bf16", k_cut, [n]) if form == "nt" else words.matrix("bf16", n_cut, [k])
    y = words.matrix(element, n_cut, [m])
    return DieProduct(form=form, terms=((a, b),), y=y, start=None, label="product")


@st.composite
def parts(draw: st.DrawFn, size: int) -> list[int]:
    """A size in one to three parts."""
    cuts = draw(st.sets(st.integers(1, size - 1), max_size=2)) if size > 1 else set()
    return [end - start for start, end in pairwise([0, *sorted(cuts), size])]


@st.composite
def dies(draw: st.DrawFn) -> DieSpec:
    """Dies with buffers from small ones on, and a large scratchpad."""
    rows, cols = draw(st.sampled_from(ARRAYS))
    factors = st.sampled_from([2, 3, 8, 40, 400])
    return DieSpec(
        rows=rows,
        cols=cols,
        weight_bytes=rows * cols * 2 * draw(factors),
        activation_bytes=rows * rows * 2 * draw(factors),
        accumulator_bytes=2 * cols * 4 * draw(factors),
        scratchpad_bytes=1 << 22,
    )


@st.composite
def products(draw: st.DrawFn, words: Words, most: int) -> DieProduct:
    """Products of one or two terms in any form and sizes up to ``most``: runs, pieces, and sums that they add to."""
    form: Form = draw(st.sampled_from(FORMS))
    sizes = st.sampled_from([size for size in SIZES if size <= most])
    m, n = draw(sizes), draw(sizes)
    m_pieces, n_pieces = draw(parts(m)), draw(parts(n))
    terms = []
    for _ in range(draw(st.integers(1, 2))):
        k = draw(sizes)
        k_pieces = draw(parts(k))
        a_cols, a_rows = (m_pieces, k) if form == "tn" else (k_pieces, m)
        b_cols, b_rows = (k_pieces, n) if form == "nt" else (n_pieces, k)
        a = words.matrix("bf16", a_cols, draw(parts(a_rows)))
        terms.append((a, words.matrix("bf16", b_cols, draw(parts(b_rows)))))
    element: Element = draw(st.sampled_from(["fp32", "bf16"]))
    y = words.matrix(element, n_pieces, [m])
    start = draw(st.sampled_from(["none", "apart", "y"]))
    sums = None if start == "none" else words.matrix("fp32", n_pieces, [m])
    if start == "y" and element == "fp32":
        sums = y
    return DieProduct(form=form, terms=tuple(terms), y=y, start=sums, label="product")


@dataclass(frozen=True)
class Case:
    """A die, and products one after the other."""

    die: DieSpec
    memory: MemorySpec
    products: tuple[DieProduct, ...]


@st.composite
def cases(draw: st.DrawFn, most: int = 2) -> Case:
    """Cases of at most ``most`` products."""
    die, words = draw(dies()), Words(draw(st.sampled_from([4, 8, 32, 64])))
    size = 6 * max(die.rows, die.cols)
    some = [draw(products(words, size)) for _ in range(draw(st.integers(1, most)))]
    return Case(die, MemorySpec(word_bytes=words.word_bytes), tuple(some))


def _bytes_of(storage: Storage) -> tuple[NDArray[Any], NDArray[Any]]:
    """Words of the scratchpad, and bytes of them, that each element takes: (rows, cols, bytes)."""
    size = storage.element_bytes
    rows = np.concatenate([run.word + storage.pitch * np.arange(run.rows) for run in storage.runs])
    cols = np.concatenate([p.word * storage.word_bytes + size * np.arange(p.cols) for p in storage.pieces])
    places = (rows[:, None] * storage.word_bytes + cols)[..., None] + np.arange(size)
    return places // storage.word_bytes, places % storage.word_bytes


def write_matrix(interpreter: Interpreter, storage: Storage, patterns: NDArray[Any]) -> None:
    """Write a matrix of patterns into the scratchpad."""
    places = _bytes_of(storage)
    values = np.ascontiguousarray(patterns, f"<u{storage.element_bytes}")
    interpreter.scratchpad.write(places, values.view(np.uint8).reshape(places[0].shape))


def read_matrix(interpreter: Interpreter, storage: Storage) -> NDArray[Any]:
    """Patterns of a matrix in the scratchpad, all of which must have been written."""
    content = interpreter.scratchpad.read(_bytes_of(storage))
    values: NDArray[Any] = np.ascontiguousarray(content).view(f"<u{storage.element_bytes}")
    return values[..., 0]


def fill(interpreter: Interpreter, product: DieProduct, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    """Write random operands of a product; return the patterns of y that an array of ``rows`` rows makes of them."""
    total = np.zeros((product.y.rows, product.y.cols), np.float32)
    if product.start is not None:
        total = rng.standard_normal(total.shape, dtype=np.float32)
        write_matrix(interpreter, product.start, fp32_patterns(total))
    for a, b in product.terms:
        x, w = (random_operand(rng, s.rows, s.cols, dtype="bf16", operands="special") for s in (a, b))
        write_matrix(interpreter, a, x)
        write_matrix(interpreter, b, w)
        x, w = x.T if product.form == "tn" else x, w.T if product.form == "nt" else w
        pieces = [(0, a.rows)] if product.form == "tn" else [(p.start, p.cols) for p in a.pieces]
        for first, k in pieces:
            total = bf16_sums(x[:, first : first + k], w[first : first + k], rows, total)
    patterns = fp32_patterns(total)
    return float32_to_bf16(fp32_values(patterns)) if product.y.element == "bf16" else patterns

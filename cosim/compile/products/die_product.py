"""A product on a die: operands, result and the sums that it adds to, as they lie in the scratchpad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chiplet.layout.block_sizes import Form
from chiplet.layout.storage import Storage
from cosim.program.shape import FORMS, Shape

__all__ = ["DieProduct", "word_of"]


@dataclass(frozen=True, kw_only=True)
class DieProduct:
    """y = the sum of its terms, added to ``start`` if there is one.

    Tiles of K begin anew with each term, and with each piece of summed columns.

    Attributes
    ----------
    form
        How operands are stored: ``nn`` a b, ``nt`` a b^T, ``tn`` a^T b.
    terms
        a and b of each term, bf16; terms are added in their order.
    y
        The result in one run of rows, fp32 or bf16. Each of its pieces has panels of its own.
    start
        fp32 sums in one run of rows, added to; may lie in the words of ``y``. None: +0.
    label
        Of its steps, for people.

    Raises
    ------
    ValueError
        If sizes or pieces disagree, or an element type is none that the units take.
    """

    form: Form
    terms: tuple[tuple[Storage, Storage], ...]
    y: Storage
    start: Storage | None
    label: str

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(f"{self.label or 'product'}: {problem}")

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Sizes of each term."""
        return tuple(
            Shape(m=self.y.rows, k=a.rows if self.form == "tn" else a.cols, n=self.y.cols, form=self.form)
            for a, _ in self.terms
        )

    def _problems(self) -> Iterator[str]:
        if self.form not in FORMS:
            yield f"form = {self.form!r}: must be one of {', '.join(FORMS)}"
        if not self.terms:
            yield "has no terms: must have at least one"
        for number, (a, b) in enumerate(self.terms):
            yield from self._term_problems(f"term {number}", a, b)
        y, start = self.y, self.start
        if y.element not in ("fp32", "bf16"):
            yield f"y is {y.element}: must be fp32 or bf16"
        for name, sums in (("y", y), ("start", start or y)):
            if len(sums.runs) != 1:
                yield f"{name} has {len(sums.runs)} runs of rows: must have one"
            if sums.values:
                yield f"{name} has values of rows side by side: must be a matrix"
        if start is not None and start.element != "fp32":
            yield f"start is {start.element}: must be fp32"
        if start is not None and (start.rows, start.cols) != (y.rows, y.cols):
            yield f"start is {start.rows} x {start.cols}: must be {y.rows} x {y.cols} as y"

    def _term_problems(self, name: str, a: Storage, b: Storage) -> Iterator[str]:
        for of, operand in (("a", a), ("b", b)):
            if operand.element != "bf16":
                yield f"{of} of {name} is {operand.element}: must be bf16"
            if operand.values:
                yield f"{of} of {name} has values of rows side by side: must be a matrix"
        m, a_k = (a.cols, a.rows) if self.form == "tn" else (a.rows, a.cols)
        n, b_k = (b.rows, b.cols) if self.form == "nt" else (b.cols, b.rows)
        if a_k != b_k:
            yield f"{name} sums {a_k} of a and {b_k} of b: must be as many"
        if (m, n) != (self.y.rows, self.y.cols):
            yield f"{name} is {m} x {n}: must be {self.y.rows} x {self.y.cols} as y"
        if self.form == "nt" and _lengths(a) != _lengths(b):
            yield f"columns of {name} are in pieces of {_lengths(a)} and {_lengths(b)}: must be the same"


def _lengths(storage: Storage) -> list[int]:
    return [piece.cols for piece in storage.pieces]


def word_of(storage: Storage, col: int) -> int:
    """Word of a row that column ``col`` begins. Raises ValueError if it begins none."""
    piece = next(piece for piece in reversed(storage.pieces) if piece.start <= col)
    size = (col - piece.start) * storage.element_bytes
    if size % storage.word_bytes:
        raise ValueError(
            f"column {col} of a row in {storage.pieces} begins no word: panels cannot begin there"
        )
    return piece.word + size // storage.word_bytes

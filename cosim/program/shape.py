"""Shapes of GEMMs: sizes, the form in which the operands are stored, and what the operands are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from chiplet.layout.block_sizes import Form

FORMS: tuple[Form, ...] = get_args(Form)

Operands = Literal["normal", "special", "bits"]
"""``normal``: standard normal numbers (int8: all values). ``special``: these mixed with signed zeros, subnormals, huge
and tiny numbers, and rarely an Inf or NaN. ``bits``: every bit pattern, equally often (int8: all values)."""


def gemm_forms(a: NDArray[Any], b: NDArray[Any], *, form: Form) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logical operands (M, K) and (K, N) of the stored ones, as views.

    Parameters
    ----------
    a
        (M, K); (K, M) in form ``tn``.
    b
        (K, N); (N, K) in form ``nt``.
    form
        ``nn``, ``nt`` or ``tn``; the summed dimension is K in all of them.

    Raises
    ------
    ValueError
        If the form is unknown, an operand is no matrix, or the operands disagree in K.
    """
    if form not in FORMS:
        raise ValueError(f"gemm: form = {form!r}: must be one of {', '.join(FORMS)}")
    for name, operand in (("a", a), ("b", b)):
        if operand.ndim != 2:
            raise ValueError(f"gemm: {name} has {operand.ndim} dimensions: must have 2")
    logical_a = a.T if form == "tn" else a
    logical_b = b.T if form == "nt" else b
    if logical_a.shape[1] != logical_b.shape[0]:
        raise ValueError(
            f"gemm: a is {shape_text(a)} and b is {shape_text(b)} in form {form}: "
            f"K = {logical_a.shape[1]} of a must equal K = {logical_b.shape[0]} of b"
        )
    return logical_a, logical_b


def shape_text(array: NDArray[Any]) -> str:
    """The shape of an array for messages: ``2 x 3``."""
    return " x ".join(map(str, array.shape))


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
        """Whether the streamed vectors are columns of the stored operand."""
        return self.form == "tn"

    @property
    def weight_column(self) -> bool:
        """Whether the stationary vectors are columns of the stored operand."""
        return self.form == "nt"

    @property
    def stored_a(self) -> tuple[int, int]:
        """Rows and columns of A as stored."""
        return (self.k, self.m) if self.activation_column else (self.m, self.k)

    @property
    def stored_b(self) -> tuple[int, int]:
        """Rows and columns of B as stored."""
        return (self.n, self.k) if self.weight_column else (self.k, self.n)

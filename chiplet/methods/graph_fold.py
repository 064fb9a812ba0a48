"""What a description of operators comes to with sizes: collectives, GEMMs and vector passes of a die.

Sizes are numbers, or arrays with one element for each machine. What follows from the description alone is worked out
once; it is refused there if it does not hold together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from math import prod
from typing import Literal, NamedTuple

from chiplet.graph.description import TOKENS, Description, NamedDim, NamedTensor, turned
from chiplet.graph.operators import Gather, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import Along
from chiplet.vectorized.elementwise import Number, ceil_div

__all__ = [
    "FoldedCollective",
    "FoldedProduct",
    "FoldedRun",
    "Sizes",
    "collectives",
    "mean_share",
    "products",
    "runs",
]

Sizes = Mapping[str, Number]
"""Sizes of dimensions, or dies of a line along each axis, by name."""

LineOp = Literal["all-gather", "reduce-scatter", "all-reduce"]


class FoldedCollective(NamedTuple):
    """A collective of one tensor: names of its operator and of its source, the axis, the tensor whose parts are the
    chunks, and the whole one.
    """

    name: str
    source: str
    op: LineOp
    axis: Along
    part: NamedTensor
    whole: NamedTensor


class FoldedProduct(NamedTuple):
    """A GEMM by its dimensions: m x k by k x n."""

    name: str
    m: NamedDim
    k: NamedDim
    n: NamedDim

    def sizes(self, sizes: Sizes, dies: Sizes) -> tuple[Number, Number, Number]:
        """m, k and n on the busiest die, of those along each axis."""
        m, k, n = (busiest_share(dim, sizes, dies) for dim in (self.m, self.k, self.n))
        return m, k, n

    def work(self, sizes: Sizes) -> Number:
        """Multiply-adds on all dies."""
        names = {dim.name for dim in (self.m, self.k, self.n)}
        return prod(size for name, size in sizes.items() if name in names)

    @property
    def split(self) -> Literal["m", "k"]:
        """The dimension that has the tokens."""
        return "m" if self.m.name == TOKENS else "k"


class FoldedRun(NamedTuple):
    """A vector program on a matrix: the operator's name, that of the program, and the matrix."""

    name: str
    program: str
    matrix: NamedTensor


@cache
def collectives(description: Description, *, type_b: bool = False) -> tuple[FoldedCollective, ...]:
    """The collectives of ``description`` in order; with ``type_b`` the axes are swapped.

    Raises
    ------
    ValueError
        As :attr:`chiplet.graph.description.Description.checked`.
    """
    return tuple(_collectives(description, type_b=type_b))


@cache
def products(description: Description, *, type_b: bool = False) -> tuple[FoldedProduct, ...]:
    """The products of ``description`` in order. Arguments and errors as for :func:`collectives`."""
    tensors = _tensors(description, type_b=type_b)
    found = []
    for operator in description.checked:
        if isinstance(operator, Product):
            a, b = tensors[operator.a], tensors[operator.b]
            m, k = (a.cols, a.rows) if operator.form == "tn" else (a.rows, a.cols)
            found.append(FoldedProduct(operator.name, m, k, b.rows if operator.form == "nt" else b.cols))
    return tuple(found)


@cache
def runs(description: Description) -> tuple[FoldedRun, ...]:
    """The vector programs of ``description`` in order. Errors as for :func:`collectives`."""
    found = []
    for operator in description.checked:
        if isinstance(operator, VectorRun):
            program = operator.program
            matrix = next(name for name in program.inputs if program.tensors[name].spread == "matrix")
            of = description.tensors[operator.bind[matrix].tensor]
            found.append(FoldedRun(operator.name, program.name, of))
    return tuple(found)


def mean_share(dims: Collection[NamedDim], sizes: Sizes, dies: Sizes) -> Number:
    """Elements of the mean die of what has these dimensions."""
    axes = [dies[dim.axis] for dim in dims if dim.axis is not None]
    return prod(sizes[dim.name] for dim in dims) / prod(axes)


def busiest_share(dim: NamedDim, sizes: Sizes, dies: Sizes) -> Number:
    """Elements of a dimension on the busiest die."""
    size = sizes[dim.name]
    return size if dim.axis is None else ceil_div(size, dies[dim.axis])


def _collectives(description: Description, *, type_b: bool) -> Iterator[FoldedCollective]:
    tensors = _tensors(description, type_b=type_b)
    for operator in description.checked:
        if isinstance(operator, (Gather, Scatter)):
            gathers = isinstance(operator, Gather)
            op: LineOp = "all-gather" if gathers else "reduce-scatter"
            axis = turned(operator.axis) if type_b else operator.axis
            for carried in operator.carries:
                source, target = tensors[carried.source], tensors[carried.target]
                part, whole = (source, target) if gathers else (target, source)
                yield FoldedCollective(operator.name, carried.source, op, axis, part, whole)
        elif isinstance(operator, Reduce):
            for name in operator.tensors:
                yield FoldedCollective(operator.name, name, "all-reduce", "row", tensors[name], tensors[name])


def _tensors(description: Description, *, type_b: bool) -> dict[str, NamedTensor]:
    def dim(of: NamedDim) -> NamedDim:
        return of._replace(axis=turned(of.axis)) if type_b and of.axis is not None else of

    return {
        name: tensor._replace(rows=dim(tensor.rows), cols=dim(tensor.cols))
        for name, tensor in description.tensors.items()
    }

"""What a description of operators comes to with sizes: collectives, GEMMs and vector passes of a die.

Sizes are numbers, or arrays with one element for each machine. What follows from the description alone is worked out
once; it is refused there if it does not hold together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, reduce
from operator import mul
from typing import Literal, NamedTuple

from chiplet.graph.descriptions.description import TOKENS, Description, NamedDim, NamedTensor, turned
from chiplet.graph.operators import Gather, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import Along
from chiplet.graph.vector_work import VectorWork, work_of
from chiplet.vectorized.elementwise import Number, ceil_div

__all__ = [
    "DieElements",
    "FoldedCollective",
    "FoldedProduct",
    "FoldedRun",
    "Sizes",
    "collectives",
    "products",
    "runs",
]

Sizes = Mapping[str, Number]
"""Sizes of dimensions, or dies of a line along each axis, by name."""

LineOp = Literal["all-gather", "reduce-scatter", "all-reduce"]


class DieElements(NamedTuple):
    """Elements of the mean die: the product of dimensions, over the dies of each axis along which one is split."""

    names: tuple[str, ...]
    axes: tuple[Along, ...]

    def of(self, sizes: Sizes, dies: Sizes) -> Number:
        """The elements, with sizes and dies by name."""
        elements: Number = 1
        for name in self.names:
            elements = elements * sizes[name]
        if not self.axes:
            return elements
        first, *others = self.axes
        parts = dies[first]
        for axis in others:
            parts = parts * dies[axis]
        return elements / parts


class FoldedCollective(NamedTuple):
    """A collective of one tensor.

    Attributes
    ----------
    name, source
        Of its operator, and of the tensor that is sent.
    chunk
        What the mean die has of the tensor whose parts are the chunks.
    features
        Columns that it has of the whole one.
    sums
        Whether they are sums, or operands.
    """

    name: str
    source: str
    op: LineOp
    axis: Along
    chunk: DieElements
    features: DieElements
    sums: bool


class FoldedProduct(NamedTuple):
    """A GEMM by its dimensions: m x k by k x n."""

    name: str
    m: NamedDim
    k: NamedDim
    n: NamedDim

    def sizes(self, sizes: Sizes, dies: Sizes) -> tuple[Number, Number, Number]:
        """m, k and n on the busiest die, of those along each axis."""
        return (
            _busiest(self.m, sizes, dies),
            _busiest(self.k, sizes, dies),
            _busiest(self.n, sizes, dies),
        )

    def work(self, sizes: Sizes) -> Number:
        """Multiply-adds on all dies."""
        names = self.m.name, self.k.name, self.n.name
        return reduce(mul, [size for name, size in sizes.items() if name in names])

    @property
    def split(self) -> Literal["m", "k"]:
        """The dimension that has the tokens."""
        return "m" if self.m.name == TOKENS else "k"


class FoldedRun(NamedTuple):
    """A vector program by its operator's name: what it demands for each element, and what the mean die has of them."""

    name: str
    work: VectorWork
    elements: DieElements


@cache
def collectives(description: Description, *, type_b: bool = False) -> tuple[FoldedCollective, ...]:
    """The collectives of ``description`` in order; with ``type_b`` the axes are swapped.

    Raises
    ------
    ValueError
        As :attr:`chiplet.graph.descriptions.description.Description.checked`.
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
    """The vector programs of ``description`` in order, but for those on values of rows alone, which are not counted.

    Errors as for :func:`collectives`.
    """
    found = []
    for operator in description.checked:
        if isinstance(operator, VectorRun):
            program = operator.program
            matrices = [
                operator.bind[name].tensor
                for name in (*program.outputs, *program.inputs)
                if name in operator.bind and program.tensors[name].spread == "matrix"
            ]
            if matrices:
                of = description.tensors[matrices[0]]
                found.append(FoldedRun(operator.name, work_of(program), _die_elements(of.rows, of.cols)))
    return tuple(found)


def _die_elements(*dims: NamedDim) -> DieElements:
    return DieElements(
        tuple(dim.name for dim in dims), tuple(dim.axis for dim in dims if dim.axis is not None)
    )


def _busiest(dim: NamedDim, sizes: Sizes, dies: Sizes) -> Number:
    """Elements of a dimension on the busiest die."""
    size = sizes[dim.name]
    return size if dim.axis is None else ceil_div(size, dies[dim.axis])


def _collectives(description: Description, *, type_b: bool) -> Iterator[FoldedCollective]:
    tensors = _tensors(description, type_b=type_b)

    def folded(name: str, source: str, op: LineOp, axis: Along, part: str, whole: str) -> FoldedCollective:
        chunk = tensors[part]
        features = _die_elements(tensors[whole].cols)
        elements = _die_elements(chunk.rows, chunk.cols)
        return FoldedCollective(name, source, op, axis, elements, features, chunk.element == "fp32")

    for operator in description.checked:
        if isinstance(operator, (Gather, Scatter)):
            gathers = isinstance(operator, Gather)
            op: LineOp = "all-gather" if gathers else "reduce-scatter"
            axis = turned(operator.axis) if type_b else operator.axis
            for source, target, _ in operator.carries:
                part, whole = (source, target) if gathers else (target, source)
                yield folded(operator.name, source, op, axis, part, whole)
        elif isinstance(operator, Reduce):
            for name in operator.tensors:
                yield folded(operator.name, name, "all-reduce", "row", name, name)


def _tensors(description: Description, *, type_b: bool) -> dict[str, NamedTensor]:
    def dim(of: NamedDim) -> NamedDim:
        return of._replace(axis=turned(of.axis)) if type_b and of.axis is not None else of

    return {
        name: tensor._replace(rows=dim(tensor.rows), cols=dim(tensor.cols))
        for name, tensor in description.tensors.items()
    }

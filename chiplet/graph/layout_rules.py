"""What the layouts of an operator's tensors must keep: then every sum is complete where it is used."""

from __future__ import annotations

from collections.abc import Mapping

from chiplet.graph.operators import Gather, Operator, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import Features, KvHeads, ShardedTensor

__all__ = ["check_layouts"]


def check_layouts(operator: Operator, tensors: Mapping[str, ShardedTensor]) -> None:
    """Raise ValueError if the tensors of ``operator`` do not lie as it needs them."""
    match operator:
        case Gather():
            for part in operator.carries:
                source, target = tensors[part.source], tensors[part.target]
                there = source.rows.axis == operator.axis and target.rows == source.rows.whole
                same = (source.cols, source.element, source.partial) == (
                    target.cols,
                    target.element,
                    target.partial,
                )
                _demand(operator, there and same, f"{part.target} must be {part.source} with whole rows")
        case Scatter():
            for part in operator.carries:
                source, target = tensors[part.source], tensors[part.target]
                there = target.rows.axis == operator.axis and source.rows == target.rows.whole
                complete = source.partial == operator.axis and target.partial is None
                sums = source.element == target.element == "fp32" and source.cols == target.cols
                _demand(
                    operator,
                    there and complete and sums,
                    f"{part.source} must hold partial sums along the {operator.axis} of {part.target}",
                )
        case Reduce():
            for name in operator.tensors:
                heads = tensors[name].cols
                _demand(
                    operator,
                    isinstance(heads, KvHeads) and heads.axis == "row" and tensors[name].element == "fp32",
                    f"{name} must hold key/value heads in fp32, split along the row",
                )
        case Product():
            _check_product(operator, tensors)
        case VectorRun():
            for name, operand in operator.bind.items():
                wanted = operator.program.tensors[name].element
                element = tensors[operand.tensor].element
                _demand(operator, element == wanted, f"{operand.tensor} is {element}: must be {wanted}")
            _check_pieces(operator, tensors)
            missing = {*operator.program.inputs} - {*operator.program.constants} - operator.bind.keys()
            _demand(operator, not missing, f"input {', '.join(sorted(missing))} is missing")
        case _:
            pass


def _check_product(operator: Product, tensors: Mapping[str, ShardedTensor]) -> None:
    a, b, y = tensors[operator.a], tensors[operator.b], tensors[operator.y]
    rows, inner = (a.cols, a.rows) if operator.form == "tn" else (a.rows, a.cols)
    other, cols = (b.cols, b.rows) if operator.form == "nt" else (b.rows, b.cols)
    _demand(operator, (a.element, b.element) == ("bf16", "bf16"), "operands must be bf16")
    if operator.form == "nt":
        cut, of = (a.cols, b.cols), f"{operator.a} and {operator.b}"
    else:
        cut, of = (b.cols, y.cols), f"{operator.b} and {operator.y}"
    _demand(operator, cut[0].piece_length == cut[1].piece_length, f"{of} must be in pieces of one length")
    if operator.each:
        return  # Parts of one sequence and one head: the dimensions of the parts agree, which the parts show.
    _demand(
        operator, inner.uncut == other.uncut, f"{operator.a} and {operator.b} must agree in what is summed"
    )
    same = (y.rows.uncut, y.cols.uncut) == (rows.uncut, cols.uncut)
    _demand(operator, same, f"{operator.y} must be of the operands' dimensions")
    split = inner.axis
    _demand(
        operator,
        y.partial == split,
        f"{operator.y} holds {'complete' if split is None else 'partial'} sums: must say so",
    )


def _check_pieces(operator: VectorRun, tensors: Mapping[str, ShardedTensor]) -> None:
    """A pass goes over the words of its matrices in step, so all begin a piece with the same column."""
    lengths = set[int]()
    for name, operand in operator.bind.items():
        cols = tensors[operand.tensor].cols
        if operand.half:
            halves = isinstance(cols, Features) and 2 * cols.piece_length == cols.unit
            _demand(operator, halves, f"{operand.tensor} must be in pieces of half a unit")
        if operator.program.tensors[name].spread == "matrix" and not operand.half:
            lengths.add(cols.piece_length)
    _demand(operator, len(lengths) < 2, "matrices must be in pieces of one length")


def _demand(operator: Operator, kept: bool, rule: str) -> None:
    if not kept:
        raise ValueError(f"graph: {operator.name}: {rule}")

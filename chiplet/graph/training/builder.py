"""Pieces that several parts of a training step have: linears, and the norm in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from chiplet.graph.descriptions import linear_operators, norm_operators
from chiplet.graph.descriptions.description import Description, turned
from chiplet.graph.operators import Carried, Gather, Operator, Product, Scatter, VectorRun
from chiplet.graph.sharding import ONE, Along, Dim, Tokens
from chiplet.graph.training.operator_builder import OperatorBuilder, Weight

__all__ = ["StepBuilder"]

_FORWARD = {"w": "operand", "partial": "partial", "y": "sums"}
_WEIGHTS = {"w": "operand", "dw": "gradient"}
"""Suffixes of tensors that each weight has, by their names in the descriptions of linears."""

_OTHER_FORM: Mapping[str, Literal["nn", "nt"]] = {"nn": "nt", "nt": "nn"}
"""Forms of the products with a weight whose rows are outputs."""


def _of(names: Sequence[str], number: int) -> str:
    """The name for a weight: its own, or that of all."""
    return names[0] if len(names) == 1 else names[number]


class StepBuilder(OperatorBuilder):
    """Tensors, operators and sections of a step, with its linears from their one description."""

    # ---- linears ----

    def linears(
        self,
        description: Description,
        prefix: str,
        weights: Sequence[Weight],
        names: Mapping[str, Sequence[str]],
        *,
        beside: Description | None = None,
        type_b: bool = False,
    ) -> None:
        """Operators of ``description`` for ``weights`` that share an input.

        Parameters
        ----------
        prefix
            Of the collectives' names; those of products have the name of their weight.
        names
            Tensors by the description's: one for each weight, or one for all. What is written is declared.
        beside
            What the collectives of the same names carry besides, whose tensors have ``prefix``.
        type_b
            Whether the axes are swapped.
        """

        def axis_of(axis: Along) -> Along:
            return turned(axis) if type_b else axis

        def declare(role: str, name: str, weight: Weight) -> None:
            if name in self.tensors:
                return
            tensor = description.tensors[role]
            inputs, outputs = (weight.rows, weight.cols)[:: -1 if weight.transposed else 1]
            dims: dict[str, Dim] = {"inputs": inputs, "outputs": outputs}
            split, partial = tensor.rows.axis, tensor.partial
            self.tensor(
                name,
                Tokens(split and axis_of(split)),
                dims[tensor.cols.name],
                tensor.element,
                partial=partial and axis_of(partial),
            )

        for operator in description.checked:
            match operator:
                case Gather() | Scatter():
                    carries: dict[Carried, None] = {}
                    for part in operator.carries:
                        for number, weight in enumerate(weights):
                            source, target = (_of(names[role], number) for role in part[:2])
                            declare(part.target, target, weight)
                            carries[Carried(source, target)] = None
                    if beside is not None:
                        carries |= dict.fromkeys(self._beside(beside, operator, prefix))
                    self._operators.append(
                        replace(
                            operator,
                            name=f"{prefix}.{operator.name}",
                            axis=axis_of(operator.axis),
                            carries=tuple(carries),
                        )
                    )
                case Product():
                    for number, weight in enumerate(weights):
                        y = _of(names[operator.y], number)
                        shared = number and len(names[operator.y]) == 1
                        declare(operator.y, y, weight)
                        a, b = (_of(names[role], number) for role in (operator.a, operator.b))
                        form = operator.form
                        if weight.transposed:
                            form, a, b = ("tn", b, a) if form == "tn" else (_OTHER_FORM[form], a, b)
                        self.product(
                            f"{weight.name}.{operator.name}",
                            form,
                            a,
                            b,
                            y,
                            accumulate="products" if shared else operator.accumulate,
                        )
                case _:
                    raise TypeError(
                        f"{description.name}: operator {operator.name} is a {type(operator).__name__}"
                    )

    def _beside(self, norm: Description, operator: Gather | Scatter, prefix: str) -> Iterator[Carried]:
        """What a collective of a linear of type A carries of the norm; declares the targets."""
        for of in norm.checked:
            if of.name != operator.name or not isinstance(of, (Gather, Scatter)):
                continue
            for part in of.carries:
                source, target = (f"{prefix}.{role}" for role in part[:2])
                tensor = norm.tensors[part.target]
                self.tensor(target, Tokens(tensor.rows.axis), ONE, tensor.element, partial=tensor.partial)
                yield Carried(source, target, part.purpose)

    # ---- linears of type A, behind a norm ----

    def norm_linears(self, norm: str, source: str, weights: Sequence[Weight]) -> None:
        """Products of ``source`` with weights that the norm is folded into: leaves ``{weight}.sums`` in layout B, and
        the norm's ``scale``.
        """
        operators = norm_operators.FORWARD.checked
        first = next(place for place, of in enumerate(operators) if not isinstance(of, VectorRun))
        self._norm(norm_operators.FORWARD, norm, operators[:first], {"residual": source})
        self.linears(
            linear_operators.FORWARD,
            norm,
            weights,
            {
                "x": [f"{norm}.x"],
                "x_all": [f"{norm}.x_all"],
                **{role: [f"{weight.name}.{name}" for weight in weights] for role, name in _FORWARD.items()},
            },
            beside=norm_operators.FORWARD,
        )
        self._norm(norm_operators.FORWARD, norm, operators[first:])

    def _norm(
        self,
        description: Description,
        norm: str,
        operators: Sequence[Operator],
        names: Mapping[str, str] | None = None,
    ) -> None:
        """The vector programs among ``operators`` of a norm."""
        self.bind(
            description,
            norm,
            {"gradient": "gradient", "gradient_operand": "gradient.operand", **(names or {})},
            {"inputs": self.hidden, "norm sums": ONE},
            only=[of for of in operators if isinstance(of, VectorRun)],
        )

    def norm_linears_backward(
        self, norm: str, weights: Sequence[Weight], inputs: Sequence[str], *, first: bool = False
    ) -> None:
        """From gradients ``inputs`` of the weights' outputs, which are operands in layout B with the norm's scale, and
        its ``t``: gradients of the weights, and of the residual stream with its operand.
        """
        description = norm_operators.BACKWARD_FIRST if first else norm_operators.BACKWARD
        self.linears(
            linear_operators.BACKWARD,
            norm,
            weights,
            {
                "x": [f"{norm}.x"],
                "x_again": [f"{norm}.x_again"],
                "dy": inputs,
                "dy_all": [f"{u}_all" for u in inputs],
                "dx_partial": [f"{norm}.dx_partial"],
                "dx": [f"{norm}.dx"],
                **{role: [f"{weight.name}.{name}" for weight in weights] for role, name in _WEIGHTS.items()},
            },
            beside=description,
        )
        self._norm(description, norm, description.checked)

    # ---- linears of type B ----

    def contract(self, weight: Weight, x: str) -> None:
        """Product of ``x`` in layout B with ``weight``: leaves ``{weight}.sums`` in layout A."""
        names = {role: [f"{weight.name}.{name}"] for role, name in _FORWARD.items()}
        names |= {"x": [x], "x_all": [f"{x}_all"]}
        self.linears(linear_operators.FORWARD, weight.name, (weight,), names, type_b=True)

    def add(self, part: str, weight: Weight) -> None:
        """Add what ``weight`` leaves to the residual stream."""
        names = {"residual": "residual", "branch": f"{weight.name}.sums"}
        self.bind(norm_operators.RESIDUAL, part, names, {})

    def contract_backward(self, weight: Weight, x: str) -> None:
        """Gradients of ``weight`` and, as ``{weight}.dx`` in layout B, of ``x``, from ``gradient.operand``."""
        names = {role: [f"{weight.name}.{name}"] for role, name in _WEIGHTS.items()}
        names |= {role: [f"{weight.name}.{role}"] for role in ("dx_partial", "dx")}
        names |= {"x": [x], "x_again": [f"{x}_again"]}
        names |= {"dy": ["gradient.operand"], "dy_all": [f"{weight.name}.dy"]}
        self.linears(linear_operators.BACKWARD, weight.name, (weight,), names, type_b=True)

"""Collects the tensors and the operators of a training step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from chiplet.graph.descriptions import weight_operators
from chiplet.graph.descriptions.description import ONE_VALUE, TOKENS, Description, NamedDim, operands_of
from chiplet.graph.descriptions.shared_programs import (
    SCALE_COLUMNS_OPERAND,
    ZEROS,
    product_sums_add,
)
from chiplet.graph.graph import Section
from chiplet.graph.operators import (
    Carried,
    Each,
    Gather,
    Half,
    Move,
    Operator,
    Product,
    ProgramOperand,
    Purpose,
    Scatter,
    VectorRun,
)
from chiplet.graph.sharding import ONE, Along, Dim, Features, HalfHead, KvHeads, ShardedTensor, Tokens
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import VectorProgram

__all__ = ["TOKENS_A", "TOKENS_B", "TOKENS_WHOLE", "OperatorBuilder", "Weight", "run_of"]

TOKENS_A, TOKENS_B, TOKENS_WHOLE = Tokens("row"), Tokens("column"), Tokens(None)


class Weight(NamedTuple):
    """A weight by the prefix of its tensors: ``weight``, ``operand``, ``gradient``, and the moments ``m`` and ``v``.

    ``norm`` is the prefix of the norm that is folded into it; ``transposed``: its rows are outputs. A weight that is
    ``tied`` is that of another prefix, of which this is a second operand.
    """

    name: str
    rows: Dim
    cols: Dim
    layered: bool = True
    norm: str = ""
    transposed: bool = False
    tied: str = ""

    @property
    def master(self) -> str:
        """Name of the tensor that updates change."""
        return f"{self.tied or self.name}.weight"


def run_of(program: VectorProgram, bind: Mapping[str, str | ProgramOperand]) -> VectorRun:
    """A vector program on tensors by name, without a name of its own."""
    return VectorRun(name="", program=program, bind=operands_of(bind))


class OperatorBuilder:
    """Tensors, operators and sections of a step with ``sizes``."""

    def __init__(self, sizes: StepSizes) -> None:
        model = sizes.model
        self.sizes = sizes
        self.tensors: dict[str, ShardedTensor] = {}
        self.sections: list[Section] = []
        self.hidden = Features("column", model.hidden)
        self.vocab = Features("row", model.vocab)
        self.ffn = Features("row", model.ffn)
        d, half = model.head_dim, model.head_dim // 2
        # What is turned by its position is in pieces of half a head, as rotary takes the halves apart.
        self.queries = Features("row", model.heads * d, d, piece=half)
        self.mixed = Features("row", model.heads * d, d, piece=d)
        self.keys = KvHeads("row", model.kv_heads * d, d, model.heads, piece=half)
        self.values = KvHeads("row", model.kv_heads * d, d, model.heads, piece=d)
        self.scores = Features("row", model.heads * sizes.length, sizes.length, piece=sizes.length)
        self.half = HalfHead(None, half)
        self.columns, self.rows = Features("row", sizes.cols), Features("column", sizes.rows)
        self._operators: list[Operator] = []
        self.layered = True
        self.moments = ("m", "v") if sizes.optimizer == "adam" else ()

    def tensor(
        self,
        name: str,
        rows: Dim,
        cols: Dim,
        element: Element = "fp32",
        *,
        partial: Along | None = None,
        home: Literal["scratchpad", "memory"] = "scratchpad",
        life: Literal["tile", "batch", "step", "run"] = "tile",
        layered: bool | None = None,
    ) -> str:
        """Declare a tensor, of a layer if the builder is in the layers; returns its name."""
        assert name not in self.tensors, name
        layers = self.layered if layered is None else layered
        self.tensors[name] = ShardedTensor(name, rows, cols, element, partial, home, life, layers)
        return name

    def weight(self, weight: Weight) -> Weight:
        """Declare the tensors of a weight."""
        given, layered = (weight.rows, weight.cols), weight.layered
        if not weight.tied:
            for part in ("weight", *self.moments):
                self.tensor(f"{weight.name}.{part}", *given, home="memory", life="run", layered=layered)
        self.tensor(f"{weight.name}.operand", *given, "bf16", life="step", layered=layered)
        self.tensor(f"{weight.name}.gradient", *given, life="step", layered=layered)
        return weight

    def section(
        self, name: str, repeat: Literal["tile", "batch", "step"], layers: Literal["once", "up", "down"]
    ) -> None:
        """Close a section with the operators since the last one."""
        self.sections.append(Section(name, repeat, layers, tuple(self._operators)))
        self._operators = []

    # ---- operators ----

    def load(self, name: str, *tensors: str) -> None:
        """Tensors from memory."""
        self._operators.append(Move(name=name, direction="load", tensors=tensors))

    def store(self, name: str, *tensors: str) -> None:
        """Tensors back to memory."""
        self._operators.append(Move(name=name, direction="store", tensors=tensors))

    def append(self, operator: Operator) -> None:
        """Any operator."""
        self._operators.append(operator)

    def run(
        self,
        name: str,
        program: VectorProgram,
        bind: Mapping[str, str | ProgramOperand],
        *,
        each: Each = "",
    ) -> None:
        """A vector program on tensors by name."""
        self._operators.append(replace(run_of(program, bind), name=name, each=each))

    def product(
        self,
        name: str,
        form: Literal["nn", "nt", "tn"],
        a: str,
        b: str,
        y: str,
        *,
        each: Each = "",
        accumulate: Literal["no", "products", "tiles"] = "no",
    ) -> None:
        """A GEMM."""
        self._operators.append(Product(name=name, form=form, a=a, b=b, y=y, each=each, accumulate=accumulate))

    def bind(
        self,
        description: Description,
        prefix: str,
        names: Mapping[str, str],
        dims: Mapping[str, Dim],
        *,
        only: Iterable[Operator] | None = None,
        called: Mapping[str, str] | None = None,
        in_place: Mapping[str, VectorRun] | None = None,
        life: Literal["tile", "batch"] = "tile",
    ) -> None:
        """Operators of ``description`` on tensors of the step; those that they write are declared.

        Parameters
        ----------
        names
            Tensors by the description's; others have theirs behind ``prefix``.
        dims
            Columns by the name of their tensor, or dimensions by theirs.
        only
            Some of its operators.
        called
            Names of operators that are not their own behind ``prefix``.
        in_place
            Vector programs of operators that depend on the dies of a line, or on layouts, with tensors of the step.
        life
            Of the tensors that are declared.
        """

        def name_of(role: str) -> str:
            return names.get(role, f"{prefix}.{role}")

        def dim(of: NamedDim) -> Dim:
            if of == ONE_VALUE:
                return ONE
            if of.name == TOKENS:
                return Tokens(of.axis)
            return replace(dims[of.name], axis=of.axis)

        description.checked  # noqa: B018  # refused before anything is bound
        for operator in description.operators if only is None else only:
            for role in operator.writes:
                if name_of(role) not in self.tensors:
                    tensor = description.tensors[role]
                    cols = dims[role] if role in dims else dim(tensor.cols)
                    self.tensor(
                        name_of(role),
                        dim(tensor.rows),
                        cols,
                        tensor.element,
                        partial=tensor.partial,
                        life=life,
                    )
            name = (called or {}).get(operator.name, f"{prefix}.{operator.name}")
            match operator:
                case Gather() | Scatter():
                    parts = tuple(
                        Carried(name_of(part.source), name_of(part.target), part.purpose)
                        for part in operator.carries
                    )
                    self._operators.append(replace(operator, name=name, carries=parts))
                case Product():
                    a, b, y = (name_of(role) for role in (operator.a, operator.b, operator.y))
                    self._operators.append(replace(operator, name=name, a=a, b=b, y=y))
                case VectorRun():
                    if in_place and operator.name in in_place:
                        self._operators.append(replace(in_place[operator.name], name=name))
                        continue
                    bind = {key: of._replace(tensor=name_of(of.tensor)) for key, of in operator.bind.items()}
                    picks = any(step.op1 == "pick" for step in operator.program.passes)
                    offset = self.vocab if picks else None
                    self._run(replace(operator, name=name, bind=bind, offset=offset))
                case _:
                    raise TypeError(
                        f"{description.name}: operator {operator.name} is a {type(operator).__name__}"
                    )

    def _run(self, run: VectorRun) -> None:
        """A vector program; sums of products over columns in several pieces are made head after head, where pieces are
        halves of heads the low ones first.
        """
        sums = {"u", "y", "sums"} == run.bind.keys() and self.tensors[run.bind["u"].tensor]
        if not sums or not sums.cols.piece_length:
            self._operators.append(run)
            return
        (u, y, total), cols = (run.bind[key].tensor for key in ("u", "y", "sums")), sums.cols
        assert isinstance(cols, Features)
        self.run(f"{run.name}_start", ZEROS, {"total": total})
        halves: tuple[Half, ...] = ("low", "high") if cols.piece_length < cols.unit else ("",)
        for half in halves:
            self.run(
                "_".join(filter(None, (run.name, half))),
                product_sums_add(sums.element, self.tensors[y].element),
                {"u": ProgramOperand(u, half), "y": ProgramOperand(y, half), "total": total},
                each="kv-head" if isinstance(cols, KvHeads) else "head",
            )

    def gather(self, name: str, axis: Along, carries: Mapping[str, Purpose]) -> None:
        """Gather tensors, each into one of the name with ``_all`` behind it."""
        parts = tuple(self._whole(source, purpose) for source, purpose in carries.items())
        self._operators.append(Gather(name=name, axis=axis, carries=parts))

    def _whole(self, name: str, purpose: Purpose) -> Carried:
        source = self.tensors[name]
        target = f"{source.name}_all"
        self.tensor(
            target,
            source.rows.whole,
            source.cols,
            source.element,
            partial=source.partial,
            life=source.life,
            layered=source.layered,
        )
        return Carried(source.name, target, purpose)

    def fold(self, weight: Weight) -> None:
        """The operand of a weight, with the gain of the norm in front of it."""
        names = {"w": weight.master, "operand": f"{weight.name}.operand", "gain": f"{weight.norm}.gain"}
        description = weight_operators.FOLD if weight.norm else weight_operators.CAST_WEIGHT
        turned = {}
        if weight.norm and weight.transposed:
            bind = {"x": names["w"], "scale": names["gain"], "y": names["operand"]}
            turned["fold"] = run_of(SCALE_COLUMNS_OPERAND, bind)
        self.bind(description, weight.name, names, {}, in_place=turned)

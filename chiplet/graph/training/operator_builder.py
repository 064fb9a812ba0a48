"""Collects the tensors and the operators of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

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
from chiplet.graph.sharding import Along, Dim, Features, HalfHead, KvHeads, ShardedTensor, Tokens
from chiplet.graph.training.shared_programs import (
    CAST,
    SCALE_COLUMNS_OPERAND,
    SCALE_OPERAND,
    ZEROS,
    product_sums,
    product_sums_add,
)
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import VectorProgram

__all__ = ["TOKENS_A", "TOKENS_B", "TOKENS_WHOLE", "OperatorBuilder", "Weight"]

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
        causal: bool = False,
        offset: Features | None = None,
    ) -> None:
        """A vector program on tensors by name."""
        operands = {
            key: value if isinstance(value, ProgramOperand) else ProgramOperand(value)
            for key, value in bind.items()
        }
        self._operators.append(
            VectorRun(name=name, program=program, bind=operands, each=each, causal=causal, offset=offset)
        )

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

    def scatter(self, name: str, axis: Along, *carries: Carried) -> None:
        """Reduce-scatter tensors whose rows are tokens; declares the targets that are not there yet."""
        for part in carries:
            source = self.tensors[part.source]
            if part.target not in self.tensors:
                self.tensor(part.target, Tokens(axis), source.cols, layered=source.layered)
        self._operators.append(Scatter(name=name, axis=axis, carries=carries))

    def fold(self, weight: Weight) -> None:
        """The operand of a weight, with the gain of the norm in front of it."""
        bind = {"x": weight.master, "y": f"{weight.name}.operand"}
        if not weight.norm:
            self.run(f"{weight.name}.fold", CAST, bind)
        else:
            scale = SCALE_COLUMNS_OPERAND if weight.transposed else SCALE_OPERAND
            self.run(f"{weight.name}.fold", scale, {"scale": f"{weight.norm}.gain", **bind})

    def product_sums(self, name: str, u: str, y: str, total: str) -> None:
        """Row sums of u y over what a die has of their columns, in one pass; or head after head, where pieces are
        halves of heads the low ones first.
        """
        cols, elements = self.tensors[u].cols, (self.tensors[u].element, self.tensors[y].element)
        if not cols.piece_length:
            self.run(name, product_sums(*elements), {"u": u, "y": y, "sums": total})
            return
        assert isinstance(cols, Features)
        self.run(f"{name}_start", ZEROS, {"total": total})
        halves: tuple[Half, ...] = ("low", "high") if cols.piece_length < cols.unit else ("",)
        for half in halves:
            self.run(
                "_".join(filter(None, (name, half))),
                product_sums_add(*elements),
                {"u": ProgramOperand(u, half), "y": ProgramOperand(y, half), "total": total},
                each="kv-head" if isinstance(cols, KvHeads) else "head",
            )

    def cast(self, name: str, x: str, y: str) -> str:
        """``x`` as an operand ``y``."""
        tensor = self.tensors[x]
        self.tensor(y, tensor.rows, tensor.cols, "bf16")
        self.run(name, CAST, {"x": x, "y": y})
        return y

"""Collects the tensors and the operators of a training step; pieces that several parts of it have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from chiplet.graph.sharding import ONE, Along, Dim, Features, HalfHead, KvHeads, ShardedTensor, Tokens
from chiplet.graph.training.shared_programs import (
    CAST,
    NORM_INPUT,
    NORM_INPUT_FIRST,
    NORM_OPERAND,
    NORM_SCALE,
    SCALE_COLUMNS_OPERAND,
    SCALE_OPERAND,
    ZEROS,
    norm_share,
    product_sums,
    product_sums_add,
)
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import VectorProgram

__all__ = ["TOKENS_A", "TOKENS_B", "TOKENS_WHOLE", "StepBuilder", "Weight"]

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


class StepBuilder:
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

    # ---- linears of type A, behind a norm ----

    def norm_linears(self, norm: str, source: str, weights: Sequence[Weight]) -> None:
        """Products of ``source`` with weights that the norm is folded into: leaves ``{weight}.sums`` in layout B, and
        the norm's ``scale``.
        """
        self.tensor(f"{norm}.x", TOKENS_A, self.hidden, "bf16")
        self.tensor(f"{norm}.squares", TOKENS_A, ONE, partial="column")
        self.tensor(f"{norm}.scale", TOKENS_B, ONE)
        self.run(f"{norm}.norm", NORM_OPERAND, {"x": source, "y": f"{norm}.x", "squares": f"{norm}.squares"})
        self.gather(f"{norm}.gather_x", "row", {f"{norm}.x": "linear", f"{norm}.squares": "norm sums"})
        carries = []
        for weight in weights:
            cols = weight.rows if weight.transposed else weight.cols
            partial = self.tensor(f"{weight.name}.partial", TOKENS_WHOLE, cols, partial="column")
            self.product(
                f"{weight.name}.product",
                "nt" if weight.transposed else "nn",
                f"{norm}.x_all",
                f"{weight.name}.operand",
                partial,
            )
            carries.append(Carried(partial, f"{weight.name}.sums"))
        carries.append(Carried(f"{norm}.squares_all", f"{norm}.squares_total", "norm sums"))
        self.scatter(f"{norm}.scatter_y", "column", *carries)
        self.run(
            f"{norm}.scale_of_tokens",
            NORM_SCALE,
            {"squares": f"{norm}.squares_total", "scale": f"{norm}.scale"},
        )

    def norm_share(self, norm: str, pairs: Sequence[tuple[str, str]]) -> None:
        """t of the norm, from the gradients (with its scale) and the values of each linear's outputs."""
        sums = {}
        for number, (u, y) in enumerate(pairs):
            sums[f"x_{number}"] = self.tensor(f"{u}.product", TOKENS_B, ONE, partial="row")
            self.product_sums(f"{u}.norm_product", u, y, f"{u}.product")
        self.tensor(f"{norm}.t", TOKENS_B, ONE, partial="row")
        self.run(
            f"{norm}.share", norm_share(len(pairs)), {**sums, "scale": f"{norm}.scale", "t": f"{norm}.t"}
        )

    def norm_linears_backward(
        self, norm: str, weights: Sequence[Weight], inputs: Sequence[str], *, first: bool = False
    ) -> None:
        """From gradients ``inputs`` of the weights' outputs, which are operands in layout B with the norm's scale, and
        its ``t``: gradients of the weights, and of the residual stream with its operand.
        """
        carries: dict[str, Purpose] = dict.fromkeys(inputs, "linear")
        self.gather(f"{norm}.gather_dy", "column", {**carries, f"{norm}.t": "norm sums"})
        dx = self.tensor(f"{norm}.dx_partial", TOKENS_WHOLE, self.hidden, partial="row")
        for number, (weight, u) in enumerate(zip(weights, inputs, strict=True)):
            self.product(
                f"{weight.name}.product_dx",
                "nn" if weight.transposed else "nt",
                f"{u}_all",
                f"{weight.name}.operand",
                dx,
                accumulate="products" if number else "no",
            )
        self.scatter(
            f"{norm}.scatter_dx",
            "row",
            Carried(dx, f"{norm}.dx"),
            Carried(f"{norm}.t_all", f"{norm}.t_total", "norm sums"),
        )
        again = self.tensor(f"{norm}.x_again", TOKENS_WHOLE, self.hidden, "bf16")
        self.append(Gather(name=f"{norm}.gather_x_again", axis="row", carries=(Carried(f"{norm}.x", again),)))
        for weight, u in zip(weights, inputs, strict=True):
            a, b = (f"{u}_all", again) if weight.transposed else (again, f"{u}_all")
            self.product(
                f"{weight.name}.product_dw", "tn", a, b, f"{weight.name}.gradient", accumulate="tiles"
            )
        self.run(
            f"{norm}.norm_backward",
            NORM_INPUT_FIRST if first else NORM_INPUT,
            {
                "x": f"{norm}.x",
                "t": f"{norm}.t_total",
                "z": f"{norm}.dx",
                "gradient": "gradient",
                "y": "gradient.operand",
            },
        )

    # ---- linears of type B ----

    def contract(self, weight: Weight, x: str) -> None:
        """Product of ``x`` in layout B with ``weight``: leaves ``{weight}.sums`` in layout A."""
        self.gather(f"{weight.name}.gather_x", "column", {x: "linear"})
        partial = self.tensor(f"{weight.name}.partial", TOKENS_WHOLE, self.hidden, partial="row")
        self.product(f"{weight.name}.product", "nn", f"{x}_all", f"{weight.name}.operand", partial)
        self.scatter(f"{weight.name}.scatter_y", "row", Carried(partial, f"{weight.name}.sums"))

    def contract_backward(self, weight: Weight, x: str) -> None:
        """Gradients of ``weight`` and, as ``{weight}.dx`` in layout B, of ``x``, from ``gradient.operand``."""
        dy = self.tensor(f"{weight.name}.dy", TOKENS_WHOLE, self.hidden, "bf16")
        self.append(
            Gather(name=f"{weight.name}.gather_dy", axis="row", carries=(Carried("gradient.operand", dy),))
        )
        partial = self.tensor(f"{weight.name}.dx_partial", TOKENS_WHOLE, weight.rows, partial="column")
        self.product(f"{weight.name}.product_dx", "nt", dy, f"{weight.name}.operand", partial)
        self.scatter(f"{weight.name}.scatter_dx", "column", Carried(partial, f"{weight.name}.dx"))
        again = self.tensor(f"{x}_again", TOKENS_WHOLE, weight.rows, "bf16")
        self.append(Gather(name=f"{weight.name}.gather_x_again", axis="column", carries=(Carried(x, again),)))
        self.product(
            f"{weight.name}.product_dw", "tn", again, dy, f"{weight.name}.gradient", accumulate="tiles"
        )

    def cast(self, name: str, x: str, y: str) -> str:
        """``x`` as an operand ``y``."""
        tensor = self.tensors[x]
        self.tensor(y, tensor.rows, tensor.cols, "bf16")
        self.run(name, CAST, {"x": x, "y": y})
        return y

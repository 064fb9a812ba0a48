"""Steps of few operators on one die, by which the terms of a training step are measured."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.graph.graph import Graph, Section
from chiplet.graph.operators import Move, Operator, Product, ProgramOperand, VectorRun
from chiplet.graph.sharding import Features, ShardedTensor
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import MATRIX, OF_ROWS, OPERAND, ProgramPass, VectorProgram, program_of
from chiplet.layout.block_sizes import Form

__all__ = ["Moved", "Multiplied", "Passed", "StepWork"]

SIZES = StepSizes(
    model=ModelSizes(hidden=1, heads=1, kv_heads=1, head_dim=2, ffn=1, layers=1, vocab=1),
    rows=1,
    cols=1,
    sequences=1,
    length=1,
)
"""Of one die. No tensor here has tokens."""


@dataclass(frozen=True)
class Moved:
    """``rows`` rows of four values, a word each unless words are smaller, are loaded and stored again."""

    rows: int

    @property
    def kind(self) -> str:
        """What people call such steps."""
        return "loads and stores"

    def graph(self) -> Graph:
        """The step."""
        return _graph(
            [_tensor("x", self.rows, 4)],
            [
                Move(name="load", direction="load", tensors=("x",)),
                Move(name="store", direction="store", tensors=("x",)),
            ],
        )

    def __str__(self) -> str:
        return f"load and store of {self.rows} rows"


def _passes(count: int, *passes: ProgramPass) -> VectorProgram:
    """``count`` times the passes, each of one operand that goes over words: none waits for another in a bank."""
    between = {"largest": OF_ROWS, "half": OPERAND}
    used = {name for step in passes for name in (*step.operands.values(), *step.results)}
    return program_of(
        "calibration",
        {"x": MATRIX},
        passes * count,
        {"x": MATRIX},
        {name: tensor for name, tensor in between.items() if name in used},
    )


_COPY = ProgramPass("x", y="x")
_PROGRAMS = {
    "copy": (_COPY,),
    "maximum": (ProgramPass("x", reduction="max", row="largest"), _COPY),
    "exp": (ProgramPass("x", function="exp", negate=True, y="x"),),
    "halves": (ProgramPass("x", y="half"), ProgramPass("half", y="x")),
}


@dataclass(frozen=True)
class Passed:
    """``count`` times the passes of a program over a matrix, which is loaded and stored again."""

    program: str
    rows: int
    cols: int
    count: int = 1

    @property
    def kind(self) -> str:
        """What people call such steps."""
        return "passes"

    def graph(self) -> Graph:
        """The step."""
        program = _passes(self.count, *_PROGRAMS[self.program])
        run = VectorRun(name="passes", program=program, bind={"x": ProgramOperand("x")})
        return _graph(
            [_tensor("x", self.rows, self.cols)],
            [
                Move(name="load", direction="load", tensors=("x",)),
                run,
                Move(name="store", direction="store", tensors=("x",)),
            ],
        )

    def __str__(self) -> str:
        return f"{self.count} x {self.program} of {self.rows}x{self.cols}"


@dataclass(frozen=True)
class Multiplied:
    """A GEMM of m x k by k x n, ``count`` times, each added to the sums of those before; its sums are stored."""

    m: int
    k: int
    n: int
    form: Form = "nn"
    count: int = 1

    @property
    def kind(self) -> str:
        """What people call such steps."""
        return "GEMMs"

    def graph(self) -> Graph:
        """The step."""
        a = (self.k, self.m) if self.form == "tn" else (self.m, self.k)
        b = (self.n, self.k) if self.form == "nt" else (self.k, self.n)
        products = [
            Product(
                name=f"product {number}",
                form=self.form,
                a="a",
                b="b",
                y="y",
                accumulate="tiles" if number else "no",
            )
            for number in range(self.count)
        ]
        return _graph(
            [_tensor("a", *a, "bf16"), _tensor("b", *b, "bf16"), _tensor("y", self.m, self.n)],
            [
                Move(name="load", direction="load", tensors=("a", "b")),
                *products,
                Move(name="store", direction="store", tensors=("y",)),
            ],
        )

    def __str__(self) -> str:
        return f"{self.count} x {self.m}x{self.k}x{self.n} {self.form}"


StepWork = Moved | Passed | Multiplied
"""What a step does."""


def _tensor(name: str, rows: int, cols: int, element: Element = "fp32") -> ShardedTensor:
    return ShardedTensor(name, Features(None, rows), Features(None, cols), element, home="memory", life="run")


def _graph(tensors: list[ShardedTensor], operators: list[Operator]) -> Graph:
    section = Section("step", "step", "once", tuple(operators))
    return Graph(1, 1, SIZES.algorithm, 1, {tensor.name: tensor for tensor in tensors}, (section,))

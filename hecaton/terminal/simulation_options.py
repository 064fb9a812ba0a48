"""Options of the commands that simulate the generated Verilog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import Seed, Trace
from hecaton.terminal.values import integer_option

if TYPE_CHECKING:
    from chiplet.machine.specs import DieSpec
    from cosim.observe.observation import Observation
    from hecaton.terminal.output import Output

_SIM = typer.Option(
    "--sim", metavar="icarus|cxxrtl|verilator", help="Simulator that runs the generated Verilog."
)
Simulator = Annotated[str, _SIM]
OptionalSimulator = Annotated[str | None, _SIM]

RecordFolder = Annotated[
    Path, typer.Option("--records", metavar="DIR", help="Directory for the measurement records.")
]

Algorithm = Annotated[
    str,
    typer.Option("--algorithm", metavar="ring|chain", help="Folded ring, or chain in both directions."),
]

OperandChoice = Annotated[
    str,
    typer.Option(
        "--operands",
        metavar="normal|special|bits",
        help="Random numbers, random numbers with zeros, subnormals, Inf and NaN, or all bit patterns.",
    ),
]

Stall = Annotated[
    float,
    typer.Option("--stall", metavar="CHANCE", help="Chance that a memory port stalls in a cycle, 0 to 0.9."),
]

Interval = Annotated[
    int,
    integer_option("--interval", "Least cycles between requests to a memory.", high=1 << 15),
]

WholePackage = Annotated[
    bool,
    typer.Option("--package", help="The whole package, with its dies, links and IO dies."),
]


def warn_of_depth(out: Output, die: DieSpec) -> None:
    """Say that predictions of packages do not follow the depth of ``die``, unless it is the one they count on."""
    from chiplet.machine.terms import deeper_keys

    deeper = deeper_keys(die)
    if deeper:
        out.warn(f"{deeper}: what is predicted of the network counts on 1 for each")


MOST_SIZE = 1 << 24
"""Largest size of a matrix."""


@dataclass(frozen=True)
class GemmOptions:
    """Options of a GEMM and of the memory that feeds it."""

    m: Annotated[int, integer_option("--m", "Rows of the result.", high=MOST_SIZE, metavar="M")]
    k: Annotated[int, integer_option("--k", "Summed dimension.", high=MOST_SIZE, metavar="K")]
    n: Annotated[int, integer_option("--n", "Columns of the result.", high=MOST_SIZE)]
    form: Annotated[
        str, typer.Option("--form", metavar="nn|nt|tn", help="XW, dY W^T or X^T dY: how operands are stored.")
    ] = "nn"
    stall: Stall = 0.0
    interval: Interval = 1
    operands: OperandChoice = "normal"

    def __str__(self) -> str:
        return f"{self.m}x{self.k}x{self.n} ({self.form})"


@dataclass(frozen=True)
class VectorOptions:
    """Options of a vector program and of the memory that feeds it."""

    program: Annotated[
        str,
        typer.Option("--program", metavar="NAME", help="Vector program, such as softmax or silu-backward."),
    ]
    rows: Annotated[int, integer_option("--rows", "Rows of the matrix.", high=MOST_SIZE, metavar="M")]
    cols: Annotated[int, integer_option("--cols", "Columns of the matrix.", high=MOST_SIZE)]
    causal: Annotated[bool, typer.Option("--causal", help="Softmax under the causal mask.")] = False
    lines: Annotated[
        int,
        integer_option("--lines", "Dies whose parts of the vocabulary cross-entropy-merge joins.", high=16),
    ] = 1
    stall: Stall = 0.0
    interval: Interval = 1
    operands: OperandChoice = "normal"

    def __str__(self) -> str:
        return f"{self.program} on {self.rows}x{self.cols}"


@dataclass(frozen=True)
class RunOptions:
    """Options of one simulated run: its seed and simulator, and where what it leaves goes."""

    seed: Seed = 0
    sim: Simulator = "icarus"
    records: RecordFolder = Path("records")
    trace: Trace = None
    waves: Annotated[
        Path | None,
        typer.Option(
            "--waves",
            metavar="FILE.fst|FILE.vcd",
            help="Waveform of every signal, with views for GTKWave (.gtkw) and Surfer (.sucl) beside it.",
        ),
    ] = None

    @property
    def observation(self) -> Observation:
        """What is kept of the run besides its record."""
        from cosim.observe.observation import Observation

        return Observation(trace=self.trace, waves=self.waves)

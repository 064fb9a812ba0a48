"""The vector programs, each once, as data: what the vector unit computes beside the GEMMs of training.

Hardware runs their passes, the golden model computes their bits, and the projection counts them. Rows are tokens and
columns features; of scores they are queries and keys, of ``sgd`` and ``adam`` those of a weight. Results that become
operands of the array are bf16, all others fp32. Sums over rows are the array's work, a GEMM with a row of ones: where a
gradient is such a sum, as that of a norm's gain, the program leaves its terms.
"""

from __future__ import annotations

from chiplet.graph.vector_program import (
    HALF,
    HALF_OPERAND,
    LABELS,
    MATRIX,
    OF_COLS,
    OF_ROWS,
    OPERAND,
    VALUE,
    ProgramPass,
    VectorProgram,
    program_of,
)

__all__ = ["ADAM", "PROGRAM_NAMES", "SGD", "vector_program"]

SOFTMAX = program_of(
    "softmax",
    {"x": MATRIX},
    (
        ProgramPass("x", reduction="max", row="largest", causal=True),
        ProgramPass("x", "sub", "largest", function="exp", y="e", reduction="sum", row="total", causal=True),
        ProgramPass("total", function="recip", y="share", statistics=True),
        ProgramPass("e", "mul", "share", y="p"),
    ),
    {"p": OPERAND},
    {"largest": OF_ROWS, "e": MATRIX, "total": OF_ROWS, "share": OF_ROWS},
)

SOFTMAX_BACKWARD = program_of(
    "softmax-backward",
    {"p": OPERAND, "dp": MATRIX},
    (
        ProgramPass("p", "mul", "dp", reduction="sum", row="mean"),
        ProgramPass("dp", "sub", "mean", op2="mul", d="p", y="dx"),
    ),
    {"dx": OPERAND},
    {"mean": OF_ROWS},
)

# 1 / sqrt(mean of squares + epsilon), with the sum of squares in the place of their mean.
_SCALE_OF_ROW = ProgramPass(
    "squares", "add", "epsilon_of_row", "rsqrt", "mul", "root_of_row", y="scale", statistics=True
)

RMSNORM = program_of(
    "rmsnorm",
    {"x": MATRIX, "gain": OF_COLS, "epsilon_of_row": VALUE, "root_of_row": VALUE},
    (
        ProgramPass("x", "mul", "x", reduction="sum", row="squares"),
        _SCALE_OF_ROW,
        ProgramPass("x", "mul", "scale", op2="mul", d="gain", y="y"),
    ),
    {"y": OPERAND, "scale": OF_ROWS},
    {"squares": OF_ROWS},
)

# With u = dy gain: dx = scale u - x scale^3 mean(u x).
RMSNORM_BACKWARD = program_of(
    "rmsnorm-backward",
    {"dy": MATRIX, "x": MATRIX, "gain": OF_COLS, "scale": OF_ROWS, "part_of_row": VALUE},
    (
        ProgramPass("dy", "mul", "gain", op2="mul", d="x", reduction="sum", row="product"),
        ProgramPass("product", "mul", "scale", op2="mul", d="scale", y="product", statistics=True),
        ProgramPass("product", "mul", "scale", op2="mul", d="part_of_row", y="product", statistics=True),
        ProgramPass("dy", "mul", "x", op2="mul", d="scale", y="gain_terms"),
        ProgramPass("x", "mul", "product", y="t"),
        ProgramPass("dy", "mul", "gain", op2="mul", d="scale", y="dx"),
        ProgramPass("dx", "sub", "t", y="dx"),
    ),
    {"dx": MATRIX, "gain_terms": OPERAND},
    {"product": OF_ROWS, "t": MATRIX},
)

LAYERNORM = program_of(
    "layernorm",
    {
        "x": MATRIX,
        "gain": OF_COLS,
        "bias": OF_COLS,
        "part_of_row": VALUE,
        "epsilon_of_row": VALUE,
        "root_of_row": VALUE,
    },
    (
        ProgramPass("x", reduction="sum", row="mean"),
        ProgramPass("mean", "mul", "part_of_row", y="mean", statistics=True),
        ProgramPass("x", "sub", "mean", y="n"),
        ProgramPass("n", "mul", "n", reduction="sum", row="squares"),
        _SCALE_OF_ROW,
        ProgramPass("n", "mul", "scale", y="n"),
        ProgramPass("n", "mul", "gain", op2="add", d="bias", y="y"),
    ),
    {"y": OPERAND, "n": MATRIX, "scale": OF_ROWS},
    {"mean": OF_ROWS, "squares": OF_ROWS},
)

# With u = dy gain: dx = scale (u - mean(u) - n mean(u n)). The gradient of the bias is the sum of the rows of dy.
LAYERNORM_BACKWARD = program_of(
    "layernorm-backward",
    {"dy": MATRIX, "n": MATRIX, "gain": OF_COLS, "scale": OF_ROWS, "part_of_row": VALUE},
    (
        ProgramPass("dy", "mul", "n", y="gain_terms"),
        ProgramPass("dy", "mul", "gain", y="u", reduction="sum", row="mean"),
        ProgramPass("u", "mul", "n", reduction="sum", row="product"),
        ProgramPass("mean", "mul", "part_of_row", y="mean", statistics=True),
        ProgramPass("product", "mul", "part_of_row", y="product", statistics=True),
        ProgramPass("n", "mul", "product", op2="rsub", d="u", y="u"),
        ProgramPass("u", "sub", "mean", op2="mul", d="scale", y="dx"),
    ),
    {"dx": MATRIX, "gain_terms": OPERAND},
    {"u": MATRIX, "mean": OF_ROWS, "product": OF_ROWS},
)

# silu(g) = g / (1 + e^-g), times up; gate and up are saved for the backward pass as bf16.
SILU = program_of(
    "silu",
    {"gate": MATRIX, "up": MATRIX, "one": VALUE},
    (
        ProgramPass("gate", y="gate_saved"),
        ProgramPass("up", y="up_saved"),
        ProgramPass("gate", function="exp", negate=True, y="e"),
        ProgramPass("e", "add", "one", function="recip", op2="mul", d="gate", y="e"),
        ProgramPass("e", "mul", "up", y="y"),
    ),
    {"y": OPERAND, "gate_saved": OPERAND, "up_saved": OPERAND},
    {"e": MATRIX},
)

# With s = 1 / (1 + e^-g): the derivative of g s is s + g s (1 - s).
SILU_BACKWARD = program_of(
    "silu-backward",
    {"dy": MATRIX, "gate": OPERAND, "up": OPERAND, "one": VALUE},
    (
        ProgramPass("gate", function="exp", negate=True, y="s"),
        ProgramPass("s", "add", "one", function="recip", y="s"),
        ProgramPass("gate", "mul", "s", y="silu"),
        ProgramPass("silu", "mul", "dy", y="dup"),
        ProgramPass("one", "sub", "s", op2="mul", d="silu", y="silu"),
        ProgramPass("s", "add", "silu", op2="mul", d="dy", y="s"),
        ProgramPass("s", "mul", "up", y="dgate"),
    ),
    {"dgate": OPERAND, "dup": OPERAND},
    {"s": MATRIX, "silu": MATRIX},
)

# gelu(x) = x / (1 + e^-z) with z = linear x + cubic x^3: the approximation by tanh, which is this.
GELU = program_of(
    "gelu",
    {"x": MATRIX, "gelu_linear": VALUE, "gelu_cubic": VALUE, "one": VALUE},
    (
        ProgramPass("x", y="saved"),
        ProgramPass("x", "mul", "x", op2="mul", d="gelu_cubic", y="z"),
        ProgramPass("z", "add", "gelu_linear", op2="mul", d="x", y="z"),
        ProgramPass("z", function="exp", negate=True, y="z"),
        ProgramPass("z", "add", "one", function="recip", op2="mul", d="x", y="y"),
    ),
    {"y": OPERAND, "saved": OPERAND},
    {"z": MATRIX},
)

# With s = 1 / (1 + e^-z): the derivative is s (1 + x (1 - s) z').
GELU_BACKWARD = program_of(
    "gelu-backward",
    {"dy": MATRIX, "x": OPERAND, "gelu_linear": VALUE, "gelu_cubic": VALUE, "one": VALUE, "three": VALUE},
    (
        ProgramPass("x", "mul", "x", op2="mul", d="gelu_cubic", y="q"),
        ProgramPass("q", "add", "gelu_linear", op2="mul", d="x", y="s"),
        ProgramPass("s", function="exp", negate=True, y="s"),
        ProgramPass("s", "add", "one", function="recip", y="s"),
        ProgramPass("q", "mul", "three", op2="add", d="gelu_linear", y="q"),
        ProgramPass("one", "sub", "s", op2="mul", d="x", y="t"),
        ProgramPass("t", "mul", "q", op2="add", d="one", y="t"),
        ProgramPass("s", "mul", "t", op2="mul", d="dy", y="dx"),
    ),
    {"dx": OPERAND},
    {"q": MATRIX, "s": MATRIX, "t": MATRIX},
)


def _rotary(name: str, *, backward: bool) -> VectorProgram:
    """Halves of each head, turned by the angles of its token; backwards by the opposite angles.

    A scale of the scores can be folded into cosines and sines.
    """
    return program_of(
        name,
        {"low": HALF, "high": HALF, "cos": HALF, "sin": HALF},
        (
            ProgramPass("high", "mul", "sin", y="t"),
            ProgramPass("low", "mul", "cos", op2="add" if backward else "sub", d="t", y="low_turned"),
            ProgramPass("low", "mul", "sin", y="t"),
            ProgramPass("high", "mul", "cos", op2="sub" if backward else "add", d="t", y="high_turned"),
        ),
        {"low_turned": HALF_OPERAND, "high_turned": HALF_OPERAND},
        {"t": HALF},
    )


RESIDUAL = program_of(
    "residual", {"x": MATRIX, "branch": MATRIX}, (ProgramPass("x", "add", "branch", y="x"),), {"x": MATRIX}
)

# The gradient of the sum goes both ways: as an operand into the branch, and on to where the branch's own is added.
RESIDUAL_BACKWARD = program_of(
    "residual-backward",
    {"dy": MATRIX, "dbranch": MATRIX},
    (ProgramPass("dy", "add", "dbranch", y="dy"), ProgramPass("dy", y="operand")),
    {"dy": MATRIX, "operand": OPERAND},
)

# Of the columns of the vocabulary that a die has: exponentials, and for each token their maximum, their sum and the
# logit of its label, 0 where another die has it.
CROSS_ENTROPY = program_of(
    "cross-entropy",
    {"x": MATRIX, "label": LABELS},
    (
        ProgramPass("x", reduction="max", row="largest"),
        ProgramPass("x", "sub", "largest", function="exp", y="e", reduction="sum", row="total"),
        ProgramPass("x", "pick", "label", reduction="sum", row="picked"),
    ),
    {"e": MATRIX, "largest": OF_ROWS, "total": OF_ROWS, "picked": OF_ROWS},
)


def _cross_entropy_merge(lines: int) -> VectorProgram:
    """The loss of each token, from maximum, sum and picked logit of the ``lines`` dies that share the vocabulary, in
    their order; ``scale`` makes of a die's exponentials the softmax over all.
    """
    inputs = {f"{name}_{die}": OF_ROWS for name in ("largest", "total", "picked") for die in range(lines)}
    passes = [ProgramPass("largest_0", y="most", statistics=True)]
    passes += [
        ProgramPass("most", "max", f"largest_{die}", y="most", statistics=True) for die in range(1, lines)
    ]
    for die in range(lines):
        passes.append(
            ProgramPass(
                f"largest_{die}",
                "sub",
                "most",
                function="exp",
                op2="mul",
                d=f"total_{die}",
                y="all" if die == 0 else "part",
                statistics=True,
            )
        )
        if die:
            passes.append(ProgramPass("all", "add", "part", y="all", statistics=True))
    passes += [
        ProgramPass("all", function="log", op2="add", d="most", y="loss", statistics=True),
        *(ProgramPass("loss", "sub", f"picked_{die}", y="loss", statistics=True) for die in range(lines)),
        ProgramPass("loss", reduction="sum", row="sum", statistics=True),
    ]
    between = {"part": OF_ROWS} if lines > 1 else {}
    return program_of(
        "cross-entropy-merge",
        inputs,
        passes,
        {"most": OF_ROWS, "all": OF_ROWS, "loss": OF_ROWS, "sum": VALUE},
        between,
    )


# dx = (softmax - 1 at the label) / tokens, with softmax = e exp(largest - most) / all.
CROSS_ENTROPY_BACKWARD = program_of(
    "cross-entropy-backward",
    {
        "e": MATRIX,
        "label": LABELS,
        "largest": OF_ROWS,
        "most": OF_ROWS,
        "all": OF_ROWS,
        "part_of_tokens": VALUE,
    },
    (
        ProgramPass("all", function="recip", op2="mul", d="part_of_tokens", y="scale", statistics=True),
        ProgramPass(
            "largest", "sub", "most", function="exp", op2="mul", d="scale", y="scale", statistics=True
        ),
        ProgramPass("e", "mul", "scale", y="e"),
        ProgramPass("part_of_tokens", "pick", "label", op2="rsub", d="e", y="dx"),
    ),
    {"dx": OPERAND},
    {"scale": OF_ROWS},
)

SGD = program_of(
    "sgd",
    {"w": MATRIX, "g": MATRIX, "rate": VALUE},
    (ProgramPass("g", "mul", "rate", op2="rsub", d="w", y="w"), ProgramPass("w", y="operand")),
    {"w": MATRIX, "operand": OPERAND},
)

# m and v are the moments of Adam; the bias of m is corrected by the rate, that of v by its scale. The square root of q
# is q / sqrt(q), and tiny keeps it from dividing by 0.
ADAM = program_of(
    "adam",
    {
        "w": MATRIX,
        "g": MATRIX,
        "m": MATRIX,
        "v": MATRIX,
        "keep_m": VALUE,
        "take_m": VALUE,
        "keep_v": VALUE,
        "take_v": VALUE,
        "scale_v": VALUE,
        "tiny": VALUE,
        "epsilon": VALUE,
        "rate": VALUE,
    },
    (
        ProgramPass("m", "mul", "keep_m", y="m"),
        ProgramPass("g", "mul", "take_m", op2="add", d="m", y="m"),
        ProgramPass("g", "mul", "g", op2="mul", d="take_v", y="g"),
        ProgramPass("v", "mul", "keep_v", op2="add", d="g", y="v"),
        ProgramPass("v", "mul", "scale_v", op2="add", d="tiny", y="g"),
        ProgramPass("g", function="rsqrt", op2="mul", d="g", y="g"),
        ProgramPass("g", "add", "epsilon", function="recip", op2="mul", d="m", y="g"),
        ProgramPass("g", "mul", "rate", op2="rsub", d="w", y="w"),
        ProgramPass("w", y="operand"),
    ),
    {"w": MATRIX, "m": MATRIX, "v": MATRIX, "operand": OPERAND},
)

_PROGRAMS = {
    program.name: program
    for program in (
        SOFTMAX,
        SOFTMAX_BACKWARD,
        RMSNORM,
        RMSNORM_BACKWARD,
        LAYERNORM,
        LAYERNORM_BACKWARD,
        SILU,
        SILU_BACKWARD,
        GELU,
        GELU_BACKWARD,
        _rotary("rotary", backward=False),
        _rotary("rotary-backward", backward=True),
        RESIDUAL,
        RESIDUAL_BACKWARD,
        CROSS_ENTROPY,
        _cross_entropy_merge(1),
        CROSS_ENTROPY_BACKWARD,
        SGD,
        ADAM,
    )
}

PROGRAM_NAMES = tuple(_PROGRAMS)
"""Names of the vector programs."""


def vector_program(name: str, *, lines: int = 1) -> VectorProgram:
    """The program called ``name``, one of :data:`PROGRAM_NAMES`.

    ``lines`` is the number of dies over which the vocabulary of ``cross-entropy-merge`` is split; the other programs
    do not depend on it.

    Raises
    ------
    ValueError
        If there is no such program.
    """
    if name not in _PROGRAMS:
        raise ValueError(f"vector program {name!r}: must be one of {', '.join(PROGRAM_NAMES)}")
    return _cross_entropy_merge(lines) if name == "cross-entropy-merge" else _PROGRAMS[name]
